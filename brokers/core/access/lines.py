"""A line of the access log as JSON: the same in the API and in the daily files."""

from __future__ import annotations

from typing import Any

from brokers.core.values import AccessEvent, AccessKind
from kernel.core.clock import to_rfc3339


def line_document(event: AccessEvent) -> dict[str, Any]:
    """Every member spelled out; null where the broker did not say."""
    return {
        "id": event.id,
        "at": to_rfc3339(event.at),
        "broker": event.broker_name,
        "device": str(event.device) if event.device else None,
        "auth_id": event.auth_id,
        "client_id": event.client_id,
        "kind": event.kind.value,
        "action": event.action.value if event.action else None,
        "topic": event.topic,
        "qos": event.qos,
        "reason": event.reason.value if event.reason else None,
        "ungraceful": _ungraceful(event),
        "address": event.address,
        "detail": event.detail,
    }


def _ungraceful(event: AccessEvent) -> bool | None:
    if event.kind is not AccessKind.DISCONNECTED or event.reason is None:
        return None
    return event.reason.is_ungraceful
