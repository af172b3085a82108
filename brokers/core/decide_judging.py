"""Judging what a broker asks about one principal. Whatever is not plainly right is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

from acl.core.evaluation import PrincipalPolicy
from acl.core.values import (
    EVERY_QOS,
    Allow,
    BoundRule,
    Deny,
    Publish,
    Receive,
    Request,
    Retain,
    Shared,
    Subscribe,
    Verdict,
)
from brokers.core.decide import Acts, Identity, Judgement, Login, Presence, Question, Wish, WishKind
from brokers.core.ports import RenderSubject, Standing

GRANT_LIFE = timedelta(hours=1)

Prove = Callable[[bytes], datetime | None]
"""Until when a certificate (DER) proves the principal; None if it does not."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One principal with its policy made ready. `conditional`: some rule is about some QoS, retain or shared only."""

    subject: RenderSubject
    policy: PrincipalPolicy
    conditional: bool

    @classmethod
    def of(cls, subject: RenderSubject) -> Judged:
        """The same, of a principal as brokers see it."""
        policy = PrincipalPolicy(subject.policy, subject.principal)
        return cls(subject, policy, any(map(_is_conditional, subject.policy)))


def judge(question: Question, judged: Judged, identity: Identity, *, prove: Prove, now: datetime) -> Judgement:
    """The judgement on what is asked about this principal, whose auth id is the question's username."""
    if why := _why_refused(question, judged, identity):
        return Judgement(why=why)
    if isinstance(question, Login):
        return _judge_login(question, identity, prove=prove, now=now)
    if isinstance(question, Presence):
        return Judgement(allowed=(True,))
    decided = tuple(judge_wish(wish, judged) for wish in question.wishes)
    return Judgement(allowed=tuple(isinstance(verdict, Allow) for _, verdict in decided), decided=decided)


_NO_PROOF = "No certificate was sent along, and the secret does not say that the broker requires one."


def _why_refused(question: Question, judged: Judged, identity: Identity) -> str:
    """Why, before certificate and policy are looked at; empty if nothing is wrong."""
    principal = judged.subject.principal
    if judged.subject.state is not Standing.ADMITTED:
        return "The device is not active, or no certificate of it is good."
    if question.client_id not in {None, principal.client_id}:
        return "The client id is not the device's."
    if not isinstance(question, Presence) and question.common_name not in {None, principal.auth_id}:
        return "The certificate's common name is not the username."
    by_name_alone = isinstance(question, Presence) or (isinstance(question, Acts) and question.by_name_alone)
    return _NO_PROOF if by_name_alone and identity is not Identity.CERTIFICATE else ""


def _judge_login(login: Login, identity: Identity, *, prove: Prove, now: datetime) -> Judgement:
    until = now + GRANT_LIFE
    if login.certificate is not None:
        proved_until = prove(login.certificate)
        if proved_until is None:
            return Judgement(why="The certificate does not prove the device.")
        return Judgement(allowed=(True,), until=min(until, proved_until))
    if login.with_password:
        return Judgement(why="A password proves nobody here.")
    if identity is not Identity.CERTIFICATE:
        return Judgement(why=_NO_PROOF)
    return Judgement(allowed=(True,), until=until)


def judge_wish(wish: Wish, judged: Judged) -> tuple[Request, Verdict]:
    """The policy's verdict, and on what: an allow only if it allows everything that the wish may be."""
    for request in _requests(wish, judged):
        verdict = judged.policy.evaluate(request)
        if isinstance(verdict, Deny):
            break
    return request, verdict


def _requests(wish: Wish, judged: Judged) -> Iterator[Request]:
    """What the wish may be, and of what no rule tells apart, one."""
    if wish.kind is WishKind.RECEIVE:
        yield Receive(topic=wish.topic)
        return
    every_qos = sorted(wish.qos) if judged.conditional else [min(wish.qos)]
    if wish.kind is WishKind.PUBLISH:
        retained = sorted(wish.retain) if judged.conditional else [min(wish.retain)]
        for qos, retain in product(every_qos, retained):
            yield Publish(topic=wish.topic, qos=qos, retain=retain)
        return
    groups = _groups(judged) if wish.any_group and judged.conditional else (wish.group,)
    for qos, group in product(every_qos, groups):
        yield Subscribe(topic=wish.topic, qos=qos, group=group)


def _groups(judged: Judged) -> tuple[str | None, ...]:
    """None, a group that no rule names, and each that one does."""
    named = {bound.rule.shared_group for bound in judged.policy.policy if bound.rule.shared_group}
    return (None, "", *sorted(named))


def _is_conditional(bound: BoundRule) -> bool:
    rule = bound.rule
    return rule.qos != EVERY_QOS or rule.retain is not Retain.ANY or rule.shared is not Shared.ANY
