"""Certificates: found in every way, read in full, and seen over HTTP as a client sees them."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from console.core.roles import ConsoleRole
from devices.queries import credentials_of
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from pki import services
from pki.core.values import CertificateState, IssuedCertificate, ReasonCode
from pki.models import Certificate
from pki.queries import get_certificate, list_certificates
from tests.console.views.conftest import browser_of
from tests.console.views.scene import Scene, build_scene, make_operator
from tests.pki.serving import served


def certificate_of(scene: Scene, name: str) -> IssuedCertificate:
    return get_certificate(id=credentials_of(device=scene.devices[name])[0].certificate)


def listed(browser: Client, **asked: str) -> list[str]:
    text = browser.get("/certificates/", asked).content.decode()
    return re.findall(r'href="/certificates/([0-9a-f-]{36})/" title', text)


def test_found_by_serial_fingerprint_subject_device_and_uri(north: Scene, at_ada: Client) -> None:
    found = certificate_of(north, "pump-02")
    colons = ":".join(re.findall("..", found.serial_hex.upper()))
    uri = f"urn:gatehouse:north:device:{north.devices['pump-02']}"
    for text in (found.serial_hex[:12], colons, colons[:20], "0x" + found.serial_hex, found.fingerprint,
                 found.fingerprint.upper(), "pump-02", "CN=pump-02", uri, f"URI:{uri}"):  # fmt: skip
        assert listed(at_ada, q=text) == [str(found.id)], text
    assert len(listed(at_ada, q="CN=pump-")) == 5
    assert len(listed(at_ada, q="pump-0")) == 5
    assert listed(at_ada, q="north Root OCSP") != []
    assert listed(at_ada, q="nothing of this kind") == []


def test_another_domain_finds_nothing(north: Scene, at_cy: Client) -> None:
    found = certificate_of(north, "pump-02")
    for text in (found.serial_hex, found.fingerprint, "pump-02", f"urn:gatehouse:north:device:{found.holder[7:]}"):
        assert listed(at_cy, q=text) == []


def test_filters_narrow_together(north: Scene, at_ada: Client) -> None:
    revoked = certificate_of(north, "pump-03")
    assert listed(at_ada, state="revoked") == [str(revoked.id)]
    assert listed(at_ada, state="revoked", issuer="north-root") == []
    assert len(listed(at_ada, profile="device")) == 5
    assert len(listed(at_ada, profile="ocsp-signer")) == 2
    far = (north.now + timedelta(days=3000)).date().isoformat()
    assert len(listed(at_ada, ends_before=far, issuer="north-ca")) == 6
    year = [(north.now + timedelta(days=days)).date().isoformat() for days in (300, 400)]
    assert set(listed(at_ada, ends_from=year[0], ends_before=year[1])) == set(listed(at_ada, profile="device"))


def test_what_ends_soonest_comes_first_and_pages_go_on(north: Scene, at_ada: Client) -> None:
    for number in range(25):
        north.enroll(f"valve-{number:02}")
    first = at_ada.get("/certificates/?ends_from=2020-01-01").content.decode()
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = at_ada.get("/certificates/" + following[1].replace("&amp;", "&")).content.decode()
    ids = [re.findall(r'href="/certificates/([0-9a-f-]{36})/" title', page) for page in (first, second)]
    ends = {str(row.id): row.not_after for row in list_certificates(domains=[north.domain])}
    assert [len(page) for page in ids] == [25, len(ends) - 25]
    assert [ends[id] for id in ids[0] + ids[1]] == sorted(ends.values())


@pytest.mark.parametrize(
    "asked", [{"state": "happy"}, {"issuer": "nobody"}, {"ends_before": "soon"}, {"ends_from": "2027-02-30"}]
)
def test_filter_that_makes_no_sense_is_told(asked: dict[str, str], north: Scene, at_ada: Client) -> None:
    answer = at_ada.get("/certificates/", asked)
    assert b'role="alert"' in answer.content
    assert listed(at_ada, **asked) == []


@pytest.mark.parametrize(
    "address", ["/certificates/?serial=ab", "/devices/?stat=active", "/journal/?x=", "/sessions/?q=1"]
)
def test_filter_that_there_is_not_is_refused_and_never_left_out(address: str, north: Scene, at_ada: Client) -> None:
    answer = at_ada.get(address)
    assert answer.status_code == 400
    assert b"can not be narrowed by" in answer.content


def test_page_names_fields_and_explains_extensions(north: Scene, at_ada: Client) -> None:
    found = certificate_of(north, "pump-01")
    text = at_ada.get(f"/certificates/{found.id}/").content.decode()
    for words in ("subjectPublicKeyInfo", "EC secp256r1", "ecdsa-with-SHA256", "cRLDistributionPoints",
                  "RFC 5280 4.2.1.13", "extKeyUsage", "clientAuth", "digitalSignature", "cA: FALSE",
                  f"URI: urn:gatehouse:north:device:{north.devices['pump-01']}", "critical"):  # fmt: skip
        assert words in text, words
    assert "north Root" in text  # the chain
    assert "Certificate issued" in text  # the history


def test_revoked_certificate_shows_no_validity_as_if_it_were_good(north: Scene, at_ada: Client) -> None:
    found = certificate_of(north, "pump-03")
    assert found.state is CertificateState.REVOKED
    text = at_ada.get(f"/certificates/{found.id}/").content.decode()
    assert 'class="bar' not in text[text.index("<main") :]
    assert "Would end" in text


def test_lint_looks_by_the_rules_of_today(north: Scene, at_ada: Client) -> None:
    found = certificate_of(north, "pump-01")
    assert "It is as RFC 5280 and its profile want it" in at_ada.get(f"/certificates/{found.id}/").content.decode()
    Certificate.objects.filter(id=found.id).update(profile="application")
    assert "The certificate: " not in at_ada.get(f"/certificates/{found.id}/").content.decode()
    Certificate.objects.filter(id=found.id).update(profile="broker-server")
    assert "The certificate: " in at_ada.get(f"/certificates/{found.id}/").content.decode()
    Certificate.objects.filter(id=found.id).update(profile="gone")
    assert "It was made by no profile of ours" in at_ada.get(f"/certificates/{found.id}/").content.decode()


def test_downloads_are_what_openssl_reads(north: Scene, at_ada: Client) -> None:
    found = certificate_of(north, "pump-01")
    for kind, form, count in (("pem", "PEM", 1), ("der", "DER", 0), ("chain", "PEM", 2)):
        answer = at_ada.get(f"/certificates/{found.id}/{kind}/")
        assert found.serial_hex in answer["Content-Disposition"]
        assert answer.content.count(b"BEGIN CERTIFICATE") == count
        said = subprocess.run(["openssl", "x509", "-inform", form, "-noout", "-serial"], input=answer.content,
                              capture_output=True, check=True)  # fmt: skip
        assert said.stdout.decode().strip().lower() == f"serial={found.serial_hex}"


@pytest.fixture
def outside(db: None, settings: Any) -> Iterator[tuple[Scene, Client]]:
    """A domain whose public addresses answer over HTTP, and its owner's browser."""
    settings.GATEHOUSE_ROUTER = "tests.pki.routing.router"
    with pytest.MonkeyPatch.context() as patch, served() as url:
        patch.setattr("pki.api.wsgi.close_old_connections", lambda: None)
        settings.GATEHOUSE_BASE_URL = url
        scene = build_scene(slug=f"quay-{new_id().hex[-8:]}", now=utc_now())  # the responder remembers slugs
        scene.enroll("pump-01")
        yield scene, browser_of(make_operator("eva", ConsoleRole.OWNER, scene.domain, now=scene.now))


