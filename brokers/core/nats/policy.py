"""Policy as permissions of the NATS server's MQTT gateway (2.14.5 and newer), a set for each principal.

MQTT filters become NATS subjects; deny wins; there are no conditions and no shared subscriptions. What was found by
experiment with 2.15.1 and is closed here: an allow `a.*` admits the subscription `a.>`; publishing to `$MQTT.msgs.…`
puts messages past every rule; a first token that is a wildcard meets `$JS` and `$SYS`; an empty list allows everything;
a subscription of QoS 1 to `a/*x/#` brings messages of other levels in the place of `*x`, now and then; and what stands
behind a blank in a permission to subscribe, any blank of Unicode, is taken for a queue, so that a deny has no effect.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from acl.core.evaluation import EffectiveRule, effective
from acl.core.topics import covers, intersects, matches
from acl.core.values import Action, BoundRule, Effect, Request, Shared, Subscribe
from brokers.core.plans import unaccepted_allows
from brokers.core.ports import DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import (
    OF_TWO_LEVELS,
    Deviations,
    Limit,
    begins_with_wildcard,
    concerning,
    needs_sharing,
    plain_conditions,
)
from kernel.core.errors import Invalid

# First levels that the server, its JetStream or its clients give a meaning of their own.
RESERVED = ("$JS", "$SYS", "$MQTT", "$KV", "$O", "$SRV", "$NRG", "$LDS", "$GR", "$share", "$queue", "$CONTROL")
MOST_OCTETS = 262_144  # of one principal's lists; a grant travels as one message of at most 1 MB
_UNUSABLE = "NATS can not use a level that has *, > or a blank in it"
_BLANKS = "\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"  # Go's
_NEVER_TOLD = frozenset(f"*>\x7f{_BLANKS}")
_NO_CLIENT_ID = frozenset(" \t\n\f\r.*>")
# What subscriptions of QoS 1 and of QoS 2 are served on, with levels that no rule spells in place of $MQTT and the id.
_SERVED = ("\0/sub/\0", "\0/deliver/pubrel/\0")

LIMITS = (
    Limit(kind=DeviationKind.NARROWER, why="There are no shared subscriptions: $share/… is an ordinary topic."),
    Limit(
        kind=DeviationKind.NARROWER,
        why="Levels that have *, >, a blank or a control character in them can not be used in topics.",
    ),
    Limit(kind=DeviationKind.NARROWER, why="A client id that has a dot, *, > or a blank in it is refused."),
    Limit(kind=DeviationKind.SIGNALLING, why="A refused publish is acknowledged all the same, and dropped."),
    Limit(kind=DeviationKind.SIGNALLING, why="A will that is refused is dropped when it is due; nobody is told."),
    Limit(
        kind=DeviationKind.SIGNALLING,
        why="A filter that several rules cover only together may be granted; nothing else is delivered.",
    ),
)


class InvalidPermissions(Invalid):
    """The text is not what `render` wrote."""

    code = "invalid-nats-permissions"


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsPermissions:
    """What a NATS user may do: subjects, each list sorted. A direction with nothing to allow denies `>`."""

    publish_allow: tuple[str, ...] = ()
    publish_deny: tuple[str, ...] = (">",)
    subscribe_allow: tuple[str, ...] = ()
    subscribe_deny: tuple[str, ...] = (">",)


NOTHING = NatsPermissions()


def permissions(subject: RenderSubject) -> NatsPermissions:
    """What the principal may do: nothing, unless it is admitted."""
    return _compile(subject, Deviations())


def accepted_permissions(subject: RenderSubject, accepted: Collection[str]) -> NatsPermissions:
    """The same without the allows by which NATS would allow more than the policy, but for the `accepted` deviations.

    Compiled a second time only if there are any: whether an allow widens hangs on no other rule.
    """
    deviations = Deviations()
    granted = _compile(subject, deviations)
    if out := unaccepted_allows(deviations.all(), accepted):
        kept = tuple(bound for bound in subject.policy if bound.rule.id not in out)
        return permissions(replace(subject, policy=kept))
    return granted


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The permissions of all that are not absent as JSON, by auth id, and what they can not express."""
    deviations, table = Deviations(), {}
    for subject in subjects:
        if subject.state is not Standing.ABSENT:
            table[subject.principal.auth_id] = _compile(subject, deviations)
            _note_kept_out(subject, deviations)
    return Rendering(artifact=to_artifact(table), deviations=deviations.all())


