"""What a CA may have below it, and how long that may last."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509

from kernel.core.errors import Conflict, Invalid
from kernel.core.ids import DomainId
from pki.core.paths import path_length_below
from pki.core.profile import Profile
from pki.core.values import IssuerId
from pki.models import Issuer
from pki.queries import find_profile
from pki.services.custody import check_in_time
from pki.services.signers import signer_for

_LONGEST = {"root": timedelta(days=9_132), "issuing-ca": timedelta(days=5_479)}  # 25 and 15 years


class EndOfPath(Conflict):
    """The issuer above may have no such CA below it."""

    code = "issuer-path-length"


class BadValidity(Invalid):
    """The issuer would be valid too short or too long."""

    code = "issuer-validity"


def issuer_above(parent: IssuerId, *, path_length: int | None, now: datetime) -> Issuer:
    """The CA that certifies one below `parent` with that path length, or the profile's if None.

    Raises what `create_issuing_ca` does.
    """
    above = signer_for(parent)
    if path_length is None:
        path_length = find_profile(domain=DomainId(above.domain_id), name="issuing-ca").path_length
    check_in_time(above, now=now)
    line: list[Issuer] = [above]
    while line[-1].parent is not None:
        line.append(line[-1].parent)
    left = path_length_below([x509.load_der_x509_certificate(bytes(row.der)) for row in line])
    if not _fits(path_length, left):
        sort = "without a limit of its path" if path_length is None else f"of path length {path_length}"
        raise EndOfPath(
            f"The issuer {above.slug} may have no CA {sort} below it: choose the root, or a smaller path length."
        )
    return above


def _fits(path_length: int | None, left: int | None) -> bool:
    """Whether a CA of that path length may stand where `left` levels are left; None is no limit."""
    if path_length is None:
        return left is None
    return path_length >= 0 and (left is None or path_length < left)


def ca_profile(above: Issuer, validity: timedelta | None, *, path_length: int | None, now: datetime) -> Profile:
    """The profile `issuing-ca` with that validity and path length, or its own where None. Raises BadValidity."""
    if validity is not None and now + validity > above.not_after:
        raise BadValidity(f"The issuer would outlive {above.slug}, which ends at {above.not_after}: ask for less.")
    profile = lasting("issuing-ca", validity, domain=DomainId(above.domain_id))
    return profile if path_length is None else replace(profile, path_length=path_length)


def lasting(name: str, validity: timedelta | None, *, domain: DomainId) -> Profile:
    """The domain's profile of a CA with that validity, or its own. Raises BadValidity."""
    profile = find_profile(domain=domain, name=name)
    if validity is None:
        return profile
    if not timedelta(days=1) <= validity <= _LONGEST[name]:
        raise BadValidity(f"An issuer of this kind is valid for 1 to {_LONGEST[name].days} days.")
    return replace(profile, validity=validity)
