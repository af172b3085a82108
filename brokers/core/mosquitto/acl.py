"""Policy for Mosquitto as an ACL file, with every rule written out for each user.

Who is not named in the file may do nothing. Nothing is asked at SUBSCRIBE: each is granted, and what a client may not
read is not delivered to it. A `deny` line is about reading and writing alike and wins over the user's other lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from acl.core.evaluation import EffectiveRule, effective
from acl.core.subtraction import subtract_all
from acl.core.topics import intersects
from acl.core.values import Action, BoundRule, Effect, Rule
from brokers.core.mosquitto.acl_file import BLANKS, Access, AclFile, AclLine, to_text, writable
from brokers.core.mosquitto.topics import OWN_TOPICS, unusable, within_depth
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import Deviations, canonical, publish_conditions, subscribe_conditions

REFUSAL = ("#", "$SYS/#", "$CONTROL/#")
LIMITS = (
    (DeviationKind.SIGNALLING, "Every subscription is granted, and no more than is allowed delivered."),
    (DeviationKind.SIGNALLING, "An MQTT 3.1.1 client is not told that a publish was refused."),
    (DeviationKind.SIGNALLING, "A will that is refused is dropped when it is due; nobody is told."),
    (DeviationKind.NARROWER, "Topics with control characters, or more than 200 slashes, are refused."),
    (DeviationKind.NARROWER, "Nobody may publish to a topic that begins with $SYS or $CONTROL/."),
)
MANY_USERS = 5_000
SLOW = (
    "Mosquitto 2.0 stands still while it reads the file, at each reload, and the time grows with the square of the "
    "users: some 2 seconds for 10,000 of them, 10 for 20,000."
)
CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    shared_subscriptions=False,
    version="2.0",
    limits=LIMITS,
)
_ACCESS = {Action.PUBLISH: Access.WRITE, Action.SUBSCRIBE: Access.READ}


@dataclass(frozen=True, slots=True)
class Grant:
    """One action that an allow rule gives a principal, as a filter that may be written."""

    action: Action
    filter: str
    bound: BoundRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What one principal is to have: filters that it may write and read, and those that nothing of it may touch."""

    subject: RenderSubject
    grants: frozenset[tuple[Action, str]] = frozenset()
    denies: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The username."""
        return self.subject.principal.auth_id


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The file with a section for each user who may do anything or is barred, and what it can not express."""
    deviations = Deviations()
    users = named({compiled.name: lines_of(compiled) for compiled in compile_all(subjects, deviations)})
    warnings = (SLOW,) if len(users) > MANY_USERS else ()
    return Rendering(artifact=to_text(AclFile(users=users)), deviations=deviations.all(), warnings=warnings)


def compile_all(subjects: Iterable[RenderSubject], deviations: Deviations) -> list[Compiled]:
    """Each subject compiled, by name."""
    ordered = sorted(subjects, key=lambda subject: subject.principal.auth_id)
    return [_Compiler(subject, deviations).compiled() for subject in ordered]


def lines_of(compiled: Compiled) -> tuple[AclLine, ...]:
    """The `topic` lines of one user: those of its policy, or a refusal if it is barred."""
    if compiled.subject.state is Standing.BARRED:
        return tuple(AclLine(access=Access.DENY, topic=topic) for topic in REFUSAL)
    return (*deny_lines(compiled.denies), *allow_lines(compiled.grants))


def deny_lines(filters: Iterable[str]) -> tuple[AclLine, ...]:
    """A `deny` line for each filter."""
    return tuple(AclLine(access=Access.DENY, topic=topic) for topic in sorted(filters))


def allow_lines(grants: Iterable[tuple[Action, str]]) -> tuple[AclLine, ...]:
    """A line for each filter, whether it is for writing, reading or both."""
    actions: dict[str, set[Action]] = defaultdict(set)
    for action, topic in grants:
        actions[topic].add(action)
    return tuple(
        AclLine(access=_ACCESS[found.pop()] if len(found) == 1 else Access.READWRITE, topic=topic)
        for topic, found in sorted(actions.items())
    )


def named(users: dict[str, tuple[AclLine, ...]]) -> dict[str | None, tuple[AclLine, ...]]:
    """Those who have lines and a name that the file can hold."""
    return {name: lines for name, lines in users.items() if lines and writable(name)}


