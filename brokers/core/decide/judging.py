"""Judging what a broker asks about one principal. Whatever is not plainly right is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import product
from typing import Protocol

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
from brokers.core.access.reasons import AccessReason
from brokers.core.decide.decisions import (
    EVERY_METHOD,
    Acts,
    Identity,
    Judgement,
    Login,
    Method,
    Password,
    Presence,
    Question,
    Wish,
    WishKind,
)
from brokers.core.emqx.compiler import compile_policy
from brokers.core.emqx.rule import document_of
from brokers.core.ports import RenderSubject, Standing
from brokers.core.rendering import Deviations

GRANT_LIFE = timedelta(hours=1)
RULES_LIFE = timedelta(minutes=10)


class Proofs(Protocol):
    """Until when something proves one principal, active as it is; None if it does not."""

    def certificate(self, der: bytes) -> datetime | None:
        """The same, of a certificate (DER)."""
        ...

    def token(self, text: str) -> datetime | None:
        """The same, of a signed token."""
        ...

    def password(self, text: str) -> datetime | None:
        """The same, of a password, which is not empty."""
        ...


@dataclass(frozen=True)
class Judged:
    """One principal with its policy made ready, which holds until `until` (None: until something happens).

    `conditional`: some rule is about some QoS, retain or shared only.
    """

    subject: RenderSubject
    policy: PrincipalPolicy
    conditional: bool
    until: datetime | None = None

    @classmethod
    def of(cls, subject: RenderSubject, *, until: datetime | None = None) -> Judged:
        """The same, of a principal as brokers see it."""
        policy = PrincipalPolicy(subject.policy, subject.principal)
        return cls(subject, policy, any(map(_is_conditional, subject.policy)), until)

    @cached_property
    def emqx_rules(self) -> bytes:
        """The rules by which EMQX judges topics by itself: a JSON array in UTF-8."""
        rules = [document_of(rule) for rule in compile_policy(self.subject, Deviations()).closed]
        return json.dumps(rules, separators=(",", ":"), ensure_ascii=False).encode()


def judge(
    question: Question,
    judged: Judged,
    identity: Identity,
    *,
    proofs: Proofs,
    methods: Sequence[Method] = EVERY_METHOD,
    now: datetime,
) -> Judgement:
    """The judgement on what is asked about this principal, whose auth id is the question's username.

    The first of `methods` of which a login has something decides alone.
    """
    if refused := _refused(question, judged, identity, methods):
        return refused
    if isinstance(question, Acts):
        decided = tuple([judge_wish(wish, judged) for wish in question.wishes])
        return Judgement(allowed=tuple([isinstance(verdict, Allow) for _, verdict in decided]), decided=decided)
    if isinstance(question, Presence):
        return Judgement(allowed=(True,))
    judgement = _judge_login(question, identity, proofs=proofs, methods=methods, now=now)
    return _with_rules(judgement, judged, now=now) if question.wants_rules else judgement


_NO_PROOF = Judgement(
    reason=AccessReason.BAD_CERTIFICATE,
    why="No certificate, token or password was sent along, and the secret does not say that the broker requires one.",
)
_BAD_PASSWORD = Judgement(reason=AccessReason.NOT_PROVED, why="The password is not the device's.")
_BAD_TOKEN = Judgement(reason=AccessReason.NOT_PROVED, why="The token does not prove the device.")
_NOT_TAKEN = Judgement(
    reason=AccessReason.NOT_PROVED, why="What came as the password is no proof that the broker's chain takes."
)
_NOT_ITS_OWN = Judgement(reason=AccessReason.BAD_CERTIFICATE, why="The certificate does not prove the device.")
_OTHER_NAME = Judgement(reason=AccessReason.WRONG_USERNAME, why="The certificate's common name is not the username.")
_OTHER_CLIENT_ID = Judgement(reason=AccessReason.WRONG_CLIENT_ID, why="The client id is not the device's.")
_NOT_ACTIVE = Judgement(
    reason=AccessReason.NOT_ACTIVE, why="The device is not active, or no certificate of it is good."
)


def _refused(question: Question, judged: Judged, identity: Identity, methods: Sequence[Method]) -> Judgement | None:
    """The refusal, before certificate and policy are looked at; None if nothing is wrong."""
    principal = judged.subject.principal
    if judged.subject.state is not Standing.ADMITTED:
        return _NOT_ACTIVE
    if question.client_id is not None and question.client_id != principal.client_id:
        return _OTHER_CLIENT_ID
    if isinstance(question, Presence):
        return None
    name = question.common_name
    if name is not None and name != principal.auth_id and _is_of_another(question, methods):
        return _OTHER_NAME
    by_name_alone = isinstance(question, Acts) and question.by_name_alone
    return _NO_PROOF if by_name_alone and identity is not Identity.CERTIFICATE else None


def _is_of_another(question: Login | Acts, methods: Sequence[Method]) -> bool:
    """Whether a common name that is not the auth id speaks against it: an empty one does not beside another proof."""
    if isinstance(question, Login):
        proved_without = question.password is not None
    else:
        proved_without = any(method is not Method.CERTIFICATE for method in methods)
    return question.common_name != "" or not proved_without


def _judge_login(
    login: Login, identity: Identity, *, proofs: Proofs, methods: Sequence[Method], now: datetime
) -> Judgement:
    """The first method of which there is something decides alone; if there is nothing, what the secret says."""
    for method in methods:
        if method is Method.CERTIFICATE and login.certificate is not None:
            return _let_in(proofs.certificate(login.certificate), now) or _NOT_ITS_OWN
        if login.password is not None and method is _method_of(login.password):
            return _judge_password(login.password, proofs, now)
    if login.password is not None:
        return _NOT_TAKEN
    believed = identity is Identity.CERTIFICATE and Method.CERTIFICATE in methods
    return _let_in(now + GRANT_LIFE if believed else None, now) or _NO_PROOF


def _method_of(password: Password) -> Method:
    return Method.TOKEN if password.is_token else Method.PASSWORD


def _judge_password(password: Password, proofs: Proofs, now: datetime) -> Judgement:
    if password.is_token:
        return _let_in(proofs.token(password.text), now) or _BAD_TOKEN
    return _let_in(proofs.password(password.text) if password.text else None, now) or _BAD_PASSWORD


def _let_in(until: datetime | None, now: datetime) -> Judgement | None:
    return Judgement(allowed=(True,), until=min(until, now + GRANT_LIFE)) if until else None


def _with_rules(judgement: Judgement, judged: Judged, *, now: datetime) -> Judgement:
    """The same with the rules for who is let in, until the policy may be another."""
    if judgement.until is None:
        return judgement
    bounds = [judgement.until, now + RULES_LIFE, *([judged.until] if judged.until else [])]
    return Judgement(allowed=judgement.allowed, until=min(bounds), rules=judged.emqx_rules)


def judge_wish(wish: Wish, judged: Judged) -> tuple[Request, Verdict]:
    """The policy's verdict, and on what: an allow only if it allows everything that the wish may be."""
    if wish.kind is WishKind.PUBLISH and not judged.conditional:  # so are most
        plain = Publish(topic=wish.topic, qos=min(wish.qos), retain=min(wish.retain))
        return plain, judged.policy.evaluate(plain)
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
