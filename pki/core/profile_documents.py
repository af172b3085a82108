"""Profiles as JSON documents: read strictly, every fault with a pointer to it, and written always the same way."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from kernel.core.errors import FieldError, Invalid
from pki.core.json_reading import Reader
from pki.core.profile import (
    NO_EXPIRY,
    Attribute,
    BeyondIssuer,
    ContradictionError,
    KeyFamily,
    NameKind,
    NamePart,
    Policy,
    Profile,
    Requestable,
    SubjectPart,
    Subtree,
)

MAX_ITEMS, MAX_CHARACTERS = 64, 1_024
_FIELDS = {"subject": "subject_parts", "backdate_seconds": "backdate"}
_ONE_DAY = timedelta(days=1)
_MAX_SECONDS = 3_153_600_000  # a hundred years

KEY_USAGE_NAMES: Mapping[str, str] = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
    "encipherOnly": "encipher_only",
    "decipherOnly": "decipher_only",
}
"""As RFC 5280 4.2.1.3 spells them, and as the library does."""

EXTENDED_KEY_USAGE_NAMES: Mapping[str, ObjectIdentifier] = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
    "anyExtendedKeyUsage": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
"""As RFC 5280 4.2.1.12 spells them without `id-kp-`; any other is a dotted object identifier."""


class BadProfile(Invalid):
    """The document is no profile."""

    code = "profile-document"


def parse_profile(document: object, *, name: str, version: int = 0) -> Profile:
    """The profile that a document is. Raises BadProfile with every fault that was found."""
    reader = Reader()
    members = _members(reader, document)
    if not reader.faults:
        try:
            return Profile(name=name, version=version, **members)
        except ContradictionError as error:
            reader.faults.extend((fault.pointer, fault.text) for fault in error.faults)
    errors = tuple(FieldError(pointer=at, code="profile", detail=_sentence(text)) for at, text in reader.faults)
    raise BadProfile(f"This is no profile: {_sentence(reader.faults[0][1])}", errors=errors)


def profile_document(profile: Profile) -> dict[str, Any]:
    """The profile with every member, in one order, so that equal profiles are equal text."""
    return {
        "description": profile.description,
        "validity": _validity_document(profile.validity),
        "backdate_seconds": int(profile.backdate.total_seconds()),
        "issuer_limits": profile.issuer_limits.value,
        "subject": [{"attribute": part.attribute.value, "value": part.value} for part in profile.subject_parts],
        "alternative_names": [_name_document(part) for part in profile.alternative_names],
        "requestable": [{"kind": asked.kind.value, "patterns": list(asked.patterns)} for asked in profile.requestable],
        "needs_requested": profile.needs_requested,
        "key_usage": [name for name, known in KEY_USAGE_NAMES.items() if known in profile.key_usage],
        "extended_key_usage": [usage_name(oid) for oid in profile.extended_key_usage],
        "is_ca": profile.is_ca,
        "path_length": profile.path_length,
        "policies": [{"oid": policy.oid.dotted_string, "cps": policy.cps} for policy in profile.policies],
        "permitted_names": [{"kind": tree.kind.value, "value": tree.value} for tree in profile.permitted_names],
        "excluded_names": [{"kind": tree.kind.value, "value": tree.value} for tree in profile.excluded_names],
        "key_families": [family.value for family in KeyFamily if family in profile.key_families],
        "rsa_bits": profile.rsa_bits,
        "names_ocsp": profile.names_ocsp,
        "names_issuer": profile.names_issuer,
        "names_crl": profile.names_crl,
        "ocsp_no_check": profile.ocsp_no_check,
    }


def usage_name(oid: ObjectIdentifier) -> str:
    """An extended key usage as the RFC spells it, or dotted."""
    return next((name for name, known in EXTENDED_KEY_USAGE_NAMES.items() if known == oid), oid.dotted_string)


def _members(reader: Reader, document: object) -> dict[str, Any]:
    """What the document gives; what it leaves out takes the profile's own default."""
    parsers = {
        "description": lambda at, it: reader.text(at, it, longest=2_000, may_be_empty=True),
        "validity": lambda at, it: _validity(reader, at, it),
        "backdate_seconds": lambda at, it: timedelta(seconds=reader.number(at, it, highest=604_800)),
        "issuer_limits": lambda at, it: reader.choice(at, it, BeyondIssuer),
        "subject": lambda at, it: reader.items(at, it, lambda a, i: _subject_part(reader, a, i), most=MAX_ITEMS),
        "alternative_names": lambda at, it: reader.items(at, it, lambda a, i: _name_part(reader, a, i), most=MAX_ITEMS),
        "requestable": lambda at, it: reader.items(at, it, lambda a, i: _requestable(reader, a, i), most=MAX_ITEMS),
        "needs_requested": reader.boolean,
        "key_usage": lambda at, it: frozenset(reader.items(at, it, lambda a, i: _key_usage(reader, a, i), most=9)),
        "extended_key_usage": lambda at, it: reader.items(at, it, lambda a, i: _usage(reader, a, i), most=MAX_ITEMS),
        "is_ca": reader.boolean,
        "path_length": lambda at, it: None if it is None else reader.number(at, it, highest=255),
        "policies": lambda at, it: reader.items(at, it, lambda a, i: _policy(reader, a, i), most=MAX_ITEMS),
        "permitted_names": lambda at, it: reader.items(at, it, lambda a, i: _subtree(reader, a, i), most=MAX_ITEMS),
        "excluded_names": lambda at, it: reader.items(at, it, lambda a, i: _subtree(reader, a, i), most=MAX_ITEMS),
        "key_families": lambda at, it: frozenset(reader.items(at, it, lambda a, i: reader.choice(a, i, KeyFamily))),
        "rsa_bits": lambda at, it: reader.number(at, it, highest=8_192),
        "names_ocsp": reader.boolean,
        "names_issuer": reader.boolean,
        "names_crl": reader.boolean,
        "ocsp_no_check": reader.boolean,
    }
    given = reader.record("", document, needed=("validity", "key_usage"), known=tuple(parsers))
    found = {name: parsers[name](f"/{name}", value) for name, value in given.items()}
    return {_FIELDS.get(name, name): value for name, value in found.items()}


