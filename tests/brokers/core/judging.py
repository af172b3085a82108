"""Whether what a target does with a fleet is what the engine says, or what it declared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from acl.core.evaluation import evaluate
from acl.core.templates import parse, substitute
from acl.core.topics import InvalidTopic, intersects, matches, valid_name
from acl.core.values import (
    Action,
    Allow,
    BoundRule,
    Deny,
    DenyReason,
    Effect,
    Principal,
    Publish,
    Receive,
    Request,
    Subscribe,
)
from brokers.core.ports import Deviation, DeviationKind, RenderSubject
from brokers.core.targets import Target
from devices.core.names import name_fault
from tests.brokers.core.generated import Fleet


class Outcome(StrEnum):
    """What came out for one pair; the middle three were declared."""

    AGREED = "agreed"
    NARROWER = "narrower"
    WIDER = "wider"
    SIGNALLING = "signalling"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The outcome, and of an unexplained one the kind with whatever shows it."""

    outcome: Outcome
    fault: str = ""


AGREED = Judgement(outcome=Outcome.AGREED)


@dataclass(slots=True)
class Court:
    """One fleet on one target."""

    target: Target
    fleet: Fleet
    subjects: Sequence[RenderSubject] = field(init=False)
    artifact: str = field(init=False)
    _state: Any = field(init=False)
    _deviations: Sequence[Deviation] = field(init=False)
    _connected: Principal = field(init=False)

    def __post_init__(self) -> None:
        self.subjects = self.fleet.subjects()
        rendering = self.target.render(self.subjects)
        self.artifact, self._deviations = rendering.artifact, rendering.deviations
        self._state = self.target.parse(rendering.artifact)

    def judge(self, number: int, request: Request, names: Sequence[str], *, client_id: str | None = None) -> Judgement:
        """What becomes of the request of member `number`. What a subscription brings is tried with `names`.

        With `client_id` the member connects with that one, which is not what it is registered with.
        """
        subject = self.subjects[number]
        self._connected = replace(subject.principal, client_id=client_id) if client_id else subject.principal
        engine = self._permits(subject, request)
        answer = self.target.emulate(self._state, self._connected, request)
        if engine and not answer:
            return self._narrower(subject, request, f"refuses {request}")
        if isinstance(request, Subscribe):
            return self._subscribed(subject, request, names, engine=engine) if answer else AGREED
        if answer and not engine:
            return self._wider(subject, request, f"lets {request} pass")
        return AGREED

    def _permits(self, subject: RenderSubject, request: Request) -> bool:
        return isinstance(evaluate(subject.policy, subject.principal, request), Allow)

    def _subscribed(
        self, subject: RenderSubject, request: Subscribe, names: Sequence[str], *, engine: bool
    ) -> Judgement:
        """What a subscription that the broker grants is: its flow counts, then its answer."""
        found = [self._delivered(subject, request, name, engine=engine) for name in names if _is_name(name)]
        worst = max(found, key=lambda each: list(Outcome).index(each.outcome), default=AGREED)
        if engine or worst.outcome in {Outcome.WIDER, Outcome.UNEXPLAINED}:
            return worst
        return self._signalling(subject, request)

    def _delivered(self, subject: RenderSubject, request: Subscribe, name: str, *, engine: bool) -> Judgement:
        permitted = self._permits(subject, Receive(topic=name))
        delivers = self.target.deliverable(self._state, self._connected, request, name)
        if delivers and not permitted:
            return self._wider(subject, Receive(topic=name), f"grants {request}, which brings {name!r}")
        if engine and not delivers and matches(request.topic, name):
            return self._narrower(subject, Receive(topic=name), f"grants {request}, which does not bring {name!r}")
        return AGREED

    def _narrower(self, subject: RenderSubject, request: Request, fault: str) -> Judgement:
        excused = self.target.limited(request) or name_fault(subject.principal.auth_id) is not None
        if excused or any(self._declared(subject, request, DeviationKind.NARROWER)):
            return Judgement(outcome=Outcome.NARROWER)
        return Judgement(outcome=Outcome.UNEXPLAINED, fault=f"narrower: {self.target.name} {fault}")

    def _wider(self, subject: RenderSubject, request: Request, fault: str) -> Judgement:
        if self._declared_wider(subject, request):
            return Judgement(outcome=Outcome.WIDER)
        return Judgement(outcome=Outcome.UNEXPLAINED, fault=f"wider: {self.target.name} {fault}")

    def _declared_wider(self, subject: RenderSubject, request: Request) -> bool:
        """An allow that reaches too far is no excuse for what a deny rule forbids, nor the other way round."""
        verdict = evaluate(subject.policy, subject.principal, request)
        forbidden = isinstance(verdict, Deny) and verdict.reason is DenyReason.DENY_RULE
        guilty = Effect.DENY if forbidden else Effect.ALLOW
        declared = self._declared(subject, request, DeviationKind.WIDER)
        return any(deviation.rule.rule.effect is guilty for deviation in declared)

    def _signalling(self, subject: RenderSubject, request: Subscribe) -> Judgement:
        verdict = evaluate(subject.policy, subject.principal, request)
        together = isinstance(verdict, Deny) and verdict.reason is DenyReason.ONLY_TOGETHER and self.target.together
        granted = together or self.target.grants_all
        if granted or any(self._declared(subject, request, DeviationKind.SIGNALLING)):
            return Judgement(outcome=Outcome.SIGNALLING)
        if self._declared_wider(subject, request):
            return Judgement(outcome=Outcome.WIDER)
        return Judgement(outcome=Outcome.UNEXPLAINED, fault=f"signalling: {self.target.name} grants {request}")

    def _declared(self, subject: RenderSubject, request: Request, kind: DeviationKind) -> Iterator[Deviation]:
        """The deviations of that kind that are about this principal and this request."""
        action = Action.PUBLISH if isinstance(request, Publish) else Action.SUBSCRIBE
        for deviation in self._deviations:
            if deviation.kind is not kind or action not in deviation.rule.rule.actions:
                continue
            if _names(deviation, subject.principal) and _touches(deviation.rule, subject.principal, request):
                yield deviation


