"""What a profile may not say: contradictions within it, and what RFC 5280 forbids its certificates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING

from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.core.profile_parts import (
    CONSTRAINABLE,
    KEY_USAGES,
    NO_EXPIRY,
    REQUESTABLE,
    Attribute,
    BeyondIssuer,
    Fault,
    KeyFamily,
    NameKind,
)
from pki.core.templates import is_template, placeholders

if TYPE_CHECKING:
    from pki.core.profile import Profile

_FOR_RSA = frozenset({"key_encipherment", "data_encipherment"})
_FOR_SIGNING_KEYS = frozenset({"digital_signature", "content_commitment", "key_cert_sign", "crl_sign"})


def templates_of(profile: Profile) -> Iterator[tuple[str, str]]:
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


def faults_of(profile: Profile) -> Iterator[Fault]:
    """Everything that contradicts the standards or itself."""
    if not profile.name:
        yield Fault("/name", "a profile needs a name")
    yield from _subject_faults(profile)
    yield from _name_faults(profile)
    yield from _requestable_faults(profile)
    yield from _validity_faults(profile)
    yield from _usage_faults(profile)
    yield from _ca_faults(profile)
    yield from _key_faults(profile)


def _subject_faults(profile: Profile) -> Iterator[Fault]:
    for pointer, text in templates_of(profile):
        if not is_template(text) or not text:
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
    for member, trees in (("permitted_names", profile.permitted_names), ("excluded_names", profile.excluded_names)):
        for place, tree in enumerate(trees):
            if tree.kind not in CONSTRAINABLE or not tree.value:
                yield Fault(f"/{member}/{place}", "names are constrained by kind dns, ip, email or uri, and a value")
    oids = [policy.oid for policy in profile.policies]
    if len(set(oids)) < len(oids):
        yield Fault("/policies", "a policy stands once (4.2.1.4)")


def _requestable_faults(profile: Profile) -> Iterator[Fault]:
    kinds = [asked.kind for asked in profile.requestable]
    if len(set(kinds)) < len(kinds) or not set(kinds) <= set(REQUESTABLE):
        yield Fault("/requestable", "names to be asked for are of the kinds dns, ip, email and uri, each of them once")
    if profile.needs_requested and not kinds:
        yield Fault("/needs_requested", "no name can be asked for, so none can be needed")
    for place, asked in enumerate(profile.requestable):
        for number, pattern in enumerate(asked.patterns if asked.kind is NameKind.IP else ()):
            if not placeholders(pattern) and not _is_network(pattern):
                yield Fault(f"/requestable/{place}/patterns/{number}", "a pattern of addresses is a network")


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


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
