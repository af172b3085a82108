"""Editing a broker on the console: what is shown of it, what is kept, and what is refused."""

from __future__ import annotations

import html
import re

from django.test import Client

from brokers import queries, services
from kernel.core.clock import utc_now
from tests.cast import ADA
from tests.console.views.scene import Scene

SECRET = "kept-by-nobody-else"


def page(client: Client, scene: Scene) -> str:
    answer = client.get(f"/brokers/{scene.broker.name}/edit/")
    assert answer.status_code == 200, answer.content
    return html.unescape(answer.content.decode())


def fields(text: str) -> dict[str, str]:
    """What a browser would send of the form as it was shown."""
    form = text[text.index('name="tag"') - 100 :]
    found = dict(re.findall(r'<input type="(?:text|number|hidden)" name="([^"]+)"[^>]*?value="([^"]*)"', form))
    areas = re.findall(r'<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL)
    return found | {name: value.replace("\n", "\r\n") for name, value in areas}


def connection(scene: Scene) -> dict[str, object]:
    return dict(queries.link_to(broker=scene.broker.id).connection)


def keep_secret(scene: Scene) -> None:
    change = services.BrokerChange(connection={"password": SECRET})
    services.change_broker(broker=scene.broker.id, change=change, actor=ADA, now=utc_now())


def test_broker_is_renamed_moved_and_spoken_to_otherwise(north: Scene, at_ada: Client) -> None:
    keep_secret(north)
    before, shown = connection(north), page(at_ada, north)
    assert SECRET not in shown
    form = fields(shown) | {
        "name": "hall-10",
        "listeners": "wss://mq.example:443\r\n\r\n mqtts://[::1]:8883 \r\n",
        "connection/username": "other",
    }

    sent = at_ada.post(f"/brokers/{north.broker.name}/edit/", form)

    assert (sent.status_code, sent.headers.get("Location")) == (302, "/brokers/hall-10/"), sent.content
    found = queries.get_broker(name="hall-10")
    assert [(each.transport, each.host, each.port) for each in found.listeners] == [
        ("wss", "mq.example", 443),
        ("mqtts", "::1", 8883),
    ]
    assert connection(north) == before | {"username": "other"}
    late = html.unescape(at_ada.post("/brokers/hall-10/edit/", form).content.decode())
    assert "was changed meanwhile" in late


def test_form_as_it_was_shown_changes_nothing(north: Scene, at_ada: Client) -> None:
    before, tag = connection(north), north.broker.tag
    assert at_ada.post(f"/brokers/{north.broker.name}/edit/", fields(page(at_ada, north))).status_code == 302
    assert (connection(north), queries.get_broker(id=north.broker.id).tag) == (before, tag)


def test_what_is_wrong_stands_beside_its_field_and_no_secret_comes_back(north: Scene, at_ada: Client) -> None:
    keep_secret(north)
    form = fields(page(at_ada, north))
    for wrong, said in (
        ({"listeners": "mqtt://x:1883"}, "Line 1 is none: write mqtts://host:port"),
        ({"listeners": "mqtts://x_:8883"}, "Give a DNS name or an IP address."),
        ({"connection/port": "1884"}, "Give it again: what is kept of it was for the place that is changed."),
        ({"connection/host": "mq.example", "connection/password": "typed-just-now"}, "give ca_pem"),
        ({"name": "Hall 9"}, "Give 1 to 63 lower-case letters"),
    ):
        answer = at_ada.post(f"/brokers/{north.broker.name}/edit/", form | wrong)
        text = html.unescape(answer.content.decode())
        assert answer.status_code == 200, wrong
        assert said in text
        assert SECRET not in text
        assert "typed-just-now" not in text
    assert queries.get_broker(id=north.broker.id).tag in form["tag"]


def test_who_may_not_change_brokers_sees_no_connection(
    north: Scene, at_ada: Client, at_bo: Client, at_cy: Client
) -> None:
    form = fields(page(at_ada, north))
    for client, status in ((at_bo, 403), (at_cy, 404)):
        assert client.get(f"/brokers/{north.broker.name}/edit/").status_code == status
        assert client.post(f"/brokers/{north.broker.name}/edit/", form).status_code == status
    assert "/edit/" not in at_bo.get(f"/brokers/{north.broker.name}/").content.decode()
