"""Building X.509 version 3 certificates from profiles (RFC 5280)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from kernel.core.errors import Conflict, Invalid
from pki.core.filling import AskedNames, Names, alternative_names_of, subject_of
from pki.core.key_kinds import kind_of
from pki.core.keys import SigningKey, key_identifier, signature_hash
from pki.core.names import BadName, subtree
from pki.core.profile import KEY_USAGES, BeyondIssuer, KeyFamily, Profile, Subtree
from pki.core.values import SerialNumber

__all__ = [
    "AskedNames", "Authority", "BadName", "Blank", "KeyNotAccepted", "Names", "OutlivesIssuer", "ProfileEnded", "build",
    "constraints_of", "key_usage_of", "kind_fits", "new_serial", "prepare", "sign", "subject_text", "validity",
]  # fmt: skip


class OutlivesIssuer(Conflict):
    """The certificate would end after its issuer."""

    code = "outlives-issuer"


class ProfileEnded(Conflict):
    """The end that the profile gives to certificates has passed."""

    code = "profile-ended"


class KeyNotAccepted(Invalid):
    """The profile is not for keys of this sort."""

    code = "key-not-accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The issuer as its certificates name it. The URLs are empty for a root, which nobody looks up.

    `path_length` is its own, None no limit; `constraints` are on the names below it: its own, and of those above.
    """

    name: x509.Name
    key_id: bytes
    not_after: datetime
    ocsp_url: str = ""
    certificate_url: str = ""
    crl_url: str = ""
    path_length: int | None = None
    constraints: tuple[x509.NameConstraints, ...] = ()


@dataclass(frozen=True, slots=True)
class Blank:
    """A certificate of a profile by an issuer, without what differs from holder to holder.

    To be made once for many: `own` are the extensions that are the same in each.
    """

    profile: Profile
    authority: Authority | None
    own: tuple[x509.Extension[x509.ExtensionType], ...]

    def fill(
        self,
        *,
        names: Names,
        public_key: CertificatePublicKeyTypes,
        serial: SerialNumber,
        not_before: datetime,
        not_after: datetime,
    ) -> x509.CertificateBuilder:
        """A builder that lacks only its signature; without an issuer the certificate is self-signed.

        Raises BadName, MissingVariable, KeyNotAccepted.
        """
        check_key_family(self.profile, public_key)
        subject = subject_of(self.profile, names.variables)
        key_id = key_identifier(public_key)
        extensions = [*self.own, _extension(x509.SubjectKeyIdentifier(key_id))]
        if self.authority is None:
            extensions.append(_extension(x509.AuthorityKeyIdentifier(key_id, None, None)))
        if alternatives := alternative_names_of(self.profile, names):
            extensions.append(
                _extension(x509.SubjectAlternativeName(alternatives), critical=not self.profile.subject_parts)
            )
        return (
            x509.CertificateBuilder(extensions=extensions)
            .subject_name(subject)
            .issuer_name(self.authority.name if self.authority else subject)
            .public_key(public_key)
            .serial_number(serial)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
        )


def prepare(*, profile: Profile, authority: Authority | None) -> Blank:
    """What every certificate of the profile by this issuer has in common; without `authority` for a root."""
    return Blank(profile, authority, (*_constant_extensions(profile, authority),))


