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
from brokers.core.access_reasons import AccessReason
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
    if refused := _refused(question, judged, identity):
        return refused
    if isinstance(question, Login):
        return _judge_login(question, identity, prove=prove, now=now)
    if isinstance(question, Presence):
        return Judgement(allowed=(True,))
    decided = tuple(judge_wish(wish, judged) for wish in question.wishes)
    return Judgement(allowed=tuple(isinstance(verdict, Allow) for _, verdict in decided), decided=decided)


_NO_PROOF = Judgement(
    reason=AccessReason.BAD_CERTIFICATE,
    why="No certificate was sent along, and the secret does not say that the broker requires one.",
)
_PASSWORD = Judgement(reason=AccessReason.NOT_AUTHORISED, why="A password proves nobody here.")
_NOT_ITS_OWN = Judgement(reason=AccessReason.BAD_CERTIFICATE, why="The certificate does not prove the device.")
_OTHER_NAME = Judgement(reason=AccessReason.WRONG_USERNAME, why="The certificate's common name is not the username.")
_OTHER_CLIENT_ID = Judgement(reason=AccessReason.WRONG_CLIENT_ID, why="The client id is not the device's.")
_NOT_ACTIVE = Judgement(
    reason=AccessReason.NOT_ACTIVE, why="The device is not active, or no certificate of it is good."
)


def _refused(question: Question, judged: Judged, identity: Identity) -> Judgement | None:
    """The refusal, before certificate and policy are looked at; None if nothing is wrong."""
    principal = judged.subject.principal
    if judged.subject.state is not Standing.ADMITTED:
        return _NOT_ACTIVE
    if question.client_id not in {None, principal.client_id}:
        return _OTHER_CLIENT_ID
    if not isinstance(question, Presence) and question.common_name not in {None, principal.auth_id}:
        return _OTHER_NAME
    by_name_alone = isinstance(question, Presence) or (isinstance(question, Acts) and question.by_name_alone)
    return _NO_PROOF if by_name_alone and identity is not Identity.CERTIFICATE else None


def _judge_login(login: Login, identity: Identity, *, prove: Prove, now: datetime) -> Judgement:
    until = now + GRANT_LIFE
    if login.certificate is not None:
        proved_until = prove(login.certificate)
        return Judgement(allowed=(True,), until=min(until, proved_until)) if proved_until else _NOT_ITS_OWN
    if login.with_password:
        return _PASSWORD
    return Judgement(allowed=(True,), until=until) if identity is Identity.CERTIFICATE else _NO_PROOF


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
