"""What is done to issuers on the screens: rolled over, cross-signed, retired, revoked, signed offline."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from kernel.core.errors import Unavailable
from kernel.queries import list_entries
from pki import queries
from pki.core.values import CertificateState, IssuerKind, IssuerState
from pki.models import Certificate
from tests.console.views.scene import Scene
from tests.console.views.test_issuers import foreign_ca, openssl, upload

ACTS = ("roll-over", "cross-sign", "retire", "revoke")


def test_who_may_not_sees_no_act_and_can_not(north: Scene, at_bo: Client, at_cy: Client) -> None:
    before = list_entries(limit=1)[0].seq
    main = at_bo.get("/issuers/north-ca/").content.decode()
    for act in ACTS:
        assert f"/issuers/north-ca/{act}/" not in main
        for browser, status in ((at_bo, 403), (at_cy, 404)):
            address = f"/issuers/north-ca/{act}/"
            assert browser.get(address).status_code == status, act
            assert browser.post(address, {"confirm": "north-ca"}).status_code == status, act
    assert at_bo.get("/issuers/north-ca/cross-sign/csr/").status_code == 403
    assert list_entries(limit=1)[0].seq == before


def test_every_act_says_what_will_happen(north: Scene, at_ada: Client) -> None:
    for act, words in {
        "roll-over": "It signs new certificates from then on",
        "cross-sign": "Another certificate for the name and key",
        "retire": "It is needed still",
        "revoke": "4 good certificates",
    }.items():
        assert words in at_ada.get(f"/issuers/north-ca/{act}/").content.decode(), act


def test_rolled_over_both_are_there_and_the_new_one_signs(north: Scene, at_ada: Client) -> None:
    answer = at_ada.post("/issuers/north-ca/roll-over/", {"key_algorithm": "ecdsa-p256"})
    assert answer["Location"] == "/issuers/north-ca-g2/"
    old, new = queries.find_issuer(slug="north-ca"), queries.find_issuer(slug="north-ca-g2")
    assert (old.state, old.successor) == (IssuerState.SUPERSEDED, new.id)
    text = at_ada.get("/issuers/north-ca/").content.decode()
    assert "Followed by" in text
    assert "/issuers/north-ca/roll-over/" not in text
    assert at_ada.get("/issuers/north-ca/roll-over/").status_code == 404
    assert "Took the place of" in at_ada.get("/issuers/north-ca-g2/").content.decode()


def test_retired_once_nothing_is_left_and_only_if_typed(north: Scene, at_ada: Client) -> None:
    refused = at_ada.post("/issuers/north-ca/retire/", {"confirm": "north-ca"})
    assert b"is needed still" in refused.content
    Certificate.objects.filter(issuer_id=north.ca.id).update(not_after=north.now)
    wrong = at_ada.post("/issuers/north-ca/retire/", {"confirm": "north-root", "note": "old"})
    assert b"nothing was done" in wrong.content
    assert b'value="old"' in wrong.content
    assert queries.find_issuer(slug="north-ca").state is IssuerState.ACTIVE
    at_ada.post("/issuers/north-ca/retire/", {"confirm": "north-ca"})
    assert queries.find_issuer(slug="north-ca").state is IssuerState.RETIRED
    text = at_ada.get("/issuers/north-ca/").content.decode()
    assert "Would end" in text
    assert "/issuers/north-ca/revoke/" not in text


def test_revoked_with_its_certificate_only_if_typed(north: Scene, at_ada: Client) -> None:
    wrong = at_ada.post("/issuers/north-ca/revoke/", {"confirm": "x", "reason": "cACompromise"})
    assert b"nothing was done" in wrong.content
    at_ada.post("/issuers/north-ca/revoke/", {"confirm": "north-ca", "reason": "cACompromise"})
    assert queries.find_issuer(slug="north-ca").state is IssuerState.REVOKED
    row = Certificate.objects.get(holder="issuer:north-ca")
    assert (row.state, row.reason) == (CertificateState.REVOKED, "cACompromise")
    text = at_ada.get("/issuers/north-ca/").content.decode()
    assert "revoked" in text
    assert "Would end" in text


def test_root_is_withdrawn_from_trust(north: Scene, at_ada: Client) -> None:
    assert "Nobody is above a root" in at_ada.get("/issuers/north-root/revoke/").content.decode()
    at_ada.post("/issuers/north-root/revoke/", {"confirm": "north-root", "reason": "superseded"})
    assert queries.trust_bundle(domain=north.domain) == ""


def test_cross_signed_by_another_root_of_ours(north: Scene, at_ada: Client) -> None:
    form = {"slug": "north-two", "common_name": "North Two", "key_algorithm": "ecdsa-p256", "custody": "encrypted",
            "crl_shards": "0", "days": "3000"}  # fmt: skip
    at_ada.post("/issuers/_new/root/", form)
    assert (
        b"vouches for north-ca"
        in at_ada.post("/issuers/north-ca/cross-sign/", {"by": "north-two", "days": "30"}, follow=True).content
    )
    assert "Cross-certificates" in at_ada.get("/issuers/north-ca/").content.decode()
    assert len(queries.list_cross_certificates(issuer=north.ca.id)) == 1


def test_cross_signed_elsewhere_by_a_request(north: Scene, at_ada: Client, tmp_path: Path) -> None:
    certificate, key = foreign_ca(tmp_path, "Company Root")
    csr, signed = tmp_path / "x.csr", tmp_path / "x.pem"
    csr.write_bytes(at_ada.get("/issuers/north-ca/cross-sign/csr/").content)
    openssl("x509", "-req", "-in", csr, "-CA", certificate, "-CAkey", key, "-days", "300", "-out", signed,
            "-copy_extensions", "copyall")  # fmt: skip
    assert b"Choose the file" in at_ada.post("/issuers/north-ca/cross-sign/", {"by": ""}).content
    assert (
        b"is kept, and served at /pki/north-ca/cross.pem"
        in at_ada.post("/issuers/north-ca/cross-sign/", {"by": "", "certificate": upload(signed)}, follow=True).content
    )
    assert b"CN=Company Root" in at_ada.get("/issuers/north-ca/").content


@pytest.mark.parametrize(("act", "service"), [("roll-over", "roll_over_issuer"), ("cross-sign", "cross_sign")])
def test_token_that_is_away_is_told_and_nothing_typed_is_lost(
    act: str, service: str, north: Scene, at_ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_wanted: Any) -> None:
        raise Unavailable("The token does not answer: is it plugged in?")

    monkeypatch.setattr(f"pki.services.{service}", away)
    form = {"key_algorithm": "ecdsa-p256", "by": "north-root", "days": "77"}
    answer = at_ada.post(f"/issuers/north-ca/{act}/", form)
    assert answer.status_code == 200
    assert "is it plugged in?" in answer.content.decode()
    assert 'value="77"' in answer.content.decode()


@pytest.fixture
def offline(north: Scene, at_ada: Client, tmp_path: Path) -> Path:
    """The key of an offline root of north."""
    certificate, key = foreign_ca(tmp_path, "North Vault")
    at_ada.post("/issuers/_new/offline/", {"slug": "vault", "certificate": upload(certificate)})
    assert queries.find_issuer(slug="vault").kind is IssuerKind.OFFLINE
    return key


def test_offline_ca_has_its_orders_taken_out_and_given_up(
    offline: Path, north: Scene, at_ada: Client, at_bo: Client, at_cy: Client
) -> None:
    page = at_ada.get("/issuers/vault/").content.decode()
    assert "/issuers/vault/signing/" in page
    assert "kept elsewhere" in page
    form = {"slug": "north-vault-ca", "common_name": "North by the vault", "key_algorithm": "ecdsa-p256",
            "custody": "encrypted", "crl_shards": "0", "parent": "vault", "path_length": "0"}  # fmt: skip
    assert at_ada.post("/issuers/_new/issuing-ca/", form)["Location"] == "/issuers/vault/signing/"
    file = at_ada.post("/issuers/vault/signing/export/")
    assert "vault-to-sign.json" in file["Content-Disposition"]
    assert b"PRIVATE" not in file.content
    assert at_bo.get("/issuers/vault/signing/").status_code == 403
    assert at_cy.post("/issuers/vault/signing/export/").status_code == 404
    assert at_ada.get("/issuers/north-ca/signing/").status_code == 404
    orders = queries.list_signing_requests(domains=[north.domain])
    assert len(orders) >= 2
    for order in orders:
        assert at_bo.post(f"/issuers/_orders/{order.id}/cancel/").status_code == 403
        assert at_cy.post(f"/issuers/_orders/{order.id}/cancel/").status_code == 404
        at_ada.post(f"/issuers/_orders/{order.id}/cancel/")
    assert queries.list_signing_requests(domains=[north.domain]) == []


def test_what_the_offline_ca_signed_is_brought_back_and_in_force(
    offline: Path, north: Scene, at_ada: Client, tmp_path: Path
) -> None:
    form = {"slug": "north-vault-ca", "common_name": "North by the vault", "key_algorithm": "ecdsa-p256",
            "custody": "encrypted", "crl_shards": "0", "parent": "vault", "path_length": "0"}  # fmt: skip
    at_ada.post("/issuers/_new/issuing-ca/", form)
    todo = tmp_path / "vault-to-sign.json"
    todo.write_bytes(at_ada.post("/issuers/vault/signing/export/").content)
    call_command("sign-offline", str(todo), "--key", str(offline), "--yes", "--json", stdout=StringIO())
    signed = upload(tmp_path / "vault-to-sign.json.signed")
    text = at_ada.post("/issuers/vault/signing/", {"file": signed}).content.decode()
    assert text.count("in force") == 3  # the CA, the CRL, the OCSP signer
    assert "refused" not in text
    assert "Nothing waits" in text
    made = queries.find_issuer(slug="north-vault-ca")
    assert (made.kind, made.state) == (IssuerKind.ONLINE, IssuerState.ACTIVE)
    assert "No CRL is published yet" not in at_ada.get("/issuers/vault/").content.decode()


def test_file_that_is_none_of_signatures_is_told(offline: Path, north: Scene, at_ada: Client, tmp_path: Path) -> None:
    nonsense = tmp_path / "x.json"
    nonsense.write_text('{"what": "ever"}')
    text = at_ada.post("/issuers/vault/signing/", {"file": upload(nonsense)}).content.decode()
    assert re.search(r'role="alert"', text)
