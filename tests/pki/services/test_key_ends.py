"""Keys do not outlive what they are for: those of OCSP signers that have ended, and of what did not come about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kernel.core.errors import DomainError, Unavailable
from kernel.models import JournalEntry
from pki import queries, services
from pki.core.values import Custody, Issuer, KeyId
from pki.models import Issuer as IssuerRow
from pki.models import Key, OcspSigner
from pki.queries.issuer_requests import UnknownIssuerRequest
from pki.services.custody import custody
from pki.services.issuers.requesting import waiting_request
from pki.services.kept_keys import place_of
from pki.services.ocsp_signers import remove_ended_signers
from tests.cast import ADA, NORTH
from tests.pki.outside_ca import outside_root

pytestmark = pytest.mark.django_db

A_DAY, AN_HOUR = timedelta(days=1), timedelta(hours=1)
BAD_NAME = "x" * 65  # a common name has 64 characters at most (RFC 5280 A.1)


def signers_of(issuer: Issuer) -> list[OcspSigner]:
    return [*OcspSigner.objects.filter(issuer_id=issuer.id).select_related("certificate").order_by("pk")]


def rotate(issuer: Issuer, first: OcspSigner) -> None:
    """A second signer, when the first has a day to live."""
    services.ensure_ocsp_signer(issuer=issuer.id, now=first.certificate.not_after - A_DAY)


def make_vault(folder: Path) -> Issuer:
    """An offline root; openssl signs it now, so it is used a minute on."""
    certificate = outside_root(folder, "Offline Root").certificate.read_bytes()
    return services.import_offline_issuer(
        domain=NORTH, slug="vault", certificate=certificate, actor=ADA, now=in_a_minute()
    )


def in_a_minute() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


def test_ocsp_signer_and_its_key_are_gone_a_day_after_its_end(ca: Issuer) -> None:
    [first] = signers_of(ca)
    ends_at = first.certificate.not_after
    rotate(ca, first)
    services.ensure_ocsp_signer(issuer=ca.id, now=ends_at + A_DAY - AN_HOUR)
    assert Key.objects.filter(id=first.key_id).exists()
    for _ in range(2):
        services.ensure_ocsp_signer(issuer=ca.id, now=ends_at + A_DAY + AN_HOUR)
    [second] = signers_of(ca)
    assert second.pk != first.pk
    assert not Key.objects.filter(id=first.key_id).exists()
    assert Key.objects.filter(id=second.key_id).exists()


def test_newest_ocsp_signer_stays_though_it_has_ended(ca: Issuer) -> None:
    [only] = signers_of(ca)
    assert remove_ended_signers(issuer=ca.id, now=only.certificate.not_after + 9 * A_DAY) == []
    assert signers_of(ca) == [only]


def test_token_keeps_no_key_of_an_ocsp_signer_that_has_ended(token: str, root: Issuer, now: datetime) -> None:
    ca = services.create_issuing_ca(
        parent=root.id, slug="in-token", common_name="In Token", custody=Custody.PKCS11, actor=ADA, now=now
    )
    [first] = signers_of(ca)
    rotate(ca, first)
    later = first.certificate.not_after + 2 * A_DAY
    assert remove_ended_signers(issuer=ca.id, now=later) == [first.key_id]
    assert remove_ended_signers(issuer=ca.id, now=later) == []  # run twice
    [second] = signers_of(ca)
    issuer = IssuerRow.objects.get(id=ca.id)
    assert {*place_of(Custody.PKCS11).held()} == {issuer.key_id, second.key_id}


def test_token_that_is_away_keeps_no_signer_from_being_made(ca: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: KeyId) -> None:
        raise Unavailable("the token is away", code="token-away")

    [first] = signers_of(ca)
    rotate(ca, first)
    monkeypatch.setattr(custody, "destroy", fails)
    services.ensure_ocsp_signer(issuer=ca.id, now=first.certificate.not_after + 30 * A_DAY)
    assert len(signers_of(ca)) == 2  # the second, which was the newest, and a third


def test_ocsp_signer_that_does_not_come_about_leaves_no_key(ca: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise DomainError("lint")

    [first] = signers_of(ca)
    keys = Key.objects.count()
    monkeypatch.setattr("pki.services.ocsp_signers.issue_for_key", fails)
    with pytest.raises(DomainError):
        rotate(ca, first)
    assert Key.objects.count() == keys


def test_order_of_an_ocsp_signer_that_does_not_come_about_leaves_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise DomainError("lint")

    vault = make_vault(tmp_path)
    [waiting] = [each for each in queries.list_signing_requests(issuer=vault.id) if "OCSP" in each.purpose]
    services.cancel_signing_request(id=waiting.id, actor=ADA, now=in_a_minute())
    monkeypatch.setattr("pki.services.issuers.standing_orders.draft_for_key", fails)
    with pytest.raises(DomainError):
        services.order_ocsp_signer(issuer=vault.id, now=in_a_minute())
    assert Key.objects.count() == 0


def test_ca_of_a_bad_name_leaves_no_key(tmp_path: Path) -> None:
    vault = make_vault(tmp_path)
    keys = Key.objects.count()
    with pytest.raises(DomainError):
        services.order_issuing_ca(parent=vault.id, slug="plant", common_name=BAD_NAME, actor=ADA, now=in_a_minute())
    assert Key.objects.count() == keys


def test_request_that_can_not_be_built_leaves_no_key(db: None, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise Unavailable("the token is away", code="token-away")

    monkeypatch.setattr("pki.services.issuers.requesting.build_ca_request", fails)
    with pytest.raises(Unavailable):
        services.request_issuer(domain=NORTH, slug="plant", common_name="Plant", actor=ADA, now=now)
    assert Key.objects.count() == 0


def test_request_that_became_an_issuer_meanwhile_is_not_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, outside = in_a_minute(), outside_root(tmp_path, "Outside Root")
    asked = services.request_issuer(domain=NORTH, slug="plant", common_name="Plant", actor=ADA, now=now)
    stale = waiting_request("plant")
    csr = outside.folder / "plant.csr"
    csr.write_text(asked.csr_pem)
    certificate = outside.sign(csr, extensions="sub").read_bytes()
    chain = outside.certificate.read_bytes()
    services.install_issuer(slug="plant", certificate=certificate, chain=chain, actor=ADA, now=now)
    monkeypatch.setattr("pki.services.issuers.requesting.waiting_request", lambda *_, **__: stale)
    with pytest.raises(UnknownIssuerRequest):
        services.cancel_issuer_request(slug="plant", actor=ADA, now=now)
    assert Key.objects.filter(id=stale.key_id).exists()
    assert not JournalEntry.objects.filter(action="pki.issuer_request.cancelled").exists()
