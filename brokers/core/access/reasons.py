"""What somebody wanted at a broker, and why it ended as it did: the same few codes for every make of broker."""

from __future__ import annotations

from enum import StrEnum


class AccessAction(StrEnum):
    """What was asked for, or what ended."""

    CONNECT = "connect"
    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    RECEIVE = "receive"


class AccessReason(StrEnum):
    """Why somebody was refused or denied, or why a connection ended; a code never changes its meaning.

    The broker's word is all there is: `client-closed` is said where it does not tell a DISCONNECT from a lost socket.
    """

    # refused at the door
    BAD_CERTIFICATE = "bad-certificate"
    UNKNOWN = "unknown"
    NOT_PROVED = "not-proved"
    NOT_ACTIVE = "not-active"
    NOT_AUTHORISED = "not-authorised"
    WRONG_CLIENT_ID = "wrong-client-id"
    WRONG_USERNAME = "wrong-username"
    RESERVED_NAME = "reserved-name"
    UNDECIDED = "undecided"
    # denied inside
    NOT_ALLOWED = "not-allowed"
    DENY_RULE = "deny-rule"
    ONLY_TOGETHER = "covered-only-together"
    MALFORMED_TOPIC = "malformed-topic"
    # how a connection ended
    DISCONNECTED = "disconnected"
    WITH_WILL = "disconnected-with-will"
    CLIENT_CLOSED = "client-closed"
    CONNECTION_LOST = "connection-lost"
    KEEPALIVE_EXCEEDED = "keepalive-exceeded"
    TAKEN_OVER = "taken-over"
    BY_ADMINISTRATOR = "by-administrator"
    GRANT_ENDED = "grant-ended"
    BROKER_STOPPED = "broker-stopped"
    # refused, or an end
    PROTOCOL_ERROR = "protocol-error"

    @property
    def may_be_policys(self) -> bool:
        """Whether a refusal or denial may be the policy's doing; not if it is about who somebody is, or of no form."""
        return self not in _NOT_OF_POLICY

    @property
    def is_ungraceful(self) -> bool | None:
        """Whether a connection ended so that the client's last will is to be published; None where that is not told.

        It is without a DISCONNECT of the client, and with one that asks for it. MQTT 5 3.1.2.5 and 3.14.2.1.
        """
        if self is AccessReason.DISCONNECTED:
            return False
        return True if self in _UNGRACEFUL else None


_UNGRACEFUL = frozenset(
    {
        AccessReason.WITH_WILL,
        AccessReason.CONNECTION_LOST,
        AccessReason.KEEPALIVE_EXCEEDED,
        AccessReason.TAKEN_OVER,
        AccessReason.BY_ADMINISTRATOR,
        AccessReason.GRANT_ENDED,
        AccessReason.PROTOCOL_ERROR,
    }
)
_NOT_OF_POLICY = frozenset(
    {
        AccessReason.BAD_CERTIFICATE,
        AccessReason.UNKNOWN,
        AccessReason.NOT_PROVED,
        AccessReason.NOT_ACTIVE,
        AccessReason.WRONG_CLIENT_ID,
        AccessReason.WRONG_USERNAME,
        AccessReason.RESERVED_NAME,
        AccessReason.PROTOCOL_ERROR,
        AccessReason.MALFORMED_TOPIC,
    }
)
