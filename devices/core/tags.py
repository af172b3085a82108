"""What tells one state of a thing from the next, for ETag and If-Match."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from devices.core.values import Device


def device_tag(device: Device) -> str:
    """64 hex digits, others as soon as anything of the device is."""
    said = json.dumps(asdict(device), sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()


def query_tag(query: str) -> str:
    """The same of the query of a group."""
    return hashlib.sha256(query.encode()).hexdigest()
