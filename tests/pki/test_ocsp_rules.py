"""RFC 6960, 9654 and 5019 rule by rule, and what other responders get wrong; as others read the answers."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pki import services
from pki.api import wsgi
from pki.core import der
from pki.core.ocsp_request import issuer_hashes
from pki.core.values import IssuedCertificate, Issuer, KeyAlgorithm, ReasonCode
from pki.models import Certificate
from pki.services.answer_ocsp import Responder
from tests.cast import ADA, NORTH
from tests.pki.api.test_wsgi import call
from tests.pki.conftest import IssueDevice, openssl, pkilint

MALFORMED, UNAUTHORIZED = ocsp.OCSPResponseStatus.MALFORMED_REQUEST, ocsp.OCSPResponseStatus.UNAUTHORIZED
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
ALGORITHMS = {"sha1": "1.3.14.3.2.26"} | {
    name: f"2.16.840.1.101.3.4.2.{number}" for number, name in enumerate(("sha256", "sha384", "sha512"), 1)
}
NONCE, PREFERRED = "1.3.6.1.5.5.7.48.1.2", "1.3.6.1.5.5.7.48.1.8"
ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512 = (f"1.2.840.10045.4.3.{number}" for number in (2, 3, 4))


def cert_id(ca: Issuer, serial: int, *, name: str = "sha1", null: bool = True, about: Issuer | None = None) -> bytes:
    """A CertID by hand; `about` another issuer, if not `ca`."""
    name_hash, key_hash = issuer_hashes(x509.load_der_x509_certificate((about or ca).certificate_der))[name]
    algorithm = der.sequence(der.oid(ALGORITHMS[name]), der.tlv(der.NULL) if null else b"")
    return der.sequence(algorithm, der.octet_string(name_hash), der.octet_string(key_hash), der.integer(serial))


def request(*cert_ids: bytes, extensions: bytes = b"", tail: bytes = b"") -> bytes:
    outer = der.explicit(2, der.sequence(extensions)) if extensions else b""
    return der.sequence(der.sequence(der.sequence(*map(der.sequence, cert_ids)), outer)) + tail


def nonce_of(size: int) -> bytes:
    return der.extension(NONCE, der.octet_string(b"n" * size))


def preferring(*oids: str) -> bytes:
    return der.extension(PREFERRED, der.sequence(*(der.sequence(der.sequence(der.oid(oid))) for oid in oids)))


def answer(ca: Issuer, octets: bytes, *, now: datetime, responder: Responder | None = None) -> ocsp.OCSPResponse:
    found = (responder or Responder()).answer(ca.slug, octets, now=now)
    assert found is not None
    return ocsp.load_der_ocsp_response(found.der)


@pytest.fixture
def device(issue_device: IssueDevice) -> IssuedCertificate:
    return issue_device("pump-1")


@pytest.mark.parametrize("null", [True, False])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_hash_is_answered_with_its_own_cert_id(
    name: str, null: bool, ca: Issuer, device: IssuedCertificate, now: datetime
) -> None:
    asked = cert_id(ca, device.serial, name=name, null=null)
    response = answer(ca, request(asked), now=now)
    assert response.certificate_status is GOOD
    assert asked in response.tbs_response_bytes
    assert response.hash_algorithm.name == name


@pytest.mark.parametrize(
    ("size", "status"), [(0, MALFORMED), (1, None), (32, None), (128, None), (129, MALFORMED)]
)  # RFC 9654 2.1
def test_a_nonce_of_1_to_128_octets_comes_back(
    size: int, status: ocsp.OCSPResponseStatus | None, ca: Issuer, device: IssuedCertificate, now: datetime
) -> None:
    response = answer(ca, request(cert_id(ca, device.serial), extensions=nonce_of(size)), now=now)
    if status:
        assert response.response_status is status
    else:
        assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * size


CRITICAL = der.extension("1.2.3.4", b"\x05\x00", critical=True)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda one: request(one, extensions=CRITICAL), id="a critical extension that nobody knows"),
        pytest.param(lambda one: request(one, tail=b"\x00"), id="an octet behind"),
        pytest.param(lambda one: request(one)[:-1], id="an octet too few"),
        pytest.param(lambda _: b"", id="nothing"),
        pytest.param(lambda _: request(), id="no certificate"),
        pytest.param(lambda one: request(*[one] * 33), id="more certificates than 32"),
        pytest.param(
            lambda one: request(one, extensions=der.extension("1.2.3.4", b"x" * 11_000)), id="more than 10,240 octets"
        ),
        pytest.param(
            lambda one: request(one, extensions=der.extension(PREFERRED, b"\x05\x00")), id="preferences that are none"
        ),
        pytest.param(
            lambda one: request(one, extensions=preferring(*[ECDSA_SHA256] * 33)), id="more preferences than 32"
        ),
        pytest.param(
            lambda one: request(one, extensions=preferring(ECDSA_SHA256) * 2), id="preferences that are there twice"
        ),
    ],
)
def test_what_is_malformed_is_told_so_and_not_signed(
    damage: Callable[[bytes], bytes], ca: Issuer, device: IssuedCertificate, now: datetime
) -> None:
    assert answer(ca, damage(cert_id(ca, device.serial)), now=now).response_status is MALFORMED


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_cert_id_of_another_ca_is_not_answered_by_the_one_in_the_url(
    name: str, root: Issuer, ca: Issuer, device: IssuedCertificate, now: datetime
) -> None:
    other = request(cert_id(root, device.serial, name=name, about=ca))
    assert answer(root, other, now=now).response_status is UNAUTHORIZED
    both = request(cert_id(ca, device.serial), cert_id(ca, device.serial, about=root))
    assert answer(ca, both, now=now).response_status is UNAUTHORIZED


@pytest.mark.parametrize("serial", [0, 1, 77, 1 << 158, 1 << 159, (1 << 160) - 1, 1 << 160, 1 << 800])
def test_a_serial_that_was_never_issued_is_unknown_and_never_good(serial: int, ca: Issuer, now: datetime) -> None:
    found = Responder().answer(ca.slug, request(cert_id(ca, serial)), now=now)
    assert found is not None
    assert (found.this_update, ocsp.load_der_ocsp_response(found.der).certificate_status) == (None, UNKNOWN)


def test_a_serial_of_another_issuer_is_unknown(root: Issuer, ca: Issuer, now: datetime) -> None:
    assert answer(root, request(cert_id(root, ca.serial)), now=now).certificate_status is GOOD
    assert answer(ca, request(cert_id(ca, ca.serial)), now=now).certificate_status is UNKNOWN


def test_a_nonce_comes_back_although_an_answer_is_kept(ca: Issuer, device: IssuedCertificate, now: datetime) -> None:
    responder, asked = Responder(), cert_id(ca, device.serial)
    answer(ca, request(asked), now=now, responder=responder)
    found = responder.answer(ca.slug, request(asked, extensions=nonce_of(16)), now=now)
    assert found is not None
    nonce = ocsp.load_der_ocsp_response(found.der).extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    assert (nonce, found.this_update) == (b"n" * 16, None)


def test_several_certificates_are_answered_in_their_order(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    good, bad = issue_device("good"), issue_device("bad")
    services.revoke_certificate(certificate=bad.id, reason=ReasonCode.AA_COMPROMISE, actor=ADA, now=now)
    ids = [cert_id(ca, serial, name=name) for serial in (bad.serial, 77, good.serial) for name in ALGORITHMS]
    found = [*answer(ca, request(*ids), now=now).responses]
    statuses = [single.certificate_status for single in found]
    assert statuses == [REVOKED] * 4 + [UNKNOWN] * 4 + [GOOD] * 4
    assert found[0].revocation_time_utc == now.replace(microsecond=0)
    assert found[0].revocation_reason is x509.ReasonFlags.aa_compromise


@pytest.mark.parametrize(
    ("preferred", "chosen"),
    [
        ((), hashes.SHA256),
        ((ECDSA_SHA384,), hashes.SHA384),
        (("1.2.840.113549.1.1.11", ECDSA_SHA512, ECDSA_SHA384), hashes.SHA512),
        (("1.2.840.10045.4.1",), hashes.SHA256),  # ecdsa-with-SHA1: never
        (("1.2.3.4",), hashes.SHA256),
    ],
)
def test_the_client_s_preferred_signature_is_made_if_the_key_can(
    preferred: tuple[str, ...], chosen: type, ca: Issuer, device: IssuedCertificate, now: datetime, tmp_path: Path
) -> None:
    extensions = preferring(*preferred) if preferred else b""
    response = answer(ca, request(cert_id(ca, device.serial), extensions=extensions), now=now)
    assert isinstance(response.signature_hash_algorithm, chosen)
    believed_by_openssl(response, ca, tmp_path)


def test_an_rsa_signer_prefers_what_the_client_does(db: None, now: datetime, tmp_path: Path) -> None:
    rsa = services.create_root(
        domain=NORTH, slug="rsa", common_name="RSA", key_algorithm=KeyAlgorithm.RSA_3072, actor=ADA, now=now
    )
    asked = request(cert_id(rsa, 77), extensions=preferring(ECDSA_SHA256, "1.2.840.113549.1.1.13"))
    response = answer(rsa, asked, now=now)
    assert isinstance(response.signature_hash_algorithm, hashes.SHA512)
    believed_by_openssl(response, rsa, tmp_path)


def believed_by_openssl(response: ocsp.OCSPResponse, ca: Issuer, folder: Path) -> str:
    """What openssl prints of an answer whose signature it verified."""
    (folder / "answer.der").write_bytes(response.public_bytes(Encoding.DER))
    (folder / "ca.pem").write_text(ca.certificate_pem)
    said = openssl(
        "ocsp", "-respin", folder / "answer.der", "-no_nonce", "-CAfile", folder / "ca.pem", "-partial_chain",
        "-resp_text",
    )  # fmt: skip
    assert "Response verify OK" in said
    return said


def ended(device: IssuedCertificate, at: datetime) -> None:
    Certificate.objects.filter(id=device.id).update(not_after=at)


def test_revoked_stays_revoked_after_its_end_with_an_archive_cutoff(
    ca: Issuer, device: IssuedCertificate, now: datetime, tmp_path: Path, settings: Any
) -> None:
    settings.GATEHOUSE_OCSP_RETENTION_DAYS = 30
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    ended(device, now - timedelta(days=29))
    response = answer(ca, request(cert_id(ca, device.serial)), now=now)
    assert response.certificate_status is REVOKED
    cutoff = (now - timedelta(days=30)).strftime("%b %e %H:%M:%S %Y GMT")
    assert "OCSP Archive Cutoff" in believed_by_openssl(response, ca, tmp_path)
    assert cutoff in believed_by_openssl(response, ca, tmp_path)
    assert pkilint("lint_ocsp_response", tmp_path / "answer.der", "--document-format", "DER") == []


def test_an_ended_one_is_good_within_retention_and_unknown_after_it(
    ca: Issuer, device: IssuedCertificate, now: datetime, settings: Any
) -> None:
    settings.GATEHOUSE_OCSP_RETENTION_DAYS = 30
    responder, asked = Responder(), request(cert_id(ca, device.serial))
    ended(device, now + timedelta(minutes=1))
    for days, status, extensions in ((0, GOOD, 0), (29, GOOD, 1), (31, UNKNOWN, 0)):
        later = now + timedelta(days=days)
        services.ensure_ocsp_signer(issuer=ca.id, now=later)
        response = answer(ca, asked, now=later, responder=responder)
        assert response.certificate_status is status
        assert len([*response.single_extensions]) == extensions


@pytest.mark.parametrize("kind", ["good", "revoked", "held", "unknown", "several", "nonce", "preferred"])
def test_pkilint_finds_no_fault_in_any_kind_of_answer(
    kind: str, ca: Issuer, issue_device: IssueDevice, now: datetime, tmp_path: Path
) -> None:
    one, two = issue_device("one"), issue_device("two")
    if kind == "revoked":
        services.revoke_certificate(certificate=one.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    if kind == "held":
        services.hold_certificate(certificate=one.id, actor=ADA, now=now)
    ids = [cert_id(ca, 77 if kind == "unknown" else one.serial)]
    ids += [cert_id(ca, two.serial, name="sha256")] if kind == "several" else []
    extensions = {"nonce": nonce_of(32), "preferred": preferring(ECDSA_SHA384)}.get(kind, b"")
    response = answer(ca, request(*ids, extensions=extensions), now=now)
    (tmp_path / "answer.der").write_bytes(response.public_bytes(Encoding.DER))
    assert pkilint("lint_ocsp_response", tmp_path / "answer.der", "--document-format", "DER") == []


@pytest.mark.parametrize("plus", ["+", "%2B", " "])
def test_a_get_is_understood_however_its_base64_is_written(
    plus: str, ca: Issuer, device: IssuedCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsgi, "responder", Responder())
    encoded = base64.b64encode(request(cert_id(ca, device.serial))).decode()
    for path in (encoded, encoded.replace("/", "%2F"), encoded.rstrip("=")):
        status, headers, body = call("GET", f"/pki/north-ca/ocsp/{path.replace('+', plus)}")
        assert (status, headers["Cache-Control"][:7]) == ("200 OK", "max-age")
        assert ocsp.load_der_ocsp_response(body).certificate_status is GOOD
