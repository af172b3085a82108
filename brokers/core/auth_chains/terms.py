"""What a broker asks, understood by its authentication chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from brokers.core.access.reasons import AccessReason
from brokers.core.auth_chains.chain import AuthChain, Told, Walked, walk
from brokers.core.auth_chains.flow import Flow, flow_of
from brokers.core.decide.decisions import Identity, Judgement, Login, Method, Presence, Question
from brokers.core.decide.snippets import TELLS_NAME, Dialect
from pki.core.bounded_cache import BoundedCache

MOST_KEPT = 10_000
_LONGEST_KEPT = 512


class AuthTerms:
    """One chain made ready; thread-safe. The steps after a login are gone through once for each client."""

    def __init__(self, chain: AuthChain) -> None:
        self.methods: Sequence[Method] = chain.methods
        self._steps = chain.steps
        self._flows: Mapping[bool, Flow] = {each: flow_of(chain, tells_name=each) for each in (False, True)}
        self._kept: BoundedCache[Told, Walked] = BoundedCache(MOST_KEPT)

    def understand(
        self, question: Question, identity: Identity, *, dialect: Dialect
    ) -> tuple[Question, Identity] | Judgement:
        """The question with whom it is about, and what the broker's word on names is worth; or the refusal."""
        if not self._steps:
            return question, identity
        tells_name = dialect in TELLS_NAME
        flow = self._flows[tells_name]
        if flow.login_alone:
            return _refusal(f"Step {flow.login_alone} of the authentication chain needs what comes with logins alone.")
        walked = self._walk(question, flow, tells_name=tells_name)
        if walked.refused:
            return _refusal(walked.refused)
        named = question._replace(username=walked.username, client_id=walked.client_id)
        if flow.from_name and not isinstance(named, Presence) and named.common_name:
            named = named._replace(common_name=None)  # it has been made use of, and need not be the name itself
        return named, identity if flow.exact else Identity.SHOWN

    def _walk(self, question: Question, flow: Flow, *, tells_name: bool) -> Walked:
        name = None if isinstance(question, Presence) else question.common_name
        told = Told(username=question.username, client_id=question.client_id, common_name=name, tells_name=tells_name)
        untold = flow.of_client if question.client_id is None and not flow.from_client else frozenset()
        if isinstance(question, Login):
            return walk(self._steps, replace(told, certificate=question.certificate), without=untold)
        walked = self._kept.get(told)
        if walked is None:
            walked = walk(self._steps, told, without=untold | flow.of_login)
            if len(told.username) + len(told.client_id or "") + len(name or "") <= _LONGEST_KEPT:
                self._kept.put(told, walked)
        return walked


def _refusal(why: str) -> Judgement:
    return Judgement(reason=AccessReason.NOT_PROVED, why=why)
