"""What a certificate of a kind contains: a validated value. `certificates.py` builds from it, `lint.py` holds to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.core.templates import fill, is_template, placeholders

NO_EXPIRY = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The notAfter of what has no end: 99991231235959Z (RFC 5280 4.1.2.5, IEEE 802.1AR 8.7)."""

KEY_USAGES = frozenset(
    {
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    }
)  # fmt: skip
"""RFC 5280 4.2.1.3, as the library names them."""

_FOR_RSA = frozenset({"key_encipherment", "data_encipherment"})
_FOR_SIGNING_KEYS = frozenset({"digital_signature", "content_commitment", "key_cert_sign", "crl_sign"})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of certificate. `validity` is how long, or until when; `path_length` is None for no limit.

    Built-in profiles are version 0. `issuer_limits` says what becomes of one that would outlive its issuer.
    """

    name: str
    version: int = 0
    description: str = ""
    validity: timedelta | datetime
    backdate: timedelta = timedelta(minutes=5)
    issuer_limits: BeyondIssuer = BeyondIssuer.CUT
    subject_parts: tuple[SubjectPart, ...] = ()
    alternative_names: tuple[NamePart, ...] = ()
    requestable: tuple[Requestable, ...] = ()
    needs_requested: bool = False
    key_usage: frozenset[str]
    extended_key_usage: tuple[ObjectIdentifier, ...] = ()
    is_ca: bool = False
    path_length: int | None = None
    policies: tuple[Policy, ...] = ()
    permitted_names: tuple[Subtree, ...] = ()
    excluded_names: tuple[Subtree, ...] = ()
    key_families: frozenset[KeyFamily] = CLASSICAL
    rsa_bits: int = 2048
    names_ocsp: bool = True
    names_issuer: bool = True
    names_crl: bool = True
    ocsp_no_check: bool = False

    def __post_init__(self) -> None:
        if faults := (*_faults(self),):
            raise ContradictionError(self.name, faults)

    @property
    def variables(self) -> frozenset[str]:
        """What its templates ask for."""
        return frozenset[str]().union(*(placeholders(text) for _, text in _templates(self)))

    @property
    def signs_for_issuer(self) -> bool:
        """Whether its certificates speak for a CA: then nobody gets one by asking for it."""
        return self.is_ca or ExtendedKeyUsageOID.OCSP_SIGNING in self.extended_key_usage

    @property
    def takes_names(self) -> bool:
        """Whether who asks may choose names."""
        return bool(self.requestable)

    def subject(self, variables: Mapping[str, str]) -> str:
        """The common name for these variables, or an empty text. Raises MissingVariable."""
        found = [part.value for part in self.subject_parts if part.attribute is Attribute.COMMON_NAME]
        return fill(found[0], variables, profile=self.name) if found else ""


def _templates(profile: Profile) -> Iterator[tuple[str, str]]:
    """Every template with its pointer."""
    for place, part in enumerate(profile.subject_parts):
        yield f"/subject/{place}/value", part.value
    for place, name in enumerate(profile.alternative_names):
        yield f"/alternative_names/{place}/value", name.value
        if name.hardware_type:
            yield f"/alternative_names/{place}/hardware_type", name.hardware_type
    for place, asked in enumerate(profile.requestable):
        for number, pattern in enumerate(asked.patterns):
            yield f"/requestable/{place}/patterns/{number}", pattern


def _faults(profile: Profile) -> Iterator[Fault]:
    if not profile.name:
        yield Fault("/name", "a profile needs a name")
    yield from _subject_faults(profile)
    yield from _name_faults(profile)
    yield from _validity_faults(profile)
    yield from _usage_faults(profile)
    yield from _ca_faults(profile)
    yield from _key_faults(profile)


def _subject_faults(profile: Profile) -> Iterator[Fault]:
    for pointer, text in _templates(profile):
        if not text or not is_template(text):
            yield Fault(pointer, "a template is a text where a dollar sign begins ${…} or is doubled")
    if not profile.subject_parts and (profile.is_ca or not profile.alternative_names):
        yield Fault("/subject", "a subject may be empty only where an alternative name stands for it (4.1.2.6)")
    attributes = [part.attribute for part in profile.subject_parts]
    if any(attributes.count(once) > 1 for once in (Attribute.COMMON_NAME, Attribute.COUNTRY, Attribute.SERIAL_NUMBER)):
        yield Fault("/subject", "a subject has one common name, one country and one serial number at most")


def _name_faults(profile: Profile) -> Iterator[Fault]:
    for place, name in enumerate(profile.alternative_names):
        if (name.kind is NameKind.HARDWARE_MODULE) != bool(name.hardware_type):
            yield Fault(f"/alternative_names/{place}", "a hardware module, and nothing else, has a type (RFC 4108 5)")
    kinds = [asked.kind for asked in profile.requestable]
    if len(set(kinds)) < len(kinds) or not set(kinds) <= set(REQUESTABLE):
        yield Fault("/requestable", "names to be asked for are of the kinds dns, ip, email and uri, each of them once")
    if profile.needs_requested and not kinds:
        yield Fault("/needs_requested", "no name can be asked for, so none can be needed")
    for member, trees in (("permitted_names", profile.permitted_names), ("excluded_names", profile.excluded_names)):
        for place, tree in enumerate(trees):
            if tree.kind not in CONSTRAINABLE or not tree.value:
                yield Fault(f"/{member}/{place}", "names are constrained by kind dns, ip, email or uri, and a value")
    oids = [policy.oid for policy in profile.policies]
    if len(set(oids)) < len(oids):
        yield Fault("/policies", "a policy stands once (4.2.1.4)")


def _validity_faults(profile: Profile) -> Iterator[Fault]:
    if isinstance(profile.validity, timedelta):
        if profile.validity <= timedelta(0) or profile.validity % timedelta(seconds=1):
            yield Fault("/validity", "a validity is above zero, in whole seconds")
    elif profile.validity.tzinfo is None or profile.validity.microsecond:
        yield Fault("/validity", "an end is a moment with a time zone, in whole seconds")
    if not timedelta(0) <= profile.backdate <= timedelta(days=7) or profile.backdate % timedelta(seconds=1):
        yield Fault("/backdate_seconds", "backdating is between none and seven days, in whole seconds")
    if profile.issuer_limits is BeyondIssuer.ALLOW and profile.validity != NO_EXPIRY:
        yield Fault("/issuer_limits", "only what has no end may outlive its issuer")


def _usage_faults(profile: Profile) -> Iterator[Fault]:
    if not profile.key_usage <= KEY_USAGES or not profile.key_usage:
        yield Fault("/key_usage", "a key usage is one or more of those of RFC 5280 4.2.1.3")
    if profile.key_usage & {"encipher_only", "decipher_only"} and "key_agreement" not in profile.key_usage:
        yield Fault("/key_usage", "encipherOnly and decipherOnly say how keys are agreed upon (4.2.1.3)")
    if not (profile.is_ca or profile.extended_key_usage):
        yield Fault("/extended_key_usage", "it has to say what its certificates are for")
    if len(set(profile.extended_key_usage)) < len(profile.extended_key_usage):
        yield Fault("/extended_key_usage", "a usage stands once")
    for_ocsp = ExtendedKeyUsageOID.OCSP_SIGNING in profile.extended_key_usage
    if for_ocsp and len(profile.extended_key_usage) > 1:
        yield Fault("/extended_key_usage", "who signs OCSP answers does nothing else")
    if profile.ocsp_no_check and (not for_ocsp or profile.names_ocsp or profile.names_crl):
        yield Fault(
            "/ocsp_no_check", "it is for OCSP signers, which then name neither OCSP nor CRL (RFC 6960 4.2.2.2.1)"
        )


def _ca_faults(profile: Profile) -> Iterator[Fault]:
    if profile.is_ca != ("key_cert_sign" in profile.key_usage):
        yield Fault("/key_usage", "who signs certificates is a CA, and no other (4.2.1.9)")
    if profile.path_length is not None and (not profile.is_ca or profile.path_length < 0):
        yield Fault("/path_length", "a path length is for CAs, and not below 0 (4.2.1.9)")
    if (profile.permitted_names or profile.excluded_names) and not profile.is_ca:
        yield Fault("/permitted_names", "names are constrained by CAs alone (4.2.1.10)")


def _key_faults(profile: Profile) -> Iterator[Fault]:
    if not profile.key_families:
        yield Fault("/key_families", "it has to accept some sort of key")
    if not 2048 <= profile.rsa_bits <= 8192:
        yield Fault("/rsa_bits", "RSA keys have 2048 to 8192 bits")
    if profile.key_usage & _FOR_RSA and profile.key_families != {KeyFamily.RSA}:
        yield Fault("/key_usage", "only RSA keys encipher (RFC 5480 3, RFC 8410 5, RFC 9881 5): accept rsa alone")
    only_sign = {KeyFamily.ED25519, KeyFamily.ML_DSA_44, KeyFamily.ML_DSA_65, KeyFamily.ML_DSA_87}
    if not profile.key_usage <= _FOR_SIGNING_KEYS | _FOR_RSA and profile.key_families & only_sign:
        yield Fault("/key_usage", "Ed25519 and ML-DSA keys only sign (RFC 8410 5, RFC 9881 5): do not accept them")
