"""Trying a profile: the certificate that it would make, signed by a key that is thrown away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes, CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pki.adapters.pkilint import is_installed, lint_with_pkilint
from pki.conf import issuer_url
from pki.core import certificates
from pki.core.certificate_text import FieldText, field_texts
from pki.core.certificates import Authority, Names, kind_fits
from pki.core.keys import SigningKey, generate_key, key_identifier
from pki.core.lint import lint_certificate
from pki.core.lint_findings import LintFinding
from pki.core.pem import encode_pem
from pki.core.profile import NO_EXPIRY, KeyFamily, Profile
from pki.core.samples import sample_names
from pki.core.values import IssuerId, KeyAlgorithm
from pki.models import Issuer
from pki.queries import UnknownIssuer
from pki.services.custody import authority_of

_SHARD_SHOWN = 0
_RSA_SIZES = (2_048, 3_072, 4_096, 8_192)
"""Of these alone are sample keys made, so that those that are kept bound the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A certificate that nobody may believe. `linters` are those that looked at it; a PEM ends in a newline."""

    certificate_pem: str
    variables: Mapping[str, str]
    fields: tuple[FieldText, ...]
    findings: tuple[LintFinding, ...]
    linters: tuple[str, ...]


def preview_certificate(
    *,
    issuer: IssuerId | None,
    profile: Profile,
    variables: Mapping[str, str] | None = None,
    names: Names | None = None,
    now: datetime,
) -> Preview:
    """What the profile would make; nothing is stored, and no key of ours signs.

    Variables that are missing are made up. Without `issuer` it is one that has no end and may issue anything; a root
    certifies itself. Raises UnknownIssuer, BadName, OutlivesIssuer, ProfileEnded.
    """
    shown = sample_names(profile, variables)
    if names is not None:
        variables = {**shown.variables, **names.variables}
        shown = replace(names, variables=variables, asked=names.asked or shown.asked)
    authority, algorithm = _issuer(issuer, profile)
    signer = _throw_away_key(algorithm)
    not_before, not_after = certificates.validity(profile, now=now, ends_by=authority.not_after if authority else None)
    builder = certificates.build(
        profile=profile,
        names=shown,
        authority=authority,
        public_key=signer.public_key() if authority is None else _subject_key(profile),
        serial=certificates.new_serial(),
        not_before=not_before,
        not_after=not_after,
    )
    certificate = certificates.sign(builder, signer)
    octets = certificate.public_bytes(Encoding.DER)
    findings = lint_certificate(certificate, profile=profile, authority=authority)
    return Preview(
        certificate_pem=encode_pem("CERTIFICATE", octets),
        variables=shown.variables,
        fields=field_texts(certificate),
        findings=(*findings, *(lint_with_pkilint(octets) if is_installed() else ())),
        linters=("gatehouse", "pkilint") if is_installed() else ("gatehouse",),
    )


def _issuer(id: IssuerId | None, profile: Profile) -> tuple[Authority | None, KeyAlgorithm]:
    if id is None:
        return (None if profile.name == "root" else _anybody()), _algorithm(profile)
    row = Issuer.objects.filter(id=id).first()
    if row is None:
        raise UnknownIssuer("There is no such issuer: list the issuers to see those there are.")
    known = row.key_algorithm in set(KeyAlgorithm)
    algorithm = KeyAlgorithm(row.key_algorithm) if known else KeyAlgorithm.ECDSA_P256
    return authority_of(row, shard=_SHARD_SHOWN if row.crl_shards > 1 else None), algorithm


def _anybody() -> Authority:
    """An issuer that there is not."""
    key = _throw_away_key(KeyAlgorithm.ECDSA_P256)
    return Authority(
        name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sample CA")]),
        key_id=key_identifier(key.public_key()),
        not_after=NO_EXPIRY,
        ocsp_url=issuer_url("sample-ca", "ocsp"),
        certificate_url=issuer_url("sample-ca", "cert"),
        crl_url=issuer_url("sample-ca", "crl"),
    )


def _algorithm(profile: Profile) -> KeyAlgorithm:
    """What a root of the profile could sign with."""
    return next((each for each in KeyAlgorithm if kind_fits(profile, each.value)), KeyAlgorithm.ECDSA_P256)


def _subject_key(profile: Profile) -> CertificatePublicKeyTypes:
    """A key that the profile accepts, and nobody has."""
    family = next(each for each in KeyFamily if each in profile.key_families)
    return _family_key(family, next(size for size in _RSA_SIZES if size >= profile.rsa_bits))


_MAKERS: Mapping[KeyFamily, Callable[[], CertificateIssuerPrivateKeyTypes]] = {
    KeyFamily.ECDSA_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
    KeyFamily.ECDSA_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
    KeyFamily.ECDSA_P521: lambda: ec.generate_private_key(ec.SECP521R1()),
    KeyFamily.ED25519: ed25519.Ed25519PrivateKey.generate,
    KeyFamily.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
    KeyFamily.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
    KeyFamily.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
}


@cache
def _family_key(family: KeyFamily, rsa_bits: int) -> CertificatePublicKeyTypes:
    """One key of a family for as long as the process lives; `rsa_bits` is one of `_RSA_SIZES`."""
    maker = _MAKERS.get(family, lambda: rsa.generate_private_key(65_537, rsa_bits))
    return maker().public_key()


@cache
def _throw_away_key(algorithm: KeyAlgorithm) -> SigningKey:
    return generate_key(algorithm)
