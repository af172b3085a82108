"""`manage.py issuer`, `sign-offline` and `offline-root`, from the shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from kernel.core.ids import DomainId
from pki import queries
from tests.pki.conftest import openssl
from tests.pki.outside_ca import outside_root, verify

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("domains")]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _no_consequences(settings: Any) -> None:
    settings.GATEHOUSE_ROUTER = "tests.pki.routing.router"


def issuer(*words: str | Path) -> Any:
    out = StringIO()
    call_command("issuer", *map(str, words), "--json", stdout=out)
    return json.loads(out.getvalue())


def elsewhere(*words: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """A command on a machine that reaches no database."""
    away = {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none", "GATEHOUSE_HOME": str(home)}
    line = [sys.executable, str(ROOT / "manage.py"), *map(str, words)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("GATEHOUSE", "DJANGO"))}
    return subprocess.run(
        line, env=environ | away, capture_output=True, text=True, check=False, timeout=300, stdin=subprocess.DEVNULL
    )


def test_root_and_ca_are_created_listed_and_shown() -> None:
    root = issuer("create", "my-root", "--name", "My Root", "--domain", "north", "--algorithm", "ecdsa-p384")
    assert (root["kind"], root["key_algorithm"], root["custody"]) == ("online", "ecdsa-p384", "encrypted")
    made = issuer("create", "my-ca", "--name", "My CA", "--parent", "my-root", "--days", "100", "--shards", "4")
    assert (made["parent"], made["crl_shards"]) == ("my-root", 4)
    assert [each["slug"] for each in issuer("list")] == ["my-root", "my-ca"]
    assert issuer("show", "my-root")["issuers_below"] == ["my-ca"]


def test_rollover_cross_signing_retirement_and_revocation() -> None:
    issuer("create", "one", "--name", "One", "--domain", "north")
    issuer("create", "two", "--name", "Two", "--domain", "north")
    assert issuer("cross-sign", "one", "--by", "two")["signer"] == "CN=Two"
    assert issuer("cross-sign", "one", "--request")["request"].startswith("-----BEGIN CERTIFICATE REQUEST-----")
    assert issuer("rollover", "one")["slug"] == "one-g2"
    with pytest.raises(CommandError, match="Confirm"):
        issuer("revoke", "one")
    assert issuer("revoke", "one", "--confirm", "one")["state"] == "revoked"
    issuer("create", "three", "--name", "Three", "--domain", "north")
    assert issuer("retire", "three", "--note", "unused")["state"] == "retired"


def test_ca_is_imported_from_files_with_a_passphrase(tmp_path: Path) -> None:
    outside = outside_root(tmp_path, "Outside Root")
    store, words = tmp_path / "ca.p12", tmp_path / "words"
    words.write_text("open sesame\n")
    openssl("pkcs12", "-export", "-inkey", outside.key, "-in", outside.certificate, "-passout", f"file:{words}",
            "-out", store)  # fmt: skip
    wrong = tmp_path / "wrong"
    wrong.write_text("shut\n")
    with pytest.raises(CommandError, match="passphrase"):
        issuer("import", "old", "--pkcs12", store, "--passphrase-file", wrong, "--domain", "north")
    made = issuer("import", "old", "--pkcs12", store, "--passphrase-file", words, "--domain", "north")
    assert made["certificate"].encode() == outside.certificate.read_bytes()
    other = outside_root(tmp_path, "Maker")
    assert issuer("trust", "maker", other.certificate, "--domain", "north")["kind"] == "trusted"


def test_imported_ca_takes_the_place_of_the_one_that_it_replaces(tmp_path: Path) -> None:
    issuer("create", "old", "--name", "Old Root", "--domain", "north")
    outside = outside_root(tmp_path, "New Root")
    takes_over = ("--domain", "north", "--replaces", "old")
    issuer("import", "new", "--certificate", outside.certificate, "--key", outside.key, *takes_over)
    old = issuer("show", "old")
    assert (old["state"], old["successor"]) == ("superseded", "new")
    other = outside_root(tmp_path, "Late Root")
    with pytest.raises(CommandError, match="no active issuer"):
        issuer("import", "late", "--certificate", other.certificate, "--key", other.key, *takes_over)
    assert [each["slug"] for each in issuer("list")] == ["old", "new"]


@pytest.mark.parametrize(("option", "value"), [("--custody", "file"), ("--shards", "4"), ("--key", "x")])
def test_offline_ca_is_told_nothing_about_a_key_here(tmp_path: Path, option: str, value: str) -> None:
    outside = outside_root(tmp_path, "Vault")
    with pytest.raises(CommandError, match=rf"stays elsewhere: leave out {option}\."):
        issuer("import", "vault", "--offline", "--certificate", outside.certificate, "--domain", "north", option, value)
    assert issuer("list") == []


def test_request_is_signed_by_openssl_and_installed(tmp_path: Path) -> None:
    outside = outside_root(tmp_path, "Outside Root")
    csr = outside.folder / "plant.csr"
    csr.write_text(issuer("request", "plant", "--name", "Plant CA", "--domain", "north")["request"])
    signed = outside.sign(csr, extensions="sub")
    made = issuer("install", "plant", signed, "--chain", outside.certificate)
    assert made["kind"] == "online"
    issuer("request", "spare", "--name", "Spare", "--domain", "north")
    assert issuer("cancel", "spare") == {"cancelled": "spare"}


def test_what_waits_is_listed_printed_again_and_given_up(tmp_path: Path) -> None:
    assert issuer("requests") == {"requests": [], "signing_requests": []}
    asked = issuer("request", "plant", "--name", "Plant CA", "--domain", "north")
    assert issuer("requests", "plant") == asked
    with pytest.raises(CommandError, match="no such request"):
        issuer("requests", "nobody")
    issuer("import", "vault", "--offline", "--certificate", outside_root(tmp_path, "Vault").certificate,
           "--domain", "north")  # fmt: skip
    ordered = issuer("create", "lab", "--name", "Lab CA", "--parent", "vault")["signing_request"]
    waiting = issuer("requests")
    assert [each["slug"] for each in waiting["requests"]] == ["plant", "lab"]
    assert (ordered, "the certificate of the CA lab") in [
        (each["signing_request"], each["purpose"]) for each in waiting["signing_requests"]
    ]
    with pytest.raises(CommandError, match="cancel the signing request first"):
        issuer("cancel", "lab")
    assert issuer("cancel-signing", ordered) == {"cancelled": ordered}
    with pytest.raises(CommandError, match="no such signing request"):
        issuer("cancel-signing", ordered)
    assert [each["slug"] for each in issuer("requests")["requests"]] == ["plant"]


def test_offline_root_signs_by_files_on_a_machine_without_a_database(
    tmp_path: Path, domains: tuple[DomainId, DomainId]
) -> None:
    home, words, key, certificate = (tmp_path / name for name in ("home", "words", "root.key", "root.pem"))
    words.write_text("correct horse battery\n")
    made = elsewhere("offline-root", "Vault Root", "--key", key, "--certificate", certificate,
                     "--passphrase-file", words, home=home)  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert key.stat().st_mode & 0o777 == 0o600
    assert "ENCRYPTED" in key.read_text()
    assert verify(certificate, roots=[certificate]).endswith("OK\n")
    issuer("import", "vault", "--offline", "--certificate", certificate, "--domain", "north")
    assert "signing_request" in issuer("create", "plant", "--name", "Plant CA", "--parent", "vault")

    file, back = tmp_path / "todo.json", tmp_path / "done.json"
    assert len(issuer("export", "vault", "--out", file)["requests"]) == 3
    unasked = elsewhere("sign-offline", file, "--key", key, "--passphrase-file", words, home=home)
    assert "say --yes" in unasked.stderr
    assert "certificate for CN=Plant CA" in unasked.stdout
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong horse battery\n")
    refused = elsewhere("sign-offline", file, "--key", key, "--passphrase-file", wrong, "--yes", home=home)
    assert refused.returncode != 0
    signed = elsewhere(
        "sign-offline", file, "--key", key, "--passphrase-file", words, "--yes", "--out", back, home=home
    )
    assert signed.returncode == 0, signed.stderr

    assert [each["fault"] for each in issuer("signatures", "vault", back)["results"]] == ["", "", ""]
    assert [each.slug for each in queries.list_issuers()] == ["vault", "plant"]
