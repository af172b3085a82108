"""`manage.py weak_keys`."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import CommandError, call_command

from pki.core.values import Issuer
from pki.core.weak_keys import debian_mark, lists_in_use, read_debian_list, use_lists
from tests.pki.conftest import make_csr, openssl
from tests.pki.core.debian_key import DEBIAN_KEY

pytestmark = pytest.mark.django_db


def said(*words: str) -> str:
    output = StringIO()
    call_command("weak_keys", *words, stdout=output)
    return output.getvalue()


def test_hunt_tells_what_it_looked_at(ca: Issuer) -> None:
    told = json.loads(said("hunt", "--json"))
    assert (told["rsa_keys"], told["found"]) == (0, [])
    assert told["new_keys"] == 4  # of two issuers and two OCSP signers
    assert "0 found that are weak; 0 lists" in said("hunt", "--all")


def test_check_judges_each_sort_of_file(tmp_path: Path) -> None:
    make_csr(tmp_path, "good")
    openssl("req", "-x509", "-key", tmp_path / "good.key", "-subj", "/CN=good", "-out", tmp_path / "good.crt")
    openssl("pkey", "-in", tmp_path / "good.key", "-pubout", "-out", tmp_path / "good.pub")
    for name in ("good.csr", "good.crt", "good.pub"):
        assert said("check", str(tmp_path / name)) == "Accepted.\n", name
    (tmp_path / "debian.pub").write_bytes(DEBIAN_KEY.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    before, mark = lists_in_use(), debian_mark(DEBIAN_KEY)
    assert mark is not None
    use_lists([read_debian_list(mark.hex().encode())])
    try:
        output = StringIO()
        with pytest.raises(SystemExit) as end:
            call_command("weak_keys", "check", str(tmp_path / "debian.pub"), "--json", stdout=output)
    finally:
        use_lists(before)
    assert end.value.code == 1
    assert json.loads(output.getvalue())["accepted"] is False


def test_file_that_holds_no_key_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("nothing")
    for name in ("text", "missing"):
        with pytest.raises(CommandError):
            said("check", str(tmp_path / name))
