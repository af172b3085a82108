"""Policy as filters for mosquitto-go-auth, which only allow; its PostgreSQL rows and Redis keys are made of them.

The plugin compares the filter of a SUBSCRIBE as if it were a topic name, and lets a first level that is a wildcard meet
`$SYS` and `$share`. But Mosquitto asks it about every delivery as well, so what is granted too widely brings nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from acl.core.evaluation import effective
from acl.core.topics import intersects
from acl.core.values import EVERY_QOS, Action, BoundRule
from brokers.core.allowances import OTHERS, Allowance, Way, allowances, named_groups, open_end, qos_of
from brokers.core.goauth.cache import READABLE
from brokers.core.mosquitto.topics import OWN_TOPICS, unusable
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from brokers.core.rendering import Deviations, begins_with_wildcard

_WAYS_TO_PUBLISH = 6  # three QoS, retained or not

CACHED = (
    "What is taken away goes on until the plugin forgets it: after acl_cache_seconds (30), and never while it is used "
    "if cache_refresh is on."
)
REFUSED = (
    "Who was refused stays so until the plugin forgets it: a device that is new, or gained something, may wait for "
    "auth_cache_seconds and acl_cache_seconds (30)."
)
AMBIGUOUS = (
    "The plugin's cache joins names with hyphens: what pump-7 may do to a, pump may then do to 7-a, and who knows the "
    "password of pump-7 gets in as pump. Switch it off (auth_opt_cache false), or have Mosquitto bind client ids "
    "(use_username_as_clientid true) and no hyphen in any username."
)
ELSEWHERE = (
    "What any backend of the plugin allows is allowed, and a superuser may do everything: let this one be the only "
    "backend, and set auth_opt_disable_superuser true."
)
LIMITS = (
    (DeviationKind.WIDER, CACHED),
    (DeviationKind.WIDER, AMBIGUOUS),
    (DeviationKind.WIDER, ELSEWHERE),
    (DeviationKind.WIDER, READABLE),
    (DeviationKind.NARROWER, REFUSED),
    (DeviationKind.NARROWER, "Topics with control characters, or more than 200 slashes, are refused."),
    (DeviationKind.NARROWER, "Nobody may publish to a topic that begins with $SYS or $CONTROL/."),
    (DeviationKind.SIGNALLING, "An MQTT 3.1.1 client is not told that a publish was refused."),
    (DeviationKind.SIGNALLING, "A will that is refused is dropped when it is due; nobody is told."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What one principal may do, as filters: have delivered (`read`), publish to, subscribe to as it is spelled."""

    read: frozenset[str] = frozenset()
    write: frozenset[str] = frozenset()
    subscribe: frozenset[str] = frozenset()


def rights(subject: RenderSubject, deviations: Deviations, *, fault: str = "", puts_in: bool = False) -> Rights:
    """What the principal is to have; nothing unless it is admitted, nor if its name has a `fault`.

    `puts_in`: the plugin puts values in for %u and %c wherever they stand in a topic.
    """
    if subject.state is not Standing.ADMITTED:
        return Rights()
    compiler = _Compiler(subject, deviations, puts_in=puts_in)
    fault = fault or name_fault(subject)
    return compiler.nothing(fault) if fault else compiler.rights()


def name_fault(subject: RenderSubject) -> str:
    """Why nothing may be stored for the principal; empty if it may."""
    name, client_id = subject.principal.auth_id, subject.principal.client_id
    if not name or any(ord(character) < 0x20 or 0xD800 <= ord(character) <= 0xDFFF for character in name):
        return "Its username can not be stored: it gets nothing."
    if any(character in name + client_id for character in "+#"):
        return "Mosquitto refuses its plugins those with + or # in the username or client id: it gets nothing."
    return ""


@lru_cache(maxsize=1024)
def _groups_of(ways: frozenset[Way], groups: tuple[str | None, ...]) -> tuple[frozenset[str | None], bool]:
    """Those of the groups in which every QoS is allowed, and whether there are others in which some is."""
    whole = frozenset(group for group in groups if qos_of(ways, group) == EVERY_QOS)
    return whole, any(qos_of(ways, group) and group not in whole for group in groups)


