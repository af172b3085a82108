"""What a crash, a fault or a foreign key leaves behind: never a certificate without a record."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import IntegrityError, connection, transaction

from kernel.core.errors import DomainError
from kernel.core.ids import new_id
from kernel.core.secrets import MasterKey, WrongKey
from kernel.queries import list_entries
from pki import queries, services
from pki.core import keys
from pki.core.keys import SigningKey, generate_key
from pki.core.profiles import UnknownProfile
from pki.core.values import CertificateState, IssuedCertificate, Issuer, IssuerId, KeyAlgorithm, KeyId, ReasonCode
from pki.models import Certificate, Key
from pki.services.custody import IssuerEnded
from pki.services.issue_certificate import MissignedError
from pki.services.issuers.levels import EndOfPath
from pki.services.issuers.storing import BadSlug, SlugTaken
from pki.services.kept_keys import KeptKeys
from tests.cast import ADA, NORTH
from tests.pki.conftest import IssueDevice, make_csr

Issue = Callable[..., IssuedCertificate]


@pytest.fixture
def issue(ca: Issuer, now: datetime, tmp_path: Path) -> Issue:
    csr = make_csr(tmp_path, "pump")

    def do(**changed: Any) -> IssuedCertificate:
        asked: dict[str, Any] = {
            "issuer": ca.id,
            "profile": "device",
            "csr": csr,
            "holder": "device:1",
            "variables": {"auth_id": "pump", "domain": "north", "id": "1"},
            "actor": ADA,
            "now": now,
        }
        return services.issue_certificate(**asked | changed)

    return do


def signing_as(monkeypatch: pytest.MonkeyPatch, spoil: Callable[[SigningKey, bytes], bytes]) -> None:
    """Has `spoil` take the place of the issuer's signature; what is linted before it has none."""
    monkeypatch.setattr(keys, "wrap_signed", spoil)


def states(holder: str = "device:1") -> list[str]:
    return [*Certificate.objects.filter(holder=holder).values_list("state", flat=True)]


def test_the_row_is_there_before_the_key_signs(issue: Issue, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    right = keys.wrap_signed

    def look(key: SigningKey, to_be_signed: bytes) -> bytes:
        seen.append(states())
        return right(key, to_be_signed)

    signing_as(monkeypatch, look)
    issue()
    assert seen == [["requested"]]


def test_a_crash_while_signing_ends_revoked_and_on_the_crl(
    issue: Issue, ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: Any) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        signing_as(patch, crash)
        with pytest.raises(KeyboardInterrupt):
            issue()
    assert states() == ["requested"]
    later = now + timedelta(minutes=11)
    [abandoned] = services.abandon_unsigned(now=later)
    assert services.abandon_unsigned(now=later) == []
    assert queries.get_certificate(id=abandoned).state is CertificateState.REVOKED
    crl = x509.load_der_x509_crl(services.publish_crl(issuer=ca.id, now=later).der)
    assert [entry.serial_number for entry in crl] == [queries.get_certificate(id=abandoned).serial]
    assert issue().state is CertificateState.ISSUED  # the same key, the same holder: it may try again


@pytest.mark.parametrize("what", ["another key", "another serial number"])
def test_what_was_not_linted_is_not_handed_out(what: str, issue: Issue, monkeypatch: pytest.MonkeyPatch) -> None:
    right = keys.wrap_signed

    def spoil(key: SigningKey, to_be_signed: bytes) -> bytes:
        if what == "another key":
            return right(generate_key(KeyAlgorithm.ECDSA_P256), to_be_signed)
        before, serial_number, after = to_be_signed.partition(b"\x02\x14")  # an INTEGER of 20 octets
        return right(key, before + serial_number + bytes([after[0] ^ 1]) + after[1:])

    signing_as(monkeypatch, spoil)
    with pytest.raises(MissignedError):
        issue()
    assert states() == ["requested"]
    assert not Certificate.objects.filter(holder="device:1", der__isnull=False).exists()


def test_what_was_given_up_meanwhile_is_not_handed_out(
    issue: Issue, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = keys.wrap_signed

    def slow(key: SigningKey, to_be_signed: bytes) -> bytes:
        services.abandon_unsigned(now=now + timedelta(minutes=11))
        return right(key, to_be_signed)

    signing_as(monkeypatch, slow)
    with pytest.raises(DomainError) as caught:
        issue()
    assert caught.value.code == "request-abandoned"
    assert states() == ["revoked"]


def test_one_request_that_can_not_be_given_up_keeps_no_other_waiting(
    issue_device: IssueDevice, now: datetime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = issue_device("a"), issue_device("b")
    Certificate.objects.filter(id__in=[first.id, second.id]).update(state="requested", der=None, fingerprint=None)
    abandoning = sys.modules["pki.services.abandon_unsigned"]  # in the package that name is the function's
    right = abandoning.revoke_row

    def fail_once(row: Certificate, **rest: Any) -> Any:
        if row.id == first.id:
            raise DomainError("the device is not known.")
        return right(row, **rest)

    monkeypatch.setattr(abandoning, "revoke_row", fail_once)
    with caplog.at_level(logging.CRITICAL):
        assert services.abandon_unsigned(now=now + timedelta(minutes=11)) == [second.id]


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"profile": "toaster"}, "profile-unknown"),
        ({"issuer": IssuerId(NORTH)}, "issuer-unknown"),
        ({"variables": {"auth_id": "x" * 65, "domain": "n", "id": "1"}}, "certificate-name"),
        ({"variables": {"auth_id": "x"}}, "profile-variable"),
        ({"csr": b"junk"}, "csr-malformed"),
        ({"holder": ""}, "certificate-holder"),
        ({"holder": "x" * 65}, "certificate-holder"),
        ({"profile": "broker-server", "variables": {"common_name": "mq"}}, "certificate-name"),
    ],
)
def test_what_is_refused_leaves_nothing(changed: dict[str, Any], code: str, issue: Issue) -> None:
    before = list_entries(limit=1)
    with pytest.raises(DomainError) as caught:
        issue(**changed)
    assert caught.value.code == code
    assert states() == []
    assert queries.holder_of_key(public_key_sha256="") is None
    assert list_entries(limit=1) == before


