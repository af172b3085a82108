"""What is to be signed for a key, linted, with the row that is written ahead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from kernel.core.errors import Invalid
from kernel.core.ids import new_id
from pki.conf import base_url
from pki.core import certificates, lint
from pki.core.bounded_cache import BoundedCache
from pki.core.certificates import Names
from pki.core.csr import CsrFacts
from pki.core.key_kinds import kind_of
from pki.core.keys import SigningKey, algorithm_identifier
from pki.core.profile import Profile
from pki.core.to_be_signed import Form, make_form
from pki.core.values import CertificateState, serial_hex
from pki.models import Certificate, Issuer
from pki.services.custody import authority_of
from pki.services.write_ahead import Draft

HOLDER_CHARACTERS = 64
_SUBJECT_CHARACTERS = 255


class BadHolder(Invalid):
    """The holder has no name that can be kept."""

    code = "certificate-holder"


def draft_certificate(
    *,
    issuer: Issuer,
    profile: Profile,
    facts: CsrFacts,
    names: Names,
    holder: str,
    key: SigningKey,
    now: datetime,
) -> Draft:
    """The draft; `key` is the issuer's, and signs nothing yet. It is linted with a signature that nobody believes.

    Raises BadHolder, BadName, MissingVariable, KeyNotAccepted, OutlivesIssuer, ProfileEnded, LintFailure.
    """
    if not 1 <= len(holder) <= HOLDER_CHARACTERS or not holder.isprintable():
        raise BadHolder(f"A holder is named by 1 to {HOLDER_CHARACTERS} printable characters, such as service:billing.")
    serial = certificates.new_serial()
    shard = serial % issuer.crl_shards if issuer.crl_shards > 1 else None
    line = _line_of(issuer, profile, shard, key)
    not_before, not_after = certificates.validity(profile, now=now, ends_by=issuer.not_after)
    to_be_signed = line.form.fill(
        names=names, public_key=facts.public_key, serial=serial, not_before=not_before, not_after=not_after
    )
    linted = line.form.unsigned(to_be_signed)
    lint.check(linted, profile=profile, authority=line.form.authority)
    row = Certificate(
        id=new_id(),
        domain_id=issuer.domain_id,
        issuer=issuer,
        serial=serial_hex(linted.serial_number),
        holder=holder,
        profile=profile.name,
        profile_version=profile.version,
        shard=shard,
        state=CertificateState.REQUESTED,
        subject=certificates.subject_text(linted.subject)[:_SUBJECT_CHARACTERS],
        public_key_sha256=facts.public_key_sha256,
        key_kind=kind_of(facts.public_key),
        not_before=linted.not_valid_before_utc,
        not_after=linted.not_valid_after_utc,
        requested_at=now,
    )
    return Draft(row, to_be_signed, line.issuer)


@dataclass(frozen=True, slots=True)
class _Line:
    """What all certificates of a profile by an issuer, in one shard, have in common."""

    form: Form
    issuer: x509.Certificate


_lines: BoundedCache[object, _Line] = BoundedCache(2048)
"""By all that goes into a line, so that nothing in it can be out of date."""


def _line_of(issuer: Issuer, profile: Profile, shard: int | None, key: SigningKey) -> _Line:
    der = bytes(issuer.der)
    place = (der, issuer.slug, base_url(), shard, profile)
    known = _lines.get(place)
    if known is None:
        authority = authority_of(issuer, shard=shard)
        form = make_form(profile=profile, authority=authority, algorithm=algorithm_identifier(key))
        known = _Line(form, x509.load_der_x509_certificate(der))
        _lines.put(place, known)
    return known
