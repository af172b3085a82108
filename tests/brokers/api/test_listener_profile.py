"""/api/v1/brokers/<name>/listener-profile/ and /configuration/: read, changed by version, rendered."""

from __future__ import annotations

from typing import Any

import pytest

from brokers import models
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from pki import services as pki
from pki.core.profile_documents import profile_document
from pki.core.profiles import PROFILES
from tests.brokers.api.conftest import Api, Caller
from tests.brokers.fleet import Fleet
from tests.cast import ADA

PATH = "brokers/hall-7/listener-profile/"


@pytest.fixture
def broker(fleet: Fleet) -> models.Broker:
    return models.Broker.objects.create(
        domain_id=fleet.domain.id,
        name="hall-7",
        kind="mosquitto-dynsec",
        connection=b"",
        listeners=[{"host": "mq.example", "port": 8883, "transport": "mqtts"}],
        created_at=utc_now(),
    )


def put(api: Api, body: object, tag: str = "*") -> Any:
    headers = {**api.headers, **({"If-Match": tag} if tag else {})}
    return api.client.put(f"/api/v1/{PATH}", body, content_type="application/json", headers=headers)


def test_profile_of_which_nobody_said_anything_is_safe(api: Api, broker: models.Broker) -> None:
    answer = api.get(PATH)

    assert answer.headers["ETag"] == '"0"'
    found = answer.json()
    assert (found["make"], found["minimum_tls"], found["require_certificate"]) == ("mosquitto", "1.2", True)
    assert (found["allow_anonymous"], found["plain_port"]) == (False, None)


def test_change_is_rendered_and_stands_in_the_journal_once(api: Api, broker: models.Broker) -> None:
    changed = put(api, {"minimum_tls": "1.3", "folder": "/etc/mq", "max_connections": 7})
    again = put(api, {"minimum_tls": "1.3", "folder": "/etc/mq", "max_connections": 7}, changed.headers["ETag"])

    assert (changed.status_code, changed.headers["ETag"], again.headers["ETag"]) == (200, '"1"', '"1"')
    configuration = api.get("brokers/hall-7/configuration/").json()
    [file] = configuration["files"]
    for line in ("listener 8883", "tls_version tlsv1.3", "crlfile /etc/mq/crl.pem", "max_connections 7"):
        assert f"\n{line}\n" in file["text"]
    assert {"member", "severity", "what", "remedy"} == set(configuration["warnings"][0])
    [entry] = [each for each in list_entries() if each.action == "brokers.listener_profile.changed"]
    assert entry.after["minimum_tls"] == "1.3"


def test_profile_whose_certificates_name_no_ocsp_is_told_where_ocsp_is_asked_for(
    api: Api, fleet: Fleet, broker: models.Broker
) -> None:
    models.Broker.objects.update(kind="nats-files")
    put(api, {"check_ocsp": True})

    def told() -> list[str]:
        found = api.get("brokers/hall-7/configuration/").json()["warnings"]
        return [each["what"] for each in found if (each["member"], each["severity"]) == ("check_ocsp", "error")]

    assert told() == []
    document = profile_document(PROFILES["application"]) | {"names_ocsp": False}
    pki.save_profile(domain=fleet.domain.id, name="dashboard", document=document, actor=ADA, now=utc_now())
    [what] = told()
    assert what.endswith(": dashboard.")


def test_change_of_an_older_version_is_refused(api: Api, broker: models.Broker) -> None:
    assert put(api, {"minimum_tls": "1.2"}, "").status_code == 428
    assert put(api, {"minimum_tls": "1.2"}, '"another"').status_code == 412  # there is none, and this is not its tag
    assert put(api, {"minimum_tls": "1.3"}, '"0"').status_code == 200

    late = put(api, {"minimum_tls": "1.2"}, '"0"')

    assert (late.status_code, late.json()["code"]) == (412, "listener-profile-changed")
    assert api.get(PATH).json()["minimum_tls"] == "1.3"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"minimum_tls": "1.4"}, "/minimum_tls"), ({"plain_port": 8883}, "/plain_port"), ({"tls": 1}, "/tls"), ([], "")],
)
def test_wrong_profile_is_refused_with_the_member(api: Api, broker: models.Broker, body: object, pointer: str) -> None:
    refused = put(api, body)

    assert refused.status_code == 400
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]
    assert not models.Listening.objects.exists()


def test_who_may_only_read_changes_nothing(fleet: Fleet, broker: models.Broker, caller: Caller) -> None:
    assert put(caller(fleet.domain.id, ["brokers:read"]), {"allow_anonymous": True}).status_code == 403
    assert not models.Listening.objects.exists()
