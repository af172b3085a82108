"""When outside and record differ, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from console.relying_party.sightings import Listed, Sighting, Sort, disagreements
from pki.core.values import CertificateId, CertificateState, IssuedCertificate, IssuerId, ReasonCode, SerialNumber
from tests.cast import NORTH, NOW

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
ISSUED = IssuedCertificate(
    id=CertificateId(UUID(int=1)), domain=NORTH, issuer=IssuerId(UUID(int=2)), issuer_slug="ca",
    serial=SerialNumber(4711), holder="device:x", profile="device", profile_version=0, shard=None,
    state=CertificateState.ISSUED, subject="CN=x", pem="", chain_pem="", not_before=NOW - DAY, not_after=NOW + DAY,
    fingerprint="", public_key_sha256="", requested_at=NOW - DAY, revoked_at=None, reason=None, invalidity_date=None,
)  # fmt: skip
REVOKED = replace(
    ISSUED, state=CertificateState.REVOKED, revoked_at=NOW - 60 * SECOND, reason=ReasonCode.KEY_COMPROMISE
)
HELD = replace(REVOKED, state=CertificateState.HELD, reason=ReasonCode.CERTIFICATE_HOLD)


def ocsp(listed: Listed, reason: str = "") -> Sighting:
    return Sighting(sort=Sort.OCSP, listed=listed, reason=reason, this_update=NOW)


def crl(listed: Listed, reason: str = "", age: timedelta = 60 * SECOND) -> Sighting:
    return Sighting(sort=Sort.CRL, listed=listed, reason=reason, this_update=NOW - age)


@pytest.mark.parametrize(
    ("certificate", "seen"),
    [
        (ISSUED, ocsp(Listed.GOOD)),
        (ISSUED, crl(Listed.GOOD)),
        (REVOKED, ocsp(Listed.REVOKED, "keyCompromise")),
        (REVOKED, crl(Listed.REVOKED, "keyCompromise")),
        (HELD, ocsp(Listed.REVOKED, "certificateHold")),
        (replace(REVOKED, reason=ReasonCode.UNSPECIFIED), crl(Listed.REVOKED)),
        (replace(REVOKED, revoked_at=NOW - 2 * SECOND), crl(Listed.GOOD, age=9 * SECOND)),
        (replace(REVOKED, not_after=NOW - SECOND), crl(Listed.GOOD)),
        (replace(ISSUED, not_after=NOW - SECOND), ocsp(Listed.UNKNOWN)),
        (ISSUED, Sighting(sort=Sort.OCSP, fault="did not answer")),
    ],
)
def test_agree(certificate: IssuedCertificate, seen: Sighting) -> None:
    assert disagreements(certificate, [seen], now=NOW) == []


@pytest.mark.parametrize(
    ("certificate", "seen", "sentence"),
    [
        (REVOKED, ocsp(Listed.GOOD), "The record says revoked, and OCSP says good."),
        (REVOKED, crl(Listed.GOOD), "The record says revoked, and the CRL does not list it."),
        (HELD, ocsp(Listed.UNKNOWN), "The record says held, and OCSP says unknown."),
        (ISSUED, ocsp(Listed.REVOKED, "superseded"), "The record says issued, and OCSP says revoked."),
        (ISSUED, ocsp(Listed.UNKNOWN), "The record says issued, and OCSP does not know the certificate."),
        (
            REVOKED,
            ocsp(Listed.REVOKED, "superseded"),
            "The reason on record is keyCompromise, and OCSP says superseded.",
        ),
    ],
)
def test_differ(certificate: IssuedCertificate, seen: Sighting, sentence: str) -> None:
    assert disagreements(certificate, [seen], now=NOW) == [sentence]
