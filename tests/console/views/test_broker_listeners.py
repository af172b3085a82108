"""A broker's listeners on the console: profile, configuration, certificate, trust, probe, capabilities, differences."""

from __future__ import annotations

import html
import re
from dataclasses import asdict

import pytest
from django.test import Client

from brokers import models, services
from brokers.core.values import BrokerId, Listener
from brokers.tasks import probe as probe_task
from kernel.core.clock import utc_now
from kernel.core.ids import EntryId
from kernel.models import Wakeup
from pki.queries import certificates_of
from tests.console.views.scene import Scene, make_csr
from tests.servers import free_port

LISTENERS = "/brokers/{}/listeners/"


def at(scene: Scene, leaf: str = "") -> str:
    return LISTENERS.format(scene.broker.name) + leaf


def shown(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return html.unescape(answer.content.decode())


def fields(page: str) -> dict[str, str]:
    """What a browser would send of the form as it was shown."""
    form = page[page.index('name="version"') - 200 :]
    found = dict(re.findall(r'<input type="(?:text|number|hidden)" name="(\w+)"[^>]*?value="([^"]*)"', form))
    found |= dict.fromkeys(re.findall(r'<input type="checkbox" name="(\w+)"[^>]*? checked', form), "on")
    return found | dict(re.findall(r'<select name="(\w+)".*?<option value="([^"]+)" selected', form, re.DOTALL))


def test_profile_is_changed_by_its_form_and_the_configuration_follows(north: Scene, at_ada: Client) -> None:
    form = fields(shown(at_ada, at(north, "profile/")))
    assert (form["version"], form["require_certificate"], form["max_packet_size"]) == ("0", "on", "262144")

    sent = at_ada.post(at(north, "profile/"), form | {"minimum_tls": "1.3", "max_connections": "77"})

    assert sent.status_code == 302, sent.content
    page = shown(at_ada, at(north))
    assert "tls_version tlsv1.3" in page
    assert "max_connections 77" in page
    assert "<strong>Octets of a client id</strong>" in page
    assert "version 1" in page
    late = at_ada.post(at(north, "profile/"), form)
    assert "was changed meanwhile" in html.unescape(late.content.decode())


def test_what_is_wrong_stands_beside_its_field(north: Scene, at_ada: Client) -> None:
    form = fields(shown(at_ada, at(north, "profile/")))

    page = html.unescape(at_ada.post(at(north, "profile/"), form | {"proxies": "balancer"}).content.decode())

    assert "Give networks such as 10.1.0.0/24" in page
    assert 'value="balancer"' in page
    page = html.unescape(at_ada.post(at(north, "profile/"), form | {"max_connections": "0"}).content.decode())
    assert "Give 1 to 10,000,000, or leave it empty." in page
    assert services.listener_profile_of(broker=north.broker).version == 0


def test_certificate_is_issued_from_a_request_and_fetched(north: Scene, at_ada: Client, at_bo: Client) -> None:
    assert at_ada.get(at(north, "server.pem")).status_code == 404
    csr = make_csr("broker")
    assert at_bo.post(at(north, "certificate/"), {"csr": csr}).status_code == 403
    refused = html.unescape(at_ada.post(at(north, "certificate/"), {"csr": "nonsense"}).content.decode())
    assert "nonsense" in refused
    assert "make one with `openssl req -new`" in refused[refused.index('id="id_csr_error"') :]
    assert certificates_of(holder=f"broker:{north.broker.id}") == []

    assert at_ada.post(at(north, "certificate/"), {"csr": csr}).status_code == 302

    chain = services.server_chain_of(broker=north.broker, now=utc_now())
    assert chain is not None
    assert at_ada.get(at(north, "server.pem")).content.decode() == chain.chain_pem
    assert chain.certificate.serial_hex in shown(at_bo, at(north))
    assert north.root.certificate_pem in at_bo.get(at(north, "trust.pem")).content.decode()


def test_probe_says_what_to_mend(north: Scene, at_ada: Client, at_bo: Client) -> None:
    nobody = asdict(Listener(host="127.0.0.1", port=free_port()))
    models.Broker.objects.filter(id=north.broker.id).update(listeners=[nobody])
    assert at_bo.post(at(north, "probe/")).status_code == 403

    page = html.unescape(at_ada.post(at(north, "probe/"), follow=True).content.decode())

    assert "Probe ordered" in page
    assert 'hx-trigger="every 500ms"' in page
    probe_task.run(wakeup=Wakeup.objects.get(task="brokers.probe").pk)
    page = shown(at_bo, at(north))
    assert "Probe ordered" not in page
    assert "Look that the broker runs" in page


def test_probe_that_ends_while_the_page_is_made_is_shown(
    north: Scene, at_ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = asdict(Listener(host="127.0.0.1", port=free_port()))
    models.Broker.objects.filter(id=north.broker.id).update(listeners=[nobody])
    under_way = services.probe_under_way

    def ends(*, broker: BrokerId) -> EntryId | None:
        found = under_way(broker=broker)
        probe_task.run(wakeup=Wakeup.objects.get(task="brokers.probe").pk)
        return found

    at_ada.post(at(north, "probe/"))
    monkeypatch.setattr(services, "probe_under_way", ends)
    page = shown(at_ada, at(north))
    assert "Probe ordered" in page
    assert "Look that the broker runs" in page


def test_capabilities_and_differences_are_shown(north: Scene, at_bo: Client) -> None:
    page = shown(at_bo, f"/brokers/{north.broker.name}/capabilities/")
    assert "dynamic security plugin over MQTT" in page
    assert "Shared subscriptions" in page
    differences = shown(at_bo, f"/brokers/{north.broker.name}/differences/")
    assert 'role="alert"' in differences, "nobody answers there"


def test_another_domain_sees_nothing(north: Scene, at_cy: Client) -> None:
    for leaf in ("", "profile/", "server.pem", "trust.pem"):
        assert at_cy.get(at(north, leaf)).status_code == 404
    for leaf in ("profile/", "probe/", "certificate/"):
        assert at_cy.post(at(north, leaf)).status_code == 404
    for leaf in ("capabilities", "differences"):
        assert at_cy.get(f"/brokers/{north.broker.name}/{leaf}/").status_code == 404
