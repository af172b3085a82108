"""Policy of one principal as a list of EMQX rules, for all three places where EMQX keeps rules.

Everything is expanded: a placeholder without a value would make EMQX skip a deny, and up to 6.2 it inserts `+`, `#`
and `/` as they are. Order is all there is, since the first match wins: denies, guards, allows, and a closing deny, so
that neither `no_match` nor a source further down the chain is ever asked about what is not under another `$`-level
(see BEHIND).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import attrgetter

from acl.core.evaluation import EffectiveRule, effective
from acl.core.topics import intersects
from acl.core.values import EVERY_QOS, Action, BoundRule, Effect, Request, Retain, Shared
from brokers.core.emqx.rule import LITERALLY, EmqxAction, EmqxRule
from brokers.core.emqx.subscribing import Subscribing, subscribing
from brokers.core.ports import DeviationKind, RenderSubject, Standing
from brokers.core.rendering import Deviations, Limit, begins_with_wildcard, canonical, concerning

# First levels with a meaning of their own. `$delayed/5/a` is published to a, whatever the rules say of a.
ROOTS = ("$SYS", "$delayed", "$file")
MOST_LEVELS = 128  # mqtt.max_topic_levels as it comes
_place = attrgetter("place")
_RETAIN = {Retain.ANY: None, Retain.ONLY: True, Retain.NEVER: False}

LIMITS = (
    Limit(kind=DeviationKind.NARROWER, why="Topics of more than 128 levels are refused (mqtt.max_topic_levels)."),
    Limit(kind=DeviationKind.SIGNALLING, why="A will that is refused is dropped when it is due; nobody is told."),
    Limit(
        kind=DeviationKind.SIGNALLING,
        why="$queue/a and $exclusive/a are judged, and served, as subscriptions to a.",
    ),
    Limit(
        kind=DeviationKind.WIDER,
        why="A subscription outlives the permission until it is unsubscribed or its client closed.",
    ),
)
# Where the last word is a deny of `#`, which does not meet a first level that begins with $.
BEHIND = Limit(
    kind=DeviationKind.WIDER,
    why=(
        f"First levels that begin with $, other than {', '.join(ROOTS)}, are left to no_match and to the authorisers "
        "behind: keep no_match at deny, and none that allows what it does not know."
    ),
)


def _denying_all(*topics: str) -> tuple[EmqxRule, ...]:
    return tuple(EmqxRule(allow=False, action=EmqxAction.ALL, topic=topic) for topic in topics)


ROOTS_DENIED = _denying_all(*(f"{root}/#" for root in ROOTS))
CLOSING = (*ROOTS_DENIED, *_denying_all("#"))


def limited(request: Request) -> bool:
    """Whether the request is refused whatever the policy says."""
    return request.topic.count("/") >= MOST_LEVELS


@dataclass(frozen=True, slots=True, kw_only=True)
class EmqxPolicy:
    """The rules of one principal in the order in which they are asked, each list sorted. A deny of all follows.

    Before the `wild` ones, which begin with a wildcard, EMQX's own roots are denied: older releases let `#` meet them.
    """

    denies: tuple[EmqxRule, ...] = ()
    guards: tuple[EmqxRule, ...] = ()
    allows: tuple[EmqxRule, ...] = ()
    wild: tuple[EmqxRule, ...] = ()

    @property
    def open(self) -> tuple[EmqxRule, ...]:
        """All of them, without what closes the list."""
        roots = ROOTS_DENIED if self.wild else ()
        return (*self.denies, *self.guards, *self.allows, *roots, *self.wild)

    @property
    def closed(self) -> tuple[EmqxRule, ...]:
        """All of them with the closing denies."""
        return (*self.denies, *self.guards, *self.allows, *ROOTS_DENIED, *self.wild, CLOSING[-1])


def compile_policy(subject: RenderSubject, deviations: Deviations) -> EmqxPolicy:
    """The rules of the principal: none, and so the closing denies alone, unless it is admitted."""
    if subject.state is not Standing.ADMITTED:
        return EmqxPolicy()
    return _Compiler(subject, deviations).policy()


class _Compiler:
    """Turns the rules of one principal into EMQX's, and notes what is lost on the way."""

    def __init__(self, subject: RenderSubject, deviations: Deviations) -> None:
        self._auth_id = subject.principal.auth_id
        self._rules: Sequence[EffectiveRule] = effective(subject.policy, subject.principal)
        self._deviations = deviations
        self._widened: set[tuple[Action, str]] = set()  # denies that say more than the policy does

    def policy(self) -> EmqxPolicy:
        """The lists. Denies come first, since what they are widened to tells on the allows."""
        subscribe_denies = list(self._denies(Action.SUBSCRIBE))
        subscribe_allows = list(self._allows(Action.SUBSCRIBE))
        denies = [_publishing(bound, topic, allow=False) for bound, topic in self._denies(Action.PUBLISH)]
        denies += [_denying(topic, bound.rule.qos) for bound, topic in subscribe_denies]
        guards: list[EmqxRule] = []
        allows = [_publishing(bound, topic, allow=True) for bound, topic in self._allows(Action.PUBLISH)]
        for qos, found in self._subscribing(subscribe_allows, subscribe_denies):
            guards += [_denying(topic, qos, literal=True) for topic in found.guards]
            allows += [_allowing(topic, qos) for topic in found.patterns]
            allows += [_allowing(topic, qos, literal=True) for topic in found.literals]
        return EmqxPolicy(
            denies=_merged(denies),
            guards=_merged(guards),
            allows=_merged(rule for rule in allows if not begins_with_wildcard(rule.topic)),
            wild=_merged(rule for rule in allows if begins_with_wildcard(rule.topic)),
        )

    def _subscribing(
        self, allows: Sequence[tuple[BoundRule, str]], denies: Sequence[tuple[BoundRule, str]]
    ) -> Iterator[tuple[frozenset[int], Subscribing]]:
        """Once for each QoS, since what an allow meets depends on it; once for all if no rule has such a condition."""
        conditioned = any(bound.rule.qos != EVERY_QOS for bound, _ in (*allows, *denies))
        for qos in [frozenset({level}) for level in sorted(EVERY_QOS)] if conditioned else [EVERY_QOS]:
            found = subscribing(
                [(bound, topic) for bound, topic in allows if qos <= bound.rule.qos],
                [topic for bound, topic in denies if qos <= bound.rule.qos],
            )
            for bound, why in found.losses:
                self._narrower(bound, why)
            yield qos, found

    def _denies(self, action: Action) -> Iterator[tuple[BoundRule, str]]:
        """The deny rules with their filters, widened where EMQX can not tell."""
        for bound, topic in concerning(self._rules, action, Effect.DENY):
            if action is Action.SUBSCRIBE and bound.rule.shared is not Shared.ANY:
                self._narrower(bound, "EMQX does not say who subscribes shared: it denies all.")
            if unreadable(topic):
                self._narrower(bound, "EMQX would read eq or ${ in it otherwise: it denies every level in its place.")
                self._widened.add((action, readable(topic)))
            yield bound, readable(topic)

    def _allows(self, action: Action) -> Iterator[tuple[BoundRule, str]]:
        """The allow rules that EMQX can express, with their filters."""
        for bound, topic in concerning(self._rules, action, Effect.ALLOW):
            root = topic.split("/", 1)[0] if topic[0] == "$" else ""
            if action is Action.SUBSCRIBE and bound.rule.shared is not Shared.ANY:
                self._narrower(bound, "EMQX does not say who subscribes shared: left out. Write it without `shared`.")
            elif unreadable(topic):
                self._narrower(bound, "EMQX would read eq or ${ in it otherwise: left out.")
            elif action is Action.PUBLISH and root == "$delayed":
                self._narrower(bound, "EMQX publishes to the topic behind $delayed without asking again: left out.")
            elif action is Action.SUBSCRIBE and root in {"$queue", "$exclusive"}:
                self._narrower(bound, f"EMQX takes {root} off before it asks: left out.")
            else:
                if self._widened and any(about is action and intersects(wide, topic) for about, wide in self._widened):
                    self._narrower(bound, "A deny that EMQX would misread is widened, and hits it.")
                yield bound, topic

    def _narrower(self, bound: BoundRule, why: str) -> None:
        self._deviations.note(bound, self._auth_id, DeviationKind.NARROWER, why)