def status(browser: Client, certificate: IssuedCertificate) -> str:
    answer = browser.get(f"/certificates/{certificate.id}/status/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_status_is_what_a_client_gets_over_http(outside: tuple[Scene, Client]) -> None:
    scene, browser = outside
    found = certificate_of(scene, "pump-01")
    text = status(browser, found)
    assert "Record, OCSP and CRL agree" in text
    assert "not listed" in text
    assert "answered in" in text
    services.revoke_certificate(
        certificate=found.id, reason=ReasonCode.KEY_COMPROMISE, actor=SYSTEM, now=utc_now() - timedelta(minutes=1)
    )
    services.publish_crl(issuer=scene.ca.id, now=utc_now())
    text = wait_for(browser, found, "Record, OCSP and CRL agree")
    assert text.count("keyCompromise") == 3  # record, OCSP, CRL


def wait_for(browser: Client, found: IssuedCertificate, words: str) -> str:
    """The status once it has the words; the responder looks at the database every third of a second."""
    for _ in range(60):
        text = status(browser, found)
        if words in text:
            return text
        time.sleep(0.1)
    raise AssertionError(text)


def test_disagreement_is_loud(outside: tuple[Scene, Client]) -> None:
    scene, browser = outside
    found = certificate_of(scene, "pump-01")
    status(browser, found)
    Certificate.objects.filter(id=found.id).update(
        state="revoked", reason="superseded", revoked_at=scene.now - timedelta(minutes=1), crl_entry=b"0"
    )
    text = status(browser, found)
    assert "Clients see something else than the record" in text
    assert "The record says revoked, and the CRL does not list it." in text


def test_silence_is_told(outside: tuple[Scene, Client], settings: Any) -> None:
    scene, browser = outside
    settings.GATEHOUSE_BASE_URL = "http://127.0.0.1:9"
    assert "is not an address of this installation" in status(browser, certificate_of(scene, "pump-01"))
    scene.enroll("pump-02")
    assert "Connection refused" in status(browser, certificate_of(scene, "pump-02"))


def test_status_of_another_domain_is_not_there(north: Scene, at_cy: Client) -> None:
    found = certificate_of(north, "pump-01")
    for leaf in ("", "status/", "pem/", "der/", "chain/", "revoke/"):
        assert at_cy.get(f"/certificates/{found.id}/{leaf}").status_code == 404
