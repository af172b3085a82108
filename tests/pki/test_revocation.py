"""CRL and OCSP, judged by openssl, GnuTLS and the library's own parsers."""

from __future__ import annotations

import base64
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp

from kernel.core.errors import Conflict, Invalid
from pki import queries, services
from pki.api import wsgi
from pki.api.shelf import Shelf
from pki.core.values import IssuedCertificate, Issuer, ReasonCode
from pki.models import Issuer as IssuerRow
from pki.services.answer_ocsp import Responder
from tests.cast import ADA
from tests.pki.conftest import IssueDevice, openssl


@pytest.fixture(autouse=True)
def fresh_responder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "responder", Responder())
    monkeypatch.setattr(wsgi, "shelf", Shelf())
    monkeypatch.setattr(wsgi, "close_old_connections", lambda: None)


def call(method: str, path: str, body: bytes = b"", **headers: str) -> tuple[str, dict[str, str], bytes]:
    """What the WSGI callable answers."""
    import io

    got: list[Any] = []
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path}
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    parts = wsgi.application(environ, lambda status, found: got.append((status, dict(found))))
    return got[0][0], got[0][1], b"".join(parts)


def ask(ca: Issuer, *serials: int, nonce: bytes | None = None, algorithm: Any = None) -> bytes:
    """A request made by the library."""
    issuer = x509.load_der_x509_certificate(ca.certificate_der)
    builder = ocsp.OCSPRequestBuilder()
    [serial] = serials
    name_hash, key_hash = _hashes(issuer, algorithm or hashes.SHA256())
    builder = builder.add_certificate_by_hash(name_hash, key_hash, serial, algorithm or hashes.SHA256())
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    from cryptography.hazmat.primitives.serialization import Encoding

    return builder.build().public_bytes(Encoding.DER)


def _hashes(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm) -> tuple[bytes, bytes]:
    from pki.core.keys import subject_public_key

    found = []
    for octets in (issuer.subject.public_bytes(), subject_public_key(issuer.public_key())):
        digest = hashes.Hash(algorithm)
        digest.update(octets)
        found.append(digest.finalize())
    return found[0], found[1]


def status_of(ca: Issuer, serial: int, **options: Any) -> ocsp.OCSPResponse:
    status, _, body = call("POST", "/pki/north-ca/ocsp", ask(ca, serial, **options))
    assert status == "200 OK"
    return ocsp.load_der_ocsp_response(body)


def test_openssl_and_gnutls_believe_good_then_revoked(
    root: Issuer, ca: Issuer, issue_device: IssueDevice, now: datetime, tmp_path: Path
) -> None:
    device = issue_device("pump-1")
    assert judged_by_openssl(root, ca, device, tmp_path) == "good"
    assert "Certificate Status: good" in judged_by_gnutls(tmp_path)
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    assert judged_by_openssl(root, ca, device, tmp_path, wait=True) == "revoked"
    said = judged_by_gnutls(tmp_path)
    assert "Certificate Status: revoked" in said
    assert "Verifying OCSP Response: Success" in said


def judged_by_openssl(root: Issuer, ca: Issuer, device: IssuedCertificate, folder: Path, *, wait: bool = False) -> str:
    """openssl makes the request, our WSGI callable answers it, openssl verifies the answer."""
    if wait:
        wsgi.responder._known.clear()  # as a third of a second does
    (folder / "leaf.pem").write_text(device.pem)
    (folder / "ca.pem").write_text(ca.certificate_pem)
    (folder / "root.pem").write_text(root.certificate_pem)
    request, response = folder / "request.der", folder / "response.der"
    openssl("ocsp", "-issuer", folder / "ca.pem", "-cert", folder / "leaf.pem", "-reqout", request)
    response.write_bytes(call("POST", "/pki/north-ca/ocsp", request.read_bytes())[2])
    said = openssl(
        "ocsp", "-respin", response, "-no_nonce", "-issuer", folder / "ca.pem", "-cert", folder / "leaf.pem",
        "-CAfile", folder / "root.pem", "-verify_other", folder / "ca.pem",
    )  # fmt: skip
    assert "Response verify OK" in said
    return said.split(f"{folder / 'leaf.pem'}: ")[1].split()[0]


