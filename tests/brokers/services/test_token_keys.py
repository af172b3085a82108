"""Keys that sign tokens follow one another without a gap, however often and at once they are looked after."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connections
from pytest_django import Settings

from brokers import models
from brokers.core.token_keys import next_signs_from
from brokers.queries import list_token_keys
from brokers.services import token_keys
from brokers.services.token_keys import (
    NotEveryDomain,
    TokenKeyShut,
    open_signing_key,
    replace_token_keys,
    rotate_token_keys,
)
from devices.models import Domain
from kernel.core.clock import utc_now
from kernel.core.secrets import MasterKey
from kernel.models import JournalEntry
from tests.cast import ADA, NORTH, NOW, SOUTH

DAY = timedelta(days=1)


def told() -> list[str]:
    """What the journal says of keys, by the first letters of each."""
    rows = JournalEntry.objects.filter(subject_kind="brokers.token_key").order_by("seq")
    return [f"{row.action.rpartition('.')[2]} {_numbers()[row.subject_id]}" for row in rows]


def _numbers() -> dict[str, int]:
    rows = JournalEntry.objects.filter(action="brokers.token_key.created").order_by("seq")
    return {row.subject_id: number for number, row in enumerate(rows, start=1)}


@pytest.mark.django_db
def test_rotation_leaves_no_moment_without_a_key_that_was_known_ahead() -> None:
    known: dict[str, Any] = {}
    signed: list[str] = []
    for hour in range(0, 24 * 100, 6):
        now = NOW + timedelta(hours=hour)
        rotate_token_keys(now=now)
        rotate_token_keys(now=now)
        for key in list_token_keys():
            known.setdefault(key.kid, now)
        kid, private = open_signing_key(now=now)
        assert private.thumbprint() == kid
        if not signed or signed[-1] != kid:
            assert not signed or now - known[kid] >= 2 * DAY
            signed.append(kid)
        assert set(signed[-1:]) <= {key.kid for key in list_token_keys()}
    assert len(signed) == len(set(signed)) == 4
    assert told() == [
        "created 1", "created 2", "retired 1", "created 3", "retired 2", "created 4", "retired 3",
    ]  # fmt: skip


@pytest.mark.django_db
def test_replaced_keys_are_gone_at_once_with_the_one_that_was_to_follow() -> None:
    rotate_token_keys(now=NOW)
    rotate_token_keys(now=NOW + 29 * DAY)
    assert len(list_token_keys()) == 2
    fresh = replace_token_keys(domains=[], actor=ADA, now=NOW + 29 * DAY, note="stolen")
    assert [key.kid for key in list_token_keys()] == [fresh.kid]
    assert open_signing_key(now=NOW + 29 * DAY)[0] == fresh.kid
    assert told() == ["created 1", "created 2", "revoked 1", "revoked 2", "created 3"]
    rotate_token_keys(now=NOW + 30 * DAY)
    assert [key.kid for key in list_token_keys()] == [fresh.kid]


@pytest.mark.django_db
def test_the_private_key_is_kept_under_the_master_key_alone() -> None:
    _, key = open_signing_key(now=NOW)
    row = models.TokenKey.objects.get()
    assert key.as_der(private=True) not in bytes(row.private_key)
    assert row.kid not in repr(key)
    assert bytes(row.public_key) == key.as_der(private=False)


@pytest.mark.django_db(transaction=True)
def test_who_is_at_it_at_once_makes_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    both_looked, right = Barrier(2, timeout=60), next_signs_from

    def look(*given: Any, **named: Any) -> Any:
        found = right(*given, **named)
        both_looked.wait()
        return found

    monkeypatch.setattr(token_keys, "next_signs_from", look)

    def work() -> None:
        try:
            rotate_token_keys(now=utc_now())
        finally:
            connections.close_all()

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list_token_keys()) == 1
    assert told() == ["created 1"]


@pytest.mark.django_db
def test_who_may_in_some_domains_alone_replaces_no_keys() -> None:
    for id, slug in ((NORTH, "north"), (SOUTH, "south")):
        Domain.objects.create(id=id, slug=slug, name=slug.title())
    rotate_token_keys(now=NOW)
    before = list_token_keys()
    with pytest.raises(NotEveryDomain):
        replace_token_keys(domains=[NORTH], actor=ADA, now=NOW)
    assert list_token_keys() == before
    assert replace_token_keys(domains=[SOUTH, NORTH], actor=ADA, now=NOW) not in before


@pytest.mark.django_db
def test_a_key_under_another_master_key_signs_nothing_and_says_little(settings: Settings) -> None:
    rotate_token_keys(now=NOW)
    settings.GATEHOUSE_MASTER_KEY, settings.GATEHOUSE_MASTER_KEY_PREVIOUS = MasterKey.generate(), ()
    with pytest.raises(TokenKeyShut) as refusal:
        open_signing_key(now=NOW)
    assert "master" not in refusal.value.detail
