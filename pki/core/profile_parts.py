"""What profiles are made of: closed sets, templates of names, policies, constraints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cryptography.x509 import ObjectIdentifier

NO_EXPIRY = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The notAfter of what has no end: 99991231235959Z (RFC 5280 4.1.2.5, IEEE 802.1AR 8.7)."""

KEY_USAGES = frozenset(
    {
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    }
)  # fmt: skip
"""RFC 5280 4.2.1.3, as the library names them."""


class Attribute(StrEnum):
    """What a subject can be made of, by the short names of RFC 4519 and X.520."""

    COMMON_NAME = "CN"
    ORGANIZATION = "O"
    ORGANIZATIONAL_UNIT = "OU"
    COUNTRY = "C"
    LOCALITY = "L"
    STATE = "ST"
    SERIAL_NUMBER = "serialNumber"
    DOMAIN_COMPONENT = "DC"
    USER_ID = "UID"
    TITLE = "title"
    DN_QUALIFIER = "dnQualifier"


class NameKind(StrEnum):
    """The general names that a subject alternative name can hold (RFC 5280 4.2.1.6, RFC 4108 5)."""

    URI = "uri"
    DNS = "dns"
    IP = "ip"
    EMAIL = "email"
    HARDWARE_MODULE = "hardware-module"
    REGISTERED_ID = "registered-id"


REQUESTABLE = (NameKind.DNS, NameKind.IP, NameKind.EMAIL, NameKind.URI)
CONSTRAINABLE = (NameKind.DNS, NameKind.IP, NameKind.EMAIL, NameKind.URI)


class KeyFamily(StrEnum):
    """The sorts of key that a profile can accept; of RSA it says the least size besides."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    ECDSA_P521 = "ecdsa-p521"
    ED25519 = "ed25519"
    RSA = "rsa"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


CLASSICAL = frozenset(family for family in KeyFamily if not family.startswith("ml-dsa"))
"""What certificates are issued for unless a profile says otherwise: few peers can verify ML-DSA yet."""


class BeyondIssuer(StrEnum):
    """What becomes of a certificate that would outlive its issuer; `allow` is for those that have no end."""

    CUT = "cut"
    REFUSE = "refuse"
    ALLOW = "allow"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectPart:
    """One attribute of the subject, in the order of encoding; `value` is a template."""

    attribute: Attribute
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamePart:
    """One alternative name; `value` is a template.

    A hardware module's is its serial number; `hardware_type`, a template too, its type's dotted OID (RFC 4108 5).
    """

    kind: NameKind
    value: str
    hardware_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requestable:
    """Names of a kind that who asks may choose: those that fit one of `patterns`, or any if there is none.

    In a pattern `*` stands for any run of characters and `${…}` for a variable; of addresses it is a network.
    """

    kind: NameKind
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A certificate policy and where its practice statement stands (4.2.1.4)."""

    oid: ObjectIdentifier
    cps: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subtree:
    """A name constraint: a host and those below it, a network, mailboxes (4.2.1.10)."""

    kind: NameKind
    value: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What contradicts what; `pointer` leads into the profile's document (RFC 6901)."""

    pointer: str
    text: str


class ContradictionError(ValueError):
    """The profile would make certificates that can not be."""

    def __init__(self, name: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(f"the profile {name!r}: " + "; ".join(fault.text for fault in faults))
        self.faults = faults
