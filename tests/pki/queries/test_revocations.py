"""Who lost a certificate since an edition of the CRL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from pki import services
from pki.core.values import IssuedCertificate, Issuer, ReasonCode
from pki.queries.revocations import holders_taken_away
from tests.cast import ADA

pytestmark = pytest.mark.django_db


def test_those_that_one_crl_lists_and_the_one_before_does_not(issue_device: Any, ca: Issuer, now: datetime) -> None:
    pumps: list[IssuedCertificate] = [issue_device(f"pump-{number}") for number in range(4)]
    editions = [services.publish_crl(issuer=ca.id, now=now).revision]
    who: dict[str, Any] = {"actor": ADA, "now": now}
    services.revoke_certificate(certificate=pumps[0].id, reason=ReasonCode.KEY_COMPROMISE, **who)
    editions.append(services.publish_crl(issuer=ca.id, now=now).revision)
    services.hold_certificate(certificate=pumps[1].id, **who)
    services.hold_certificate(certificate=pumps[2].id, **who)
    services.release_certificate(certificate=pumps[2].id, **who)
    editions.append(services.publish_crl(issuer=ca.id, now=now).revision)
    services.revoke_certificate(certificate=pumps[3].id, reason=ReasonCode.KEY_COMPROMISE, **who)

    def between(after: int, up_to: int, at: datetime = now) -> list[int]:
        found = holders_taken_away(issuer=ca.id, after=after, up_to=up_to, now=at)
        return [number for number, pump in enumerate(pumps) if pump.holder in found]

    assert between(-1, editions[0]) == []
    assert between(editions[0], editions[1]) == [0]
    assert between(editions[1], editions[2]) == [1], "what was released is good"
    assert between(editions[0], editions[2]) == [0, 1]
    assert between(editions[0], editions[2], pumps[0].not_after + timedelta(seconds=1)) == [], "they let nobody in"
