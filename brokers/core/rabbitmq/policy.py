"""Policy for RabbitMQ's MQTT plugin (3.10 and newer) as accounts, resource permissions and topic permissions.

A topic permission is a pair of regular expressions for each account and exchange: one for topics published to, one for
filters subscribed to. Deliveries are not judged again, and where there is no topic permission everything is allowed.
Accounts have no password: a device proves who it is by its certificate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from acl.core.evaluation import EffectiveRule, effective
from acl.core.templates import parse as parse_template
from acl.core.templates import placeholders, substitute
from acl.core.values import Action, BoundRule, Effect, Principal, Request, Shared, Subscribe
from brokers.core.ports import Capabilities, DeviationKind, PasswordRoom, Rendering, RenderSubject, Standing
from brokers.core.rabbitmq.patterns import (
    NEVER,
    USERNAME,
    as_read,
    literally,
    publish_pattern,
    subscribe_pattern,
)
from brokers.core.rabbitmq.state import (
    EXCHANGE,
    RabbitState,
    RabbitUser,
    ResourcePermission,
    TopicPermission,
    to_artifact,
)
from brokers.core.rendering import Deviations, Limit, concerning, needs_sharing, plain_conditions

# What else RabbitMQ looks at topic permissions for: without one everything is allowed. It does so for exchanges of type
# topic alone, so that all others (amq.direct, amq.fanout, ...) are out of reach by the resource permission only.
OTHER_EXCHANGES = ("amq.rabbitmq.event", "amq.rabbitmq.log", "amq.rabbitmq.trace")
MOST_OCTETS = 10_000  # of one expression; RabbitMQ 3.10 refuses what compiles to more than 64 KiB
MOST_LEVELS = 100

_UNENDED = (
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "A session that the client asked to keep goes on receiving what it subscribed to, also after a permission "
            "was taken away and the connection closed: delete its queue, mqtt-subscription-<client id>qos1."
        ),
    ),
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "A connection that is busy goes on doing what it was allowed before, until it rests for some seconds: "
            "whoever loses a permission has to be disconnected."
        ),
    ),
)
LIMITS = (
    *_UNENDED,
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "A filter that begins with a wildcard receives topics that begin with $ as well, "
            "if an account that is not ours publishes there."
        ),
    ),
    Limit(
        kind=DeviationKind.WIDER,
        why=(
            "An account that reaches AMQP or the management API as well may give its queue a dead-letter routing key, "
            "and so publish to any topic: let devices reach the MQTT listener alone."
        ),
    ),
    Limit(kind=DeviationKind.NARROWER, why="Nobody may publish to a topic that begins with $."),
    Limit(kind=DeviationKind.NARROWER, why="There are no shared subscriptions: $share/… is refused."),
    Limit(
        kind=DeviationKind.NARROWER,
        why="A dot separates levels as / does, and * is what + is: topics with one or the other can not be used.",
    ),
    Limit(kind=DeviationKind.SIGNALLING, why="A refused publish or subscription closes the connection."),
    Limit(kind=DeviationKind.SIGNALLING, why="A will that is refused is dropped when it is due; nobody is told."),
)
CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1",),
    placeholders=frozenset({"auth_id"}),
    shared_subscriptions=False,
    version="3.10",
    limits=tuple((limit.kind, limit.why) for limit in LIMITS),
)
_CLOSES = "Whoever loses a permission is disconnected: a connection that is busy remembers what it was allowed."
ADAPTED = replace(
    CAPABILITIES,
    limits=(*CAPABILITIES.limits[len(_UNENDED) :], (DeviationKind.SIGNALLING, _CLOSES)),
    passwords=PasswordRoom.ONE,
)
"""The same where Gatehouse itself ends the connections and subscriptions of those who lose a permission."""
WHOLE = (
    "Of devices these accounts are all that there may be, and an import only adds: first take away those that are not "
    "in it (POST /api/users/bulk-delete), lest they keep what they had, and close their connections and those of all "
    "who lose something (DELETE /api/connections/username/<name>). Keep your own, which are no devices."
)

_TOO_LONG = f"The principal has more rules than fit into an expression of {MOST_OCTETS} octets: it gets nothing."
_DOTS = "RabbitMQ takes a dot for a separator of levels, and * for +"
_NO_QUEUE = "Who has no client id, or one with a line break, has no queue to receive on"
_STAND_IN = "\ue000"  # a value that every template takes
_SAFE = re.compile(r"[A-Za-z0-9_-]+")
_BARRED = RabbitUser(topics={exchange: TopicPermission() for exchange in (EXCHANGE, *OTHER_EXCHANGES)})  # no vhost


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The accounts of all that are not absent as a definitions document, and what it can not express."""
    deviations = Deviations()
    state = desired_state(subjects, deviations)
    return Rendering(artifact=to_artifact(state), deviations=deviations.all(), warnings=(WHOLE,))


def desired_state(subjects: Iterable[RenderSubject], deviations: Deviations | None = None) -> RabbitState:
    """What RabbitMQ should hold for these subjects. What it holds for one does not depend on the others."""
    noted = deviations or Deviations()
    return RabbitState(
        users={
            subject.principal.auth_id: _Compiler(subject, noted).user()
            for subject in subjects
            if subject.state is not Standing.ABSENT
        }
    )


def limited(request: Request) -> bool:
    """Whether LIMITS say that the request is never allowed."""
    hidden = request.topic.startswith("$") and not isinstance(request, Subscribe)
    shared = isinstance(request, Subscribe) and request.group is not None
    return hidden or shared or "." in request.topic or "*" in request.topic


