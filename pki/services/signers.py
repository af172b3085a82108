"""Who signs when an issuer is named: itself, or after a rollover the one that took its place."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from kernel.core.errors import Conflict
from pki.core.values import IssuerId, IssuerKind, IssuerState
from pki.models import Issuer
from pki.queries.issuers import ISSUERS, UnknownIssuer, is_gone, is_issuer_revoked, newest_successor


class NotIssuing(Conflict):
    """The issuer signs no certificates any more, or never did."""

    code = "issuer-not-issuing"


def check_not_retired(issuers: Collection[UUID]) -> None:
    """To be called once rows that name the issuers are written: who retires one waits for such rows, and sees them.

    Raises NotIssuing.
    """
    gone = Issuer.objects.filter(id__in=issuers, state=IssuerState.RETIRED).values_list("slug", flat=True).first()
    if gone:
        raise NotIssuing(f"The issuer {gone} was retired at this moment: name another, or create one.")


def signer_for(issuer: IssuerId) -> Issuer:
    """The row of the CA that signs for the issuer, with those above it. Raises UnknownIssuer, NotIssuing."""
    row = next(iter(ISSUERS.filter(id=issuer)), None)
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    row = newest_successor(row)
    if row.kind == IssuerKind.TRUSTED:
        raise NotIssuing(f"{row.slug} is another's CA that is only believed: name an issuer of your own.")
    if is_gone(row):
        raise NotIssuing(f"The issuer {row.slug}, or one above it, is {row.state}: name another, or create one.")
    if is_issuer_revoked(row):
        raise NotIssuing(
            f"The certificate of {row.slug}, or of one above it, is revoked or on hold, so nobody would believe what "
            "it signs: name another issuer, or release the certificate."
        )
    return row