class _Compiler:
    """Turns the rules of one principal into filters, and notes what is lost on the way."""

    def __init__(self, subject: RenderSubject, deviations: Deviations) -> None:
        self._subject = subject
        self._auth_id = subject.principal.auth_id
        self._deviations = deviations

    def compiled(self) -> Compiled:
        """What the principal is to have; nothing unless it is admitted and has a name that the file can hold."""
        if self._subject.state is not Standing.ADMITTED:
            return Compiled(subject=self._subject)
        rules = effective(self._subject.policy, self._subject.principal)
        if not writable(self._auth_id):
            for rule in rules:
                self._narrower(rule.bound, "The ACL file can not hold the name: it gets nothing.")
            return Compiled(subject=self._subject)
        grants = [grant for rule in rules for grant in self._allow(rule)]
        denies = [deny for rule in rules for deny in self._deny(rule)]
        return self._settled(grants, denies)

    def _allow(self, rule: EffectiveRule) -> Iterator[Grant]:
        if rule.filter is None or rule.bound.rule.effect is not Effect.ALLOW:
            return
        topic = within_depth(canonical(rule.filter))
        if unusable(topic) or not writable(topic):
            self._narrower(rule.bound, "Mosquitto or its ACL file can not hold the topic: left out.")
            return
        for action in sorted(rule.bound.rule.actions):
            if conditions := _conditions(rule.bound.rule, action):
                self._narrower(rule.bound, f"It is about {conditions}, which Mosquitto can not tell apart: left out.")
            else:
                yield Grant(action, topic, rule.bound)
        if Action.PUBLISH in rule.bound.rule.actions and topic.startswith(OWN_TOPICS):
            self._narrower(rule.bound, "Mosquitto lets nobody publish to a topic that begins with $SYS or $CONTROL/.")

    def _deny(self, rule: EffectiveRule) -> Iterator[Grant]:
        if rule.filter is None or rule.bound.rule.effect is not Effect.DENY:
            return
        topic = within_depth(canonical(rule.filter))
        if unusable(topic):
            return  # no topic that it could deny gets into the broker
        if not writable(topic):
            topic = _widened(topic)
            self._narrower(rule.bound, f"The ACL file can not hold blanks around a topic: it denies {topic}.")
        for action in sorted(rule.bound.rule.actions):
            if conditions := _conditions(rule.bound.rule, action):
                self._narrower(
                    rule.bound, f"It is about {conditions}, which Mosquitto can not tell apart: it denies all."
                )
            yield Grant(action, topic, rule.bound)

    def _settled(self, grants: list[Grant], denies: list[Grant]) -> Compiled:
        """A deny of one action becomes narrower allows where it can, and otherwise hits both actions."""
        both = {deny.filter for deny in denies if _is_about_both(deny, denies) or not _meets_other(deny, grants)}
        left: set[tuple[Action, str]] = set()
        for action in Action:
            single = {deny.filter for deny in denies if deny.action is action} - both
            topics = {grant.filter for grant in grants if grant.action is action}
            cut = _cut(topics, single)
            hitting = single - cut.rewritten
            both |= hitting
            self._note_other(action, hitting, grants)
            left |= {(action, piece) for piece in cut.pieces}
        return Compiled(subject=self._subject, grants=frozenset(left), denies=frozenset(both))

    def _note_other(self, action: Action, denied: set[str], grants: list[Grant]) -> None:
        """Whose allows of the other action lose something."""
        for grant in grants:
            if grant.action is not action and any(intersects(topic, grant.filter) for topic in denied):
                verb = "publish" if action is Action.PUBLISH else "subscribe"
                why = f"A rule that denies {verb} alone meets it, and a deny of the ACL file is about both."
                self._narrower(grant.bound, why)

    def _narrower(self, bound: BoundRule, why: str) -> None:
        self._deviations.note(bound, self._auth_id, DeviationKind.NARROWER, why)


@dataclass(frozen=True, slots=True)
class _Cut:
    pieces: frozenset[str]
    rewritten: frozenset[str]


def _cut(topics: set[str], denied: set[str]) -> _Cut:
    """The topics without what is denied, and which denies that says: as many as can be said by filters."""
    rewritten = frozenset(denied)
    while True:
        cut = {topic: subtract_all(topic, sorted(rewritten)) for topic in sorted(topics)}
        whole = [topic for topic, pieces in cut.items() if pieces is None]
        if not whole:
            return _Cut(frozenset(piece for pieces in cut.values() for piece in pieces or ()), rewritten)
        rewritten -= {deny for deny in rewritten if any(intersects(deny, topic) for topic in whole)}


def _is_about_both(deny: Grant, denies: list[Grant]) -> bool:
    return any(other.filter == deny.filter and other.action is not deny.action for other in denies)


def _meets_other(deny: Grant, grants: list[Grant]) -> bool:
    """Whether it would take something from the other action."""
    return any(grant.action is not deny.action and intersects(deny.filter, grant.filter) for grant in grants)


def _conditions(rule: Rule, action: Action) -> str:
    """The conditions for that action that no ACL file knows, as words; empty if there are none."""
    return publish_conditions(rule) if action is Action.PUBLISH else subscribe_conditions(rule)


def _widened(topic: str) -> str:
    """The filter with + for the levels at its ends that have blanks outside; it hits more names, never fewer."""
    levels = topic.split("/")
    if levels[0] != levels[0].lstrip(BLANKS):
        levels[0] = "+"
    if levels[-1] != levels[-1].rstrip(BLANKS):
        levels[-1] = "+"
    return "/".join(levels)
