"""Certificates for CAs that have a name and a key already: cross-certificates (RFC 5280 3.2, RFC 9810 4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from pki.core.certificates import Authority, new_serial, prepare
from pki.core.lint import LintFailure
from pki.core.profile import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedKey:
    """A CA as others certify it: exactly its name, its key and what it calls the key."""

    name: x509.Name
    public_key: CertificatePublicKeyTypes
    key_id: bytes


def build_for(
    subject: NamedKey, *, profile: Profile, authority: Authority, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    """A builder that lacks only its signature; from the profile are usages, path length and pointers."""
    own = x509.SubjectKeyIdentifier(subject.key_id)
    extensions = [*prepare(profile=profile, authority=authority).own, x509.Extension(own.oid, False, own)]  # noqa: FBT003
    return (
        x509.CertificateBuilder(extensions=extensions)
        .subject_name(subject.name)
        .issuer_name(authority.name)
        .public_key(subject.public_key)
        .serial_number(new_serial())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def check_built(certificate: x509.Certificate, *, subject: NamedKey, profile: Profile, authority: Authority) -> None:
    """Raises LintFailure with everything that is wrong with a certificate made by `build_for`."""
    if findings := [*_findings(certificate, subject, profile, authority)]:
        raise LintFailure("The certificate was not signed, since it would be wrong: " + "; ".join(findings) + ".")


def _findings(
    certificate: x509.Certificate, subject: NamedKey, profile: Profile, authority: Authority
) -> Iterator[str]:
    found = {each.oid: each for each in certificate.extensions}
    if certificate.subject.public_bytes() != subject.name.public_bytes():
        yield "its subject is not named as the CA names itself (4.1.2.6)"
    if certificate.issuer.public_bytes() != authority.name.public_bytes():
        yield "its issuer is not named as the issuer names itself (4.1.2.4)"
    if certificate.not_valid_before_utc >= certificate.not_valid_after_utc:
        yield "it ends before it begins (4.1.2.5)"
    if certificate.not_valid_after_utc > authority.not_after:
        yield "it outlives its issuer"
    expected: dict[type[x509.ExtensionType], x509.ExtensionType] = {
        x509.BasicConstraints: x509.BasicConstraints(ca=True, path_length=profile.path_length),
        x509.SubjectKeyIdentifier: x509.SubjectKeyIdentifier(subject.key_id),
        x509.AuthorityKeyIdentifier: x509.AuthorityKeyIdentifier(authority.key_id, None, None),
    }
    for kind, value in expected.items():
        if kind.oid not in found or found[kind.oid].value != value:
            yield f"its extension {kind.oid.dotted_string} is not what it should be"
