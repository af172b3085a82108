"""Lines of the access log for people."""

from __future__ import annotations

from brokers.core.access.reasons import AccessReason
from brokers.core.values import AccessEvent, AccessKind

_WHAT = {
    AccessKind.STARTED: "Started",
    AccessKind.CONNECTED: "Connected",
    AccessKind.DISCONNECTED: "Disconnected",
    AccessKind.REFUSED: "Refused",
    AccessKind.ALLOWED: "Allowed",
    AccessKind.DENIED: "Denied",
    AccessKind.OTHER: "Told",
}

_WHY = {
    AccessReason.BAD_CERTIFICATE: "The certificate is not good.",
    AccessReason.UNKNOWN: "Nobody of that name is known.",
    AccessReason.NOT_PROVED: "What it showed is no proof of who it is.",
    AccessReason.NOT_ACTIVE: "The device is not active.",
    AccessReason.NOT_AUTHORISED: "The broker refused the login.",
    AccessReason.WRONG_CLIENT_ID: "The client id is another's.",
    AccessReason.WRONG_USERNAME: "The username is another's.",
    AccessReason.RESERVED_NAME: "The name is Gatehouse's own.",
    AccessReason.UNDECIDED: "It could not be decided.",
    AccessReason.NOT_ALLOWED: "No rule allows it.",
    AccessReason.DENY_RULE: "A deny rule forbids it.",
    AccessReason.ONLY_TOGETHER: "Rules cover it only together.",
    AccessReason.MALFORMED_TOPIC: "The topic is malformed.",
    AccessReason.DISCONNECTED: "It said goodbye.",
    AccessReason.WITH_WILL: "It said goodbye, and had its last will published.",
    AccessReason.CLIENT_CLOSED: "The client closed the connection.",
    AccessReason.CONNECTION_LOST: "The connection was lost.",
    AccessReason.KEEPALIVE_EXCEEDED: "It was silent too long.",
    AccessReason.TAKEN_OVER: "Another connection took its place.",
    AccessReason.BY_ADMINISTRATOR: "It was thrown out.",
    AccessReason.GRANT_ENDED: "What it was granted has ended.",
    AccessReason.BROKER_STOPPED: "The broker stopped.",
    AccessReason.PROTOCOL_ERROR: "It broke the protocol.",
}


def what_happened(event: AccessEvent) -> str:
    """`Denied publish`, `Connected`."""
    asked = event.action.value if event.action and event.topic else ""
    return f"{_WHAT[event.kind]} {asked}".strip()


def why_it_did(event: AccessEvent) -> str:
    """The broker's own words, else what its reason means; empty if it gave none."""
    return event.detail or (_WHY[event.reason] if event.reason else "")


def why(reason: AccessReason) -> str:
    """What the reason means."""
    return _WHY[reason]
