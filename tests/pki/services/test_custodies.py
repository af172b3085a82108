"""Issuers with a key in each custody: what they sign is verified by openssl, and where their keys are is looked up."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from kernel.core.errors import Unavailable
from kernel.core.ids import new_id
from pki import queries, services
from pki.api import wsgi
from pki.core.key_kinds import kind_of
from pki.core.keys import generate_key
from pki.core.ocsp_request import build_request
from pki.core.pem import encode_pem
from pki.core.ports import AlgorithmNotKept
from pki.core.signatures import is_signed_by
from pki.core.values import Custody, IssuedCertificate, Issuer, KeyAlgorithm, KeyId, ReasonCode
from pki.models import Key, OcspSigner
from pki.services.answer_ocsp import Responder
from pki.services.custody import custody
from pki.services.inspect_keys import check_keys, list_keys, list_strays
from pki.services.kept_keys import KeptKeys, UnknownKey
from pki.services.opened_keys import KEPT_SECONDS, MOST, OpenedKeys
from tests.cast import ADA, NORTH
from tests.pki import softhsm
from tests.pki.conftest import make_csr, openssl, pkilint

MakeCa = Callable[..., Issuer]


@pytest.fixture
def make_ca(db: None, now: datetime, settings: Any, tmp_path: Path) -> MakeCa:
    settings.GATEHOUSE_HOME = tmp_path / "home"

    def make(kept: Custody, algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256) -> Issuer:
        words: Any = {"key_algorithm": algorithm, "custody": kept, "actor": ADA, "now": now}
        root = services.create_root(domain=NORTH, slug="north-root", common_name="North Root", **words)
        return services.create_issuing_ca(parent=root.id, slug="north-ca", common_name="North CA", **words)

    return make


def issue(ca: Issuer, folder: Path, now: datetime) -> IssuedCertificate:
    return services.issue_certificate(
        issuer=ca.id,
        profile="device",
        csr=make_csr(folder, "pump-1"),
        holder=f"device:{new_id()}",
        variables={"auth_id": "pump-1", "domain": "north", "id": "1"},
        actor=ADA,
        now=now,
    )


def ask(ca: Issuer, certificate: IssuedCertificate, now: datetime) -> bytes:
    """The DER of the OCSP answer."""
    issuer = x509.load_der_x509_certificate(ca.certificate_der)
    answer = Responder().answer(ca.slug, build_request(issuer=issuer, serial=certificate.serial), now=now)
    assert answer is not None
    return answer.der


def write_down(folder: Path, ca: Issuer, certificate: IssuedCertificate, now: datetime) -> dict[str, Path]:
    """Files as openssl wants them."""
    [root] = [row for row in queries.list_issuers() if row.slug == "north-root"]
    crls = [services.publish_crl(issuer=row.id, now=now).der for row in (root, ca)]
    contents = {
        "root": root.certificate_pem.encode(),
        "ca": ca.certificate_pem.encode(),
        "leaf": certificate.pem.encode(),
        "crls": b"".join(encode_pem("X509 CRL", crl).encode() for crl in crls),
        "ocsp": ask(ca, certificate, now),
    }
    for name, octets in contents.items():
        (folder / name).write_bytes(octets)
    return {name: folder / name for name in contents}


SIGNED_BY = [
    (Custody.ENCRYPTED, KeyAlgorithm.ECDSA_P256),
    (Custody.FILE, KeyAlgorithm.ECDSA_P384),
    (Custody.PKCS11, KeyAlgorithm.ECDSA_P256),
    (Custody.PKCS11, KeyAlgorithm.ECDSA_P384),
    (Custody.PKCS11, KeyAlgorithm.RSA_3072),
    (Custody.PKCS11, KeyAlgorithm.ED25519),
]


@pytest.mark.parametrize(("kept", "algorithm"), SIGNED_BY)
def test_openssl_believes_what_each_custody_signs(
    kept: Custody, algorithm: KeyAlgorithm, make_ca: MakeCa, token: str, tmp_path: Path, now: datetime
) -> None:
    ca = make_ca(kept, algorithm)
    certificate = issue(ca, tmp_path, now)
    file = write_down(tmp_path, ca, certificate, now)
    trust: list[str | Path] = ["-CAfile", file["root"], "-untrusted", file["ca"]]
    said = openssl("verify", "-x509_strict", "-crl_check_all", "-CRLfile", file["crls"], *trust, file["leaf"])
    assert said.strip() == f"{file['leaf']}: OK"
    files: list[str | Path] = [
        "-respin",
        file["ocsp"],
        "-issuer",
        file["ca"],
        "-sha256",
        "-cert",
        file["leaf"],
        "-CAfile",
        file["root"],
    ]
    said = openssl("ocsp", *files, "-verify_other", file["ca"], "-no_nonce")
    assert "Response verify OK" in said
    assert ": good" in said
    services.revoke_certificate(certificate=certificate.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    file = write_down(tmp_path, ca, certificate, now)
    said = openssl("verify", "-crl_check_all", "-CRLfile", file["crls"], *trust, file["leaf"], check=False)
    assert "certificate revoked" in said


def test_while_the_token_is_away_the_responder_asks_for_patience_and_crls_wait(
    make_ca: MakeCa, token: str, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "responder", Responder())
    ca = make_ca(Custody.PKCS11)
    certificate = issue(ca, tmp_path, now)
    issuer = x509.load_der_x509_certificate(ca.certificate_der)
    request = build_request(issuer=issuer, serial=certificate.serial)
    tokens = softhsm.tokens_folder()
    shutil.move(tokens, tokens.with_name("away"))
    try:
        assert ["is it plugged in" in facts.fault for facts in check_keys()] == [True] * 4
        assert list_strays() == []
        answer = wsgi._answer(ca.slug, request, now=now)
        with pytest.raises(Unavailable, match="is it plugged in"):
            services.publish_crl(issuer=ca.id, now=now, force=True)
    finally:
        shutil.move(tokens.with_name("away"), tokens)
    assert answer is not None
    assert ocsp.load_der_ocsp_response(answer.der).response_status is ocsp.OCSPResponseStatus.TRY_LATER
    services.publish_crl(issuer=ca.id, now=now, force=True)
    again = wsgi._answer(ca.slug, request, now=now)
    assert again is not None
    assert ocsp.load_der_ocsp_response(again.der).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_every_key_of_a_token_s_issuers_is_in_the_token_and_stays(make_ca: MakeCa, token: str) -> None:
    make_ca(Custody.PKCS11)
    said = softhsm.private_keys(token)
    assert said.count("URL:") == said.count("CKA_NEVER_EXTRACTABLE") == said.count("CKA_SENSITIVE") == 4
    assert "CKA_EXTRACTABLE" not in said
    for row in Key.objects.all():
        assert (row.custody, row.wrapped) == (Custody.PKCS11, None)
        assert str(row.id) in said


def test_the_key_that_p11tool_reads_is_the_certificate_s(make_ca: MakeCa, token: str) -> None:
    ca = make_ca(Custody.PKCS11)
    public_key = x509.load_der_x509_certificate(ca.certificate_der).public_key()
    assert public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode() in softhsm.public_keys(
        token
    )


ML_DSA = {KeyAlgorithm.ML_DSA_44: "11", KeyAlgorithm.ML_DSA_65: "12", KeyAlgorithm.ML_DSA_87: "13"}


@pytest.mark.parametrize(("algorithm", "last_octet"), ML_DSA.items())
def test_ml_dsa_signs_everything_and_its_own_ocsp_signer_too(
    algorithm: KeyAlgorithm, last_octet: str, make_ca: MakeCa, tmp_path: Path, now: datetime
) -> None:
    """OpenSSL 3.0 does not know ML-DSA: the library verifies, pkilint reads."""
    ca = make_ca(Custody.ENCRYPTED, algorithm)
    certificate = issue(ca, tmp_path, now)
    issuer = x509.load_der_x509_certificate(ca.certificate_der)
    public_key: Any = issuer.public_key()
    leaf = x509.load_pem_x509_certificate(certificate.pem.encode())
    leaf.verify_directly_issued_by(issuer)
    assert leaf.signature_hash_algorithm is None
    identifier = bytes.fromhex("300b06096086480165030403" + last_octet)  # RFC 9881 2: no parameters
    crl = services.publish_crl(issuer=ca.id, now=now).der
    for octets in (leaf.public_bytes(Encoding.DER), crl):
        assert octets.count(identifier) == 2
    assert x509.load_der_x509_crl(crl).is_signature_valid(public_key)
    answer = ocsp.load_der_ocsp_response(ask(ca, certificate, now))
    [signer] = answer.certificates
    signer.verify_directly_issued_by(issuer)
    assert kind_of(signer.public_key()) == algorithm
    assert is_signed_by(signer.public_key(), signature=answer.signature, octets=answer.tbs_response_bytes)
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    (tmp_path / "leaf.der").write_bytes(leaf.public_bytes(Encoding.DER))
    (tmp_path / "crl.der").write_bytes(crl)
    (tmp_path / "answer.der").write_bytes(answer.public_bytes(Encoding.DER))
    assert pkilint("lint_pkix_cert", tmp_path / "leaf.der") == []
    assert pkilint("lint_crl", tmp_path / "crl.der", "-t", "CRL", "-p", "PKIX") == []
    assert pkilint("lint_ocsp_response", tmp_path / "answer.der", "--document-format", "DER") == []


def test_a_token_refuses_an_ml_dsa_issuer_and_keeps_nothing(make_ca: MakeCa, token: str) -> None:
    with pytest.raises(AlgorithmNotKept, match="ml-dsa-65"):
        make_ca(Custody.PKCS11, KeyAlgorithm.ML_DSA_65)
    assert not Key.objects.exists()
    assert softhsm.private_keys(token).count("URL:") == 0


def test_every_key_is_listed_with_what_it_is_for_and_tried(make_ca: MakeCa, token: str, settings: Any) -> None:
    make_ca(Custody.FILE)
    found = {facts.purpose: facts for facts in list_keys()}
    assert set(found) == {
        "issuer north-root", "OCSP signer of north-root", "issuer north-ca", "OCSP signer of north-ca",
    }  # fmt: skip
    assert {facts.master_key for facts in found.values()} == {settings.GATEHOUSE_MASTER_KEY.id.hex()}
    assert [facts.fault for facts in check_keys()] == [""] * 4
    (settings.GATEHOUSE_HOME / "keys" / found["issuer north-ca"].locator).unlink()
    faults = {facts.purpose: facts.fault for facts in check_keys() if facts.fault}
    assert list(faults) == ["issuer north-ca"]
    assert "is not on this machine" in faults["issuer north-ca"]


def test_another_key_in_a_key_s_place_is_found(make_ca: MakeCa) -> None:
    make_ca(Custody.ENCRYPTED)
    signer = OcspSigner.objects.get(issuer__slug="north-ca")
    other, _ = custody.generate(KeyAlgorithm.ECDSA_P256)
    OcspSigner.objects.filter(pk=signer.pk).update(key=other)
    assert [facts.fault for facts in check_keys() if "north-ca" in facts.purpose][1].startswith("It is not the key")


def test_a_key_is_read_once_and_again_after_a_while(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    keys = KeptKeys()
    keys._opened = OpenedKeys(lambda: clock[0])
    key_id, made = keys.generate(KeyAlgorithm.ECDSA_P256)
    first = keys.open(key_id)
    assert first.public_key() == made.public_key()
    clock[0] = KEPT_SECONDS - 1
    assert keys.open(key_id) is first
    clock[0] = KEPT_SECONDS
    again = keys.open(key_id)
    assert again is not first
    assert repr(keys._opened) == "OpenedKeys(1 hidden)"


def test_an_opened_key_costs_no_query(db: None, django_assert_num_queries: Any) -> None:
    key_id, _ = custody.generate(KeyAlgorithm.ED25519)
    custody.open(key_id)
    with django_assert_num_queries(0):
        custody.open(key_id)


def test_only_so_many_keys_stay_open() -> None:
    opened = OpenedKeys()
    ids, key = [KeyId(new_id()) for _ in range(MOST + 1)], generate_key(KeyAlgorithm.ED25519)
    for id in ids:
        opened.put(id, key, under=b"k")
    assert opened.get(ids[0], under=b"k") is None
    assert opened.get(ids[1], under=b"k") is key
    assert opened.get(ids[1], under=b"another master key") is None
    opened.forget(ids[1])
    assert opened.get(ids[1], under=b"k") is None


@pytest.mark.parametrize("kept", list(Custody))
def test_a_destroyed_key_is_nowhere(kept: Custody, db: None, token: str, settings: Any, tmp_path: Path) -> None:
    settings.GATEHOUSE_HOME = tmp_path
    key_id, _ = custody.generate(KeyAlgorithm.ECDSA_P256, kept)
    assert custody.custody_of(key_id) is kept
    custody.open(key_id)
    custody.destroy(key_id)
    with pytest.raises(UnknownKey):
        custody.open(key_id)
    assert [*tmp_path.glob("keys/*")] == []
    assert softhsm.private_keys(token).count("URL:") == 0


@pytest.mark.parametrize("kept", list(Custody))
def test_a_key_from_elsewhere_is_adopted(kept: Custody, db: None, token: str, settings: Any, tmp_path: Path) -> None:
    settings.GATEHOUSE_HOME = tmp_path
    own = generate_key(KeyAlgorithm.RSA_3072)
    key_id = custody.adopt(own, kept)
    assert custody.open(key_id).public_key() == own.public_key()
    assert Key.objects.get(id=key_id).algorithm == KeyAlgorithm.RSA_3072


def test_what_no_row_knows_is_named(make_ca: MakeCa, token: str, settings: Any) -> None:
    make_ca(Custody.PKCS11)
    lost = [custody.generate(KeyAlgorithm.ECDSA_P256, kept)[0] for kept in Custody]
    (settings.GATEHOUSE_HOME / "keys" / "notes.key").touch()
    assert list_strays() == []
    Key.objects.filter(id__in=lost).delete()
    file, place = list_strays()
    assert file == f"{lost[1]}.key"
    assert f"gatehouse {lost[2]}" in softhsm.private_keys(place)


def test_without_a_token_there_are_no_strays_in_it(db: None, settings: Any, tmp_path: Path) -> None:
    settings.GATEHOUSE_HOME, settings.GATEHOUSE_PKCS11_MODULE = tmp_path, ""
    assert list_strays() == []
