"""Appending to the journal, and what the check says of one that was tampered with."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django import Settings

from kernel import queries, services
from kernel.core.actor import Actor, ActorKind
from kernel.core.journal import Break, Entry, Subject, Unstorable, digest_of, seal
from kernel.core.secrets import MasterKey
from kernel.models import JournalEntry, JournalHead, Wakeup
from tests.cast import ADA, NOW, SOUTH
from tests.kernel.conftest import record, step

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("routed", "sent")]

migration = importlib.import_module("kernel.migrations.0001_initial")


@pytest.fixture
def unguarded() -> None:
    """The journal without its triggers, as whoever owns the schema can have it; the test's end brings them back."""
    with connection.cursor() as cursor:
        for statement in migration.DROPS[connection.vendor]:
            cursor.execute(statement.replace("DROP TRIGGER", "DROP TRIGGER IF EXISTS"))


def breaks() -> list[tuple[int, str]]:
    return [(found.seq, found.what) for found in queries.verify_journal() if isinstance(found, Break)]


def test_entries_count_from_one_and_hang_on_each_other() -> None:
    first, second = record("a"), record("b")
    assert (first.seq, second.seq) == (1, 2)
    assert (first.previous, second.previous) == (bytes(32), first.digest)
    assert list(queries.verify_journal()) == [second]


def test_entry_reads_back_as_it_was_written() -> None:
    entry = record("leaks", before={"n": [1, 2.5, 1e20, None]}, after={"ä": {"b": True}})
    [row] = JournalEntry.objects.all()
    assert row.as_value() == entry
    assert breaks() == []


def test_entry_of_a_transaction_that_fails_is_gone() -> None:
    record("kept")
    with transaction.atomic():
        record("lost", steps=[step("x")])
        transaction.set_rollback(True)
    assert [entry.note for entry in queries.list_entries()] == ["kept"]
    assert not Wakeup.objects.exists()
    assert record("next").seq == 2
    assert breaks() == []


@pytest.mark.django_db(transaction=True)
def test_record_outside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        services.record(action="a", subject=Subject(kind="k", id="i"), actor=ADA, now=NOW)


@pytest.mark.parametrize("facts", [{"note": "a\0b"}, {"after": {"name": "\ud800"}}])
def test_text_that_no_database_keeps_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(Unstorable):
        record(**facts)
    assert not JournalEntry.objects.exists()


def test_labels_are_cut_and_the_chain_still_holds() -> None:
    loud = Actor(kind=ActorKind.OPERATOR, id="o-1", label="x" * 300)
    entry = record(actor=loud, subject=Subject(kind="k", id="i", label="y" * 300))
    assert (len(entry.actor.label), len(entry.subject.label)) == (255, 255)
    assert breaks() == []


def test_database_refuses_to_change_an_entry() -> None:
    record("a")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        JournalEntry.objects.update(note="b")


def test_database_refuses_to_delete_an_entry() -> None:
    record("a")
    if connection.vendor == "sqlite":  # tests/conftest.py took this one away
        with connection.cursor() as cursor:
            cursor.execute(migration.TRIGGERS["sqlite"][1])
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        JournalEntry.objects.all().delete()


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize("change", [{"note": "x"}, {"actor_label": "cy"}, {"after": {"state": "active"}}])
def test_changed_entry_shows(change: dict[str, Any]) -> None:
    for note in "abc":
        record(note)
    JournalEntry.objects.filter(seq=2).update(**change)
    assert breaks() == [(2, "its content was changed after it was written")]


@pytest.mark.usefixtures("unguarded")
def test_removed_entry_shows() -> None:
    for note in "abcd":
        record(note)
    JournalEntry.objects.filter(seq__in=[2, 3]).delete()
    assert breaks() == [(2, "entries 2 to 3 are missing")]


@pytest.mark.usefixtures("unguarded")
def test_removed_end_shows() -> None:
    for note in "abcd":
        record(note)
    JournalEntry.objects.filter(seq__gte=3).delete()
    assert breaks() == [(3, "entries 3 to 4 are missing")]


@pytest.mark.usefixtures("unguarded")
def test_removal_of_everything_shows() -> None:
    for note in "ab":
        record(note)
    JournalEntry.objects.all().delete()
    assert breaks() == [(1, "entries 1 to 2 are missing")]


@pytest.mark.usefixtures("unguarded")
def test_reordered_entries_show() -> None:
    for note in "abcd":
        record(note)
    for old, new in ((2, 99), (3, 2), (99, 3)):
        JournalEntry.objects.filter(seq=old).update(seq=new)
    assert {seq for seq, _ in breaks()} == {2, 3, 4}


@pytest.mark.usefixtures("unguarded")
def test_entry_behind_the_recorded_end_shows() -> None:
    record("a")
    head = JournalHead.objects.get()
    record("b")
    head.save(force_update=True)
    assert breaks() == [(2, "stands behind the recorded end of the journal")]


@pytest.mark.usefixtures("unguarded")
def test_chain_rewritten_without_the_key_shows() -> None:
    for note in "abc":
        record(note)
    forged = _rewrite_from(2, note="nothing happened")
    wrong = seal(b"guess" * 8, seq=forged.seq, digest=forged.digest)
    JournalHead.objects.update(digest=forged.digest, seal=wrong)
    assert breaks() == [(3, "the seal of the chain's end was not made with this installation's key")]


@pytest.mark.usefixtures("unguarded")
def test_chain_rewritten_without_its_head_shows() -> None:
    for note in "abc":
        record(note)
    _rewrite_from(2, note="nothing happened")
    assert breaks() == [(3, "is not the entry that was recorded as the last")]


def _rewrite_from(seq: int, *, note: str) -> Entry:
    """Changes an entry and makes every digest behind it fit again. Returns the last."""
    previous = bytes(JournalEntry.objects.get(seq=seq - 1).digest)
    for row in JournalEntry.objects.filter(seq__gte=seq).order_by("seq"):
        row.note, row.previous = note, previous
        row.digest = previous = digest_of(row.as_value())
        row.save()
    return JournalEntry.objects.order_by("seq")[len(JournalEntry.objects.all()) - 1].as_value()


def test_journal_of_another_installation_shows(settings: Settings) -> None:
    record("a")
    settings.GATEHOUSE_MASTER_KEY = MasterKey.generate()
    assert breaks() == [(1, "the seal of the chain's end was not made with this installation's key")]


def test_empty_journal_holds() -> None:
    assert list(queries.verify_journal()) == []


def test_entries_are_listed_newest_first_by_domain_and_subject() -> None:
    record("a"), record("b", domain=SOUTH), record("c", subject=Subject(kind="acl.role", id="r-1"))
    assert [entry.note for entry in queries.list_entries()] == ["c", "b", "a"]
    assert [entry.note for entry in queries.list_entries(domain=SOUTH)] == ["b"]
    assert [entry.note for entry in queries.list_entries(subject_kind="acl.role", subject_id="r-1")] == ["c"]
    assert [entry.note for entry in queries.list_entries(before_seq=3, limit=1)] == ["b"]
