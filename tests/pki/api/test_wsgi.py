"""The public callable: caching, methods, hostile input, and life without a database."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from django.db import OperationalError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kernel.core.lane import Lane
from pki import services
from pki.api import shelf, wsgi
from pki.core import der
from pki.core.ocsp_request import build_request
from pki.core.values import Issuer, ReasonCode
from pki.services import answer_ocsp, ocsp_answers
from tests.cast import ADA
from tests.pki.conftest import IssueDevice

MALFORMED, TRY_LATER, INTERNAL = (bytes.fromhex(f"30030a010{number}") for number in (1, 3, 2))  # RFC 6960 4.2.1


class Clock:
    """The time that the callable sees."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock(now: datetime, monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock(now)
    monkeypatch.setattr(wsgi, "utc_now", found)
    return found


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "responder", answer_ocsp.Responder())
    monkeypatch.setattr(wsgi, "shelf", shelf.Shelf())


Answer = tuple[str, dict[str, str], bytes]


def call(method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    got: list[tuple[str, dict[str, str]]] = []
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(body)}
    environ |= {"CONTENT_LENGTH": str(len(body))} | {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    octets = b"".join(wsgi.application(environ, lambda status, found: got.append((status, dict(found)))))
    return got[0][0], got[0][1], octets


def question(ca: Issuer, serial: int) -> bytes:
    return build_request(issuer=x509.load_der_x509_certificate(ca.certificate_der), serial=serial)


def get(ca: Issuer, serial: int, method: str = "GET", **headers: str) -> Answer:
    encoded = base64.b64encode(question(ca, serial)).decode()
    return call(method, f"/pki/{ca.slug}/ocsp/{encoded}", b"", **headers)


def post(ca: Issuer, serial: int) -> Answer:
    return call("POST", f"/pki/{ca.slug}/ocsp", question(ca, serial))


def status_in(answer: Answer) -> ocsp.OCSPCertStatus:
    return ocsp.load_der_ocsp_response(answer[2]).certificate_status


def test_an_answer_may_be_kept_a_minute_and_is_valid_an_hour(
    ca: Issuer, issue_device: IssueDevice, clock: Clock
) -> None:
    status, headers, body = get(ca, issue_device("x").serial)
    response = ocsp.load_der_ocsp_response(body)
    assert (status, headers["Content-Type"]) == ("200 OK", "application/ocsp-response")
    assert headers["Cache-Control"] == "max-age=60,public,no-transform,must-revalidate"  # RFC 5019 6.2
    assert parsedate_to_datetime(headers["Last-Modified"]) == response.this_update_utc
    assert parsedate_to_datetime(headers["Expires"]) == response.next_update_utc
    assert response.next_update_utc == response.this_update_utc + timedelta(hours=1)
    assert headers["Content-Length"] == str(len(body))


def test_an_answer_that_did_not_change_is_not_sent_again(ca: Issuer, issue_device: IssueDevice) -> None:
    serial = issue_device("x").serial
    _, headers, body = get(ca, serial)
    status, again, nothing = get(ca, serial, if_none_match=headers["ETag"])
    assert (status, nothing, again["ETag"]) == ("304 Not Modified", b"", headers["ETag"])
    assert "Content-Type" not in again
    assert get(ca, serial, if_none_match='"other"')[2] == body
    head = get(ca, serial, method="HEAD")
    assert (head[0], head[1]["Content-Length"], head[2]) == ("200 OK", str(len(body)), b"")


def test_an_answer_is_made_anew_before_it_is_half_an_hour_old(
    ca: Issuer, issue_device: IssueDevice, clock: Clock
) -> None:
    serial = issue_device("x").serial
    first = post(ca, serial)[2]
    clock.wait(29 * 60)
    assert post(ca, serial)[2] == first
    clock.wait(61)
    assert post(ca, serial)[2] != first


def test_a_padded_request_is_answered_and_not_kept(ca: Issuer, issue_device: IssueDevice) -> None:
    asked = der.read_only(question(ca, issue_device("x").serial)).body
    padding = der.explicit(2, der.sequence(der.extension("1.2.3.4", b"x" * 5_000)))
    padded = der.sequence(der.sequence(der.read_only(asked).body, padding))
    assert status_in(call("POST", "/pki/north-ca/ocsp", padded)) is ocsp.OCSPCertStatus.GOOD
    assert len(wsgi.responder._answers) == 0


def test_a_serial_that_is_unknown_now_may_be_good_the_next_moment(ca: Issuer) -> None:
    status, headers, body = get(ca, 12345)
    assert (status, headers["Cache-Control"]) == ("200 OK", "no-store")
    assert ocsp.load_der_ocsp_response(body).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_a_certificate_that_is_being_signed_is_unknown(ca: Issuer, issue_device: IssueDevice) -> None:
    from pki.models import Certificate

    device = issue_device("x")
    Certificate.objects.filter(id=device.id).update(state="requested", der=None, fingerprint=None)
    assert status_in(post(ca, device.serial)) is ocsp.OCSPCertStatus.UNKNOWN


def test_a_revocation_shows_once_the_revision_is_read_again(
    ca: Issuer, issue_device: IssueDevice, clock: Clock
) -> None:
    device = issue_device("x")
    assert status_in(get(ca, device.serial)) is ocsp.OCSPCertStatus.GOOD
    services.revoke_certificate(certificate=device.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=clock.now)
    clock.wait(0.31)
    answer = get(ca, device.serial)
    assert status_in(answer) is ocsp.OCSPCertStatus.REVOKED
    assert answer[1]["Cache-Control"].startswith("max-age=60")


def test_another_s_revocation_costs_no_wrong_answer(ca: Issuer, issue_device: IssueDevice, clock: Clock) -> None:
    good, bad = issue_device("good"), issue_device("bad")
    assert status_in(get(ca, good.serial)) is ocsp.OCSPCertStatus.GOOD
    services.revoke_certificate(certificate=bad.id, reason=ReasonCode.SUPERSEDED, actor=ADA, now=clock.now)
    clock.wait(0.31)
    assert status_in(get(ca, good.serial)) is ocsp.OCSPCertStatus.GOOD
    assert status_in(get(ca, bad.serial)) is ocsp.OCSPCertStatus.REVOKED


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "ocsp", "GET, HEAD, POST"),
        ("GET", "ocsp", "GET, HEAD, POST"),
        ("POST", "ocsp/MAA=", "GET, HEAD, POST"),
        ("POST", "crl", "GET, HEAD"),
        ("DELETE", "cert.pem", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_which_are_right(method: str, path: str, allow: str, ca: Issuer) -> None:
    status, headers, body = call(method, f"/pki/north-ca/{path}")
    assert (status, headers["Allow"]) == ("405 Method Not Allowed", allow)
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize(
    "path", ["/pki/", "/pki//", "/pki/north-ca", "/pki/north-ca/", "/pki/north-ca/crl/", "/pki/north-ca/../x",
             "/pki/x/crl", "/pki/x/ocsp/MAA=", "/pki/north-ca/ocspx", "/pki/north-ca/key"],
)  # fmt: skip
def test_what_there_is_not_is_not_found(path: str, ca: Issuer) -> None:
    assert call("GET", path)[0] == "404 Not Found"


@pytest.mark.parametrize("encoded", ["A", "%", "MAA=MAA=", "\xff", "A" * 5_000, "MAA", "/" * 40])
def test_a_path_that_is_no_request_is_malformed(encoded: str, ca: Issuer) -> None:
    status, headers, body = call("GET", f"/pki/north-ca/ocsp/{encoded}")
    assert (status, body, headers["Cache-Control"]) == ("200 OK", MALFORMED, "no-store")


@pytest.mark.parametrize("length", ["x", "-1", "", "99999999999"])
def test_a_length_that_lies_is_no_harm(length: str, ca: Issuer) -> None:
    got: list[str] = []
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/pki/north-ca/ocsp", "CONTENT_LENGTH": length}
    body = wsgi.application({**environ, "wsgi.input": io.BytesIO(b"A" * 20_000)}, lambda status, _: got.append(status))
    assert (got, b"".join(body)) == (["200 OK"], MALFORMED)


def test_a_chunked_body_is_read_up_to_the_limit(ca: Issuer, issue_device: IssueDevice) -> None:
    octets = question(ca, issue_device("x").serial)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/pki/north-ca/ocsp", "wsgi.input_terminated": True}
    body = b"".join(wsgi.application({**environ, "wsgi.input": io.BytesIO(octets)}, lambda *_: None))
    assert ocsp.load_der_ocsp_response(body).certificate_status is ocsp.OCSPCertStatus.GOOD


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(max_size=300))
@example(b"\x30\x80")
def test_any_body_gets_an_ocsp_response(ca: Issuer, octets: bytes) -> None:
    status, _, body = call("POST", "/pki/north-ca/ocsp", octets)
    assert status == "200 OK"
    assert ocsp.load_der_ocsp_response(body).response_status.name in {"MALFORMED_REQUEST", "UNAUTHORIZED"}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=80))
