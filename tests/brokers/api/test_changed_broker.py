"""PATCH /api/v1/brokers/<name>/: name, listeners and connection of a broker that is registered."""

from __future__ import annotations

from typing import Any

import pytest

from brokers import models, queries
from brokers.core.values import SyncState
from brokers.tasks import push
from console.core.roles import EVERY_SCOPE
from kernel import queries as journal
from kernel.core.clock import utc_now
from kernel.models import Wakeup
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.api.test_brokers import NEW
from tests.brokers.fleet import Fleet
from tests.brokers.mosquitto import PASSWORD

PATH = "brokers/hall-9/"


def patch(api: Api, body: object, *, tag: str = "*", path: str = PATH) -> Any:
    headers = api.headers | ({"If-Match": tag} if tag else {})
    return api.client.patch(f"/api/v1/{path}", body, content_type="application/json", headers=headers)


@pytest.fixture
def broker(api: Api) -> models.Broker:
    api.post("brokers/", NEW)
    row = models.Broker.objects.get()
    row.managed_since, row.sync, row.desired_digest, row.version = utc_now(), SyncState.IN_SYNC, "d" * 64, "2.0.11"
    row.save()
    return row


def connection() -> dict[str, Any]:
    return dict(queries.link_to(broker=queries.list_brokers(domains=None)[0].id).connection)


def test_listeners_change_and_devices_are_told_them(api: Api, broker: models.Broker) -> None:
    changed = patch(api, {"listeners": [{"host": "new.example", "port": 443, "transport": "wss"}]})
    assert changed.status_code == 200, changed.content
    assert changed.json()["listeners"] == [{"host": "new.example", "port": 443, "transport": "wss"}]
    [told] = queries.endpoints(queries.get_broker(name="hall-9").domain)
    assert (told.host, told.port, told.transport) == ("new.example", 443, "wss")
    assert (changed.json()["sync"], connection()) == ("in-sync", NEW["connection"])
    entry = journal.list_entries(limit=1)[0]
    assert (entry.action, entry.before, entry.after) == (
        "brokers.broker.changed",
        {"listeners": ["mqtts://hall-9.example:8883"]},
        {"changed": "listeners", "listeners": ["wss://new.example:443"]},
    )


def test_secret_that_is_left_out_stays_and_none_is_told(api: Api, broker: models.Broker) -> None:
    changed = patch(api, {"connection": {"username": "other"}})
    assert changed.status_code == 200, changed.content
    assert connection() == NEW["connection"] | {"username": "other"}
    assert "connection" not in changed.json()
    assert PASSWORD not in changed.content.decode()
    assert journal.list_entries(limit=1)[0].after == {"changed": "connection", "connection": ["username"]}
    assert models.Broker.objects.get().control_name == "other"


def test_broker_that_is_spoken_to_otherwise_is_compared_anew(api: Api, broker: models.Broker) -> None:
    body = patch(api, {"connection": {"password": "fresh-one"}}).json()
    assert (body["sync"], body["version"]) == ("pending", "")
    row = models.Broker.objects.get()
    assert (row.desired_digest, row.managed_since) == ("", broker.managed_since)
    assert connection()["password"] == "fresh-one"
    wakeup = Wakeup.objects.order_by("-pk")[0]
    assert (wakeup.task, wakeup.order_key) == ("brokers.push", f"push:{broker.id}")
    assert "fresh-one" not in str(journal.list_entries(limit=5))


def test_kept_secret_is_not_sent_to_another_place(api: Api, broker: models.Broker) -> None:
    refused = patch(api, {"connection": {"port": 1884}})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/connection/password")
    assert connection() == NEW["connection"]
    assert patch(api, {"connection": {"port": 1884, "password": PASSWORD}}).status_code == 200
    assert connection()["port"] == 1884


def test_wake_ups_find_a_broker_that_has_another_name_by_now(api: Api, broker: models.Broker) -> None:
    waiting = Wakeup.objects.latest("pk")
    assert waiting.target == "broker:hall-9"
    changed = patch(api, {"name": "hall-10"})
    assert (changed.status_code, changed.json()["name"]) == (200, "hall-10")
    entry = journal.list_entries(limit=1)[0]
    assert (entry.before, entry.after) == ({"name": "hall-9"}, {"changed": "name", "name": "hall-10"})
    assert api.get(PATH).status_code == 404
    api.post("brokers/", NEW)  # another takes the name

    models.Broker.objects.filter(name="hall-10").update(managed_since=None)
    push.run(wakeup=waiting.pk)
    waiting.refresh_from_db()
    assert waiting.detail == "Nothing is written to this broker before a plan was applied to it."
    models.Broker.objects.filter(name="hall-10").delete()
    Wakeup.objects.filter(pk=waiting.pk).update(state="pending", finished_at=None, held_until=None)
    push.run(wakeup=waiting.pk)
    waiting.refresh_from_db()
    assert waiting.detail == "The broker is no longer registered."


