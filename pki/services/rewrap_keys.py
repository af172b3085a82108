"""Bringing private keys under the present master key, in the database and in files of this machine."""

from __future__ import annotations

from kernel.core.errors import DomainError
from kernel.services.rewrap_envelopes import Rewrapped, rewrap_envelopes
from pki.adapters.encrypted import PURPOSE
from pki.core.values import Custody
from pki.models import Key
from pki.services.kept_keys import kept_of, place_of


def rewrap_keys() -> list[Rewrapped]:
    """What became of the keys of each custody that hangs on a master key. Not to be called in a transaction.

    A key file of another machine is named among those left: call this there.
    """
    in_rows = rewrap_envelopes(
        place="private keys",
        rows=Key.objects.filter(custody=Custody.ENCRYPTED),
        column="wrapped",
        purpose=PURPOSE,
        context=lambda row: str(row.id),
    )
    return [in_rows, _rewrap_files()]


def _rewrap_files() -> Rewrapped:
    done, left = 0, []
    for row in Key.objects.filter(custody=Custody.FILE).order_by("id"):
        try:
            done += place_of(Custody.FILE).rewrap(kept_of(row)) is not None
        except DomainError as error:
            left.append(f"key file {row.id}: {error.detail}")
    return Rewrapped(place="key files", done=done, left=tuple(left))