def unreadable(topic: str) -> bool:
    """Whether EMQX would take a part of the filter for something else; only the values of principals bring that in."""
    return topic.startswith(LITERALLY) or "${" in topic


def readable(topic: str) -> str:
    """The filter with `+` for each level that EMQX would misread; it covers more, so it is for denies."""
    levels = topic.split("/")
    wild = [(number == 0 and level.startswith(LITERALLY)) or "${" in level for number, level in enumerate(levels)]
    return canonical("/".join("+" if odd else level for odd, level in zip(wild, levels, strict=True)))


def _publishing(bound: BoundRule, topic: str, *, allow: bool) -> EmqxRule:
    return _rule(topic, EmqxAction.PUBLISH, bound.rule.qos, allow=allow, retain=_RETAIN[bound.rule.retain])


def _denying(topic: str, qos: frozenset[int], *, literal: bool = False) -> EmqxRule:
    return _rule(topic, EmqxAction.SUBSCRIBE, qos, allow=False, literal=literal)


def _allowing(topic: str, qos: frozenset[int], *, literal: bool = False) -> EmqxRule:
    return _rule(topic, EmqxAction.SUBSCRIBE, qos, allow=True, literal=literal)


@lru_cache(maxsize=8_192)
def _rule(
    topic: str,
    action: EmqxAction,
    qos: frozenset[int],
    *,
    allow: bool,
    literal: bool = False,
    retain: bool | None = None,
) -> EmqxRule:
    """The rule; what many principals have is one value for all of them."""
    return EmqxRule(allow=allow, action=action, topic=topic, literal=literal, qos=qos, retain=retain)


def _merged(rules: Iterable[EmqxRule]) -> tuple[EmqxRule, ...]:
    """The rules of one list, each once: those that differ in QoS or in their action alone become one."""
    by_topic: dict[str, list[EmqxRule]] = defaultdict(list)
    for rule in rules:
        by_topic[rule.topic].append(rule)
    found = [rule for alike in by_topic.values() for rule in (_united(alike) if len(alike) > 1 else alike)]
    return tuple(sorted(found, key=_place))


def _united(rules: Iterable[EmqxRule]) -> Iterator[EmqxRule]:
    """The same for rules of one topic."""
    alike: dict[tuple[bool, bool, bool | None], dict[EmqxAction, EmqxRule]] = defaultdict(dict)
    for rule in rules:
        actions = alike[rule.literal, rule.allow, rule.retain]
        known = actions.get(rule.action)
        actions[rule.action] = replace(known, qos=known.qos | rule.qos) if known else rule
    for actions in alike.values():
        yield from _as_one(list(actions.values()))


def _as_one(rules: list[EmqxRule]) -> list[EmqxRule]:
    """One rule for both actions, if they have the same QoS."""
    alike = len(rules) == 2 and rules[0].qos == rules[1].qos
    return [replace(rules[0], action=EmqxAction.ALL)] if alike else rules
