"""Reading how far a bulk issuance has come, and what became of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from kernel.core.errors import NotFound
from kernel.core.ids import EntryId
from kernel.core.journal import StepState
from kernel.queries import find_operation
from pki.adapters.issuance_folder import IssuanceFolder


class UnknownIssuance(NotFound):
    """There is no such bulk issuance."""

    code = "issuance-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuanceProgress:
    """How many parts of a bulk issuance are done, and what those that failed said."""

    state: StepState
    parts: int
    done: int
    faults: tuple[str, ...]


def issuance_progress(*, operation: EntryId) -> IssuanceProgress:
    """How far it has come. Raises UnknownIssuance."""
    found = find_operation(operation=operation)
    if found is None or found.action != "pki.issuance.ordered":
        raise UnknownIssuance("There is no such bulk issuance: the command that orders one prints its operation.")
    failed = [step for step in found.steps if step.state is StepState.FAILED]
    return IssuanceProgress(
        state=found.state,
        parts=len(found.steps),
        done=sum(step.state is StepState.DONE for step in found.steps),
        faults=tuple(f"{step.target}: {step.detail}" for step in failed),
    )


def issuance_results(*, id: UUID, parts: int) -> Iterator[str]:
    """What became of the rows, one JSON object a line, in their order, as far as whole parts are done."""
    return IssuanceFolder(id).all_results(parts)
