"""What the clock does for issuers, and what is left after a crash."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from kernel.core.errors import DomainError
from pki import queries, services, tasks
from pki.core.values import CertificateState, Issuer, IssuerState
from pki.models import Certificate, Key
from tests.cast import ADA, NORTH
from tests.pki.outside_ca import outside_root

pytestmark = pytest.mark.django_db


def at(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr("pki.tasks.utc_now", lambda: now)


def test_certificate_of_a_ca_that_died_before_it_began_is_revoked(
    root: Issuer, ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr("pki.services.issuers.creating.store_issuer", dies)
        with pytest.raises(RuntimeError):
            services.create_issuing_ca(parent=root.id, slug="next", common_name="Next", actor=ADA, now=now)
    assert services.abandon_unclaimed(now=now + timedelta(minutes=9)) == []
    [given_up] = services.abandon_unclaimed(now=now + timedelta(minutes=11))
    assert services.abandon_unclaimed(now=now + timedelta(minutes=11)) == []  # run twice
    stray = Certificate.objects.get(id=given_up)
    assert (stray.holder, stray.state) == ("issuer:next", CertificateState.REVOKED)
    again = services.create_issuing_ca(parent=root.id, slug="next", common_name="Next", actor=ADA, now=now)
    assert again.slug == "next"


def test_issuer_that_died_before_its_first_crl_gets_it_from_the_clock(
    root: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object, **__: object) -> None:
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr("pki.services.issuers.creating.begin_work", dies)
        with pytest.raises(RuntimeError):
            services.create_issuing_ca(parent=root.id, slug="next", common_name="Next", actor=ADA, now=now)
    assert queries.newest_crl_number(slug="next") is None
    tasks.refresh()
    tasks.refresh()
    assert queries.newest_crl_number(slug="next") == 1
    assert queries.ocsp_signer_ends_at(issuer=queries.find_issuer(slug="next").id) is not None


def test_key_of_an_issuer_that_did_not_come_about_is_destroyed(
    root: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Key.objects.count()
    monkeypatch.setattr("pki.services.issuers.creating.check_slug", lambda _: None)  # both looked at the same time
    with pytest.raises(DomainError) as caught:
        services.create_root(domain=NORTH, slug="north-root", common_name="North", actor=ADA, now=now)
    assert caught.value.code == "issuer-slug-taken"
    assert Key.objects.count() == keys


def test_clock_leaves_alone_who_is_only_believed_and_orders_for_who_is_offline(now: datetime, tmp_path: Path) -> None:
    outside = outside_root(tmp_path, "Outside Root")
    at_once = datetime.now(UTC) + timedelta(minutes=1)
    other = outside_root(tmp_path, "Maker Root")
    services.import_offline_issuer(
        domain=NORTH, slug="vault", certificate=outside.certificate.read_bytes(), actor=ADA, now=at_once
    )
    services.trust_issuer(
        domain=NORTH, slug="maker", certificate=other.certificate.read_bytes(), actor=ADA, now=at_once
    )
    for waiting in queries.list_signing_requests():
        services.cancel_signing_request(id=waiting.id, actor=ADA, now=at_once)
    for _ in range(2):
        tasks.refresh()
    assert [each.issuer for each in queries.list_signing_requests()] == ["vault", "vault"]


def test_clock_retires_what_has_ended_and_publishes_for_the_rest(
    ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.roll_over_issuer(issuer=ca.id, actor=ADA, now=now)
    at(monkeypatch, now + timedelta(days=2))
    tasks.refresh()
    assert queries.find_issuer(id=ca.id).state is IssuerState.RETIRED
    tasks.refresh()
    crl = queries.latest_crl(issuer=queries.find_issuer(slug="north-root").id)
    assert crl is not None
    [entry] = x509.load_der_x509_crl(crl.der)  # its key is good for nothing any more
    assert (entry.serial_number, entry.extensions[0].value.reason.value) == (ca.serial, "cessationOfOperation")
    last = queries.newest_crl_number(slug="north-ca")
    at(monkeypatch, now + timedelta(days=3))
    tasks.refresh()
    assert queries.newest_crl_number(slug="north-ca") == last
    assert queries.newest_crl_number(slug="north-ca-g2") == 3