class _Compiler:
    """Turns the rules of one principal into an account, and notes what is lost on the way."""

    def __init__(self, subject: RenderSubject, deviations: Deviations) -> None:
        self._subject = subject
        self._principal = subject.principal
        self._deviations = deviations

    def user(self) -> RabbitUser:
        """The account, with what it may do to topics, to its own queues and to the exchange."""
        if self._subject.state is Standing.BARRED:
            return _BARRED
        rules = [self._with_variable(rule) for rule in effective(self._subject.policy, self._principal)]
        publish = self._pattern(rules, Action.PUBLISH)
        subscribe = self._pattern(rules, Action.SUBSCRIBE)
        topics = {**_BARRED.topics, EXCHANGE: TopicPermission(write=publish, read=subscribe)}
        return RabbitUser(permission=self._permission(publish, subscribe), topics=topics)

    def _permission(self, publish: str, subscribe: str) -> ResourcePermission:
        """Just what MQTT needs: the queues of this client id, to bind them to the exchange, and to publish there.

        Who begins a clean session has to be able to delete the queue of an earlier one.
        """
        own = [f"mqtt-subscription-{self._principal.client_id}qos{qos}" for qos in "01"]
        queues = [] if subscribe == NEVER else own
        return ResourcePermission(
            configure=literally(*own),
            write=_only(queues if publish == NEVER else [*queues, EXCHANGE]),
            read=_only([*queues, EXCHANGE] if queues else []),
        )

    def _with_variable(self, rule: EffectiveRule) -> EffectiveRule:
        """The rule with RabbitMQ's own variable for the auth id, where no value could be taken for an expression."""
        topic, name = rule.bound.rule.topic, self._principal.auth_id
        if rule.filter is None or "auth_id" not in placeholders(topic) or not _SAFE.fullmatch(name):
            return rule
        marked = substitute(parse_template(topic), _marked(self._principal), rule.bound.rule.effect).filter
        if marked is None or marked.replace(_STAND_IN, name) != rule.filter:
            return rule
        return replace(rule, filter=marked.replace(_STAND_IN, USERNAME))

    def _pattern(self, rules: list[EffectiveRule], action: Action) -> str:
        """The regular expression for `action`."""
        allows = list(self._allows(rules, action))
        denies = list(self._denies(rules, action))
        written = publish_pattern if action is Action.PUBLISH else subscribe_pattern
        pattern = written((topic for _, topic in allows), denies)
        if len(pattern.replace("{username}", self._principal.auth_id).encode()) <= MOST_OCTETS:
            return pattern
        for bound, _ in allows:
            self._narrower(bound, _TOO_LONG)
        return NEVER

    def _allows(self, rules: list[EffectiveRule], action: Action) -> Iterator[tuple[BoundRule, str]]:
        """The allow rules that RabbitMQ can express, with their filters."""
        for bound, topic in concerning(rules, action, Effect.ALLOW):
            why = self._why_not(bound, topic, action)
            if why:
                self._narrower(bound, f"{why}: left out.")
            else:
                yield bound, topic

    def _why_not(self, bound: BoundRule, topic: str, action: Action) -> str:
        """Why an allow rule can not be expressed; empty if it can."""
        if conditions := plain_conditions(bound.rule, action):
            return f"It is about {conditions}, which RabbitMQ can not tell apart"
        if "." in topic or "*" in topic:
            return _DOTS
        if topic.count("/") >= MOST_LEVELS:
            return f"It has more than {MOST_LEVELS} levels"
        if action is Action.PUBLISH:
            return "What is published under $ would reach filters that begin with a wildcard" if topic[0] == "$" else ""
        if needs_sharing(bound.rule):
            return "It is about shared subscriptions, which RabbitMQ does not have"
        return "" if _names_queue(self._principal.client_id) else _NO_QUEUE

    def _denies(self, rules: list[EffectiveRule], action: Action) -> Iterator[str]:
        """The filters of the deny rules, widened where RabbitMQ can not express them."""
        for bound, topic in concerning(rules, action, Effect.DENY):
            if action is Action.SUBSCRIBE and needs_sharing(bound.rule):
                continue  # there are no shared subscriptions to deny
            if action is Action.SUBSCRIBE and bound.rule.shared is Shared.NEVER:
                self._narrower(bound, "It spares shared subscriptions, which RabbitMQ does not have: it denies all.")
            if conditions := plain_conditions(bound.rule, action):
                self._narrower(bound, f"It is about {conditions}, which RabbitMQ can not tell apart: it denies all.")
            if (read := as_read(topic)) != topic:
                self._narrower(bound, f"{_DOTS}: it denies what it is there, too.")
            for denied in {topic, read}:  # a wildcard of the same number of levels meets the one, its names the other
                if (shallow := _shallow(denied)) != denied:
                    self._narrower(bound, f"It has more than {MOST_LEVELS} levels: it denies what is below the first.")
                yield shallow

    def _narrower(self, bound: BoundRule, why: str) -> None:
        self._deviations.note(bound, self._principal.auth_id, DeviationKind.NARROWER, why)


def _shallow(filter: str) -> str:
    """The filter, or a wider one if it is too deep."""
    levels = filter.split("/")
    return filter if len(levels) <= MOST_LEVELS else "/".join((*levels[: MOST_LEVELS - 1], "#"))


def _only(names: list[str]) -> str:
    return literally(*names) if names else NEVER


def _names_queue(client_id: str) -> bool:
    """Whether the queue of that client has its id in its name: RabbitMQ takes line breaks out."""
    return bool(client_id) and not any(character in client_id for character in "\r\n")


def _marked(principal: Principal) -> Principal:
    return replace(principal, auth_id=_STAND_IN)
