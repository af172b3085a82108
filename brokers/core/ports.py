"""What Gatehouse asks of the adapter of a broker, and the values that pass between them.

An adapter is made from a BrokerLink. Where a broker stores policy, its desired state is a rendered artifact and its
applied state the same read back. Where a broker asks at each CONNECT instead (NATS), nothing is stored: the applied
state is who is connected with which grant, and a plan is who has to be disconnected to ask anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from threading import Event
from typing import ClassVar, Protocol

from acl.core.values import BoundRule, Principal, Request
from brokers.core.values import AdapterKind, BrokerEvent, BrokerLink, FeedItem
from devices.core.password_verifier import PasswordVerifier
from kernel.core.errors import Conflict, FieldError, Unavailable

__all__ = [
    "AdapterKind",
    "AppliedState",
    "BrokerAdapter",
    "BrokerUnreachable",
    "Capabilities",
    "DesiredState",
    "Deviation",
    "DeviationKind",
    "Effect",
    "EffectLine",
    "PasswordRoom",
    "RenderSubject",
    "Rendering",
    "SessionNotClosed",
    "Standing",
    "Step",
]


class BrokerUnreachable(Unavailable):
    """The broker does not answer, or not in time."""

    code = "broker-unreachable"


class SessionNotClosed(Conflict):
    """The rights are gone for whoever connects from now on, and a session that is open could not be ended.

    Where something was taken away, what the broker holds still says so: the next plan has it ended.
    """

    code = "session-not-closed"


class Standing(StrEnum):
    """What a principal is to a broker.

    admitted: its policy holds (that of the quarantine role, if it is quarantined); barred: refused, its sessions
    closed, and every permission denied explicitly; absent: the broker has no need to know it, and it gets nothing.
    """

    ADMITTED = "admitted"
    BARRED = "barred"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSubject:
    """One principal with the policy that holds for it; () unless admitted.

    `password` is what the broker keeps of its password: None unless it is admitted, has one, and the broker takes them.
    """

    principal: Principal
    policy: tuple[BoundRule, ...]
    state: Standing
    password: PasswordVerifier | None = field(default=None, repr=False)


class PasswordRoom(StrEnum):
    """How many passwords of a device a broker takes at a time: none from us, one, or each that is good."""

    NONE = "none"
    ONE = "one"
    ALL = "all"


class DeviationKind(StrEnum):
    """How a broker differs from the policy: less flow, more flow, or the same flow with another answer."""

    __hash__ = str.__hash__  # that of Enum is no C

    NARROWER = "narrower"
    WIDER = "wider"
    SIGNALLING = "signalling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a broker can enforce. `version` is the broker's own, empty while unknown.

    `limits` are what it never does whatever the policy says, each with the kind of deviation that this is.
    `closes_sessions` says whether `disconnect` can close any, `closes_by_client_id` whether by nothing but a client id,
    which a client may choose; `restarts` whether each change closes all.
    `policy_lag`: how long after a change it may let somebody in by what was before, since it was just judging him.
    `certificate_lag`: how long after a CRL was given to it, or published, it may let in who shows a certificate that is
    revoked; none if Gatehouse judges each, and None if nobody can say when it knows.
    """

    stores_policy: bool
    protocol_versions: tuple[str, ...]
    placeholders: frozenset[str] = frozenset()
    qos_conditions: bool = False
    retain_conditions: bool = False
    shared_subscriptions: bool = True
    version: str = ""
    limits: tuple[tuple[DeviationKind, str], ...] = ()
    passwords: PasswordRoom = PasswordRoom.NONE
    closes_sessions: bool = True
    closes_by_client_id: bool = False
    restarts: bool = False
    policy_lag: timedelta = timedelta(0)
    certificate_lag: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """What a broker can not express of a rule. `principals` are auth ids, bounded; `principal_count` counts all."""

    rule: BoundRule
    principals: tuple[str, ...]
    kind: DeviationKind
    why: str
    principal_count: int = 0

    @property
    def id(self) -> str:
        """16 hex digits that stay the same while rule, kind and reason do."""
        rule = self.rule.rule
        return hashlib.sha256(f"{rule.id}|{rule.topic}|{self.kind}|{self.why}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What a broker should hold, as canonical text (same input, same octets), and how it deviates from the policy.

    `warnings` are sentences on what no rule is to blame for. `passwords` are fingerprints of what it keeps of them, by
    auth id; the artifact says nothing of them.
    """

    artifact: str
    deviations: tuple[Deviation, ...] = ()
    warnings: tuple[str, ...] = ()
    passwords: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """What should hold on a broker. With `only` (auth ids) it is about these principals and says nothing of others."""

    subjects: tuple[RenderSubject, ...]
    only: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedState:
    """What a broker holds of ours, in the grammar of Rendering.artifact (empty: nothing).

    It is about the principals in `only` alone, if that is not None. `foreign` names accounts that are not ours.
    `passwords` are fingerprints as those of Rendering, and under an empty name what else there is to be set right.
    `notes` are sentences on what is unsafe of the broker itself, each with what to do, if it was read as a whole.
    """

    artifact: str
    version: str = ""
    only: frozenset[str] | None = None
    foreign: frozenset[str] = frozenset()
    passwords: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change to a broker: a kind such as `create-role`, what it acts on, a sentence, and the adapter's own order.

    `payload` is never stored nor shown.
    """

    kind: str
    target: str
    summary: str
    payload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLine:
    """A topic filter that a principal gains or loses for an action (`publish` or `subscribe`)."""

    auth_id: str
    action: str
    filter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a plan changes for principals, sorted. `bounded` says that there is more than is listed.

    `warnings` are sentences on what it costs to apply it.
    """

    gain: tuple[EffectLine, ...] = ()
    lose: tuple[EffectLine, ...] = ()
    bounded: bool = False
    warnings: tuple[str, ...] = ()


class BrokerAdapter(Protocol):
    """Speaks to one broker. Whatever contacts it raises BrokerUnreachable if no answer comes within a bounded time."""

    capabilities: ClassVar[Capabilities]

    def __init__(self, *, link: BrokerLink) -> None:
        """Contacts nobody."""
        ...

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection; pointers begin with /connection. Never quotes a secret."""
        ...

    def capabilities_here(self) -> Capabilities:
        """What this very broker can do, as it is connected. Contacts nobody."""
        ...

    def render(self, desired: DesiredState) -> Rendering:
        """What the broker should hold. Contacts nobody."""
        ...

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """What the broker holds now, of all principals or of these auth ids alone."""
        ...

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """The changes that turn `applied` into `desired`, those that take away first. Contacts nobody."""
        ...

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses what by that, at most a few hundred lines. Contacts nobody."""
        ...

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Makes the changes in small batches, and calls `between` before each: what it raises ends the work there.

        May raise SessionNotClosed when all else is made.
        """
        ...

    def disconnect(self, principal: Principal) -> int | None:
        """Closes every session of the principal; how many, or -1 if the broker does not say.

        None if this broker can not be told to: what is open goes on until it ends. May raise SessionNotClosed.
        """
        ...

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether a broker that holds the rendering would allow the request (the adapter's emulator)."""
        ...

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Puts the CRLs and the CAs to trust (PEM, concatenated) in force; in words, how.

        Empty if the broker takes none from us.
        """
        ...

    def present(self) -> Sequence[BrokerEvent] | None:
        """Every connection there is now, as the event that began it; None where the broker does not list them."""
        ...

    def watch(self, stop: Event) -> Iterator[FeedItem]:
        """What happens there, as it happens; ends soon after `stop` is set or when the connection is lost.

        It begins with when the broker started, or with None: from then on nothing is missed but what it says is lost.
        A hint where the broker may have drifted, by its own account.
        None now and then, if `present` lists connections: all that happened up to now was told.
        """
        ...