def build(
    *,
    profile: Profile,
    names: Names,
    authority: Authority | None,
    public_key: CertificatePublicKeyTypes,
    serial: SerialNumber,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    """A builder that lacks only its signature; without `authority` the certificate is self-signed.

    Raises BadName, MissingVariable, KeyNotAccepted.
    """
    blank = prepare(profile=profile, authority=authority)
    return blank.fill(names=names, public_key=public_key, serial=serial, not_before=not_before, not_after=not_after)


def sign(builder: x509.CertificateBuilder, key: SigningKey) -> x509.Certificate:
    """The certificate."""
    return builder.sign(key, signature_hash(key))


def new_serial() -> SerialNumber:
    """A serial number of 20 octets with 158 random bits: positive, and of one length (RFC 5280 4.1.2.2)."""
    return SerialNumber(1 << 158 | secrets.randbits(158))


def validity(profile: Profile, *, now: datetime, ends_by: datetime | None) -> tuple[datetime, datetime]:
    """notBefore and notAfter to the second, as the profile says; `ends_by` is the issuer's end.

    Raises OutlivesIssuer, ProfileEnded.
    """
    start = now.replace(microsecond=0)
    end = start + profile.validity if isinstance(profile.validity, timedelta) else profile.validity
    if end <= now:
        raise ProfileEnded(f"The profile {profile.name} ends at {end:%Y-%m-%d %H:%M:%S}: save one that ends later.")
    if ends_by is not None and end > ends_by and profile.issuer_limits is not BeyondIssuer.ALLOW:
        if profile.issuer_limits is BeyondIssuer.REFUSE:
            raise OutlivesIssuer(f"The certificate would outlive its issuer, which ends at {ends_by:%Y-%m-%d}.")
        end = ends_by
    return start - profile.backdate, end


def constraints_of(issuer: x509.Certificate) -> x509.NameConstraints | None:
    """Which names may stand in what an issuer signs (4.2.1.10)."""
    try:
        return issuer.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def subject_text(name: x509.Name) -> str:
    """The name as RFC 4514 writes it: the last attribute first, with the short names of the profiles."""
    return name.rfc4514_string({x509.NameOID.SERIAL_NUMBER: "serialNumber", x509.NameOID.TITLE: "title"})


def check_key_family(profile: Profile, public_key: PublicKeyTypes) -> None:
    """Raises KeyNotAccepted unless the profile is for keys of this sort and size."""
    kind = kind_of(public_key)
    if not kind_fits(profile, kind):
        words = [f"rsa of {profile.rsa_bits} bits" if each is KeyFamily.RSA else each for each in profile.key_families]
        raise KeyNotAccepted(f"The profile {profile.name} takes no {kind} key: use {', '.join(sorted(words))}.")


def kind_fits(profile: Profile, kind: str) -> bool:
    """Whether the profile is for keys of a kind, such as `rsa-3072`."""
    family, _, bits = kind.partition("-")
    if family == KeyFamily.RSA:
        return KeyFamily.RSA in profile.key_families and int(bits) >= profile.rsa_bits
    return kind in profile.key_families


def key_usage_of(profile: Profile) -> x509.KeyUsage:
    """The key usage that the profile asks for."""
    return x509.KeyUsage(**{usage: usage in profile.key_usage for usage in KEY_USAGES})


def _extension(value: x509.ExtensionType, *, critical: bool = False) -> x509.Extension[x509.ExtensionType]:
    return x509.Extension(value.oid, critical, value)


def _constant_extensions(profile: Profile, authority: Authority | None) -> Iterator[x509.Extension[x509.ExtensionType]]:
    yield _extension(x509.BasicConstraints(ca=profile.is_ca, path_length=profile.path_length), critical=True)
    yield _extension(key_usage_of(profile), critical=True)
    if authority:
        yield _extension(x509.AuthorityKeyIdentifier(authority.key_id, None, None))
    if profile.extended_key_usage:
        is_stamp = ExtendedKeyUsageOID.TIME_STAMPING in profile.extended_key_usage  # RFC 3161 2.3
        yield _extension(x509.ExtendedKeyUsage(profile.extended_key_usage), critical=is_stamp)
    if profile.policies:
        yield _extension(
            x509.CertificatePolicies(
                [
                    x509.PolicyInformation(policy.oid, [policy.cps] if policy.cps else None)
                    for policy in profile.policies
                ]
            )
        )
    if profile.permitted_names or profile.excluded_names:
        constraints = x509.NameConstraints(subtrees_of(profile.permitted_names), subtrees_of(profile.excluded_names))
        yield _extension(constraints, critical=True)
    if profile.ocsp_no_check:
        yield _extension(x509.OCSPNoCheck())
    yield from _pointers(profile, authority)


def subtrees_of(trees: tuple[Subtree, ...]) -> list[x509.GeneralName] | None:
    """The bases of name constraints, or None if there are none."""
    return [subtree(tree.kind, tree.value) for tree in trees] or None


def _pointers(profile: Profile, authority: Authority | None) -> Iterator[x509.Extension[x509.ExtensionType]]:
    """Where to ask for status, issuer and CRL, as far as the profile wants it and the issuer has it."""
    if authority is None:
        return
    access = []
    if profile.names_ocsp and authority.ocsp_url:
        access.append((AuthorityInformationAccessOID.OCSP, authority.ocsp_url))
    if profile.names_issuer and authority.certificate_url:
        access.append((AuthorityInformationAccessOID.CA_ISSUERS, authority.certificate_url))
    if access:
        yield _extension(
            x509.AuthorityInformationAccess(
                [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in access]
            )
        )
    if profile.names_crl and authority.crl_url:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(authority.crl_url)], None, None, None)
        yield _extension(x509.CRLDistributionPoints([point]))
