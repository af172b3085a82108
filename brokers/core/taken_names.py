"""Devices whose name at a broker is somebody else's: each of them waits alone, and all others get their policy.

An adapter's `plan` raises nothing for such a name. It plans the rest as if those devices were barred (`turned_away`),
or had no account where only its owner can bar one, and ends with a step of `taken` for each of them. `apply` is never
given those: services make what is `due`, and then raise the `refusal`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from brokers.core.ports import DesiredState, Standing, Step
from kernel.core.errors import Conflict

_TAKEN = "account-taken"


class AccountTaken(Conflict):
    """The broker has an account of a device's name, or one that it takes for it, which Gatehouse did not make."""

    code = _TAKEN


def taken(name: str, why: str) -> Step:
    """The step that says why nothing is granted to that account; `why` are sentences that say what to do."""
    return Step(kind=_TAKEN, target=name, summary=why)


def due(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The changes that can be made: all but those of `taken`."""
    return tuple(step for step in steps if step.kind != _TAKEN)


def refusal(steps: Sequence[Step]) -> AccountTaken | None:
    """What to raise once the rest is made: the first of `taken` and how many there are; None without any."""
    found = [step.summary for step in steps if step.kind == _TAKEN]
    if not found:
        return None
    return AccountTaken(found[0] + (f" There are {len(found)} names like that." if len(found) > 1 else ""))


def turned_away(desired: DesiredState, names: Collection[str], *, state: Standing) -> DesiredState:
    """The same, where whoever of these (auth ids) is admitted is barred or absent instead, as `state` says."""
    subjects = tuple(
        replace(subject, state=state, policy=(), password=None)
        if subject.principal.auth_id in names and subject.state is Standing.ADMITTED
        else subject
        for subject in desired.subjects
    )
    return replace(desired, subjects=subjects)
