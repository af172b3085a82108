"""The values of brokers: what they are, how far they agree with the policy, who is connected, what happened there.

It must not know how any make of broker is spoken to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType
from uuid import UUID

from brokers.core.access.reasons import AccessAction, AccessReason
from devices.core.values import DeviceId
from kernel.core.ids import DomainId

BrokerId = NewType("BrokerId", UUID)
PlanId = NewType("PlanId", UUID)


class AdapterKind(StrEnum):
    """The makes of broker, each with the way it is spoken to."""

    NATS = "nats"
    MOSQUITTO_DYNSEC = "mosquitto-dynsec"
    MOSQUITTO_FILES = "mosquitto-files"
    GOAUTH_POSTGRESQL = "goauth-postgresql"
    RABBITMQ = "rabbitmq"
    HIVEMQ_ESE_SQL = "hivemq-ese-sql"
    EMQX = "emqx"
    VERNEMQ_POSTGRESQL = "vernemq-postgresql"
    HIVEMQ_ESE_FILE = "hivemq-ese-file"
    HIVEMQ_CE_FILE = "hivemq-ce-file"
    NATS_FILES = "nats-files"
    GOAUTH_REDIS = "goauth-redis"
    NANOMQ = "nanomq"
    HTTP_DECISIONS = "http-decisions"


class Transport(StrEnum):
    """How devices reach a listener; all of them are MQTT over TLS."""

    MQTTS = "mqtts"
    WSS = "wss"


class SyncState(StrEnum):
    """Whether a broker holds the policy that it should."""

    IN_SYNC = "in-sync"
    PENDING = "pending"
    DRIFT = "drift"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


class OnDrift(StrEnum):
    """What becomes of a change made on the broker by hand: put right by itself, or left until somebody chooses."""

    CORRECT = "correct"
    ASK = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where devices connect."""

    host: str
    port: int
    transport: Transport = Transport.MQTTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A registered broker. `managed_since` is None until a plan was applied to it for the first time.

    `checked_at` is when it was last compared with the policy (tried, if unreachable), `last_seen_at` when it answered.
    `converged_seq` is the journal entry up to which everything is known to be on the broker. `takes_passwords`: devices
    may log in there with theirs; None: they never could, and what it holds of passwords is not ours. `tag` tells one
    state of its registration from the next. `unknown_accounts` are some names of those accounts that neither Gatehouse
    made nor an operator acknowledged (`known_accounts`), when it was last read; `notes` what was unsafe of it then.
    """

    id: BrokerId
    domain: DomainId
    domain_slug: str
    name: str
    kind: AdapterKind
    listeners: tuple[Listener, ...]
    sync: SyncState
    detail: str
    version: str
    checked_at: datetime | None
    last_seen_at: datetime | None
    managed_since: datetime | None
    converged_seq: int
    created_at: datetime
    takes_passwords: bool | None = None
    tag: str = ""
    on_drift: OnDrift = OnDrift.CORRECT
    unknown_accounts: tuple[str, ...] = ()
    unknown_account_count: int = 0
    known_accounts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Connection(Mapping[str, Any]):
    """How a broker is spoken to: the members that its adapter asks for, secrets among them. Its `repr` hides them."""

    __slots__ = ("_members",)

    def __init__(self, members: Mapping[str, Any]) -> None:
        self._members = dict(members)

    def __repr__(self) -> str:
        return f"Connection(hidden: {', '.join(sorted(self._members))})"

    def __getitem__(self, name: str) -> Any:
        return self._members[name]

    def __iter__(self) -> Any:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLink:
    """What an adapter is made from: the broker, and how it is spoken to."""

    broker: Broker
    connection: Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Who is connected where, and since when. `device` is None for a name that no device has.

    `connection_id` is the broker's own name of the connection, `grant_digest` says which policy it was granted;
    both are empty where the broker has no such thing.
    """

    broker: BrokerId
    broker_name: str
    device: DeviceId | None
    auth_id: str
    client_id: str
    address: str
    connected_at: datetime
    connection_id: str = ""
    grant_digest: str = ""
    expires_at: datetime | None = None


class AccessKind(StrEnum):
    """What happened at a broker; `started`: the broker itself did, so no earlier session is left.

    Who is refused does not get in; who is in is allowed or denied what its `action` says. `other` is what a broker
    told in words that are not known here.
    """

    STARTED = "started"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    REFUSED = "refused"
    ALLOWED = "allowed"
    DENIED = "denied"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """How far a broker's log file was read, in octets. `file` says which by how it begins, whatever it is called."""

    file: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerEvent:
    """One thing that a broker told us. What it does not say is empty; names are as the broker gave them, unproved.

    `topic` is a topic name or, of a subscription, the filter as it stands in the SUBSCRIBE packet. `place` is the end
    of the line that told it, where it stands in a file.
    """

    at: datetime
    kind: AccessKind
    action: AccessAction | None = None
    topic: str = ""
    qos: int | None = None
    reason: AccessReason | None = None
    auth_id: str = ""
    client_id: str = ""
    address: str = ""
    detail: str = ""
    connection_id: str = ""
    grant_digest: str = ""
    expires_at: datetime | None = None
    place: LogPlace | None = None


@dataclass(frozen=True, slots=True)
class DriftHint:
    """The broker may differ from the policy since now: it is heard anew, or somebody else changed accounts there."""


@dataclass(frozen=True, slots=True)
class EventsLost:
    """So many things that the broker told were not heard."""

    count: int


FeedItem = BrokerEvent | DriftHint | EventsLost | None
"""What a broker that is listened to brings; None when nothing happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEvent:
    """One line of the access log."""

    id: int
    at: datetime
    broker_name: str
    device: DeviceId | None
    auth_id: str
    client_id: str
    kind: AccessKind
    address: str
    detail: str
    action: AccessAction | None = None
    topic: str = ""
    qos: int | None = None
    reason: AccessReason | None = None
