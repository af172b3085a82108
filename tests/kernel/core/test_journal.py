"""Digests and the check of a chain, without a database."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from kernel.core.ids import EntryId
from kernel.core.journal import (
    GENESIS,
    Break,
    Entry,
    Subject,
    Unstorable,
    as_document,
    digest_of,
    require_storable,
    seal,
    verify_chain,
)
from tests.cast import ADA, BO, NORTH, NOW

PUMP = Subject(kind="devices.device", id="d-1", label="pump-17")


def append(chain: Sequence[Entry], **changes: Any) -> list[Entry]:
    """The chain with one entry more."""
    seq = len(chain) + 1
    facts: dict[str, Any] = {
        "seq": seq,
        "id": EntryId(UUID(int=seq)),
        "at": NOW + timedelta(seconds=seq),
        "domain": NORTH,
        "actor": ADA,
        "action": "devices.device.suspended",
        "subject": PUMP,
        "before": {"state": "active"},
        "after": {"state": "suspended"},
        "note": "leaks",
        "previous": chain[-1].digest if chain else GENESIS,
    } | changes
    entry = Entry(**facts, digest=b"")
    return [*chain, replace(entry, digest=digest_of(entry))]


def chain_of(count: int) -> list[Entry]:
    chain: list[Entry] = []
    for _ in range(count):
        chain = append(chain)
    return chain


def breaks(entries: Sequence[Entry]) -> list[Break]:
    return [found for found in verify_chain(entries) if isinstance(found, Break)]


def test_digest_is_sha256_of_canonical_json_written_by_hand() -> None:
    entry = append([])[0]
    document = (
        '{"action":"devices.device.suspended",'
        '"actor":["operator","01930000-0000-7000-8000-0000000000a1","ada","192.0.2.10"],'
        '"after":{"state":"suspended"},"at":"2027-03-01T12:00:01Z","before":{"state":"active"},'
        '"domain":"01930000-0000-7000-8000-00000000000a","id":"00000000-0000-0000-0000-000000000001","note":"leaks",'
        f'"previous":"{"00" * 32}","seq":1,"subject":["devices.device","d-1","pump-17"]}}'
    )
    assert entry.digest == hashlib.sha256(document.encode()).digest()


def test_digest_is_the_same_in_another_time_zone() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert append([], at=NOW)[0].digest == append([], at=east)[0].digest


def test_digest_survives_the_way_jsonb_writes_whole_floats() -> None:
    written, read = append([], after={"n": [1e20, {"m": -2.0}]}), append([], after={"n": [10**20, {"m": -2}]})
    assert written[0].digest == read[0].digest


def test_digest_refuses_what_json_can_not_say() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        append([], after={"n": float("nan")})


def test_whole_chain_has_no_break_and_ends_with_its_last_entry() -> None:
    chain = chain_of(5)
    assert list(verify_chain(chain)) == [chain[-1]]


def test_empty_chain_has_no_break() -> None:
    assert list(verify_chain([])) == []


@pytest.mark.parametrize(
    "change",
    [
        {"note": "nothing"},
        {"actor": BO},
        {"after": {"state": "active"}},
        {"before": {}},
        {"at": datetime(2020, 1, 1, tzinfo=UTC)},
        {"action": "devices.device.resumed"},
        {"domain": None},
        {"subject": replace(PUMP, label="pump-18")},
        {"id": EntryId(UUID(int=99))},
    ],
)
def test_changed_entry_shows_where_it_stands(change: dict[str, Any]) -> None:
    chain = chain_of(5)
    chain[2] = replace(chain[2], **change)
    assert [found.seq for found in breaks(chain)] == [3]


def test_changed_entry_with_a_fresh_digest_shows_at_its_successor() -> None:
    chain = chain_of(5)
    forged = append(chain[:2], note="nothing")[2]
    assert [found.seq for found in breaks([*chain[:2], forged, *chain[3:]])] == [4]


def test_removed_entries_show_as_a_gap() -> None:
    chain = chain_of(6)
    found = breaks([*chain[:2], *chain[4:]])
    assert [(place.seq, place.what) for place in found] == [(3, "entries 3 to 4 are missing")]


def test_removed_beginning_shows() -> None:
    assert breaks(chain_of(4)[2:])[0].what == "entries 1 to 2 are missing"


def test_two_entries_that_changed_places_show() -> None:
    chain = chain_of(5)
    chain[1], chain[2] = replace(chain[2], seq=2), replace(chain[1], seq=3)
    assert {found.seq for found in breaks(chain)} == {2, 3, 4}


def test_seal_is_hmac_sha256_over_number_and_digest() -> None:
    key, digest = b"k" * 32, b"d" * 32
    assert (
        seal(key, seq=258, digest=digest) == hmac.new(key, bytes([0, 0, 0, 0, 0, 0, 1, 2]) + digest, "sha256").digest()
    )


@pytest.mark.parametrize("value", ["a\0b", {"k": ["\ud800"]}, {"a\0": 1}, ("\udfff",)])
def test_text_that_no_database_keeps_is_refused(value: Any) -> None:
    with pytest.raises(Unstorable):
        require_storable(value)


def test_any_other_text_is_kept() -> None:
    require_storable({"name": "Pumpe Ä-17 \U0001f6b0", "n": [1, 2.5, None, True]})


def test_exported_entry_without_its_digest_is_what_the_digest_covers() -> None:
    document = as_document(append([], after={"n": 2.0})[0])
    digest = document.pop("digest")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == digest
