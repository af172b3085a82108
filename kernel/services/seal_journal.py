"""Sealing the end of the journal anew, after the master key was replaced."""

from __future__ import annotations

from django.db import transaction

from kernel.conf import master_key
from kernel.core.errors import Conflict
from kernel.core.journal import SEAL_PURPOSE, seal
from kernel.models import JournalHead
from kernel.queries import seal_fits, seal_is_current


class SealBroken(Conflict):
    """The seal of the journal's end fits no master key that is known."""

    code = "journal-seal-broken"


def seal_journal() -> bool:
    """Whether the seal was under another master key; it is under the present one now. Raises SealBroken."""
    with transaction.atomic():
        head = JournalHead.objects.select_for_update().filter(id=1).first()
        if head is None or seal_is_current():
            return False
        if not seal_fits():
            raise SealBroken(
                "The journal's seal fits no master key that is set: run `manage.py journal verify`, and name the key "
                "that it was sealed with among GATEHOUSE_MASTER_KEY_PREVIOUS."
            )
        head.seal = seal(master_key().derive(SEAL_PURPOSE), seq=head.seq, digest=bytes(head.digest))
        head.save(update_fields=["seal"])
    return True
