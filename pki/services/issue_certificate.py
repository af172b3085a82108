"""Issuing an end entity's certificate, write-ahead: a crash leaves a row to revoke, never an unrecorded certificate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from kernel.core.actor import Actor
from kernel.core.errors import Invalid
from kernel.core.ids import DomainId
from pki.core.certificates import Names
from pki.core.csr import CsrFacts, inspect_csr
from pki.core.keys import SigningKey, generate_key
from pki.core.profile import Profile
from pki.core.values import IssuedCertificate, IssuerId, KeyAlgorithm
from pki.models import Certificate, Issuer
from pki.queries.profiles import find_profile
from pki.services.custody import check_in_time, signing_key
from pki.services.draft_certificate import BadHolder, draft_certificate
from pki.services.signers import signer_for
from pki.services.write_ahead import KeyInUse, MissignedError, check_octets, sign_drafts

__all__ = [
    "BadHolder", "KeyInUse", "MissignedError", "NotToBeAskedFor", "check_signed", "issue_certificate", "issue_for_key",
    "profile_to_ask_for", "throw_away_key",
]  # fmt: skip


class NotToBeAskedFor(Invalid):
    """Certificates of the profile speak for the CA itself."""

    code = "profile-not-for-requests"


def issue_certificate(
    *,
    issuer: IssuerId,
    profile: str,
    csr: bytes,
    holder: str,
    variables: Mapping[str, str],
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
    emails: Sequence[str] = (),
    uris: Sequence[str] = (),
    actor: Actor,
    now: datetime,
) -> IssuedCertificate:
    """A certificate for the key of `csr` (PEM or DER). Not to be called in a transaction: it signs between two.

    If the issuer was rolled over, its newest successor signs. If no names are given, those that the request asks for
    count, as far as the profile takes them. Raises UnknownIssuer, NotIssuing, IssuerEnded, KeyElsewhere,
    UnknownProfile, NotToBeAskedFor, MalformedCsr, BadCsrSignature, WeakKey, KeyNotAccepted, BadHolder, KeyInUse,
    BadName, MissingVariable, OutlivesIssuer, ProfileEnded, LintFailure.
    """
    signer = signer_for(issuer)
    facts = inspect_csr(csr)
    chosen = Names(
        variables=variables,
        dns=tuple(dns_names),
        ip=tuple(ip_addresses),
        email=tuple(emails),
        uri=tuple(uris),
        asked=facts.asked,
    )
    return issue_for_key(
        issuer=signer,
        profile=profile_to_ask_for(DomainId(signer.domain_id), profile),
        facts=facts,
        names=chosen,
        holder=holder,
        actor=actor,
        now=now,
    ).as_value()


def profile_to_ask_for(domain: DomainId, name: str) -> Profile:
    """The domain's profile, if it is for those who ask. Raises UnknownProfile, NotToBeAskedFor."""
    profile = find_profile(domain=domain, name=name)
    if profile.signs_for_issuer:
        raise NotToBeAskedFor(f"Certificates of the profile {name} speak for the CA: nobody gets one by asking.")
    return profile


def issue_for_key(
    *, issuer: Issuer, profile: Profile, facts: CsrFacts, names: Names, holder: str, actor: Actor, now: datetime
) -> Certificate:
    """The row of a certificate for a key that was checked. Not to be called in a transaction.

    Raises what `issue_certificate` does once it has the issuer and the profile.
    """
    check_in_time(issuer, now=now)
    key = signing_key(issuer)
    draft = draft_certificate(issuer=issuer, profile=profile, facts=facts, names=names, holder=holder, key=key, now=now)
    faults = sign_drafts([draft], key=key, actor=actor, now=now)
    for fault in faults.values():
        raise fault
    return draft.row


_throw_away: dict[KeyAlgorithm, SigningKey] = {}


def throw_away_key(algorithm: KeyAlgorithm) -> SigningKey:
    """A key that signs nothing but what is linted and thrown away; made once a process."""
    if algorithm not in _throw_away:
        _throw_away[algorithm] = generate_key(algorithm)
    return _throw_away[algorithm]


def check_signed(certificate: x509.Certificate, *, linted: x509.Certificate, issuer: x509.Certificate) -> None:
    """Reads it back: to the octet what was linted, and by the issuer's key. Raises MissignedError."""
    check_octets(certificate.public_bytes(Encoding.DER), to_be_signed=linted.tbs_certificate_bytes, issuer=issuer)
