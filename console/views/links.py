"""Where a thing of the journal, or the holder of a certificate, has its page."""

from __future__ import annotations

import contextlib
from uuid import UUID

from django.urls import reverse

from devices.core.values import DeviceId
from devices.queries import get_device
from kernel.core.errors import NotFound
from kernel.core.journal import Subject


def subject_address(subject: Subject) -> str:
    """The page of what an entry is about; empty if it has none."""
    if subject.kind == "brokers.broker" and subject.label:
        return reverse("broker", args=[subject.label])
    if subject.kind == "pki.issuer" and subject.label:
        return reverse("issuer", args=[subject.label])
    if subject.kind == "pki.profile":
        return reverse("profile", args=[subject.id])
    names = {
        "devices.device": "device",
        "pki.certificate": "certificate",
        "acl.role": "role",
        "devices.policy_change": "change",
    }
    name = names.get(subject.kind)
    return reverse(name, args=[subject.id]) if name and _is_uuid(subject.id) else ""


def holder_address(holder: str) -> str:
    """The page of a certificate's holder, such as `device:<uuid>`; empty if it has none."""
    kind, _, id = holder.partition(":")
    return reverse("device", args=[id]) if kind == "device" and _is_uuid(id) else ""


def holder_label(holder: str) -> str:
    """The holder for people: a device by its name, others as they are."""
    kind, _, id = holder.partition(":")
    if kind == "device" and _is_uuid(id):
        with contextlib.suppress(NotFound):
            return f"device {get_device(device=DeviceId(UUID(id))).name}"
    return holder.replace(":", " ")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
