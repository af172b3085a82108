"""What a test asks of an adapter: a desired state, and to bring the broker to it."""

from __future__ import annotations

from brokers.core.ports import BrokerAdapter, DesiredState, RenderSubject
from brokers.core.taken_names import due, refusal


def all_of(*subjects: RenderSubject) -> DesiredState:
    """These, and nobody else."""
    return DesiredState(subjects=subjects)


def only(one: RenderSubject) -> DesiredState:
    """This one, whatever the others are."""
    return DesiredState(subjects=(one,), only=frozenset({one.principal.auth_id}))


def bring_to(adapter: BrokerAdapter, desired: DesiredState) -> list[tuple[str, str]]:
    """Kind and target of the steps that it took; afterwards nothing is left to do."""
    steps = adapter.plan(desired, adapter.read(only=desired.only))
    adapter.apply(steps, between=lambda: None)
    assert adapter.plan(desired, adapter.read(only=desired.only)) == ()
    return [(step.kind, step.target) for step in steps]


def bring_what_is_due(adapter: BrokerAdapter, desired: DesiredState) -> str:
    """Why the rest is refused: names that are somebody else's. Afterwards nothing else is left to do."""
    planned = adapter.plan(desired, adapter.read(only=desired.only))
    adapter.apply(due(planned), between=lambda: None)
    left = adapter.plan(desired, adapter.read(only=desired.only))
    assert due(left) == ()
    refused = refusal(left)
    assert refused is not None
    return refused.detail
