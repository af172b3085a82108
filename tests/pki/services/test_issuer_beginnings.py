"""An issuer is there once it is stored, though its first signatures fail; and what is signed elsewhere is looked at."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from kernel.core.errors import Unavailable
from pki import queries, services, tasks
from pki.core.ca_files import read_key
from pki.core.crl import CrlFacts, build_crl
from pki.core.key_ids import key_id_of
from pki.core.values import Issuer
from pki.models import SigningRequest
from pki.services.custody import custody
from tests.cast import ADA, NORTH
from tests.pki.outside_ca import OutsideCa, outside_root

pytestmark = pytest.mark.django_db


@pytest.fixture
def now() -> datetime:
    """A minute on, when what openssl signs now has begun."""
    return datetime.now(UTC) + timedelta(minutes=1)


@pytest.fixture
def vault(tmp_path: Path) -> OutsideCa:
    return outside_root(tmp_path, "Offline Root")


@pytest.fixture
def root(vault: OutsideCa, now: datetime) -> Issuer:
    certificate = vault.certificate.read_bytes()
    return services.import_offline_issuer(domain=NORTH, slug="vault", certificate=certificate, actor=ADA, now=now)


def fails(*_: object, **__: object) -> None:
    raise Unavailable("the token is away", code="token-away")


def test_issuer_whose_key_can_not_be_opened_at_first_is_there_and_begins_later(
    db: None, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(custody, "open", fails)
        made = services.create_root(domain=NORTH, slug="plant", common_name="Plant", actor=ADA, now=now)
    assert queries.newest_crl_number(slug="plant") is None
    tasks.refresh()
    assert queries.newest_crl_number(slug="plant") == 1
    assert queries.ocsp_signer_ends_at(issuer=made.id) is not None


def test_first_crl_that_fails_keeps_no_ocsp_signer_from_being_ordered(
    vault: OutsideCa, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("pki.services.issuers.standing_orders.build_crl", fails)
        certificate = vault.certificate.read_bytes()
        services.import_offline_issuer(domain=NORTH, slug="vault", certificate=certificate, actor=ADA, now=now)
    assert [each.purpose for each in queries.list_signing_requests()] == ["the certificate of its OCSP signer"]
    tasks.refresh()
    assert len(queries.list_signing_requests()) == 2


def crl_facts(vault: OutsideCa, now: datetime) -> CrlFacts:
    """Of the vault's first CRL, as they should be."""
    certificate = x509.load_pem_x509_certificate(vault.certificate.read_bytes())
    return CrlFacts(
        issuer_name=certificate.subject.public_bytes(),
        key_id=key_id_of(certificate),
        number=1,
        this_update=now.replace(microsecond=0),
        next_update=now.replace(microsecond=0) + timedelta(days=30),
    )


def bring(vault: OutsideCa, root: Issuer, facts: CrlFacts, now: datetime) -> str:
    """What is wrong with the CRL of these facts, ordered and signed as it is."""
    [order] = SigningRequest.objects.filter(issuer_id=root.id, kind="crl")
    signed = build_crl(facts, entries=(), key=read_key(vault.key.read_bytes()))
    order.to_be_signed = x509.load_der_x509_crl(signed).tbs_certlist_bytes
    order.save()
    entry = {"id": str(order.id), "kind": "crl", "signed": base64.b64encode(signed).decode()}
    file = json.dumps({"format": "gatehouse-signatures-1", "issuer": "vault", "signatures": [entry]}).encode()
    [outcome] = services.import_signatures(issuer=root.id, file=file, actor=ADA, now=now)
    return outcome.fault


def test_crl_that_is_as_it_should_be_is_published(vault: OutsideCa, root: Issuer, now: datetime) -> None:
    assert bring(vault, root, crl_facts(vault, now), now) == ""
    assert queries.newest_crl_number(slug="vault") == 1


def test_crl_of_another_number_is_refused(vault: OutsideCa, root: Issuer, now: datetime) -> None:
    fault = bring(vault, root, replace(crl_facts(vault, now), number=7), now)
    assert "its extension 2.5.29.20 is not what it should be" in fault
    assert queries.newest_crl_number(slug="vault") is None


def test_crl_of_another_issuer_is_refused(vault: OutsideCa, root: Issuer, now: datetime) -> None:
    other = x509.Name.from_rfc4514_string("CN=Somebody Else").public_bytes()
    fault = bring(vault, root, replace(crl_facts(vault, now), issuer_name=other), now)
    assert "its issuer is not named as the issuer names itself" in fault
    assert queries.newest_crl_number(slug="vault") is None