class _Compiler:
    """Turns the rules of one principal into filters, and notes what is lost on the way."""

    def __init__(self, subject: RenderSubject, deviations: Deviations, *, puts_in: bool) -> None:
        self._puts_in = puts_in
        self._auth_id = subject.principal.auth_id
        self._rules = effective(subject.policy, subject.principal)
        self._deviations = deviations

    def nothing(self, why: str) -> Rights:
        """No rights, for that reason."""
        for rule in self._rules:
            self._narrower(rule.bound, why)
        return Rights()

    def rights(self) -> Rights:
        """All of them."""
        subscribing = list(self._subscribing())
        return Rights(
            read=frozenset(each.filter for each, _ in subscribing),
            write=frozenset(self._writing()),
            subscribe=frozenset(spelled for _, spelled in subscribing),
        )

    def _writing(self) -> Iterator[str]:
        for each in allowances(self._rules, Action.PUBLISH, self._narrower):
            if len(each.ways) < _WAYS_TO_PUBLISH:
                self._narrower(each.bound, "It is about some QoS alone, or about retained messages or not: left out.")
            elif self._is_sayable(each.bound, each.filter):
                if each.filter.startswith(OWN_TOPICS):
                    self._narrower(each.bound, "Mosquitto lets nobody publish there.")
                yield each.filter

    def _subscribing(self) -> Iterator[tuple[Allowance, str]]:
        """What may be subscribed to, and each way that its filter may be spelled."""
        allowed = allowances(self._rules, Action.SUBSCRIBE, self._narrower)
        groups = (None, OTHERS, *named_groups(self._rules))
        for each in allowed:
            mine, in_part = _groups_of(each.ways, groups)
            if in_part:
                self._narrower(each.bound, "It is about some QoS alone: left out.")
            elsewhere = (open_end(other.filter) for other in allowed if not _groups_of(other.ways, groups)[0] <= mine)
            if mine and any(end and intersects(end, each.filter) for end in elsewhere):
                why = "Subscriptions that are shared in other ways would bring it, by filters that end in +: left out."
                self._narrower(each.bound, why)
            elif mine and self._is_sayable(each.bound, each.filter):
                if open_end(each.filter):
                    self._note_open_end(each.bound)
                yield from ((each, spelled) for spelled in self._spellings(each, mine, groups))

    def _spellings(self, each: Allowance, mine: frozenset[str | None], groups: tuple[str | None, ...]) -> Iterator[str]:
        if None in mine:
            yield each.filter
        if OTHERS in mine and mine >= set(groups) - {None}:
            yield f"$share/+/{each.filter}"
            return
        if OTHERS in mine:
            self._narrower(each.bound, "Groups that no rule names can not be told from the others: left out.")
        for group in sorted(group for group in mine if group):
            yield f"$share/{group}/{each.filter}"

    def _note_open_end(self, bound: BoundRule) -> None:
        why = "A filter that ends in # is granted where the rule ends in +, and no more than is allowed delivered."
        self._deviations.note(bound, self._auth_id, DeviationKind.SIGNALLING, why)

    def _is_sayable(self, bound: BoundRule, topic: str) -> bool:
        if unusable(topic):
            self._narrower(bound, "Mosquitto refuses its control characters or its depth: left out.")
        elif begins_with_wildcard(topic):
            self._narrower(bound, "The plugin lets a first level that is a wildcard meet $SYS and $share: left out.")
        elif self._puts_in and ("%u" in topic or "%c" in topic):
            self._narrower(bound, "The plugin would fill in the %u or %c that its topic contains: left out.")
        else:
            return True
        return False

    def _narrower(self, bound: BoundRule, why: str) -> None:
        self._deviations.note(bound, self._auth_id, DeviationKind.NARROWER, why)