def judged_by_gnutls(folder: Path) -> str:
    """What ocsptool reads in, and makes of, the last answer."""
    said = ""
    for words in (["--response-info"], ["--verify-response", "--load-trust", str(folder / "ca.pem")]):
        done = subprocess.run(
            ["ocsptool", *words, "--load-response", str(folder / "response.der")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        said += done.stdout + done.stderr
    return said


def test_a_serial_never_issued_is_unknown(ca: Issuer) -> None:
    assert status_of(ca, 12345).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_another_ca_s_certificate_is_unauthorized(root: Issuer, ca: Issuer, issue_device: IssueDevice) -> None:
    _, _, body = call("POST", "/pki/north-ca/ocsp", ask(root, issue_device("x").serial))
    assert ocsp.load_der_ocsp_response(body).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_an_unknown_issuer_is_not_found(ca: Issuer) -> None:
    assert call("POST", "/pki/nobody/ocsp", ask(ca, 1))[0] == "404 Not Found"
    assert call("GET", "/pki/nobody/crl")[0] == "404 Not Found"
    assert call("GET", "/pki/north-ca/other")[0] == "404 Not Found"


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_every_hash_of_a_cert_id_is_understood(algorithm: Any, ca: Issuer, issue_device: IssueDevice) -> None:
    response = status_of(ca, issue_device("x").serial, algorithm=algorithm)
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD


@pytest.mark.parametrize("size", [1, 32, 128])
def test_a_nonce_comes_back_and_is_not_cached(size: int, ca: Issuer, issue_device: IssueDevice) -> None:
    serial, nonce = issue_device("x").serial, b"n" * size
    for _ in range(2):
        _, headers, body = call("POST", "/pki/north-ca/ocsp", ask(ca, serial, nonce=nonce))
        found = ocsp.load_der_ocsp_response(body).extensions.get_extension_for_class(x509.OCSPNonce)
        assert found.value.nonce == nonce
        assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("size", [0, 129])
def test_a_nonce_out_of_bounds_is_malformed(size: int, ca: Issuer) -> None:
    _, _, body = call("POST", "/pki/north-ca/ocsp", ask(ca, 1, nonce=b"n" * size))
    assert body == bytes.fromhex("30030a0101")  # OCSPResponse with malformedRequest alone, RFC 6960 4.2.1


@pytest.mark.parametrize("junk", [b"", b"\x30", b"\x30\x80\x00\x00", b"\x30\x84\xff\xff\xff\xff", b"A" * 20_000])
def test_junk_is_malformed(junk: bytes, ca: Issuer) -> None:
    status, _, body = call("POST", "/pki/north-ca/ocsp", junk)
    assert (status, body) == ("200 OK", bytes.fromhex("30030a0101"))


def test_get_understands_every_spelling_of_the_path(ca: Issuer, issue_device: IssueDevice) -> None:
    encoded = base64.b64encode(ask(ca, issue_device("x").serial)).decode()
    for spelling in (encoded, quote(encoded, safe=""), encoded.rstrip("=")):
        status, headers, body = call("GET", f"/pki/north-ca/ocsp/{spelling}")
        assert status == "200 OK"
        assert ocsp.load_der_ocsp_response(body).certificate_status is ocsp.OCSPCertStatus.GOOD
        assert headers["Cache-Control"] == "max-age=60,public,no-transform,must-revalidate"
        assert {"ETag", "Last-Modified", "Expires"} <= set(headers)


def test_two_certificates_in_one_request_are_both_answered(
    root: Issuer, ca: Issuer, issue_device: IssueDevice, now: datetime, tmp_path: Path
) -> None:
    good, bad = issue_device("good"), issue_device("bad")
    services.revoke_certificate(certificate=bad.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    for name, pem in (("good", good.pem), ("bad", bad.pem), ("ca", ca.certificate_pem), ("root", root.certificate_pem)):
        (tmp_path / f"{name}.pem").write_text(pem)
    both = ("-issuer", tmp_path / "ca.pem", "-cert", tmp_path / "good.pem", "-cert", tmp_path / "bad.pem")
    openssl("ocsp", *both, "-reqout", tmp_path / "rq")
    (tmp_path / "rs").write_bytes(call("POST", "/pki/north-ca/ocsp", (tmp_path / "rq").read_bytes())[2])
    trusted = ("-CAfile", tmp_path / "root.pem", "-verify_other", tmp_path / "ca.pem")
    said = openssl("ocsp", *both, "-no_nonce", "-respin", tmp_path / "rs", *trusted)
    assert f"{tmp_path / 'good.pem'}: good" in said
    assert f"{tmp_path / 'bad.pem'}: revoked" in said


def test_a_cached_good_gives_way_to_a_revocation_within_a_second(
    ca: Issuer, issue_device: IssueDevice, now: datetime
) -> None:
    import time

    device = issue_device("x")
    for _ in range(2):
        assert status_of(ca, device.serial).certificate_status is ocsp.OCSPCertStatus.GOOD
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    time.sleep(0.4)
    response = status_of(ca, device.serial)
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_reason is x509.ReasonFlags.key_compromise


def test_answers_go_on_from_memory_while_the_database_is_away(
    ca: Issuer, issue_device: IssueDevice, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import DatabaseError

    from pki.services import answer_ocsp, ocsp_answers

    asked = ask(ca, issue_device("x").serial)
    responder = Responder()
    first = responder.answer("north-ca", asked, now=now)

    def away(*_: Any, **__: Any) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(answer_ocsp, "learn", away)
    monkeypatch.setattr(ocsp_answers, "read_standing", away)
    assert responder.answer("north-ca", asked, now=now + timedelta(minutes=1)) == first
    late = responder.answer("north-ca", asked, now=now + timedelta(hours=2))
    assert late is not None
    assert ocsp.load_der_ocsp_response(late.der).response_status is ocsp.OCSPResponseStatus.TRY_LATER


def test_revoked_serial_is_in_the_next_crl(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    before = queries.latest_crl(issuer=ca.id)
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now)
    after = services.publish_crl(issuer=ca.id, now=now)
    assert before is not None
    assert after.number > before.number
    crl = x509.load_der_x509_crl(after.der)
    entry = crl.get_revoked_certificate_by_serial_number(device.serial)
    assert entry is not None
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    assert crl.next_update_utc == (now + timedelta(days=7)).replace(microsecond=0)


def test_nothing_new_makes_no_new_crl(ca: Issuer, now: datetime) -> None:
    first = services.publish_crl(issuer=ca.id, now=now)
    assert services.publish_crl(issuer=ca.id, now=now + timedelta(minutes=59)).number == first.number
    assert services.publish_crl(issuer=ca.id, now=now + timedelta(minutes=61)).number == first.number + 1


def test_revoking_again_changes_nothing(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    first = services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    again = services.revoke_certificate(
        certificate=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=now + timedelta(days=1)
    )
    assert again == first
    assert IssuerRow.objects.get(id=ca.id).revision == 1


def test_hold_shows_and_release_restores(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    services.hold_certificate(certificate=device.id, actor=ADA, now=now)
    held = x509.load_der_x509_crl(services.publish_crl(issuer=ca.id, now=now).der)
    entry = held.get_revoked_certificate_by_serial_number(device.serial)
    assert entry is not None
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.certificate_hold
    services.release_certificate(certificate=device.id, actor=ADA, now=now)
    assert services.publish_crl(issuer=ca.id, now=now).entries == 0
    assert status_of(ca, device.serial).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_only_a_hold_is_released_and_no_reason_is_made_up(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    with pytest.raises(Invalid):
        services.revoke_certificate(certificate=device.id, reason=ReasonCode.REMOVE_FROM_CRL, actor=ADA, now=now)
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.UNSPECIFIED, actor=ADA, now=now)
    with pytest.raises(Conflict):
        services.release_certificate(certificate=device.id, actor=ADA, now=now)


def test_an_expired_certificate_leaves_after_one_more_crl(ca: Issuer, issue_device: IssueDevice, now: datetime) -> None:
    device = issue_device("x")
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=now)
    assert services.publish_crl(issuer=ca.id, now=now).entries == 1
    ended = device.not_after + timedelta(hours=1)
    assert services.publish_crl(issuer=ca.id, now=ended).entries == 1
    assert services.publish_crl(issuer=ca.id, now=ended + timedelta(hours=2)).entries == 0


def test_crl_is_served_with_conditional_and_range_requests(ca: Issuer) -> None:
    status, headers, body = call("GET", "/pki/north-ca/crl")
    assert (status, headers["Content-Type"]) == ("200 OK", "application/pkix-crl")
    assert call("GET", "/pki/north-ca/crl", if_none_match=headers["ETag"])[0] == "304 Not Modified"
    assert call("GET", "/pki/north-ca/crl", if_modified_since=headers["Last-Modified"])[0] == "304 Not Modified"
    part = call("GET", "/pki/north-ca/crl", range="bytes=2-5")
    assert (part[0], part[2]) == ("206 Partial Content", body[2:6])
    assert part[1]["Content-Range"] == f"bytes 2-5/{len(body)}"
    assert call("GET", "/pki/north-ca/crl", range="bytes=-3")[2] == body[-3:]
    assert call("GET", "/pki/north-ca/crl", range=f"bytes={len(body)}-")[0] == "416 Range Not Satisfiable"
    assert call("HEAD", "/pki/north-ca/crl")[2] == b""
    assert call("POST", "/pki/north-ca/crl")[1]["Allow"] == "GET, HEAD"
    assert b"-----BEGIN X509 CRL-----" in call("GET", "/pki/north-ca/crl.pem")[2]
    assert call("GET", "/pki/north-ca/cert")[2] == ca.certificate_der
    assert call("GET", "/pki/north-ca/chain.pem")[2].decode() == ca.chain_pem
