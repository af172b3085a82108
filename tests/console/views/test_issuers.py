"""Issuers: the hierarchy, each way to make one, and who may."""

from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from console.views.issuer import issued_by_day
from kernel.queries import list_entries
from pki import queries
from pki.core.values import IssuerKind, KeyAlgorithm
from pki.models import Certificate, Issuer
from tests.console.views.scene import Scene

WAYS = ("root", "issuing-ca", "request", "import", "offline", "trusted")


def openssl(*words: str | Path, given: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *map(str, words)], input=given, capture_output=True, check=True).stdout


def foreign_ca(folder: Path, name: str = "Elsewhere", *more: str) -> tuple[Path, Path]:
    """Certificate and key of a CA that openssl made."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out",
            certificate, "-days", "900", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", *more)  # fmt: skip
    return certificate, key


def upload(path: Path) -> SimpleUploadedFile:
    return SimpleUploadedFile(path.name, path.read_bytes())


def test_tree_shows_who_is_below_whom_and_what_is_published(north: Scene, at_ada: Client) -> None:
    text = at_ada.get("/issuers/").content.decode()
    root, below = text.index('depth-0"><a class="name" href="/issuers/north-root/"'), text.index('depth-1"><a')
    assert root < below < text.index("north Issuing CA")
    assert "encrypted under the master key" in text
    assert "No. " in text
    assert re.search(r'issuer=north-ca&amp;state=issued">5<', text)  # four devices and an OCSP signer; one is revoked


def test_page_of_an_issuer_has_its_crls_chain_and_fields(north: Scene, at_ada: Client) -> None:
    text = at_ada.get("/issuers/north-ca/").content.decode()
    for words in ("/pki/north-ca/crl", "/pki/north-ca/crl.pem", "nextUpdate", "OCSP signer", "cA: TRUE",
                  "pathLenConstraint: 0", "keyCertSign", "Newest certificates", "/issuers/north-root/"):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize(("kind", "form", "count"), [("pem", "PEM", 1), ("chain", "PEM", 1), ("der", "DER", 0)])
def test_downloads_are_what_openssl_reads(kind: str, form: str, count: int, north: Scene, at_ada: Client) -> None:
    body = at_ada.get(f"/issuers/north-ca/{kind}/").content
    assert body.count(b"BEGIN CERTIFICATE") == count
    assert b"CN = north Issuing CA" in openssl("x509", "-inform", form, "-noout", "-subject", given=body)


def test_days_are_counted_and_those_that_are_over_remembered(north: Scene, at_ada: Client) -> None:
    cache.clear()
    text = at_ada.get("/issuers/north-ca/issuance/").content.decode()
    assert "6 in 30 days" in text  # five devices and an OCSP signer
    cache.clear()  # that may have been after midnight
    today = north.now
    assert list(issued_by_day(north.ca, now=today).values())[-1] == 6
    later = today + timedelta(days=1)
    Certificate.objects.filter(issuer_id=north.ca.id).update(requested_at=today - timedelta(days=90))
    assert issued_by_day(north.ca, now=later)[later.date()] == 0
    assert sum(issued_by_day(north.ca, now=today + timedelta(days=29)).values()) == 0


def test_published_now_at_once(north: Scene, at_ada: Client, at_bo: Client, at_cy: Client) -> None:
    before = queries.crl_status(issuer=north.ca.id)
    assert before
    assert at_bo.post("/issuers/north-ca/publish/").status_code == 403
    assert at_cy.post("/issuers/north-ca/publish/").status_code == 404
    assert b"is published" in at_ada.post("/issuers/north-ca/publish/", follow=True).content
    after = queries.crl_status(issuer=north.ca.id)
    assert after
    assert after.number == before.number + 1


def test_who_may_only_read_is_refused_every_way(north: Scene, at_bo: Client) -> None:
    before = list_entries(limit=1)[0].seq
    for way in ("", *(f"{way}/" for way in WAYS)):
        assert at_bo.get(f"/issuers/_new/{way}").status_code == 403, way
    for way in WAYS:
        assert at_bo.post(f"/issuers/_new/{way}/", {"slug": "x"}).status_code == 403, way
    assert list_entries(limit=1)[0].seq == before
    text = at_bo.get("/issuers/").content.decode() + at_bo.get("/issuers/north-ca/").content.decode()
    assert "Add an issuer" not in text
    assert "Publish CRLs now" not in text


def test_every_way_has_its_form(north: Scene, at_ada: Client) -> None:
    chooser = at_ada.get("/issuers/_new/").content.decode()
    for way in WAYS:
        assert f"/issuers/_new/{way}/" in chooser
        assert b'name="slug"' in at_ada.get(f"/issuers/_new/{way}/").content


def new_key(**more: str) -> dict[str, str]:
    return {"common_name": "North Two", "key_algorithm": "ecdsa-p384", "custody": "encrypted", "crl_shards": "0",
            "days": "400", "path_length": "0", **more}  # fmt: skip


def test_root_and_issuing_ca_are_made(north: Scene, at_ada: Client) -> None:
    assert at_ada.post("/issuers/_new/root/", new_key(slug="north-two"))["Location"] == "/issuers/north-two/"
    root = queries.find_issuer(slug="north-two")
    assert root.key_algorithm is KeyAlgorithm.ECDSA_P384
    assert abs(root.not_after - north.now - timedelta(days=400)) < timedelta(minutes=1)
    form = new_key(slug="north-lab", parent="north-root", crl_shards="4", key_algorithm="ecdsa-p256", days="")
    at_ada.post("/issuers/_new/issuing-ca/", form)
    made = queries.find_issuer(slug="north-lab")
    assert (made.parent, made.crl_shards, made.domain) == (north.root.id, 4, north.domain)
    assert "Shard 3" in at_ada.get("/issuers/north-lab/").content.decode()


def test_wrong_wish_is_told_and_nothing_typed_is_lost(north: Scene, at_ada: Client) -> None:
    for form in (new_key(slug="north-root"), new_key(slug="No Slug"), new_key(slug="x", common_name="x" * 65)):
        text = at_ada.post("/issuers/_new/root/", form).content.decode()
        assert 'role="alert"' in text
        assert f'value="{form["slug"]}"' in text
    assert len(queries.list_issuers(domains=[north.domain])) == 2


def test_token_that_is_away_is_told_and_nothing_typed_is_lost(north: Scene, at_ada: Client, settings: Any) -> None:
    settings.GATEHOUSE_PKCS11_MODULE = "/nowhere/module.so"
    answer = at_ada.post("/issuers/_new/root/", new_key(slug="north-two", custody="pkcs11"))
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()
    assert 'value="north-two"' in answer.content.decode()


def test_key_and_passphrase_are_taken_in_and_never_shown_again(north: Scene, at_ada: Client, tmp_path: Path) -> None:
    certificate, key = foreign_ca(tmp_path)
    locked = tmp_path / "locked.pem"
    openssl("pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:the old phrase")
    form = {"slug": "bought", "passphrase": "a wrong phrase", "custody": "encrypted", "crl_shards": "0"}
    wrong = at_ada.post("/issuers/_new/import/", {**form, "certificate": upload(certificate), "key": upload(locked)})
    text = wrong.content.decode()
    assert 'role="alert"' in text
    assert "wrong phrase" not in text
    assert "PRIVATE KEY" not in text
    form["passphrase"] = "the old phrase"
    done = at_ada.post(
        "/issuers/_new/import/", {**form, "certificate": upload(certificate), "key": upload(locked)}, follow=True
    )
    text = done.content.decode()
    assert queries.find_issuer(slug="bought").kind is IssuerKind.ONLINE
    secret = "".join(key.read_text().splitlines()[1:-1])[:40]
    journal = str([(entry.before, entry.after, entry.note) for entry in list_entries(limit=10)])
    for page in (text, journal):
        assert secret not in page
        assert "old phrase" not in page


def test_import_wants_certificate_and_key(north: Scene, at_ada: Client, tmp_path: Path) -> None:
    certificate, _ = foreign_ca(tmp_path)
    form = {"slug": "bought", "custody": "encrypted", "crl_shards": "0", "certificate": upload(certificate)}
    assert b"Give the certificate and its key" in at_ada.post("/issuers/_new/import/", form).content


def test_manufacturer_is_only_believed(north: Scene, at_ada: Client, tmp_path: Path) -> None:
    certificate, _ = foreign_ca(tmp_path, "Maker")
    at_ada.post("/issuers/_new/trusted/", {"slug": "maker", "certificate": upload(certificate)})
    assert queries.find_issuer(slug="maker").kind is IssuerKind.TRUSTED
    text = at_ada.get("/issuers/maker/").content.decode()
    assert "another" in text
    assert "CRLs and OCSP" not in text
    assert at_ada.get("/issuers/maker/issuance/").status_code == 404
    assert "not ours" in at_ada.get("/issuers/").content.decode()


def test_file_that_is_too_large_or_no_certificate_is_told(north: Scene, at_ada: Client, tmp_path: Path) -> None:
    for octets, word in ((b"x" * 600_000, "larger than"), (b"nonsense", "alert")):
        file = tmp_path / "file.pem"
        file.write_bytes(octets)
        text = at_ada.post("/issuers/_new/trusted/", {"slug": "maker", "certificate": upload(file)}).content.decode()
        assert word in text


def test_ca_elsewhere_signs_what_was_asked_for(north: Scene, at_ada: Client, at_bo: Client, tmp_path: Path) -> None:
    certificate, key = foreign_ca(tmp_path, "Company Root")
    form = new_key(slug="north-company", common_name="North by the company", key_algorithm="ecdsa-p256")
    page = at_ada.post("/issuers/_new/request/", form)["Location"]
    assert page == "/issuers/_requests/north-company/"
    csr = tmp_path / "north.csr"
    csr.write_bytes(at_ada.get(page + "csr/").content)
    signed = tmp_path / "signed.pem"
    extensions = tmp_path / "v3.txt"
    extensions.write_text("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n")
    openssl("x509", "-req", "-in", csr, "-CA", certificate, "-CAkey", key, "-days", "300", "-out", signed,
            "-extfile", extensions)  # fmt: skip
    assert at_bo.get(page).status_code == 200
    assert at_bo.post(page, {"certificate": upload(signed), "chain": upload(certificate)}).status_code == 403
    done = at_ada.post(page, {"certificate": upload(signed), "chain": upload(certificate)})
    assert done["Location"] == "/issuers/north-company/"
    made = queries.find_issuer(slug="north-company")
    assert made.parent is not None
    assert queries.find_issuer(id=made.parent).kind is IssuerKind.TRUSTED


def test_what_is_asked_for_or_brought_takes_the_place_of_an_issuer(
    north: Scene, at_ada: Client, tmp_path: Path
) -> None:
    for way in ("request", "import", "offline"):
        page = at_ada.get(f"/issuers/_new/{way}/").content.decode()
        assert '<option value="north-ca">' in page, way
    at_ada.post("/issuers/_new/request/", new_key(slug="north-company", replaces="north-ca"))
    [asked] = queries.list_issuer_requests(domains=[north.domain])
    assert asked.replaces == "north-ca"
    certificate, key = foreign_ca(tmp_path, "Next Root")
    form = {"slug": "next", "custody": "encrypted", "crl_shards": "0", "replaces": "north-root"}
    at_ada.post("/issuers/_new/import/", {**form, "certificate": upload(certificate), "key": upload(key)})
    assert queries.find_issuer(slug="north-root").successor == queries.find_issuer(slug="next").id
    vault, _ = foreign_ca(tmp_path, "Vault")
    at_ada.post("/issuers/_new/offline/", {"slug": "vault", "certificate": upload(vault), "replaces": "next"})
    assert queries.find_issuer(slug="next").successor == queries.find_issuer(slug="vault").id


def test_request_is_given_up(north: Scene, at_ada: Client, at_cy: Client) -> None:
    at_ada.post("/issuers/_new/request/", new_key(slug="north-x"))
    assert b"north-x" in at_ada.get("/issuers/").content
    for leaf in ("", "csr/"):
        assert at_cy.get(f"/issuers/_requests/north-x/{leaf}").status_code == 404
    assert at_cy.post("/issuers/_requests/north-x/cancel/").status_code == 404
    at_ada.post("/issuers/_requests/north-x/cancel/")
    assert queries.list_issuer_requests(domains=[north.domain]) == []


def test_finding_about_an_issuer_stands_with_it(north: Scene, at_ada: Client) -> None:
    Issuer.objects.filter(slug="north-ca").update(not_after=north.now + timedelta(days=9))
    assert "It ends at" in at_ada.get("/issuers/").content.decode()
    text = at_ada.get("/issuers/north-ca/").content.decode()
    assert "Roll it over" in text
    assert "It ends at" not in at_ada.get("/issuers/north-root/").content.decode()


def test_another_domain_sees_no_issuer(north: Scene, at_cy: Client) -> None:
    for leaf in ("", "pem/", "der/", "chain/", "issuance/"):
        assert at_cy.get(f"/issuers/north-ca/{leaf}").status_code == 404
    assert b"north-ca" not in at_cy.get("/issuers/").content
