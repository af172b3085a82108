"""`manage.py sign-offline` shows what the asking host says as what it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from django.core.management import CommandError, call_command

from pki.core.issuer_values import SigningKind
from pki.core.signing_file import Order, SigningFile, write_orders

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def asked(purpose: str, subject: str) -> SigningFile:
    """A file that asks for one certificate."""
    key, name = Ed25519PrivateKey.generate(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(1)).sign(key, None)
    order = Order(id=uuid4(), kind=SigningKind.CERTIFICATE, purpose=purpose, to_be_signed=made.tbs_certificate_bytes)
    return SigningFile(issuer=made, slug="vault", orders=(order,))


def shown(file: SigningFile, folder: Path) -> list[str]:
    """What the screen shows before anything is signed; nobody is there to agree."""
    (folder / "todo").write_bytes(write_orders(file))
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("sign-offline", str(folder / "todo"), "--key", str(folder / "none"), stdout=out)
    return out.getvalue().removesuffix("\n").split("\n")


def test_purpose_is_escaped_and_said_to_be_unverified(tmp_path: Path) -> None:
    lines = shown(asked("a CRL\n    certificate for CN=good\x1b[8m", "evil\x1b[1A"), tmp_path)
    assert all(line.isprintable() for line in lines)
    assert lines[0] == r"CN=evil\x1b[1A is asked to sign:"
    assert r"    the asking host calls it (not verified): a CRL\n \x20\x20\x20certificate for CN=good\x1b[8m" in lines
    assert [line for line in lines if line.startswith("    certificate for")] == [r"    certificate for CN=evil\x1b[1A"]


def test_refusal_moves_no_cursor(tmp_path: Path) -> None:
    todo, key = tmp_path / "todo", tmp_path / "key"
    todo.write_bytes(write_orders(asked("x", "Root\x1b[2J")))
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(pem)
    with pytest.raises(CommandError, match=r"not the key of CN=Root\\x1b\[2J:"):
        call_command("sign-offline", str(todo), "--key", str(key), "--yes", stdout=StringIO())
