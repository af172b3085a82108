"""Names as certificates hold them: subjects and alternative names, each checked against its alphabet and bounds."""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import NameOID

from kernel.core.errors import Invalid
from pki.core import der
from pki.core.profile import Attribute, NameKind

HARDWARE_MODULE_NAME = ObjectIdentifier("1.3.6.1.5.5.7.8.4")  # RFC 4108 5
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z)(?:\*\.)?{_HOST}", re.IGNORECASE)
_EMAIL = re.compile(rf"(?=.{{3,254}}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@{_HOST}", re.IGNORECASE)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_LONGEST_URI = 1_024
_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,\-./:=?]*")
_COUNTRY = re.compile(r"[A-Z]{2}")

# The library counts a name's octets where RFC 5280 A.1 counts characters, and says so of certificates that it reads.
warnings.filterwarnings("ignore", message="Attribute's length must be", category=UserWarning)


class BadName(Invalid):
    """A name can not stand in a certificate."""

    code = "certificate-name"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRule:
    """What an attribute may hold: 1 to `longest` characters; `is_printable` if of PrintableString's alphabet only."""

    oid: ObjectIdentifier
    words: str
    longest: int
    is_printable: bool = False


ATTRIBUTES: Mapping[Attribute, AttributeRule] = {
    Attribute.COMMON_NAME: AttributeRule(oid=NameOID.COMMON_NAME, words="common name", longest=64),
    Attribute.ORGANIZATION: AttributeRule(oid=NameOID.ORGANIZATION_NAME, words="organization", longest=64),
    Attribute.ORGANIZATIONAL_UNIT: AttributeRule(
        oid=NameOID.ORGANIZATIONAL_UNIT_NAME, words="organizational unit", longest=64
    ),
    Attribute.COUNTRY: AttributeRule(oid=NameOID.COUNTRY_NAME, words="country", longest=2, is_printable=True),
    Attribute.LOCALITY: AttributeRule(oid=NameOID.LOCALITY_NAME, words="locality", longest=128),
    Attribute.STATE: AttributeRule(oid=NameOID.STATE_OR_PROVINCE_NAME, words="state or province", longest=128),
    Attribute.SERIAL_NUMBER: AttributeRule(
        oid=NameOID.SERIAL_NUMBER, words="serial number", longest=64, is_printable=True
    ),
    Attribute.DOMAIN_COMPONENT: AttributeRule(oid=NameOID.DOMAIN_COMPONENT, words="domain component", longest=63),
    Attribute.USER_ID: AttributeRule(oid=NameOID.USER_ID, words="user id", longest=256),
    Attribute.TITLE: AttributeRule(oid=NameOID.TITLE, words="title", longest=64),
    Attribute.DN_QUALIFIER: AttributeRule(
        oid=NameOID.DN_QUALIFIER, words="distinguished name qualifier", longest=64, is_printable=True
    ),
}
"""Upper bounds of RFC 5280 A.1 and, for UID, RFC 4524 2.24; a domain component is a DNS label (RFC 4519 2.4)."""


class _CountedAttribute(x509.NameAttribute[str]):
    """An attribute whose octets the library does not count."""

    def __init__(self, oid: ObjectIdentifier, value: str) -> None:
        super().__init__(oid, "x")
        self._value = value


def subject_attribute(attribute: Attribute, value: str) -> x509.NameAttribute[str]:
    """The attribute. Raises BadName."""
    rule = ATTRIBUTES[attribute]
    if not value.isprintable():
        raise BadName(f"A {rule.words} has no control characters: leave them out.")
    if not 1 <= len(value) <= rule.longest:
        raise BadName(f"{value[:80]!r} can not be a {rule.words}, which has 1 to {rule.longest} characters.")
    if attribute is Attribute.COUNTRY and not _COUNTRY.fullmatch(value):
        raise BadName(f"{value!r} is no country: write two capital letters, such as DE (ISO 3166).")
    if rule.is_printable and not _PRINTABLE.fullmatch(value):
        raise BadName(f"{value!r} can not be a {rule.words}: it has letters, digits, spaces and '()+,-./:=? only.")
    if attribute is Attribute.DOMAIN_COMPONENT and not re.fullmatch(_LABEL, value, re.IGNORECASE):
        raise BadName(f"{value!r} can not be a domain component, which is one label of a DNS name.")
    return x509.NameAttribute(rule.oid, value) if value.isascii() else _CountedAttribute(rule.oid, value)


