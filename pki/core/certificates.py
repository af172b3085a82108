"""Building X.509 version 3 certificates from profiles (RFC 5280)."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from kernel.core.errors import Invalid
from pki.core.keys import SigningKey, key_identifier, signature_hash
from pki.core.profiles import KEY_USAGES, Profile
from pki.core.values import SerialNumber

BACKDATED = timedelta(minutes=5)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.IGNORECASE)


class BadName(Invalid):
    """A name can not stand in a certificate."""

    code = "certificate-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the subject is called: the profile's variables, and DNS names and IP addresses where it takes them."""

    variables: Mapping[str, str]
    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The issuer as its certificates name it. The URLs are empty for a root, which nobody looks up."""

    name: x509.Name
    key_id: bytes
    not_after: datetime
    ocsp_url: str = ""
    certificate_url: str = ""
    crl_url: str = ""


def new_serial() -> SerialNumber:
    """A serial number of 20 octets with 158 random bits: positive, and of one length (RFC 5280 4.1.2.2)."""
    return SerialNumber(1 << 158 | secrets.randbits(158))


def validity(profile: Profile, *, now: datetime, ends_by: datetime | None) -> tuple[datetime, datetime]:
    """notBefore and notAfter to the second: backdated five minutes, and never beyond the issuer's end."""
    not_before = (now - BACKDATED).replace(microsecond=0)
    not_after = (now + profile.validity).replace(microsecond=0)
    return not_before, min(not_after, ends_by) if ends_by else not_after


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
    """A builder that lacks only its signature; without `authority` the certificate is self-signed."""
    subject = _subject(profile, names)
    key_id = key_identifier(public_key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.name if authority else subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=profile.is_ca, path_length=profile.path_length), critical=True)
        .add_extension(key_usage_of(profile), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(key_id), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier(authority.key_id if authority else key_id, None, None), critical=False
        )
    )
    for extension in _optional_extensions(profile, names, authority):
        builder = builder.add_extension(extension, critical=False)
    return builder


def sign(builder: x509.CertificateBuilder, key: SigningKey) -> x509.Certificate:
    """The certificate."""
    return builder.sign(key, signature_hash(key))


def _subject(profile: Profile, names: Names) -> x509.Name:
    common_name = profile.subject(names.variables)
    if not common_name.isprintable():
        raise BadName("A common name has no control characters: leave them out.")
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    except ValueError as error:
        raise BadName(f"{common_name[:80]!r} can not be a common name, which has 1 to 64 characters.") from error


def key_usage_of(profile: Profile) -> x509.KeyUsage:
    """The key usage that the profile asks for."""
    return x509.KeyUsage(**{usage: usage in profile.key_usage for usage in KEY_USAGES})


def _optional_extensions(profile: Profile, names: Names, authority: Authority | None) -> list[x509.ExtensionType]:
    found: list[x509.ExtensionType] = []
    if alternatives := _alternative_names(profile, names):
        found.append(x509.SubjectAlternativeName(alternatives))
    if profile.extended_key_usage:
        found.append(x509.ExtendedKeyUsage(profile.extended_key_usage))
    if profile.ocsp_no_check:
        found.append(x509.OCSPNoCheck())
    if authority and authority.certificate_url:
        found.append(_access(profile, authority))
    if authority and authority.crl_url and not profile.ocsp_no_check:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(authority.crl_url)], None, None, None)
        found.append(x509.CRLDistributionPoints([point]))
    return found


def _access(profile: Profile, authority: Authority) -> x509.AuthorityInformationAccess:
    issuer = x509.AccessDescription(
        AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(authority.certificate_url)
    )
    if profile.ocsp_no_check:
        return x509.AuthorityInformationAccess([issuer])
    ocsp = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(authority.ocsp_url)
    )
    return x509.AuthorityInformationAccess([ocsp, issuer])


def _alternative_names(profile: Profile, names: Names) -> list[x509.GeneralName]:
    try:
        uris = [x509.UniformResourceIdentifier(uri) for uri in profile.uris(names.variables)]
    except ValueError as error:
        raise BadName("A name that goes into the certificate's URI has to be ASCII.") from error
    if not profile.takes_names:
        return [*uris]
    addresses = [*map(_dns_name, names.dns), *map(_ip_address, names.ip)]
    if not addresses:
        raise BadName(f"The profile {profile.name} needs at least one DNS name or IP address.")
    return [*uris, *addresses]


def _dns_name(name: str) -> x509.DNSName:
    if not _DNS_NAME.fullmatch(name):
        raise BadName(f"{name[:80]!r} is no DNS name: write letters, digits and hyphens, other scripts as xn--….")
    return x509.DNSName(name.lower())


def _ip_address(address: str) -> x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError as error:
        raise BadName(f"{address[:80]!r} is no IP address.") from error