def test_an_issuer_that_ended_signs_nothing(issue: Issue, ca: Issuer) -> None:
    with pytest.raises(IssuerEnded):
        issue(now=ca.not_after)
    with pytest.raises(IssuerEnded):
        services.publish_crl(issuer=ca.id, now=ca.not_after)


def test_a_serial_number_stands_once_for_an_issuer(issue: Issue) -> None:
    issued = issue()
    row = Certificate.objects.get(id=issued.id)
    row.id, row.fingerprint = new_id(), None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


@pytest.mark.parametrize("slug", ["", "North", "a b", "a/b", "-a", "a-", "a--b", "x" * 51, "ä"])
def test_a_slug_that_can_not_stand_in_urls_is_refused(slug: str, db: None, now: datetime) -> None:
    with pytest.raises(BadSlug):
        services.create_root(domain=NORTH, slug=slug, common_name="R", actor=ADA, now=now)


def test_a_slug_is_taken_once(ca: Issuer, now: datetime) -> None:
    with pytest.raises(SlugTaken):
        services.create_root(domain=NORTH, slug="north-ca", common_name="R", actor=ADA, now=now)


def test_an_issuing_ca_has_none_below_it(ca: Issuer, now: datetime) -> None:
    with pytest.raises(EndOfPath):
        services.create_issuing_ca(parent=ca.id, slug="below", common_name="B", actor=ADA, now=now)


def test_the_issuing_ca_s_certificate_is_one_of_the_root_s(root: Issuer, ca: Issuer, now: datetime) -> None:
    [record] = queries.certificates_of(holder="issuer:north-ca")
    assert (record.issuer, record.serial, record.pem) == (root.id, ca.serial, ca.certificate_pem)
    services.revoke_certificate(certificate=record.id, reason=ReasonCode.CA_COMPROMISE, actor=ADA, now=now)
    crl = x509.load_der_x509_crl(services.publish_crl(issuer=root.id, now=now).der)
    assert [entry.serial_number for entry in crl] == [ca.serial]


@pytest.mark.parametrize("algorithm", [KeyAlgorithm.ECDSA_P256, KeyAlgorithm.ED25519])
def test_a_key_is_never_stored_in_the_clear(algorithm: KeyAlgorithm, db: None) -> None:
    key_id, key = KeptKeys().generate(algorithm)
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    secret = plain[-32:] if isinstance(key, ed25519.Ed25519PrivateKey) else _scalar(key)
    assert secret in plain
    with connection.cursor() as cursor:
        cursor.execute("SELECT wrapped FROM pki_key")
        assert secret not in bytes(cursor.fetchone()[0])
    assert KeptKeys().open(key_id).public_key() == key.public_key()


def _scalar(key: SigningKey) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")


def test_a_key_opens_under_its_own_id_and_master_key_alone(root: Issuer, settings: Any) -> None:
    row = Key.objects.order_by("id").first()
    assert row is not None
    other = Key.objects.create(id=new_id(), algorithm=row.algorithm, wrapped=row.wrapped)
    with pytest.raises(WrongKey):
        KeptKeys().open(KeyId(other.id))
    settings.GATEHOUSE_MASTER_KEY = MasterKey.generate()
    with pytest.raises(WrongKey):
        KeptKeys().open(KeyId(row.id))


def test_the_profile_that_is_unknown_names_those_there_are(issue: Issue) -> None:
    with pytest.raises(UnknownProfile, match="device"):
        issue(profile="x")
