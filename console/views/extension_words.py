"""What each certificate extension is called in its RFC, and what it means, for people. Plain words only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """An extension's name in its RFC, the section, and one sentence on what it says."""

    name: str
    section: str
    meaning: str


_KNOWN: tuple[tuple[str, str, str, str], ...] = (
    ("2.5.29.14", "subjectKeyIdentifier", "RFC 5280 4.2.1.2", "A short name of the key in this certificate."),
    ("2.5.29.15", "keyUsage", "RFC 5280 4.2.1.3", "What the key may be used for; software refuses any other use."),
    (
        "2.5.29.17",
        "subjectAltName",
        "RFC 5280 4.2.1.6",
        "More names of the holder: the ones that are compared.",
    ),
    (
        "2.5.29.19",
        "basicConstraints",
        "RFC 5280 4.2.1.9",
        "Whether it is a CA, and how many CAs may be below.",
    ),
    ("2.5.29.30", "nameConstraints", "RFC 5280 4.2.1.10", "Which names the certificates below this CA may have."),
    (
        "2.5.29.31",
        "cRLDistributionPoints",
        "RFC 5280 4.2.1.13",
        "Where the CRL is that lists it once revoked.",
    ),
    ("2.5.29.32", "certificatePolicies", "RFC 5280 4.2.1.4", "The rules under which it was issued."),
    ("2.5.29.33", "policyMappings", "RFC 5280 4.2.1.5", "Which policies of another CA count as this one's."),
    (
        "2.5.29.35",
        "authorityKeyIdentifier",
        "RFC 5280 4.2.1.1",
        "Which of the issuer's keys signed it.",
    ),
    ("2.5.29.36", "policyConstraints", "RFC 5280 4.2.1.11", "From where on in a chain a policy is required."),
    (
        "2.5.29.37",
        "extKeyUsage",
        "RFC 5280 4.2.1.12",
        "For which purpose it may be shown, and to whom.",
    ),
    ("2.5.29.46", "freshestCRL", "RFC 5280 4.2.1.15", "Where the delta CRL is, with what changed since the full one."),
    ("2.5.29.54", "inhibitAnyPolicy", "RFC 5280 4.2.1.14", "From where on in a chain anyPolicy counts no longer."),
    (
        "1.3.6.1.5.5.7.1.1",
        "authorityInfoAccess",
        "RFC 5280 4.2.2.1",
        "Where OCSP and the issuer's certificate are.",
    ),
    (
        "1.3.6.1.5.5.7.1.11",
        "subjectInfoAccess",
        "RFC 5280 4.2.2.2",
        "Where the holder offers something more.",
    ),
    (
        "1.3.6.1.5.5.7.48.1.5",
        "id-pkix-ocsp-nocheck",
        "RFC 6960 4.2.2.2.1",
        "Nobody asks whether it is revoked.",
    ),
    (
        "1.3.6.1.5.5.7.1.24",
        "tlsfeature",
        "RFC 7633",
        "Which TLS features its server has to offer.",
    ),
)
_UNKNOWN = "Not one of RFC 5280's: software that does not know it ignores it, unless it is critical."

KNOWN: Mapping[str, Words] = {
    oid: Words(name=name, section=section, meaning=meaning) for oid, name, section, meaning in _KNOWN
}


def words_of(oid: str) -> Words:
    """The words for the extension with that dotted object identifier; for an unknown one its number."""
    return KNOWN.get(oid) or Words(name=oid, section="", meaning=_UNKNOWN)