def test_who_read_it_before_it_changed_is_refused(api: Api, broker: models.Broker) -> None:
    tag = api.get(PATH)["ETag"]
    first = patch(api, {"listeners": []}, tag=tag)
    assert first.status_code == 200
    late = patch(api, {"name": "hall-10"}, tag=tag)
    assert (late.status_code, late.json()["code"]) == (412, "broker-changed")
    assert patch(api, {"name": "hall-10"}, tag="nonsense").status_code == 412
    blind = patch(api, {"name": "hall-10"}, tag="")
    assert (blind.status_code, blind.json()["code"]) == (428, "if-match-required")
    assert patch(api, {"name": "hall-10"}, tag=first["ETag"]).status_code == 200


def test_the_same_once_more_is_no_change(api: Api, broker: models.Broker) -> None:
    before = journal.journal_end()
    tag = api.get(PATH)["ETag"]
    same = {"name": "hall-9", "listeners": NEW["listeners"], "connection": NEW["connection"]}
    for body in (same, {}):
        answer = patch(api, body)
        assert (answer.status_code, answer["ETag"]) == (200, tag)
    assert (journal.journal_end(), models.Broker.objects.get().sync) == (before, "in-sync")


def test_what_is_wrong_is_named_and_nothing_changes(api: Api, broker: models.Broker) -> None:
    models.Listening.objects.create(broker=broker, profile={"plain_port": 1883}, version=1)
    tag = api.get(PATH)["ETag"]
    for body, status, pointer in (
        ({"name": "Hall 9"}, 400, "/name"),
        ({"name": "embedded"}, 400, "/name"),
        ({"name": None}, 400, "/name"),
        ({"listeners": [{"host": "x y", "port": 1}]}, 400, "/listeners/0/host"),
        ({"listeners": [{"host": "x", "port": 8883}, {"host": "x", "port": 1883}]}, 400, "/listeners/1/port"),
        ({"connection": {"host": "broker.example", "password": "p"}}, 400, "/connection/ca_pem"),
        ({"connection": {"password": None}}, 400, "/connection/password"),
        ({"connection": {"passwort": "x"}}, 400, "/connection/passwort"),
        ({"connection": "x"}, 400, "/connection"),
        ({"kind": "emqx"}, 400, "/kind"),
        ({"domain": "south"}, 400, "/domain"),
    ):
        answer = patch(api, body)
        assert answer.status_code == status, (body, answer.content)
        assert pointer in {error["pointer"] for error in answer.json()["errors"]}, answer.content
    assert api.get(PATH)["ETag"] == tag


def test_name_of_another_broker_is_taken(api: Api, broker: models.Broker) -> None:
    other = NEW | {"name": "hall-10", "connection": NEW["connection"] | {"files": {"directory": "hall-10"}}}
    assert api.post("brokers/", other).status_code == 201
    taken = patch(api, {"name": "hall-10"})
    assert (taken.status_code, taken.json()["code"]) == (409, "broker-name-taken")
    shared = patch(api, {"connection": {"files": {"directory": "hall-10"}}})
    assert (shared.status_code, shared.json()["code"]) == (409, "broker-folder-shared")


def test_a_device_does_not_become_the_control_account(api: Api, fleet: Fleet, broker: models.Broker) -> None:
    fleet.enroll("warden")
    refused = patch(api, {"connection": {"username": "warden"}})
    assert (refused.status_code, refused.json()["code"]) == (409, "broker-account-shared")


def test_who_may_only_read_or_is_of_another_domain_changes_nothing(
    api: Api, caller: Caller, fleet: Fleet, broker: models.Broker, tmp_path: Any
) -> None:
    assert patch(caller(fleet.domain.id, ["brokers:read"]), {"listeners": []}).status_code == 403
    south = caller(Fleet(tmp_path, slug="south").domain.id, EVERY_SCOPE)
    assert patch(south, {"listeners": []}).status_code == 404
    assert models.Broker.objects.get().listeners
