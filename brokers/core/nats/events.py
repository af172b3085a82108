"""What a NATS server calls the end of a connection, in the words of the access log."""

from __future__ import annotations

from brokers.core.access.reasons import AccessReason

# The names that the server itself gives to the states of a closed connection (ClosedState).
_REASONS = {
    "Client Closed": AccessReason.CLIENT_CLOSED,
    "Read Error": AccessReason.CONNECTION_LOST,  # silence beyond the keep-alive as well
    "Write Error": AccessReason.CONNECTION_LOST,
    "Stale Connection": AccessReason.KEEPALIVE_EXCEEDED,
    "Duplicate Client ID": AccessReason.TAKEN_OVER,
    "Kicked": AccessReason.BY_ADMINISTRATOR,
    "Credentials Revoked": AccessReason.BY_ADMINISTRATOR,
    "Authentication Expired": AccessReason.GRANT_ENDED,
    "Authentication Timeout": AccessReason.NOT_AUTHORISED,
    "Authentication Failure": AccessReason.NOT_AUTHORISED,
    "TLS Handshake Failure": AccessReason.BAD_CERTIFICATE,
    "Server Shutdown": AccessReason.BROKER_STOPPED,
    "Parse Error": AccessReason.PROTOCOL_ERROR,
    "Protocol Violation": AccessReason.PROTOCOL_ERROR,
    "Maximum Message Payload Exceeded": AccessReason.PROTOCOL_ERROR,
    "Maximum Connections Exceeded": AccessReason.NOT_AUTHORISED,
    "Maximum Account Active Connections Exceeded": AccessReason.NOT_AUTHORISED,
    "Slow Consumer (Pending Bytes)": AccessReason.CONNECTION_LOST,
    "Slow Consumer (Write Deadline)": AccessReason.CONNECTION_LOST,
}


def reason_of(text: str) -> AccessReason | None:
    """The reason; None for one that is not known here."""
    return _REASONS.get(text)
