"""A broker that stores nothing of ours and asks over HTTP (brokers/api/decide_wsgi.py): it is never contacted.

So it always holds the policy, and nobody here can close a session of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from acl.core.values import Principal, Request
from brokers.adapters.policy_alone import PolicyAlone
from brokers.core import asking
from brokers.core.decide.snippets import Dialect
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, PasswordRoom, Rendering, Step
from brokers.core.values import BrokerLink
from kernel.core.errors import FieldError


class HttpDecisionsAdapter(PolicyAlone):
    """Contacts nobody.

    Its listeners have to learn of revocations by themselves.
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        stores_policy=False, protocol_versions=("3.1.1", "5"), limits=asking.LIMITS, passwords=PasswordRoom.ALL
    )

    def __init__(self, *, link: BrokerLink) -> None:
        self._dialect = Dialect(link.connection["dialect"])

    def capabilities_here(self) -> Capabilities:
        """With the limits of its dialect."""
        return replace(super().capabilities_here(), limits=asking.limits_of(self._dialect))

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return asking.connection_errors(connection)

    def render(self, desired: DesiredState) -> Rendering:
        """By what it is answered."""
        return asking.render(desired.subjects, self._dialect)

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """Nothing."""
        return AppliedState(artifact="", only=only)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """Nothing."""
        del desired, applied
        return ()

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Nothing."""
        del desired, applied
        return Effect()

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Nothing is ever to be done."""
        del steps, between

    def disconnect(self, principal: Principal) -> None:
        """It can not be told to."""

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether it would be told to allow the request."""
        return asking.allows(rendering.artifact, principal, request, self._dialect)
