"""What a test asks of an adapter: a desired state, and to bring the broker to it."""

from __future__ import annotations

from brokers.core.ports import BrokerAdapter, DesiredState, RenderSubject


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
