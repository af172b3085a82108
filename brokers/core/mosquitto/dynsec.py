"""Policy for Mosquitto 2.0.x as roles and clients of the dynamic security plugin.

A role's rules without placeholders become dynsec roles that all its principals share; the others, for which 2.0.x has
no placeholders, become roles of each principal's own. Within a client the highest role priority that matches decides,
so everything hangs on tiers: denies above allows, and guards above allows that begin with a wildcard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import lru_cache

from acl.core.evaluation import EffectiveRule, effective
from acl.core.templates import placeholders
from acl.core.topics import intersects
from acl.core.values import Action, BoundRule, Effect, Publish, Request, Shared, Subscribe
from brokers.core.mosquitto.dynsec_levels import spelled
from brokers.core.mosquitto.dynsec_state import (
    NO_PRIORITY,
    OURS,
    OWN,
    PURPOSES,
    Acl,
    AclType,
    DynsecClient,
    DynsecState,
    to_artifact,
)
from brokers.core.mosquitto.topics import unusable, within_depth
from brokers.core.ports import DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import (
    OF_TWO_LEVELS,
    Deviations,
    Limit,
    begins_with_wildcard,
    canonical,
    publish_conditions,
    qos_condition,
    subscribe_conditions,
)
from kernel.core.garbage import collection_paused

BARRED_ROLE = f"{OURS}barred"
DOLLAR_GUARD = f"{OURS}guard.dollar"
SHARE_GUARD = f"{OURS}guard.share"

LIMITS = (
    Limit(kind=DeviationKind.NARROWER, why="Topics with control characters, or more than 200 slashes, are refused."),
    Limit(kind=DeviationKind.NARROWER, why="Nobody may publish to a topic that begins with $SYS."),
    Limit(kind=DeviationKind.SIGNALLING, why="An MQTT 3.1.1 client is not told that a publish was refused."),
    Limit(kind=DeviationKind.SIGNALLING, why="A will that is refused is dropped when it is due; nobody is told."),
)


class Tier(IntEnum):
    """Priorities of roles within a client; the plugin writes none for the one that most roles have."""

    __hash__ = int.__hash__  # that of Enum is no C

    BARRED = 1000
    DENY = 300
    ALLOW = NO_PRIORITY
    DOLLAR_GUARD = -100
    WIDE_SHARED = -110
    SHARE_GUARD = -120
    WIDE = -200


_PURPOSES = dict(zip((Tier.DENY, Tier.ALLOW, Tier.WIDE_SHARED, Tier.WIDE), PURPOSES, strict=True))
_PUBLISHING = (AclType.SEND, AclType.RECEIVE, AclType.SUBSCRIBE)


def _denying(*topics: str, kinds: Sequence[AclType] = (AclType.SUBSCRIBE,)) -> frozenset[Acl]:
    return frozenset(Acl(kind=kind, topic=topic, allow=False) for kind in kinds for topic in topics)


# `#` does not meet `$…` where topics are matched, and does where filters are contained: deny both spellings.
_FIXED = {
    BARRED_ROLE: _denying("#", "$SYS/#", "$CONTROL/#", kinds=_PUBLISHING) | _denying("$share/#"),
    DOLLAR_GUARD: _denying("$SYS/#", "$CONTROL/#", "$share/+/$SYS/#", "$share/+/$CONTROL/#"),
    SHARE_GUARD: _denying("$share/#"),
}
FIXED_ROLES = frozenset(_FIXED)


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """What the plugin should hold of ours, as text, and what it can not express."""
    deviations = Deviations()
    state = desired_state(subjects, deviations)
    return Rendering(artifact=to_artifact(state), deviations=deviations.all())


@collection_paused()
def desired_state(
    subjects: Iterable[RenderSubject],
    deviations: Deviations | None = None,
    *,
    compiler: type[Compiler] | None = None,
) -> DynsecState:
    """What the plugin should hold of ours for these subjects: their clients, and every role that those refer to.

    For one subject it costs the same however large the fleet is. `compiler` is that of 2.0 unless another is given.
    """
    compiler = compiler or Compiler
    roles: dict[str, frozenset[Acl]] = {}
    clients: dict[str, DynsecClient] = {}
    noted, shared = deviations or Deviations(), Shares()
    for subject in subjects:
        if subject.state is not Standing.ABSENT:
            own = compiler(subject, noted, shared).roles()
            roles |= {name: acls for name, (acls, _) in own.items()}
            clients[subject.principal.auth_id] = _client(subject, own)
    return DynsecState(roles=roles, clients=clients)


def limited(request: Request) -> bool:
    """Whether the broker refuses the request whatever the policy says."""
    topic = request.spelled if isinstance(request, Subscribe) else request.topic
    return unusable(topic) or (isinstance(request, Publish) and topic.startswith("$SYS"))


def is_own_role(name: str) -> bool:
    """Whether a role belongs to one principal alone."""
    return name.startswith(OWN)


def _client(subject: RenderSubject, roles: dict[str, tuple[frozenset[Acl], Tier]]) -> DynsecClient:
    principal = subject.principal
    return DynsecClient(
        username=principal.auth_id,
        mark="" if any(map(is_own_role, roles)) else OURS,
        client_id=principal.client_id,
        roles=tuple(sorted((name, tier.value) for name, (_, tier) in roles.items())),
        disabled=subject.state is Standing.BARRED,
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    tier: Tier
    acl: Acl


@dataclass(frozen=True, slots=True)
class _SharedRole:
    """ACLs by tier, and what was noted on the way. The rules are kept since they are known by their ids."""

    acls: Mapping[Tier, frozenset[Acl]]
    notes: Sequence[tuple[BoundRule, DeviationKind, str]]
    rules: Sequence[EffectiveRule]


Shares = dict[tuple[object, ...], _SharedRole]
"""The roles that principals share, by name and rules: each is compiled once for all who have it."""


class Compiler:
    """Turns the rules of one principal into roles, and notes what is lost on the way."""

    def __init__(self, subject: RenderSubject, deviations: Deviations, shared: Shares) -> None:
        self._subject = subject
        self._auth_id = subject.principal.auth_id
        self._deviations = deviations
        self._shared = shared
        self._notes: list[tuple[BoundRule, DeviationKind, str]] = []

    def roles(self) -> dict[str, tuple[frozenset[Acl], Tier]]:
        """Every role that the client has, with its priority."""
        if self._subject.state is Standing.BARRED:
            return {BARRED_ROLE: (_FIXED[BARRED_ROLE], Tier.BARRED)}
        rules_of: dict[str, list[EffectiveRule]] = {}
        for name, rule in self._placed(effective(self._subject.policy, self._subject.principal)):
            rules_of.setdefault(name, []).append(rule)
        roles = {
            f"{name}.{_PURPOSES[tier]}": (acls, tier)
            for name, rules in rules_of.items()
            for tier, acls in (self._acls(rules) if is_own_role(name) else self._of_all(name, rules)).items()
        }
        if any(tier in {Tier.WIDE, Tier.WIDE_SHARED} for _, tier in roles.values()):
            roles[DOLLAR_GUARD] = (_FIXED[DOLLAR_GUARD], Tier.DOLLAR_GUARD)
            roles[SHARE_GUARD] = (_FIXED[SHARE_GUARD], Tier.SHARE_GUARD)
        for bound, kind, why in self._notes:
            self._deviations.note(bound, self._auth_id, kind, why)
        return roles

    def _of_all(self, name: str, rules: Sequence[EffectiveRule]) -> Mapping[Tier, frozenset[Acl]]:
        """The ACLs of a role that others may have as well."""
        key = name, *[(id(rule.bound), rule.filter) for rule in rules]
        role = self._shared.get(key)
        if role is None:
            mine, self._notes = self._notes, []
            # both are there from the start: attaching one later would close connections
            acls = {Tier.ALLOW: frozenset[Acl](), Tier.DENY: frozenset[Acl](), **self._acls(rules)}
            role = self._shared[key] = _SharedRole(acls, self._notes, rules)
            self._notes = mine
        self._notes += role.notes
        return role.acls

    def _acls(self, rules: Iterable[EffectiveRule]) -> dict[Tier, frozenset[Acl]]:
        found: dict[Tier, set[Acl]] = defaultdict(set)
        for rule in rules:
            for entry in self._entries(rule):
                found[entry.tier].add(entry.acl)
        return {tier: frozenset(acls) for tier, acls in found.items()}

    def _placed(self, rules: Sequence[EffectiveRule]) -> list[tuple[str, EffectiveRule]]:
        """Each rule as it is written, and in front of it the role that it goes to."""
        own = self._own_name()
        names = [own if _is_own(rule.bound.rule.topic) else shared_name(rule.bound) for rule in rules]
        return [(name, self._spelled(rule, (), rules)) for name, rule in zip(names, rules, strict=True)]

    def _spelled(self, rule: EffectiveRule, marked: Collection[int], rules: Sequence[EffectiveRule]) -> EffectiveRule:
        """The rule with %u in the levels that are marked, and in no other, nor %c."""
        if rule.filter is None:
            return rule
        topic, unmeant = spelled(rule.filter, marked)
        if unmeant and rule.bound.rule.effect is Effect.ALLOW:
            self._narrower(rule.bound, "Mosquitto 2.1 would fill in a level that is spelled %u or %c: left out.")
            return replace(rule, filter=None)
        if unmeant:
            self._note_more_denied(rule.bound, topic, rules)
        return rule if topic == rule.filter else replace(rule, filter=topic)

    def _note_more_denied(self, deny: BoundRule, topic: str, rules: Sequence[EffectiveRule]) -> None:
        """That the deny is about more than it says, and which allows lose something by that."""
        self._narrower(deny, "Mosquitto 2.1 would fill in a level that is spelled %u or %c: it denies all there.")
        for rule in rules:
            allows = rule.bound.rule.effect is Effect.ALLOW and rule.bound.rule.actions & deny.rule.actions
            if allows and rule.filter is not None and intersects(topic, rule.filter):
                self._narrower(rule.bound, "A deny with a level that is spelled %u or %c takes more of it.")

    def _own_name(self) -> str:
        return f"{OWN}{self._auth_id}"

    def _entries(self, rule: EffectiveRule) -> Sequence[_Entry]:
        if rule.filter is None:
            return ()
        bound, topic = rule.bound, within_depth(canonical(rule.filter))
        if not unusable(topic):
            return self._allow(bound, topic) if bound.rule.effect is Effect.ALLOW else self._deny(bound, topic)
        if bound.rule.effect is Effect.ALLOW:
            self._narrower(bound, "Mosquitto refuses its control characters or its depth: left out.")
        elif Action.SUBSCRIBE in bound.rule.actions:  # no topic that it could deny gets into the broker
            self._signalling(bound, "A filter that meets it is granted, and Mosquitto has no message that it denies.")
        return ()

    def _allow(self, bound: BoundRule, topic: str) -> list[_Entry]:
        rule, entries = bound.rule, list[_Entry]()
        if Action.PUBLISH in rule.actions:
            if conditions := publish_conditions(rule):
                self._narrower(bound, f"It is about {conditions}, which Mosquitto can not tell apart: left out.")
            else:
                entries.append(_Entry(Tier.ALLOW, Acl(kind=AclType.SEND, topic=topic, allow=True)))
                if topic.startswith("$SYS"):
                    self._narrower(bound, "Mosquitto lets nobody publish to a topic that begins with $SYS.")
        if Action.SUBSCRIBE in rule.actions:
            if conditions := qos_condition(rule):
                self._narrower(bound, f"It is about {conditions}, which Mosquitto can not tell apart: left out.")
            else:
                self._note_filters(bound, topic)
                entries += _subscribing(rule.shared, rule.shared_group, topic)
        return entries

    def _note_filters(self, bound: BoundRule, topic: str) -> None:
        """Where containment of filters is not what the names say."""
        if topic == OF_TWO_LEVELS:
            self._narrower(bound, "A subscription to /# is refused: ask for /+/#.")
        if topic == "/#":
            self._signalling(bound, "The filter # is granted, and no more than is allowed delivered.")
        if begins_with_wildcard(topic):
            self._signalling(
                bound, "A filter under another $-level than $SYS or $CONTROL is granted, and nothing delivered."
            )

    def _deny(self, bound: BoundRule, topic: str) -> list[_Entry]:
        rule, acls = bound.rule, set[Acl]()
        if Action.PUBLISH in rule.actions:
            if conditions := publish_conditions(rule):
                self._narrower(bound, f"It is about {conditions}, which Mosquitto can not tell apart: it denies all.")
            acls.add(Acl(kind=AclType.SEND, topic=topic, allow=False))
        if Action.SUBSCRIBE in rule.actions:
            if conditions := subscribe_conditions(rule):
                why = f"It is about {conditions}, and deliveries can not be told apart by that: it denies all."
                self._narrower(bound, why)
            if begins_with_wildcard(topic):
                why = "It hits shared subscriptions to other filters, and filters that begin with $, as well."
                self._narrower(bound, f"{why} Spell its first level out.")
            self._signalling(bound, "A filter that meets it is granted, and the messages that it denies are withheld.")
            acls.add(Acl(kind=AclType.RECEIVE, topic=topic, allow=False))
            shared = f"$share/+/{topic}"
            acls |= _denying(topic, *(() if unusable(shared) else (shared,)))
        return [_Entry(Tier.DENY, acl) for acl in acls]

    def _signalling(self, bound: BoundRule, why: str) -> None:
        self._notes.append((bound, DeviationKind.SIGNALLING, why))

    def _narrower(self, bound: BoundRule, why: str) -> None:
        self._notes.append((bound, DeviationKind.NARROWER, why))


def shared_name(bound: BoundRule) -> str:
    """The role that all who have the rule share, without its tier."""
    return f"{OURS}r.{bound.role_name}"


def _subscribing(sharing: Shared, group: str | None, topic: str) -> list[_Entry]:
    """What allows to subscribe to the filter."""
    wide = begins_with_wildcard(topic)
    entries = [_Entry(Tier.ALLOW, Acl(kind=AclType.RECEIVE, topic=topic, allow=True))]
    if sharing is not Shared.ONLY:
        acl = Acl(kind=AclType.SUBSCRIBE, topic=topic, allow=True)
        entries.append(_Entry(Tier.WIDE if wide else Tier.ALLOW, acl))
    shared = f"$share/{group or '+'}/{topic}"
    if sharing is not Shared.NEVER and not unusable(shared):
        acl = Acl(kind=AclType.SUBSCRIBE, topic=shared, allow=True)
        entries.append(_Entry(Tier.WIDE_SHARED if wide else Tier.ALLOW, acl))
    return entries


@lru_cache(maxsize=4_096)
def _is_own(topic: str) -> bool:
    """Whether the rule is another one for each principal; `${domain}` is the same for all of a broker's."""
    return any(name != "domain" for name in placeholders(topic))
