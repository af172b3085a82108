"""Who signs access tokens is seen by all who see issuers, and replaced by who may sign in every domain."""

from __future__ import annotations

from django.test import Client

from brokers.queries import list_token_keys
from brokers.services import rotate_token_keys
from devices import queries
from devices.models import Device
from kernel.queries import list_entries
from tests.console.views.scene import Scene


def main_of(client: Client, address: str = "/token-keys/") -> str:
    text = client.get(address).content.decode()
    return text[text.index("<main") :]


def test_the_owner_of_every_domain_replaces_the_keys(north: Scene, at_ada: Client) -> None:
    assert "There is no key yet" in main_of(at_ada)
    rotate_token_keys(now=north.now)
    [old] = list_token_keys()
    assert old.kid in main_of(at_ada)
    answer = at_ada.post("/token-keys/replace/", {"note": "the backup was stolen"}, follow=True)
    [fresh] = list_token_keys()
    assert fresh.kid in answer.content.decode()
    assert old.kid not in answer.content.decode()
    assert list_entries(limit=2)[-1].note == "the backup was stolen"


def test_others_see_the_keys_and_replace_none(north: Scene, south: Scene, at_ada: Client, at_bo: Client) -> None:
    rotate_token_keys(now=north.now)
    before = list_token_keys()
    for client in (at_ada, at_bo):  # ada owns north alone
        assert before[0].kid in main_of(client)
        assert "Replace now" not in main_of(client)
    assert "<form" not in main_of(at_ada, "/token-keys/replace/")
    assert at_bo.get("/token-keys/replace/").status_code == 403
    refused = at_ada.post("/token-keys/replace/", {})
    assert refused.status_code == 200
    assert at_bo.post("/token-keys/replace/", {}).status_code == 403
    assert list_token_keys() == before


def test_ending_the_tokens_of_a_device_shows_the_operation(north: Scene, at_ada: Client) -> None:
    device = north.devices["pump-01"]
    before = Device.objects.get(id=device).token_epoch
    answer = at_ada.post(f"/devices/{device}/end-tokens/", follow=True)
    assert "Device tokens ended" in answer.content.decode()
    assert Device.objects.get(id=device).token_epoch == before + 1
    assert queries.get_device(device=device).state == "active"
    assert "End tokens" not in main_of(at_ada, f"/devices/{north.devices['pump-03']}/")  # it is revoked
