"""Issuers' private keys stand nowhere but in their custody: not in logs, messages, answers, dumps, files or tables.

The keys are made here and imported, so that the test knows what to look for.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.signals import before_task_publish
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.views.debug import ExceptionReporter

from console import logs
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from kernel.core.secrets import Hidden, MasterKey
from pki import queries, services
from pki.core import certificates, keys
from pki.core.certificates import Names
from pki.core.keys import SigningKey, generate_key
from pki.core.profiles import get_profile
from pki.core.values import Custody, Issuer, KeyAlgorithm, KeyId, ReasonCode
from pki.models import Key
from pki.services.answer_ocsp import Responder
from pki.services.custody import custody
from pki.services.kept_keys import find_kept
from tests.cast import ADA
from tests.console.conftest import token_of
from tests.pki import softhsm
from tests.pki.conftest import make_csr
from tests.spellings import found_in, pem_of, secrets_of, spellings

KEPT = [
    (Custody.ENCRYPTED, KeyAlgorithm.ECDSA_P256),
    (Custody.ENCRYPTED, KeyAlgorithm.RSA_3072),
    (Custody.ENCRYPTED, KeyAlgorithm.ED25519),
    (Custody.ENCRYPTED, KeyAlgorithm.ML_DSA_44),
    (Custody.FILE, KeyAlgorithm.ECDSA_P384),
    (Custody.PKCS11, KeyAlgorithm.ECDSA_P256),
    (Custody.PKCS11, KeyAlgorithm.RSA_3072),
]


class Heard:
    """Everything that was logged, as both formats of ours write it, and every message to workers."""

    def __init__(self) -> None:
        self.log, self.messages = io.StringIO(), list[bytes]()

    def publish(self, body: Any = None, headers: Any = None, **_: Any) -> None:
        self.messages.append(repr((body, headers)).encode() + pickle.dumps((body, headers)))


@pytest.fixture
def heard(settings: Any) -> Iterator[Heard]:
    settings.GATEHOUSE_ROUTER = "console.wiring.router"
    heard, root = Heard(), logging.getLogger()
    handlers = []
    for form in ("console", "json"):
        words = dict(logs.logging_config(form)["formatters"]["line"])
        handler = logging.StreamHandler(heard.log)
        handler.setFormatter(words.pop("()")(**words))
        handlers.append(handler)
        root.addHandler(handler)
    levels = {name: logging.getLogger(name).level for name in ("", "django", "django.db.backends", "pki", "kernel")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    before_task_publish.connect(heard.publish)
    connection.force_debug_cursor = True  # each statement with its parameters
    yield heard
    connection.force_debug_cursor = False
    before_task_publish.disconnect(heard.publish)
    for handler in handlers:
        root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def home(settings: Any, tmp_path: Path) -> Path:
    settings.GATEHOUSE_HOME = tmp_path / "home"
    return tmp_path / "home"


@pytest.fixture
def token(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    settings.GATEHOUSE_PKCS11_MODULE = softhsm.MODULE
    label = settings.GATEHOUSE_PKCS11_TOKEN = softhsm.make_token(tmp_path_factory.mktemp("softhsm"))
    settings.GATEHOUSE_PKCS11_PIN = Hidden(softhsm.PIN)
    return str(label)


def self_signed(key: SigningKey, now: datetime) -> str:
    builder = certificates.build(
        profile=get_profile("root"),
        names=Names(variables={"common_name": f"Elsewhere {new_id().hex[-8:]}"}),
        authority=None,
        public_key=key.public_key(),
        serial=certificates.new_serial(),
        not_before=now - timedelta(days=1),
        not_after=now + timedelta(days=900),
    )
    return certificates.sign(builder, key).public_bytes(Encoding.PEM).decode()


def drive(issuer: Issuer, folder: Path, now: datetime) -> bytes:
    """Issuance, OCSP and CRL by the issuer, and a revocation; what OCSP and CRL answered."""
    certificate = services.issue_certificate(
        issuer=issuer.id,
        profile="device",
        csr=make_csr(folder, "pump-1"),
        holder=f"device:{new_id()}",
        variables={"auth_id": "pump-1", "domain": "north", "id": "1"},
        actor=ADA,
        now=now,
    )
    services.revoke_certificate(certificate=certificate.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    crl = services.publish_crl(issuer=issuer.id, now=now).der
    from pki.core.ocsp_request import build_request

    request = build_request(issuer=x509.load_der_x509_certificate(issuer.certificate_der), serial=certificate.serial)
    answer = Responder().answer(issuer.slug, request, now=now)
    assert answer is not None
    return crl + answer.der


class Jammed(RuntimeError):
    """Signing fails."""


def fail_in_signing(issuer: Issuer, monkeypatch: pytest.MonkeyPatch, now: datetime) -> list[str]:
    """What Django's error page, its mail and the log would say of it, with the variables of every frame."""

    def jam(key: SigningKey, octets: bytes) -> bytes:
        raise Jammed(f"can not sign with {key!r}")

    said: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(keys, "sign", jam)
        try:
            services.publish_crl(issuer=issuer.id, now=now, force=True)
        except Jammed:
            logging.getLogger("pki.services").exception("publishing failed")
            reporter = ExceptionReporter(None, *sys.exc_info())
            said = [reporter.get_traceback_html(), reporter.get_traceback_text()]
    assert said
    return said


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("kept", "algorithm"), KEPT)
def test_a_private_key_is_nowhere_but_in_its_custody(
    kept: Custody,
    algorithm: KeyAlgorithm,
    heard: Heard,
    home: Path,
    token: str,
    domains: Any,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    now, key = utc_now(), generate_key(algorithm)
    secrets, headers = secrets_of(key) | {"pin": softhsm.PIN.encode()}, token_of()
    master = MasterKey.from_base64(django_settings.GATEHOUSE_MASTER_KEY.to_base64())
    secrets |= {"master key": base64.b64decode(master.to_base64()), "derived key": master.derive("pki.key")}
    sent = {"slug": "taken", "certificate": self_signed(key, now), "key": pem_of(key), "custody": kept.value}
    wrong = sent | {"slug": "wrong", "certificate": self_signed(generate_key(algorithm), now)}
    answers = [
        client.post("/api/v1/issuers/import/", json.dumps(body), content_type="application/json", headers=extra)
        for body in (wrong, sent | {"custody": "nowhere"}, sent, sent)
        for extra in (headers, headers | {"Idempotency-Key": "once"})
    ]
    assert 201 in [answer.status_code for answer in answers], [answer.content for answer in answers]
    issuer = queries.find_issuer(slug="taken")
    places = {f"answer {at}": answer.content for at, answer in enumerate(answers)}
    places["crl and ocsp"] = drive(issuer, tmp_path, now)
    places |= {f"report {at}": said.encode() for at, said in enumerate(fail_in_signing(issuer, monkeypatch, now))}
    for path in ("/api/v1/issuers/", "/api/v1/issuers/taken/", "/api/v1/certificates/", "/pki/taken/cert"):
        places[path] = client.get(path, headers=headers).content
    dumped = io.StringIO()
    call_command("dumpdata", stdout=dumped)
    call_command("keys", "list", "--json", stdout=dumped)
    call_command("keys", "check", stdout=dumped)
    call_command("diffsettings", stdout=dumped)
    places |= {"dumps": dumped.getvalue().encode(), "log": heard.log.getvalue().encode()}
    places["queries"] = repr(connection.queries).encode()
    places |= {f"message {at}": message for at, message in enumerate(heard.messages)}
    places |= {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    places |= database_files()
    key_id = KeyId(Key.objects.get(issuer__slug="taken").id)
    places["reprs"] = repr([custody, custody.open(key_id), find_kept(key_id), vars(custody)]).encode()
    assert len(heard.messages) > 0
    assert b"publishing failed" in places["log"]
    leaks = {place: found for place, held in places.items() if (found := found_in(held, secrets))}
    assert leaks == {}


def database_files() -> dict[str, bytes]:
    """The database as a copy of its files has it."""
    if connection.vendor != "sqlite":
        return {}
    path = Path(str(connection.settings_dict["NAME"]))
    found = {str(file): file.read_bytes() for file in path.parent.glob(f"{path.name}*")}
    assert any(b"pki_key" in held for held in found.values())
    return found


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.ECDSA_P256, KeyAlgorithm.RSA_3072, KeyAlgorithm.ML_DSA_44])
def test_the_search_finds_a_key_however_it_is_spelt(algorithm: KeyAlgorithm) -> None:
    key = generate_key(algorithm)
    secrets = secrets_of(key)
    for name, secret in secrets.items():
        for how, spelt in spellings(secret):
            assert f"{name} as {how}" in found_in(b"x" * 100 + spelt + b"y" * 100, secrets)
    lines = pem_of(key).encode()
    assert any(each.startswith("pkcs8 as base64") for each in found_in(lines, secrets))
    assert found_in(repr(lines).encode(), secrets)
    assert found_in(json.dumps({"key": pem_of(key)}).encode(), secrets)
    assert found_in(pem_of(generate_key(algorithm)).encode(), secrets) == []