def _names(deviation: Deviation, principal: Principal) -> bool:
    return principal.auth_id in deviation.principals or deviation.principal_count > len(deviation.principals)


def _touches(bound: BoundRule, principal: Principal, request: Request) -> bool:
    """Whether a broker that reads the rule as loosely as brokers do may do otherwise with the request.

    A deny that begins with a wildcard meets `$share/...`, other filters that begin with `$`, and on NATS what
    subscriptions of QoS 1 and 2 are served on; and some take `/#` to have a parent.
    """
    spelled = substitute(parse(bound.rule.topic), principal, Effect.DENY).filter or "#"
    filter = _loosened(spelled)
    if isinstance(request, Subscribe) and bound.rule.effect is Effect.DENY and filter[0] in "+#":
        hidden = request.topic.startswith("$") or request.group is not None or request.qos > 0
        if hidden or request.topic == "/#":
            return True
    asked = _loosened(request.topic)
    if filter.rstrip("/") == asked.rstrip("/"):
        return True  # HiveMQ takes empty levels off the end
    return intersects(filter, asked) or intersects(_dotted(spelled), _dotted(request.topic))


def _dotted(filter: str) -> str:
    """The filter as RabbitMQ has to take it, to which a dot is a slash."""
    return _loosened(filter.replace(".", "/"))


def _loosened(filter: str) -> str:
    """The filter as a broker may have to take it: wilder, and blind to a leading `$`."""
    levels = [_loose(level) for level in filter.lstrip("$").split("/")]
    return "/".join(levels) or "+"


def _loose(level: str) -> str:
    unsayable = any(character <= " " or character.isspace() or character in "*>" for character in level)
    return "+" if unsayable or level in {"%u", "%c"} else level


def _is_name(text: str) -> bool:
    try:
        valid_name(text)
    except InvalidTopic:
        return False
    return True