def _validity(reader: Reader, at: str, given: object) -> timedelta | datetime:
    found = reader.record(at, given, known=("days", "seconds", "until", "no_expiry"))
    match found:
        case {"days": days, **rest} if not rest:
            return timedelta(days=reader.number(f"{at}/days", days, highest=_MAX_SECONDS // 86_400))
        case {"seconds": seconds, **rest} if not rest:
            return timedelta(seconds=reader.number(f"{at}/seconds", seconds, highest=_MAX_SECONDS))
        case {"until": until, **rest} if not rest:
            return _moment(reader, f"{at}/until", until)
        case {"no_expiry": True, **rest} if not rest:
            return NO_EXPIRY
    reader.fault(at, 'a validity is one of {"days": …}, {"seconds": …}, {"until": …} and {"no_expiry": true}')
    return _ONE_DAY


def _moment(reader: Reader, at: str, given: object) -> datetime:
    text = reader.text(at, given, longest=40)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    reader.fault(at, "a moment is written as in RFC 3339, such as 2036-01-01T00:00:00Z")
    return NO_EXPIRY


def _validity_document(validity: timedelta | datetime) -> dict[str, Any]:
    if validity == NO_EXPIRY:
        return {"no_expiry": True}
    if isinstance(validity, datetime):
        return {"until": validity.astimezone(UTC).isoformat().replace("+00:00", "Z")}
    if validity % _ONE_DAY:
        return {"seconds": int(validity.total_seconds())}
    return {"days": validity.days}


def _name_document(part: NamePart) -> dict[str, str]:
    document = {"kind": part.kind.value, "value": part.value}
    return document | {"hardware_type": part.hardware_type} if part.hardware_type else document


def _subject_part(reader: Reader, at: str, given: object) -> SubjectPart:
    found = reader.record(at, given, needed=("attribute", "value"))
    return SubjectPart(
        attribute=reader.choice(f"{at}/attribute", found.get("attribute"), Attribute),
        value=reader.text(f"{at}/value", found.get("value"), longest=MAX_CHARACTERS),
    )


def _name_part(reader: Reader, at: str, given: object) -> NamePart:
    found = reader.record(at, given, needed=("kind", "value"), known=("hardware_type",))
    return NamePart(
        kind=reader.choice(f"{at}/kind", found.get("kind"), NameKind),
        value=reader.text(f"{at}/value", found.get("value"), longest=MAX_CHARACTERS),
        hardware_type=reader.text(
            f"{at}/hardware_type", found.get("hardware_type", ""), longest=MAX_CHARACTERS, may_be_empty=True
        ),
    )


def _requestable(reader: Reader, at: str, given: object) -> Requestable:
    found = reader.record(at, given, needed=("kind",), known=("patterns",))
    return Requestable(
        kind=reader.choice(f"{at}/kind", found.get("kind"), NameKind),
        patterns=reader.items(
            f"{at}/patterns",
            found.get("patterns", []),
            lambda a, i: reader.text(a, i, longest=MAX_CHARACTERS),
            most=MAX_ITEMS,
        ),
    )


def _key_usage(reader: Reader, at: str, given: object) -> str:
    if isinstance(given, str) and given in KEY_USAGE_NAMES:
        return KEY_USAGE_NAMES[given]
    reader.fault(at, f"a key usage is one of {', '.join(KEY_USAGE_NAMES)}")
    return "digital_signature"


def _usage(reader: Reader, at: str, given: object) -> ObjectIdentifier:
    if isinstance(given, str) and given in EXTENDED_KEY_USAGE_NAMES:
        return EXTENDED_KEY_USAGE_NAMES[given]
    return reader.oid(at, given, instead=", ".join(EXTENDED_KEY_USAGE_NAMES))


def _policy(reader: Reader, at: str, given: object) -> Policy:
    found = reader.record(at, given, needed=("oid",), known=("cps",))
    return Policy(
        oid=reader.oid(f"{at}/oid", found.get("oid")),
        cps=reader.text(f"{at}/cps", found.get("cps", ""), longest=MAX_CHARACTERS, may_be_empty=True),
    )


def _subtree(reader: Reader, at: str, given: object) -> Subtree:
    found = reader.record(at, given, needed=("kind", "value"))
    return Subtree(
        kind=reader.choice(f"{at}/kind", found.get("kind"), NameKind),
        value=reader.text(f"{at}/value", found.get("value"), longest=MAX_CHARACTERS),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
