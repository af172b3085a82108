"""When outside and record differ, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from console.relying_party.sightings import Listed, Sighting, Sort, awaits_next_crl, disagreements
from pki.core.values import CertificateId, CertificateState, IssuedCertificate, IssuerId, ReasonCode, SerialNumber
from tests.cast import NORTH, NOW

DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
ISSUED = IssuedCertificate(
    id=CertificateId(UUID(int=1)), domain=NORTH, issuer=IssuerId(UUID(int=2)), issuer_slug="ca",
    serial=SerialNumber(4711), holder="device:x", profile="device", profile_version=0, shard=None,
    state=CertificateState.ISSUED, subject="CN=x", pem="", chain_pem="", not_before=NOW - DAY, not_after=NOW + DAY,
    fingerprint="", public_key_sha256="", requested_at=NOW - DAY, revoked_at=None, reason=None, invalidity_date=None,
    changed_at=None,
)  # fmt: skip
REVOKED = replace(
    ISSUED,
    state=CertificateState.REVOKED,
    revoked_at=NOW - MINUTE,
    changed_at=NOW - MINUTE,
    reason=ReasonCode.KEY_COMPROMISE,
)
HELD = replace(REVOKED, state=CertificateState.HELD, reason=ReasonCode.CERTIFICATE_HOLD)
RELEASED = replace(ISSUED, changed_at=NOW - MINUTE)
REVOKED_AFTER_HOLD = replace(REVOKED, revoked_at=NOW - DAY)


def ocsp(listed: Listed, reason: str = "") -> Sighting:
    return Sighting(sort=Sort.OCSP, listed=listed, reason=reason, this_update=NOW)


def crl(listed: Listed, reason: str = "") -> Sighting:
    """As one that was built a minute ago: its thisUpdate lies five minutes further back."""
    return Sighting(sort=Sort.CRL, listed=listed, reason=reason, this_update=NOW - 6 * MINUTE)


def changed(certificate: IssuedCertificate, seconds: int) -> IssuedCertificate:
    """The same, changed so many seconds ago."""
    return replace(certificate, changed_at=NOW - seconds * SECOND)


@pytest.mark.parametrize(
    ("certificate", "seen"),
    [
        (ISSUED, ocsp(Listed.GOOD)),
        (ISSUED, crl(Listed.GOOD)),
        (REVOKED, ocsp(Listed.REVOKED, "keyCompromise")),
        (REVOKED, crl(Listed.REVOKED, "keyCompromise")),
        (HELD, ocsp(Listed.REVOKED, "certificateHold")),
        (replace(REVOKED, reason=ReasonCode.UNSPECIFIED), crl(Listed.REVOKED)),
        (RELEASED, crl(Listed.GOOD)),
        (REVOKED_AFTER_HOLD, crl(Listed.REVOKED, "keyCompromise")),
        (replace(REVOKED, not_after=NOW - SECOND), crl(Listed.GOOD)),
        (replace(ISSUED, not_after=NOW - SECOND), ocsp(Listed.UNKNOWN)),
        (ISSUED, Sighting(sort=Sort.OCSP, fault="did not answer")),
    ],
)
def test_agree(certificate: IssuedCertificate, seen: Sighting) -> None:
    assert disagreements(certificate, [seen], now=NOW) == []
    assert not awaits_next_crl(certificate, [seen], now=NOW)


IN_VIEW_OF_AN_OLDER_CRL = [
    (REVOKED, crl(Listed.GOOD), "The record says revoked, and the CRL does not list it."),
    (HELD, crl(Listed.GOOD), "The record says held, and the CRL does not list it."),
    (RELEASED, crl(Listed.REVOKED, "certificateHold"), "The record says issued, and the CRL lists it."),
    (
        REVOKED_AFTER_HOLD,
        crl(Listed.REVOKED, "certificateHold"),
        "The reason on record is keyCompromise, and the CRL says certificateHold.",
    ),
]


@pytest.mark.parametrize(("certificate", "seen", "sentence"), IN_VIEW_OF_AN_OLDER_CRL)
def test_crl_has_ten_seconds_to_show_a_change(certificate: IssuedCertificate, seen: Sighting, sentence: str) -> None:
    new, old = changed(certificate, 10), changed(certificate, 11)
    assert (disagreements(new, [seen], now=NOW), awaits_next_crl(new, [seen], now=NOW)) == ([], True)
    assert (disagreements(old, [seen], now=NOW), awaits_next_crl(old, [seen], now=NOW)) == ([sentence], False)


def test_ocsp_is_given_no_time_to_show_a_change() -> None:
    seen = ocsp(Listed.GOOD)
    assert disagreements(changed(REVOKED, 1), [seen], now=NOW) == ["The record says revoked, and OCSP says good."]
    assert not awaits_next_crl(changed(REVOKED, 1), [seen], now=NOW)


@pytest.mark.parametrize(
    ("certificate", "seen", "sentence"),
    [
        (REVOKED, ocsp(Listed.GOOD), "The record says revoked, and OCSP says good."),
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
