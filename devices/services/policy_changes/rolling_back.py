"""Taking an applied change back as a whole: a new change whose document is the policy from before."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from devices.core.policy_changes import ChangeState, PolicyChange, PolicyChangeId
from devices.core.policy_kept import from_kept, to_kept
from devices.core.policy_merge import merge
from devices.queries.policy import policy_document
from devices.services.policy_changes.drafting import MOST_TITLE, new_row
from devices.services.policy_changes.rows import locked_change, record_change, write_document
from kernel.core.actor import Actor
from kernel.core.ids import DomainId


def roll_back_change(
    *, change: PolicyChangeId, expected_version: int | None = None, actor: Actor, now: datetime
) -> PolicyChange:
    """A new draft that takes the applied change back, and leaves alone what others changed since.

    Where both touched the same, the draft is left to be rebased: its conflicts are shown, and nothing is overwritten.
    Raises PolicyChangeNotFound, ChangeMoved, and WrongChangeState unless the change is applied.
    """
    with transaction.atomic():
        done, _ = locked_change(change, expected_version=expected_version, among={ChangeState.APPLIED})
        after, before = from_kept(done.document), from_kept(done.base)
        present = policy_document(domain=DomainId(done.domain_id))
        title = f"Roll back {done.number}: {done.title}"[:MOST_TITLE]
        row = new_row(DomainId(done.domain_id), title=title, base=after, now=now)
        row.rolls_back_id = done.id
        merged = merge(base=after, present=present, draft=before)
        if merged.is_clean:
            row.base = to_kept(present)
        write_document(row, merged.document if merged.is_clean else before, actor=actor)
        row.save(force_insert=True)
        record_change("devices.policy_change.drafted", row, actor=actor, now=now, more={"rolls_back": str(done.id)})
    return row.as_value()