def to_artifact(table: Mapping[str, NatsPermissions]) -> str:
    """The permissions by auth id as JSON, a line for each."""
    lines = (f"{json.dumps(auth_id)}: {json.dumps(_document(table[auth_id]))}" for auth_id in sorted(table))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def parse(artifact: str) -> Mapping[str, NatsPermissions]:
    """What `render` wrote, by auth id. Raises InvalidPermissions."""
    try:
        return {
            auth_id: NatsPermissions(
                publish_allow=tuple(lists["publish"]["allow"]),
                publish_deny=tuple(lists["publish"]["deny"]),
                subscribe_allow=tuple(lists["subscribe"]["allow"]),
                subscribe_deny=tuple(lists["subscribe"]["deny"]),
            )
            for auth_id, lists in json.loads(artifact).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        detail = "This is not the JSON of permissions by auth id: each has publish and subscribe, with allow and deny."
        raise InvalidPermissions(detail) from error


def subjects_of(filter: str) -> tuple[str, ...]:
    """The NATS subjects that a filter is: itself, and its parent if it ends in `#`."""
    levels = filter.split("/")
    tokens = [_token(level) for level in levels]
    if levels[-1] == "#" and len(levels) > 1:
        return ".".join(tokens[:-1]), ".".join(tokens)
    return (".".join(tokens),)


def refuses_client_id(client_id: str) -> bool:
    """Whether a server of 2.14 and newer refuses a CONNECT with it (seen with 2.15.1); older ones mistake it."""
    return not _NO_CLIENT_ID.isdisjoint(client_id)


def unusable(level: str) -> bool:
    """Whether a level can not be told to NATS: it would be a wildcard there, cut short, or refused."""
    return any(character <= " " or character in _NEVER_TOLD for character in level)


def limited(request: Request) -> bool:
    """Whether the server refuses the request whatever the policy says: a shared subscription, an unusable level."""
    sharing = isinstance(request, Subscribe) and request.group is not None
    return sharing or any(map(unusable, request.topic.split("/")))


def _token(level: str) -> str:
    return {"": "/", "+": "*", "#": ">"}.get(level) or level.replace(".", "//")


def _compile(subject: RenderSubject, deviations: Deviations) -> NatsPermissions:
    if subject.state is not Standing.ADMITTED:
        return NOTHING
    compiler = _Compiler(subject, deviations)
    publish_allow, publish_deny = compiler.direction(Action.PUBLISH)
    subscribe_allow, subscribe_deny = compiler.direction(Action.SUBSCRIBE)
    return NatsPermissions(
        publish_allow=publish_allow,
        publish_deny=publish_deny,
        subscribe_allow=subscribe_allow,
        subscribe_deny=subscribe_deny,
    )


def _note_kept_out(subject: RenderSubject, deviations: Deviations) -> None:
    if subject.state is Standing.ADMITTED and refuses_client_id(subject.principal.client_id):
        why = "NATS refuses its client id, which has a dot, *, > or a blank in it: with that it does not get in."
        for bound in subject.policy:
            deviations.note(bound, subject.principal.auth_id, DeviationKind.NARROWER, why)


class _Compiler:
    """Turns the rules of one principal into lists of subjects, and notes what is lost on the way."""

    def __init__(self, subject: RenderSubject, deviations: Deviations) -> None:
        self._auth_id = subject.principal.auth_id
        self._rules: Sequence[EffectiveRule] = effective(subject.policy, subject.principal)
        self._deviations = deviations

    def direction(self, action: Action) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The allow list and the deny list for `action`."""
        allows = list(self._allows(action))
        denies = set(self._denies(action))
        if action is Action.SUBSCRIBE:
            allows = list(self._without_open_ends(allows, denies))
        if any(begins_with_wildcard(topic) for _, topic in allows):
            denies |= {subject for root in self._guarded(action) for subject in subjects_of(f"{root}/#")}
        self._note_hidden(allows, denies)
        granted = {subject for _, topic in allows for subject in subjects_of(topic)}
        if not granted:
            return (), (">",)
        if sum(len(subject.encode()) for subject in (*granted, *denies)) > MOST_OCTETS:
            for bound, _ in allows:
                self._narrower(bound, "The principal has more subjects than fit into a grant: it gets nothing.")
            return (), (">",)
        return tuple(sorted(granted)), tuple(sorted(denies))

    @staticmethod
    def _guarded(action: Action) -> Iterator[str]:
        """Subscriptions of QoS 1 and 2 live on `$MQTT`; the server itself refuses subscriptions to it."""
        return (root for root in RESERVED if root != "$MQTT" or action is Action.PUBLISH)

    def _allows(self, action: Action) -> Iterator[tuple[BoundRule, str]]:
        """The allow rules that NATS can express, with their filters."""
        for bound, topic in concerning(self._rules, action, Effect.ALLOW):
            conditions = plain_conditions(bound.rule, action)
            if action is Action.SUBSCRIBE and needs_sharing(bound.rule):
                self._narrower(bound, "It is about shared subscriptions, which NATS does not have: left out.")
            elif conditions:
                self._narrower(bound, f"It is about {conditions}, which NATS can not tell apart: left out.")
            elif topic.split("/", 1)[0] in RESERVED:
                self._narrower(bound, "NATS keeps this first level for itself: left out.")
            elif any(map(unusable, topic.split("/"))):
                self._narrower(bound, f"{_UNUSABLE}: left out.")
            else:
                if begins_with_wildcard(topic):
                    self._wider(bound)
                if topic == OF_TWO_LEVELS and action is Action.SUBSCRIBE:
                    self._narrower(bound, "A subscription to /# is refused: ask for /+/#.")
                yield bound, topic

    def _denies(self, action: Action) -> Iterator[str]:
        """The subjects of the deny rules, widened where NATS can not express them."""
        for bound, topic in concerning(self._rules, action, Effect.DENY):
            if action is Action.SUBSCRIBE and needs_sharing(bound.rule):
                continue  # there are no shared subscriptions to deny
            if action is Action.SUBSCRIBE and bound.rule.shared is Shared.NEVER:
                self._narrower(bound, "It spares shared subscriptions, which NATS does not have: it denies all.")
            if conditions := plain_conditions(bound.rule, action):
                self._narrower(bound, f"It is about {conditions}, which NATS can not tell apart: it denies all.")
            levels = topic.split("/")
            if any(map(unusable, levels)):
                self._narrower(bound, f"{_UNUSABLE}: it denies every level in its place.")
            denied = "/".join("+" if unusable(level) else level for level in levels)
            if action is Action.SUBSCRIBE:
                self._note_denied(bound, denied)
            yield from subjects_of(denied)

    def _note_denied(self, bound: BoundRule, denied: str) -> None:
        """What a denied subscription is besides that."""
        if _ends_acknowledged(denied):
            self._narrower(bound, "It hits what QoS 1 and 2 are served on: all subscriptions are of QoS 0.")
        if denied == "+":
            self._narrower(bound, "It hits the parent that NATS takes /# to have: ask for /+/#.")
        why = "A filter that meets it is granted, and the messages that it denies are withheld."
        self._deviations.note(bound, self._auth_id, DeviationKind.SIGNALLING, why)

    def _without_open_ends(
        self, allows: Sequence[tuple[BoundRule, str]], denies: set[str]
    ) -> Iterator[tuple[BoundRule, str]]:
        """`allows`, and denies added, so that no subscription `a/#` slips through an allow `a/+`.

        NATS takes the `>` of a subscription for a token that `*` matches. It asks for the parent `a` as well.
        """
        topics = {topic for _, topic in allows}
        for bound, topic in allows:
            if not topic.endswith("+") or not _is_open(topic, topics):
                yield bound, topic
            elif any(intersects(other, f"{topic}/+/#") for other in topics) or _ends_acknowledged(f"{topic}/+/#"):
                self._narrower(
                    bound, "NATS would take it for all that is below its parent, which is not allowed: left out."
                )
            else:
                denies.add(f"{subjects_of(topic)[0]}.>")
                why = "A subscription to everything below is granted, and nothing that is not allowed delivered."
                self._deviations.note(bound, self._auth_id, DeviationKind.SIGNALLING, why)
                yield bound, topic

    def _note_hidden(self, allows: Sequence[tuple[BoundRule, str]], denies: set[str]) -> None:
        """`*` and `>` meet first levels that begin with `$`, which no wildcard of MQTT does."""
        if any(subject[0] in "*>" for subject in denies):
            for bound, topic in allows:
                if topic.startswith("$"):
                    self._narrower(bound, "A deny that begins with a wildcard hits it on NATS.")

    def _narrower(self, bound: BoundRule, why: str) -> None:
        self._deviations.note(bound, self._auth_id, DeviationKind.NARROWER, why)

    def _wider(self, bound: BoundRule) -> None:
        why = (
            "On NATS a first level that is a wildcard meets those that begin with $ as well; the server's own are "
            "denied, others are not. Spell the first level out."
        )
        self._deviations.note(bound, self._auth_id, DeviationKind.WIDER, why)


def _is_open(topic: str, topics: set[str]) -> bool:
    """Whether `topic`, which ends in `+`, would admit a subscription to everything below its parent."""
    if any(covers(other, f"{topic}/#") for other in topics):
        return False
    parent = topic[:-2]
    return not parent or any(intersects(other, parent) for other in topics)


def _ends_acknowledged(topic: str) -> bool:
    """Whether a deny of that filter hits `$MQTT.sub.<id>` or `$MQTT.deliver.pubrel.<id>`."""
    return begins_with_wildcard(topic) and any(matches(topic, served) for served in _SERVED)


def _document(granted: NatsPermissions) -> dict[str, Any]:
    return {
        "publish": {"allow": granted.publish_allow, "deny": granted.publish_deny},
        "subscribe": {"allow": granted.subscribe_allow, "deny": granted.subscribe_deny},
    }
