"""Rules that every CRL passes before it is stored (RFC 5280 5); some that pkilint has not, such as repeated serials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from kernel.core.errors import Conflict
from pki.core import der
from pki.core.crl import (
    AUTHORITY_KEY_ID,
    CRL_NUMBER,
    CRL_REASON,
    DELTA_INDICATOR,
    FRESHEST_CRL,
    ISSUING_DISTRIBUTION_POINT,
    CrlFacts,
    to_be_signed,
)
from pki.core.crl_reading import CrlReading, count_repeated, read_crl
from pki.core.signatures import is_signed_by
from pki.core.values import CrlKind, ReasonCode

_OID = {
    name: der.oid(name)
    for name in (AUTHORITY_KEY_ID, CRL_NUMBER, DELTA_INDICATOR, FRESHEST_CRL, ISSUING_DISTRIBUTION_POINT)
}
_MUST_BE_CRITICAL = {_OID[DELTA_INDICATOR], _OID[ISSUING_DISTRIBUTION_POINT]}
_MAX_NUMBER = 1 << 159  # 20 octets with the sign


class CrlLintFailure(Conflict):
    """The CRL that has come out is not what it should be; it was not stored."""

    code = "crl-lint"


def check_crl(octets: bytes, *, facts: CrlFacts, entries: int, issuer: PublicKeyTypes) -> None:
    """Raises CrlLintFailure with everything that is wrong; `entries` is how many it has to list.

    Memory is bounded by about three times the CRL.
    """
    if findings := [*find_faults(octets, facts=facts, entries=entries, issuer=issuer)]:
        raise CrlLintFailure("The CRL was not stored, since it would be wrong: " + "; ".join(findings) + ".")


def find_faults(octets: bytes, *, facts: CrlFacts, entries: int, issuer: PublicKeyTypes) -> Iterator[str]:
    """What is wrong, a sentence each."""
    try:
        reading = read_crl(octets)
        parsed = x509.load_der_x509_crl(octets)  # strict DER, each entry too
        repeated = count_repeated(reading, entries=len(parsed))
    except (ValueError, x509.InvalidVersion) as error:
        yield f"it can not be read back: {error}"
        return
    if not is_signed_by(issuer, signature=reading.signature, octets=reading.to_be_signed):
        yield "the issuer's key does not verify it"
    if len(parsed) != entries:
        yield f"it lists {len(parsed)} certificates where {entries} belong"
    if repeated:
        yield f"{repeated} of its serial numbers stand in it already"
    yield from _header(reading, facts)
    yield from _extensions(reading, facts)
    yield from _reasons(reading, facts)


def _header(reading: CrlReading, facts: CrlFacts) -> Iterator[str]:
    if reading.version != der.integer(1):
        yield "it is not version 2 (5.1.2.1)"
    if not reading.algorithm or reading.algorithm != reading.outer_algorithm:
        yield "its two algorithms differ (5.1.1.2)"
    if reading.issuer_name != facts.issuer_name:
        yield "its issuer is not named as the issuer names itself (5.1.2.3)"
    if not reading.next_update:
        yield "it does not say when the next one comes (5.1.2.5)"
    if facts.this_update >= facts.next_update:
        yield "it ends before it begins"
    if (reading.this_update, reading.next_update) != (der.time(facts.this_update), der.time(facts.next_update)):
        yield "its times are not those it should have"


def _extensions(reading: CrlReading, facts: CrlFacts) -> Iterator[str]:
    """Each is there, and as it should be: what it should be is what is built of the facts."""
    expected = read_crl(_unsigned(facts)).extensions
    for oid in expected.keys() | reading.extensions.keys():
        if oid not in reading.extensions:
            yield f"its extension {_dotted(oid)} is missing"
        elif oid not in expected:
            yield f"it has an extension {_dotted(oid)} that does not belong"
        elif reading.extensions[oid] != expected[oid]:
            yield f"its extension {_dotted(oid)} is not what it should be"
    for oid, (critical, _) in reading.extensions.items():
        if critical != (oid in _MUST_BE_CRITICAL):
            yield f"its extension {_dotted(oid)} has the wrong criticality"
    if not 0 < facts.number < _MAX_NUMBER:
        yield "its number is not positive in 20 octets (5.2.3)"
    yield from _delta(reading, facts)


def _delta(reading: CrlReading, facts: CrlFacts) -> Iterator[str]:
    if facts.base_number is None:
        return
    if not 0 < facts.base_number < facts.number:
        yield "it is a delta to a CRL that is no older than it (5.2.4)"
    if _OID[FRESHEST_CRL] in reading.extensions:
        yield "it is a delta that points to deltas (5.2.6)"


def _reasons(reading: CrlReading, facts: CrlFacts) -> Iterator[str]:
    """By the octets of the extension, which by chance come up in a random serial number once in 2 to the 80th."""
    begin, end = reading.entries
    unspecified, removed = (_encoded(reason) for reason in (ReasonCode.UNSPECIFIED, ReasonCode.REMOVE_FROM_CRL))
    if reading.octets.find(unspecified, begin, end) >= 0:
        yield "it gives unspecified as a reason, which is left out (5.3.1)"
    if facts.kind is not CrlKind.DELTA and reading.octets.find(removed, begin, end) >= 0:
        yield "it removes an entry, as only a delta does (5.3.1)"


def _encoded(reason: ReasonCode) -> bytes:
    return der.oid(CRL_REASON) + der.octet_string(der.integer(reason.number, tag=der.ENUMERATED))


def _unsigned(facts: CrlFacts) -> bytes:
    """A CRL with the extensions of these facts and nothing else that counts."""
    algorithm = der.sequence()
    return der.sequence(to_be_signed(facts, entries=(), algorithm=algorithm), algorithm, der.bit_string(b""))


def _dotted(oid: bytes) -> str:
    known: dict[bytes, Any] = {encoded: name for name, encoded in _OID.items()}
    return str(known.get(oid, oid.hex()))
