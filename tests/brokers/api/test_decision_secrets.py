"""/api/v1/brokers/<name>/decision-secrets/: made, shown once, listed without themselves, revoked."""

from __future__ import annotations

from typing import Any

import pytest

from brokers import models
from kernel.core.clock import utc_now
from kernel.queries import list_entries
from tests.brokers.api.conftest import Api
from tests.brokers.fleet import Fleet

PATH = "brokers/hall-7/decision-secrets/"


@pytest.fixture
def broker(api: Api, fleet: Fleet) -> models.Broker:
    return models.Broker.objects.create(
        domain_id=fleet.domain.id, name="hall-7", kind="nats", connection=b"", created_at=utc_now()
    )


def mint(api: Api, **body: Any) -> Any:
    answer = api.post(PATH, body)
    assert answer.status_code == 201, answer.content
    return answer


def test_a_secret_is_shown_once_and_kept_as_a_hash(api: Api, broker: models.Broker) -> None:
    answer = mint(api, identity="certificate")
    made = answer.json()
    assert answer.headers["Cache-Control"] == "no-store"
    assert made["url"].endswith(f"/decide/{broker.id}")
    assert len(made["secret"]) == 32  # 192 bits in base64
    listed = api.get(PATH)
    assert made["secret"] not in listed.content.decode()
    [row] = listed.json()["results"]
    assert (row["id"], row["identity"]) == (made["id"], "certificate")
    kept = models.DecisionSecret.objects.get()
    assert made["secret"].encode() not in bytes(kept.secret_hash)
    assert all(made["secret"] not in str(entry) for entry in list_entries())


def test_names_are_not_believed_unless_somebody_says_so(api: Api, broker: models.Broker) -> None:
    assert mint(api).json()["identity"] == "shown"
    wrong = api.post(PATH, {"identity": "password"})
    assert wrong.status_code == 400


def test_a_revoked_secret_is_gone_and_revoking_it_again_says_so(api: Api, broker: models.Broker) -> None:
    path = f"{PATH}{mint(api).json()['id']}/"
    assert api.delete(path).status_code == 204
    assert api.get(PATH).json()["results"] == []
    again = api.delete(path)
    assert (again.status_code, again.json()["code"]) == (404, "decision-secret-unknown")


def test_a_broker_has_few_secrets(api: Api, broker: models.Broker) -> None:
    for _ in range(5):
        mint(api)
    more = api.post(PATH, {})
    assert (more.status_code, more.json()["code"]) == (409, "too-many-decision-secrets")


def test_a_broker_that_is_removed_takes_its_secrets_along(api: Api, broker: models.Broker) -> None:
    mint(api)
    assert api.delete("brokers/hall-7/").status_code == 204
    assert not models.DecisionSecret.objects.exists()
