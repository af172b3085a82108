"""Revocation: the newest, the reasons, every CRL; and many at once after a dry run."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from console.core.roles import ConsoleRole
from kernel.core.actor import SYSTEM
from kernel.core.journal import Entry
from kernel.queries import list_entries
from pki import services
from pki.core.values import CertificateState, ReasonCode
from pki.queries import certificates_of, get_certificate, list_certificates
from pki.services import continue_revocation
from tests.console.views.conftest import browser_of
from tests.console.views.scene import Scene, make_operator
from tests.console.views.test_certificates import certificate_of


def order_of(scene: Scene) -> Entry:
    return next(entry for entry in list_entries(domain=scene.domain) if entry.action == "pki.revocation.ordered")


def rows(text: str) -> list[str]:
    return re.findall(r'class="name" href="/certificates/([0-9a-f-]{36})/"', text)


def revoke_some(scene: Scene, count: int, reason: ReasonCode) -> list[str]:
    """Certificates of devices that are revoked one minute after the other; the last first."""
    found: list[str] = []
    for number in range(count):
        device = f"old-{reason.value.lower()}-{number}"[:60]
        scene.enroll(device)
        certificate = certificate_of(scene, device)
        services.revoke_certificate(
            certificate=certificate.id, reason=reason, actor=SYSTEM, now=scene.now + timedelta(minutes=number + 1)
        )
        found.insert(0, str(certificate.id))
    return found


def test_newest_come_first_by_reason_and_by_page(north: Scene, at_ada: Client, at_cy: Client) -> None:
    expected = revoke_some(north, 27, ReasonCode.SUPERSEDED)
    text = at_ada.get("/revocation/").content.decode()
    assert rows(text) == expected[:25]
    following = re.search(r'rel="next" href="([^"]+)"', text)
    assert following
    second = at_ada.get("/revocation/" + following[1].replace("&amp;", "&")).content.decode()
    assert rows(second)[:2] == expected[25:]
    assert len(rows(second)) == 3  # and the one of the scene
    assert "27</span>" in text
    assert len(rows(at_ada.get("/revocation/?reason=keyCompromise").content.decode())) == 1
    assert rows(at_ada.get("/revocation/?reason=cACompromise").content.decode()) == []
    assert rows(at_cy.get("/revocation/").content.decode()) == []


def test_reason_that_is_none_is_told(north: Scene, at_ada: Client) -> None:
    assert b"There is no reason" in at_ada.get("/revocation/?reason=boredom").content
    assert at_ada.get("/revocation/?cause=x").status_code == 400


def test_every_crl_is_published_from_here(north: Scene, at_ada: Client, at_bo: Client) -> None:
    text = at_ada.get("/revocation/").content.decode()
    assert text.count("Publish now") == 2
    answer = at_ada.post("/issuers/north-root/publish/", {"next": "revocation"}, follow=True)
    assert answer.redirect_chain[0][0] == "/revocation/"
    assert b"is published" in answer.content
    text = at_bo.get("/revocation/").content.decode()
    assert "Publish now" not in text
    assert "Revoke many" not in text[text.index("<main") :]


def test_dry_run_says_how_many_and_shows_some(north: Scene, at_ada: Client) -> None:
    before = list_entries(limit=1)[0].seq
    text = at_ada.get("/revocation/many/?subject=CN%3Dpump-").content.decode()
    assert "4 certificates, not revoked yet" in text  # the fifth is
    assert "Type revoke 4 to confirm" in text
    assert "CN=pump-01" in text
    assert (
        "No certificate that is not revoked yet fits"
        in at_ada.get("/revocation/many/?subject=CN%3Dzzz").content.decode()
    )
    assert "Say which certificates" in at_ada.get("/revocation/many/?subject=").content.decode()
    assert "is hex" in at_ada.get("/revocation/many/?serial=xyz").content.decode()
    assert "3. Revoke" not in at_ada.get("/revocation/many/").content.decode()
    assert list_entries(limit=1)[0].seq == before


def hidden(text: str) -> str:
    found = re.search(r'name="digest" value="([0-9a-f]{64})"', text)
    assert found
    return found[1]


def test_many_are_revoked_once_it_is_typed_out(north: Scene, at_ada: Client) -> None:
    address = "/revocation/many/?subject=CN%3Dpump-"
    digest = hidden(at_ada.get(address).content.decode())
    form = {"digest": digest, "reason": "keyCompromise", "note": "the batch was copied", "confirm": "revoke 5",
            "invalidity_date": (north.now - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")}  # fmt: skip
    wrong = at_ada.post(address, form).content.decode()
    assert "nothing was done" in wrong
    assert "the batch was copied" in wrong
    answer = at_ada.post(address, form | {"confirm": "Revoke 4"}, follow=True)
    assert answer.redirect_chain[0][0] == f"/operations/{order_of(north).id}/"
    assert b"Revocation ordered" in answer.content
    continue_revocation(order=order_of(north), now=north.now, may_go_on=lambda: True)
    pumps = [each for each in list_certificates(domains=[north.domain]) if each.subject.startswith("CN=pump-")]
    assert {each.state for each in pumps} == {CertificateState.REVOKED}
    assert sum(each.invalidity_date is not None for each in pumps) == 4


def test_what_fits_by_now_is_looked_at_again(north: Scene, at_ada: Client) -> None:
    address = "/revocation/many/?subject=CN%3Dpump-"
    digest = hidden(at_ada.get(address).content.decode())
    north.enroll("pump-99")
    services.revoke_certificate(
        certificate=certificate_of(north, "pump-01").id, reason=ReasonCode.SUPERSEDED, actor=SYSTEM, now=north.now
    )
    answer = at_ada.post(address, {"digest": digest, "reason": "superseded", "confirm": "revoke 4"})
    assert b"Other certificates fit now" in answer.content
    assert hidden(answer.content.decode()) != digest
    assert get_certificate(id=certificate_of(north, "pump-99").id).state is CertificateState.ISSUED


def test_what_is_enrolled_meanwhile_is_left_alone(north: Scene, at_ada: Client) -> None:
    address = "/revocation/many/?subject=CN%3Dpump-"
    digest = hidden(at_ada.get(address).content.decode())
    north.enroll("pump-99")
    at_ada.post(address, {"digest": digest, "reason": "superseded", "confirm": "revoke 4"})
    continue_revocation(order=order_of(north), now=north.now, may_go_on=lambda: True)
    assert get_certificate(id=certificate_of(north, "pump-99").id).state is CertificateState.ISSUED
    assert get_certificate(id=certificate_of(north, "pump-01").id).state is CertificateState.REVOKED


@pytest.mark.parametrize("asked", ["device=pump-01", "issuer=north-ca&profile=device&device=pump-01"])
def test_device_is_named_by_its_name(asked: str, north: Scene, at_ada: Client) -> None:
    assert "1 certificate, not revoked yet" in at_ada.get(f"/revocation/many/?{asked}").content.decode()


def test_who_may_not_revoke_can_not(north: Scene, at_bo: Client, at_cy: Client) -> None:
    before = list_entries(limit=1)[0].seq
    address = "/revocation/many/?subject=CN%3Dpump-"
    assert at_bo.get(address).status_code == 403
    assert at_bo.post(address, {"confirm": "revoke 4"}).status_code == 403
    assert "No certificate that is not revoked yet fits" in at_cy.get(address).content.decode()
    assert list_entries(limit=1)[0].seq == before


def test_certificate_is_revoked_with_its_invalidity_date(north: Scene, at_ada: Client) -> None:
    found = certificate_of(north, "pump-01")
    address = f"/certificates/{found.id}/revoke/"
    form = {"confirm": found.serial_hex[-8:], "reason": "keyCompromise"}
    ahead = (north.now + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    assert b"This lies ahead" in at_ada.post(address, {**form, "invalidity_date": ahead}).content
    past = (north.now - timedelta(days=2)).replace(second=0, microsecond=0)
    at_ada.post(address, {**form, "invalidity_date": past.strftime("%Y-%m-%dT%H:%M")})
    revoked = get_certificate(id=found.id)
    assert (revoked.state, revoked.invalidity_date) == (CertificateState.REVOKED, past)
    assert b"Not believed since" in at_ada.get(f"/certificates/{found.id}/").content


@pytest.mark.parametrize("holder", ["issuer:north-ca", "ocsp:north-ca"])
def test_ca_is_not_taken_out_of_trust_by_who_may_not_sign(holder: str, north: Scene, at_ada: Client) -> None:
    at_eve = browser_of(make_operator("eve", ConsoleRole.OPERATOR, north.domain, now=north.now))
    found = certificates_of(holder=holder)[0]
    address = f"/certificates/{found.id}/"
    form = {"confirm": found.serial_hex[-8:], "reason": "superseded"}
    for act in ("revoke", "hold", "release"):
        assert at_eve.post(f"{address}{act}/", form).status_code == 403
    assert at_eve.get(f"{address}revoke/").status_code == 403
    assert get_certificate(id=found.id).state is CertificateState.ISSUED
    offered = f'href="{address}revoke/"'
    assert offered in at_ada.get(address).content.decode()
    assert offered not in at_eve.get(address).content.decode()
    assert f"{address}hold/" not in at_eve.get(address).content.decode()
    pump = f"/certificates/{certificate_of(north, 'pump-01').id}/"
    assert f'href="{pump}revoke/"' in at_eve.get(pump).content.decode()


def test_ca_is_among_many_only_for_who_may_sign(north: Scene, at_ada: Client) -> None:
    at_eve = browser_of(make_operator("eve", ConsoleRole.OPERATOR, north.domain, now=north.now))
    address = "/revocation/many/?device=issuer%3Anorth-ca"
    shown = at_ada.get(address).content.decode()
    assert "1 certificate, not revoked yet" in shown
    assert "No certificate that is not revoked yet fits" in at_eve.get(address).content.decode()
    at_eve.post(address, {"digest": hidden(shown), "reason": "superseded", "confirm": "revoke 1"})
    at_eve.post(address, {"digest": hidden(shown), "reason": "superseded", "confirm": "revoke 0"})
    assert not [entry for entry in list_entries(domain=north.domain) if entry.action == "pki.revocation.ordered"]
