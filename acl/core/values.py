"""The values of policy: rules, roles, principals, requests and verdicts.

It must not know where roles are stored, nor which broker enforces them.

Requests and verdicts are named tuples, since a million of them are made: that costs half of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, NewType
from uuid import UUID

from kernel.core.ids import DomainId

RoleId = NewType("RoleId", UUID)
RuleId = NewType("RuleId", UUID)

EVERY_QOS = frozenset({0, 1, 2})


class Effect(StrEnum):
    """What a rule does. A deny wins over every allow."""

    __hash__ = str.__hash__  # that of Enum is no C

    ALLOW = "allow"
    DENY = "deny"


class Action(StrEnum):
    """What a rule is about."""

    __hash__ = str.__hash__  # that of Enum is no C

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


class Retain(StrEnum):
    """Which publishes a rule is about: all, those with the retain flag, or those without."""

    __hash__ = str.__hash__  # that of Enum is no C

    ANY = "any"
    ONLY = "only"
    NEVER = "never"


class Shared(StrEnum):
    """Which subscriptions a rule is about: all, shared ones (`$share/<group>/<filter>`), or plain ones."""

    __hash__ = str.__hash__  # that of Enum is no C

    ANY = "any"
    ONLY = "only"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. `topic` is a topic-filter template; `shared_group` narrows `shared=only` to one group."""

    id: RuleId
    effect: Effect
    actions: frozenset[Action]
    topic: str
    qos: frozenset[int] = EVERY_QOS
    retain: Retain = Retain.ANY
    shared: Shared = Shared.ANY
    shared_group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A named set of rules of one domain. `version` rises by one with each change."""

    id: RoleId
    domain: DomainId
    name: str
    rules: tuple[Rule, ...]
    description: str = ""
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRef:
    """How a rule reached a principal: `via` is device, application, group, device_type or domain, `target` its name."""

    id: UUID
    via: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundRule:
    """A rule together with the role and the binding that bring it; no binding for a quarantine role."""

    rule: Rule
    role_name: str
    binding: BindingRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFields:
    """What templates may take from a principal's certificate; empty where it has none. `serial` is lower-case hex."""

    cn: str = ""
    serial: str = ""
    o: str = ""
    ou: str = ""
    san_uri: str = ""
    san_dns: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Whoever is judged: a device, or an application that connects to a broker. `domain` is the domain's slug."""

    id: str
    auth_id: str
    client_id: str
    username: str
    domain: str
    device_type: str = ""
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    certificate: CertificateFields | None = None


class Publish(NamedTuple):
    """A wish to publish to the topic name `topic`."""

    topic: str
    qos: int = 0
    retain: bool = False


class Subscribe(NamedTuple):
    """A wish to subscribe to the topic filter `topic`, in the shared group `group` if there is one."""

    topic: str
    qos: int = 0
    group: str | None = None

    @classmethod
    def parse(cls, text: str, *, qos: int = 0) -> Subscribe:
        """The subscription that `text` spells, `$share/<group>/<filter>` (MQTT 5 4.8.2) included."""
        first, _, rest = text.partition("/")
        group, slash, topic = rest.partition("/")
        if first != "$share" or not slash or not group:
            return cls(topic=text, qos=qos)
        return cls(topic=topic, qos=qos, group=group)

    @property
    def spelled(self) -> str:
        """The filter as it stands in a SUBSCRIBE packet."""
        return self.topic if self.group is None else f"$share/{self.group}/{self.topic}"


class Receive(NamedTuple):
    """A message on the topic name `topic` that is about to be delivered."""

    topic: str


Request = Publish | Subscribe | Receive


class DenyReason(StrEnum):
    """Why a request is refused."""

    NO_RULE = "no-rule"
    DENY_RULE = "deny-rule"
    ONLY_TOGETHER = "covered-only-together"
    MALFORMED = "malformed-topic"


class Allow(NamedTuple):
    """The request is allowed; `rule` is the first that allows it."""

    rule: BoundRule


class Deny(NamedTuple):
    """The request is refused; `rule` is the first deny that hits it, if one does."""

    reason: DenyReason
    rule: BoundRule | None = None


Verdict = Allow | Deny
