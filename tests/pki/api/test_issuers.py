"""The life of issuers over the API: ada may, bo only reads, cy is of another domain."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from pki import queries, services
from pki.core.ca_files import read_key
from pki.core.profile_documents import profile_document
from pki.core.profiles import PROFILES
from pki.core.signing_file import read_orders, sign_orders
from pki.core.values import Issuer
from tests.cast import ADA, NORTH
from tests.pki.api.test_views import ada, bo, call, codes, cy
from tests.pki.conftest import openssl
from tests.pki.outside_ca import outside_root
from tests.pki.serving import served

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _a_minute_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """When what openssl signs now has begun."""
    for module in ("issuers", "issuer_arrivals", "issuer_acts", "issuer_signing"):
        monkeypatch.setattr(f"pki.api.{module}.utc_now", lambda: datetime.now(UTC) + timedelta(minutes=1))


def done(method: str, tail: str, body: Any = None, *, status: int = 201) -> Any:
    answer = call(method, tail, ada, body if body is not None else {})
    assert answer.status_code == status, answer.data
    return answer.data


def test_root_and_ca_are_created() -> None:
    root = done("POST", "issuers/", {"slug": "my-root", "name": "My Root", "key_algorithm": "ecdsa-p384"})
    assert (root["kind"], root["state"], root["custody"]) == ("online", "active", "encrypted")
    made = done("POST", "issuers/", {"slug": "my-ca", "name": "My CA", "parent": "my-root", "crl_shards": 8})
    assert (made["parent"], made["crl_shards"], made["key_algorithm"]) == ("my-root", 8, "ecdsa-p256")
    assert [each["slug"] for each in call("GET", "issuers/?kind=online", bo).data["results"]] == ["my-ca", "my-root"]


def test_path_length_that_is_left_out_is_the_profiles(root: Issuer) -> None:
    document = profile_document(PROFILES["issuing-ca"]) | {"path_length": 1}
    services.save_profile(domain=NORTH, name="issuing-ca", document=document, actor=ADA, now=datetime.now(UTC))
    made = done("POST", "issuers/", {"slug": "plant", "name": "Plant", "parent": "north-root"})
    own = x509.load_pem_x509_certificate(made["certificate"].encode())
    assert own.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"slug": "Not A Slug", "name": "X"}, "issuer-slug"),
        ({"slug": "import", "name": "X"}, "issuer-slug"),
        ({"slug": "north-ca", "name": "X"}, "issuer-slug-taken"),
        ({"slug": "deep", "name": "X", "parent": "north-ca"}, "issuer-path-length"),
        ({"slug": "late", "name": "X", "parent": "north-root", "validity_days": 4_000}, "issuer-validity"),
        ({"slug": "late", "name": "X", "parent": "nobody"}, "issuer-unknown"),
        ({"slug": "ctl", "name": "a\tb"}, "certificate-name"),
    ],
)
def test_issuer_that_can_not_be_is_not_created(ca: Issuer, body: dict[str, Any], code: str) -> None:
    assert codes(call("POST", "issuers/", ada, body))[1] == code
    assert len(queries.list_issuers()) == 2


def test_rollover_retirement_and_revocation(ca: Issuer) -> None:
    new = done("POST", "issuers/north-ca/rollover/", {"key_algorithm": "ed25519"})
    assert (new["slug"], new["parent"], new["key_algorithm"]) == ("north-ca-g2", "north-root", "ed25519")
    old = call("GET", "issuers/north-ca/", bo).data
    assert (old["state"], old["successor"]) == ("superseded", "north-ca-g2")
    assert codes(call("POST", "issuers/north-ca/rollover/", ada, {})) == (409, "issuer-not-active")
    assert codes(call("POST", "issuers/north-root/retire/", ada, {})) == (409, "issuer-still-needed")
    assert done("POST", "issuers/north-ca/retire/", status=200)["state"] == "retired"
    assert codes(call("POST", "issuers/north-root/revoke/", ada, {})) == (409, "issuer-not-confirmed")
    body = {"reason": "keyCompromise", "note": "stolen"}
    assert done("POST", "issuers/north-ca-g2/revoke/", body, status=200)["state"] == "revoked"
    assert codes(call("POST", "issuers/north-ca/rollover/", cy, {})) == (404, "issuer-unknown")


def test_cross_certificates_are_made_listed_and_served(root: Issuer) -> None:
    done("POST", "issuers/", {"slug": "other", "name": "Other Root"})
    with served() as url:
        address = f"{url}/pki/north-root/cross.pem"
        assert "404" in fetch(address)
        cross = done("POST", "issuers/north-root/cross-certificates/", {"signer": "other"})
        assert fetch(address) == cross["certificate"]
    assert call("GET", "issuers/north-root/cross-certificates/", bo).data["results"] == [cross]
    assert codes(call("POST", "issuers/north-root/cross-certificates/", ada, {}))[0] == 400
    request = done("POST", "issuers/north-root/cross-request/", status=200)["request"]
    assert "verify OK" in openssl("req", "-noout", "-verify", given=request.encode())


def fetch(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return str(error.code)


def test_ca_is_imported_with_its_key_which_is_never_shown(tmp_path: Path) -> None:
    outside = outside_root(tmp_path, "Old Root")
    store = tmp_path / "ca.p12"
    openssl("pkcs12", "-export", "-inkey", outside.key, "-in", outside.certificate, "-passout", "pass:open sesame",
            "-out", store)  # fmt: skip
    octets = base64.b64encode(store.read_bytes()).decode()
    body = {"slug": "old", "pkcs12": octets, "passphrase": "open sesame", "crl": outside.crl().read_text()}
    assert codes(call("POST", "issuers/import/", ada, {**body, "passphrase": "shut"})) == (400, "key-unreadable")
    assert codes(call("POST", "issuers/import/", ada, {**body, "pkcs12": "%"}))[0] == 400
    made = done("POST", "issuers/import/", body)
    assert made["certificate"].encode() == outside.certificate.read_bytes()
    assert made["crl"]["number"] == 0x2A  # openssl's was 0x29
    assert "PRIVATE" not in json.dumps(made)
    assert "open sesame" not in json.dumps(made)


def test_imported_ca_takes_the_place_of_the_one_that_it_replaces(root: Issuer, tmp_path: Path) -> None:
    outside = outside_root(tmp_path, "New Root")
    pem, key = outside.certificate.read_text(), outside.key.read_text()
    body = {"slug": "new", "certificate": pem, "key": key, "replaces": "nobody"}
    assert codes(call("POST", "issuers/import/", ada, body)) == (404, "issuer-unknown")
    done("POST", "issuers/import/", {**body, "replaces": "north-root"})
    old = call("GET", "issuers/north-root/", bo).data
    assert (old["state"], old["successor"]) == ("superseded", "new")


@pytest.mark.parametrize("more", [{"custody": "file"}, {"crl_shards": 4}, {"key": "x"}, {"passphrase": "x"}])
def test_offline_ca_is_told_nothing_about_a_key_here(tmp_path: Path, more: dict[str, Any]) -> None:
    body = {"slug": "vault", "offline": True, "certificate": outside_root(tmp_path, "Vault").certificate.read_text()}
    answer = call("POST", "issuers/import/", ada, {**body, **more})
    assert answer.status_code == 400
    [fault] = answer.data["errors"]
    assert fault["pointer"] == f"/{next(iter(more))}"
    assert queries.list_issuers() == []


def test_manufacturer_is_believed(tmp_path: Path) -> None:
    pem = outside_root(tmp_path, "Maker").certificate.read_text()
    assert done("POST", "issuers/trust/", {"slug": "maker", "certificate": pem})["kind"] == "trusted"
    assert codes(call("POST", "issuers/trust/", ada, {"slug": "twin", "certificate": pem})) == (409, "issuer-known")
    assert codes(call("POST", "issuers/trust/", ada, {"slug": "x", "certificate": "no"})) == (
        400,
        "certificate-unreadable",
    )


def test_request_is_listed_signed_elsewhere_and_installed(tmp_path: Path) -> None:
    outside = outside_root(tmp_path, "Corporate Root")
    asked = done("POST", "issuers/requests/", {"slug": "plant", "name": "Plant CA", "organization": "Works"})
    [listed] = call("GET", "issuers/requests/", bo).data["results"]
    assert listed == asked == call("GET", "issuers/requests/plant/", bo).data
    csr = outside.folder / "plant.csr"
    csr.write_text(asked["request"])
    signed = outside.sign(csr, extensions="sub").read_text()
    body = {"certificate": signed, "chain": outside.certificate.read_text()}
    assert codes(call("POST", "issuers/requests/plant/install/", cy, body))[0] == 404
    assert done("POST", "issuers/requests/plant/install/", body)["slug"] == "plant"
    assert codes(call("GET", "issuers/requests/plant/", bo)) == (404, "issuer-request-unknown")
    done("POST", "issuers/requests/", {"slug": "spare", "name": "Spare"})
    assert call("DELETE", "issuers/requests/spare/").status_code == 204


def test_offline_root_signs_by_files(tmp_path: Path) -> None:
    vault = outside_root(tmp_path, "Vault")
    pem = vault.certificate.read_text()
    root = done("POST", "issuers/import/", {"slug": "vault", "offline": True, "certificate": pem})
    assert (root["kind"], root["custody"], root["crl"]) == ("offline", None, None)
    body = {"slug": "plant", "name": "Plant", "parent": "vault"}
    assert done("POST", "issuers/", body, status=202)["issuer"] == "vault"
    assert done("POST", "issuers/vault/crl/", status=202)["kind"] == "crl"
    assert len(call("GET", "issuers/vault/signing-requests/", bo).data["results"]) == 3
    file = done("POST", "issuers/vault/signing-requests/")["file"]
    signed = sign_orders(read_orders(file.encode()), read_key(vault.key.read_bytes())).decode()
    results = done("POST", "issuers/vault/signatures/", {"file": signed}, status=200)["results"]
    assert [each["fault"] for each in results] == ["", "", ""]
    assert call("GET", "issuers/plant/", bo).data["parent"] == "vault"
    rolled = done("POST", "issuers/plant/rollover/", status=202)
    assert rolled["purpose"] == "the certificate of the CA plant-g2"
    assert call("DELETE", f"issuers/vault/signing-requests/{rolled['id']}/", ada).status_code == 204
    again = codes(call("DELETE", f"issuers/vault/signing-requests/{rolled['id']}/", ada))
    assert again == (404, "signing-request-unknown")
    assert codes(call("POST", "issuers/vault/signatures/", ada, {"file": "{}"})) == (400, "signing-file-malformed")
    assert codes(call("POST", "issuers/vault/rollover/", ada, {})) == (409, "issuer-rolled-elsewhere")
    crl = queries.latest_crl(issuer=queries.find_issuer(slug="vault").id)
    assert crl is not None
    assert x509.load_der_x509_crl(crl.der).is_signature_valid(
        x509.load_pem_x509_certificate(vault.certificate.read_bytes()).public_key()  # type: ignore[arg-type]
    )