def dns_name(name: str) -> x509.DNSName:
    """A DNS name, in lower case; `*.` may begin it. Raises BadName."""
    if not _DNS_NAME.fullmatch(name):
        raise BadName(f"{name[:80]!r} is no DNS name: write letters, digits and hyphens, other scripts as xn--….")
    return x509.DNSName(name.lower())


def ip_address(address: str) -> x509.IPAddress:
    """An IP address. Raises BadName."""
    try:
        found = ipaddress.ip_address(address)
        if "%" in address:  # an interface of one host's own (RFC 4007 11)
            raise ValueError("a zone")
        return x509.IPAddress(found)
    except ValueError as error:
        raise BadName(f"{address[:80]!r} is no IP address.") from error


def email_address(address: str) -> x509.RFC822Name:
    """A mailbox, its host in lower case (RFC 5280 4.2.1.6). Raises BadName."""
    local, _, host = address.rpartition("@")
    if not _EMAIL.fullmatch(address) or ".." in local or local.startswith(".") or local.endswith("."):
        raise BadName(f"{address[:80]!r} is no e-mail address in ASCII.")
    return x509.RFC822Name(f"{local}@{host.lower()}")


def uri(text: str) -> x509.UniformResourceIdentifier:
    """An absolute URI (RFC 3986) of at most 1,024 characters. Raises BadName."""
    if len(text) > _LONGEST_URI:
        raise BadName(f"The URI {text[:80]!r}… has {len(text):,} characters: write at most {_LONGEST_URI:,}.")
    if not _URI.fullmatch(text):
        raise BadName(f"{text[:80]!r} is no URI: it begins with a scheme, and is ASCII; write the rest as %XX.")
    if not _has_authority_that_can_be_read(text):
        raise BadName(f"{text[:80]!r} is no URI: after // stands a host, IPv6 in brackets, with a port to 65535.")
    return x509.UniformResourceIdentifier(text)


def _has_authority_that_can_be_read(text: str) -> bool:
    """Whether host and port, if any, can be told apart."""
    try:
        parts = urlsplit(text)
        _ = parts.hostname, parts.port
    except ValueError:
        return False
    return True


def registered_id(dotted: str) -> x509.RegisteredID:
    """An object identifier as a name. Raises BadName."""
    return x509.RegisteredID(_oid(dotted))


def hardware_module(kind: str, serial: str) -> x509.OtherName:
    """A hardware module by its type's dotted OID and its serial number, kept as UTF-8. Raises BadName."""
    if not 1 <= len(serial) <= 64 or not serial.isprintable():
        raise BadName(f"{serial[:80]!r} is no serial number of hardware: 1 to 64 printable characters.")
    encoded = der.sequence(der.oid(_oid(kind).dotted_string), der.octet_string(serial.encode()))
    return x509.OtherName(HARDWARE_MODULE_NAME, encoded)


MAKERS: Mapping[NameKind, Callable[[str], x509.GeneralName]] = {
    NameKind.DNS: dns_name,
    NameKind.IP: ip_address,
    NameKind.EMAIL: email_address,
    NameKind.URI: uri,
    NameKind.REGISTERED_ID: registered_id,
}
"""What makes a name of a kind of one text."""


def subtree(kind: NameKind, value: str) -> x509.GeneralName:
    """A name constraint's base: a host, a network, a mailbox or its host, a URI's host (4.2.1.10). Raises BadName."""
    if kind is NameKind.IP:
        try:
            return x509.IPAddress(ipaddress.ip_network(value))
        except ValueError as error:
            raise BadName(f"{value[:80]!r} is no network, such as 192.0.2.0/24.") from error
    host = value.rpartition("@")[2] if kind is NameKind.EMAIL else value
    bare = host if kind is NameKind.DNS or "@" in value else host.removeprefix(".")
    if not re.fullmatch(_HOST, bare, re.IGNORECASE) or (kind is NameKind.EMAIL and "@" in value[:1]):
        raise BadName(f"{value[:80]!r} can not constrain names of the kind {kind}: write a host, such as example.com.")
    if kind is NameKind.DNS:
        return x509.DNSName(value.lower())
    return x509.RFC822Name(value) if kind is NameKind.EMAIL else x509.UniformResourceIdentifier(value)


def _oid(dotted: str) -> ObjectIdentifier:
    try:
        return ObjectIdentifier(dotted)
    except ValueError as error:
        raise BadName(f"{dotted[:80]!r} is no object identifier, such as 1.3.6.1.4.1.32473.1.") from error