def test_any_path_gets_an_answer(ca: Issuer, tail: str) -> None:
    assert call("GET", f"/pki/{tail}")[0][:3] in {"200", "404", "405"}
    assert call("GET", f"/pki/north-ca/ocsp/{tail}")[0][:3] in {"200", "405"}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="bytes=-,0123456789 x", max_size=30))
def test_any_range_gets_a_part_of_the_crl_or_all(ca: Issuer, wanted: str) -> None:
    whole = call("GET", "/pki/north-ca/crl")[2]
    status, headers, body = call("GET", "/pki/north-ca/crl", range=wanted)
    assert status[:3] in {"200", "206", "416"}
    assert body in whole
    if status.startswith("206"):
        first, _, last = headers["Content-Range"].removeprefix("bytes ").partition("/")[0].partition("-")
        assert body == whole[int(first) : int(last) + 1]


@pytest.fixture
def lose_database(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def away(*_: Any, **__: Any) -> Any:
        raise OperationalError("the connection is closed")

    def lose() -> None:
        for module, name in ((answer_ocsp, "learn"), (ocsp_answers, "read_standing"), (shelf, "_read")):
            monkeypatch.setattr(module, name, away)

    return lose


def test_what_is_known_is_served_without_a_database_until_it_ends(
    ca: Issuer, issue_device: IssueDevice, clock: Clock, lose_database: Callable[[], None]
) -> None:
    serial = issue_device("x").serial
    fresh, crl, cert = post(ca, serial), call("GET", "/pki/north-ca/crl"), call("GET", "/pki/north-ca/cert")
    known_at = ocsp.load_der_ocsp_response(fresh[2]).this_update_utc
    lose_database()
    for minutes in (1, 28, 40, 58):
        clock.now = known_at + timedelta(minutes=minutes)
        response = ocsp.load_der_ocsp_response(post(ca, serial)[2])
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
        assert response.this_update_utc == known_at  # nothing newer is claimed than is known
        assert clock.now < (response.next_update_utc or clock.now)
    assert call("GET", "/pki/north-ca/crl")[2] == crl[2]
    clock.wait(5 * 60)
    assert post(ca, serial)[2] == TRY_LATER
    clock.wait(6 * 24 * 3600)
    assert call("GET", "/pki/north-ca/crl")[2] == crl[2]
    clock.wait(24 * 3600)
    assert call("GET", "/pki/north-ca/crl")[0] == "503 Service Unavailable"
    assert call("GET", "/pki/north-ca/cert")[2] == cert[2]


def test_who_looks_for_a_document_in_the_database_lets_others_answer(
    ca: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = Lane()
    monkeypatch.setattr("pki.api.shelf.lane", lane)
    lane.keep()
    assert call("GET", "/pki/north-ca/cert")[0] == "200 OK"
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lane.keep).result()


def test_what_is_not_known_has_to_wait_without_a_database(
    ca: Issuer, issue_device: IssueDevice, lose_database: Callable[[], None]
) -> None:
    serial = issue_device("x").serial
    lose_database()
    assert post(ca, serial)[2] == TRY_LATER
    status, headers, _ = call("GET", "/pki/north-ca/crl")
    assert (status, headers["Retry-After"]) == ("503 Service Unavailable", "2")


def test_an_issuer_whose_signer_ended_has_to_wait_and_not_fail(
    ca: Issuer, issue_device: IssueDevice, clock: Clock
) -> None:
    serial = issue_device("x").serial
    clock.wait(15 * 24 * 3600)
    assert post(ca, serial)[2] == TRY_LATER
    services.ensure_ocsp_signer(issuer=ca.id, now=clock.now)
    assert status_in(post(ca, serial)) is ocsp.OCSPCertStatus.GOOD


def test_what_nobody_foresaw_is_an_internal_error(ca: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(answer_ocsp, "learn", fail)
    monkeypatch.setattr(shelf, "_read", fail)
    assert post(ca, 1)[2] == INTERNAL
    assert call("GET", "/pki/north-ca/crl")[0] == "500 Internal Server Error"


def test_a_new_crl_is_served_within_a_third_of_a_second(ca: Issuer, clock: Clock) -> None:
    first = call("GET", "/pki/north-ca/crl")
    services.publish_crl(issuer=ca.id, now=clock.now, force=True)
    clock.wait(0.31)
    second = call("GET", "/pki/north-ca/crl")
    assert first[1]["ETag"] != second[1]["ETag"]
    assert x509.load_der_x509_crl(second[2]).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 2
