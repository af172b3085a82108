"""Policy as NanoMQ's ACL file (0.23.8 and newer): one list, and the first rule that matches decides.

Filters are matched as in EMQX, but a first level that begins with `$` is no exception: nothing that begins with a
wildcard is allowed. There are no QoS, no retain and no shared subscriptions. Everything is expanded, and each rule is
about one name: a rule with `and` that fails makes all later ones fail, and releases read `and` and `or` differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from acl.core.evaluation import EffectiveRule, effective
from acl.core.topics import intersects
from acl.core.values import Action, BoundRule, Effect, Request, Shared, Subscribe
from brokers.core.emqx.identity import Identity, identified, note_nothing
from brokers.core.emqx.subscribing import subscribing
from brokers.core.nanomq.file import NanomqAction, NanomqRule, NanomqWho, write
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import (
    Deviations,
    Limit,
    begins_with_wildcard,
    canonical,
    concerning,
    publish_conditions,
    qos_condition,
)

LITERALLY = "@"

LIMITS = (
    Limit(
        kind=DeviationKind.WIDER,
        why="Names are what a client says: NanoMQ takes none from certificates, so authentication has to prove them.",
    ),
    Limit(kind=DeviationKind.NARROWER, why="Shared subscriptions are refused: $share/… is an ordinary topic."),
    Limit(
        kind=DeviationKind.WIDER,
        why="A subscription outlives the permission: NanoMQ can not be told to close a client.",
    ),
)
CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    shared_subscriptions=False,
    version="0.23.8",
    limits=tuple((limit.kind, limit.why) for limit in LIMITS),
    restarts=True,
)
CLOSING = NanomqRule(allow=False)
BY_CLIENT_ID = "Principals without a username are known by their client id, which a client chooses."
_UNNAMEABLE = "NanoMQ can not be told the principal's name: # is everybody, and \", \\ and control characters fail."


def limited(request: Request) -> bool:
    """Whether the request is refused whatever the policy says."""
    return isinstance(request, Subscribe) and request.group is not None


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The file, and what it can not express."""
    deviations = Deviations()
    rules: list[NanomqRule] = []
    found = identified(subjects, deviations)
    for identity in sorted(found):
        if _is_nameable(identity.name):
            rules += _rules(found[identity], identity, deviations)
        else:
            note_nothing(found[identity], deviations, _UNNAMEABLE)
    warnings = (BY_CLIENT_ID,) if any(identity.scope == "clientid" for identity in found) else ()
    return Rendering(artifact=write([*rules, CLOSING]), deviations=deviations.all(), warnings=warnings)


def _is_nameable(name: str) -> bool:
    return name != "#" and not _unwritable(name)


def _rules(subject: RenderSubject, identity: Identity, deviations: Deviations) -> Iterator[NanomqRule]:
    """The rules about one principal, in their order. A rule without topics would be about all of them."""
    who = (NanomqWho(identity.scope.value, identity.name),)
    if subject.state is not Standing.ADMITTED:
        yield NanomqRule(allow=False, who=who)
        return
    for allow, action, topics in _Compiler(subject, deviations).lists():
        if topics:
            yield NanomqRule(allow=allow, action=action, who=who, topics=tuple(sorted(topics)))


class _Compiler:
    """Turns the rules of one principal into lists of topics, and notes what is lost on the way."""

    def __init__(self, subject: RenderSubject, deviations: Deviations) -> None:
        self._auth_id = subject.principal.auth_id
        self._rules: tuple[EffectiveRule, ...] = effective(subject.policy, subject.principal)
        self._deviations = deviations
        self._widened: set[tuple[Action, str]] = set()  # denies that say more than the policy does

    def lists(self) -> Iterator[tuple[bool, NanomqAction, set[str]]]:
        """Denies before allows: whether it allows, what it is about, and the topics."""
        publish_denies = set(self._denies(Action.PUBLISH))
        publish_allows = list(self._allows(Action.PUBLISH, publish_denies))
        subscribe_denies = set(self._denies(Action.SUBSCRIBE))
        made = subscribing(list(self._allows(Action.SUBSCRIBE, subscribe_denies)), subscribe_denies)
        for bound, why in made.losses:
            self._narrower(bound, why)
        yield False, NanomqAction.PUBLISH, publish_denies
        yield False, NanomqAction.SUBSCRIBE, subscribe_denies | {f"{LITERALLY}{topic}" for topic in made.guards}
        yield True, NanomqAction.PUBLISH, {topic for _, topic in publish_allows}
        yield True, NanomqAction.SUBSCRIBE, made.patterns | {f"{LITERALLY}{topic}" for topic in made.literals}

    def _allows(self, action: Action, denies: Iterable[str]) -> Iterator[tuple[BoundRule, str]]:
        """The allow rules that NanoMQ can express, with their filters."""
        wild = any(map(begins_with_wildcard, denies))
        for bound, topic in concerning(self._rules, action, Effect.ALLOW):
            conditions = _conditions(bound, action)
            if conditions:
                self._narrower(bound, f"It is about {conditions}, which NanoMQ can not tell apart: left out.")
            elif begins_with_wildcard(topic):
                why = "On NanoMQ it would meet first levels that begin with $ as well: left out. Spell it out."
                self._narrower(bound, why)
            elif unreadable(topic):
                self._narrower(bound, "NanoMQ would misread @, ${, quotes or control characters in it: left out.")
            else:
                if wild and topic.startswith("$"):
                    self._narrower(bound, "A deny that begins with a wildcard hits it on NanoMQ.")
                if any(about is action and intersects(wide, topic) for about, wide in self._widened):
                    self._narrower(bound, "A deny that NanoMQ would misread is widened, and hits it.")
                yield bound, topic

    def _denies(self, action: Action) -> Iterator[str]:
        """The filters of the deny rules, widened where NanoMQ can not tell."""
        for bound, topic in concerning(self._rules, action, Effect.DENY):
            if conditions := _conditions(bound, action):
                self._narrower(bound, f"It is about {conditions}, which NanoMQ can not tell apart: it denies all.")
            if unreadable(topic):
                why = "NanoMQ would misread @, ${, quotes or control characters in it: it denies all in their place."
                self._narrower(bound, why)
                self._widened.add((action, readable(topic)))
            yield readable(topic)

    def _narrower(self, bound: BoundRule, why: str) -> None:
        self._deviations.note(bound, self._auth_id, DeviationKind.NARROWER, why)


def _conditions(bound: BoundRule, action: Action) -> str:
    if action is Action.PUBLISH:
        return publish_conditions(bound.rule)
    kinds = {Shared.ONLY: "shared subscriptions only", Shared.NEVER: "plain subscriptions only"}
    found = (qos_condition(bound.rule), kinds.get(bound.rule.shared, ""))
    return " and ".join(filter(None, found))


def unreadable(topic: str) -> bool:
    """Whether NanoMQ would take a part of the filter for something else."""
    return topic.startswith(LITERALLY) or "${" in topic or _unwritable(topic)


def readable(topic: str) -> str:
    """The filter with `+` for each level that NanoMQ would misread; it covers more, so it is for denies."""
    levels = [
        "+" if "${" in level or _unwritable(level) or (number == 0 and level.startswith(LITERALLY)) else level
        for number, level in enumerate(topic.split("/"))
    ]
    return canonical("/".join(levels))


def _unwritable(text: str) -> bool:
    """Whether it takes escapes, which HOCON's readers do not all understand."""
    return '"' in text or "\\" in text or any(character < " " or character == "\x7f" for character in text)
