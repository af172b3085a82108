"""`manage.py journal`: exit codes and what is printed."""

from __future__ import annotations

import hashlib
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from kernel.models import JournalHead
from tests.kernel.conftest import record

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("routed")]


def journal(*words: str) -> str:
    output = StringIO()
    call_command("journal", *words, stdout=output)
    return output.getvalue()


def test_whole_journal_is_told_with_its_last_digest() -> None:
    record("a")
    last = record("b")
    assert journal("verify") == f"The journal holds: 2 entries, ending with {last.digest.hex()}.\n"
    assert json.loads(journal("verify", "--json")) == {
        "intact": True,
        "last": 2,
        "digest": last.digest.hex(),
        "breaks": [],
    }


def test_empty_journal_holds() -> None:
    assert journal("verify") == "The journal holds: 0 entries.\n"


def test_broken_journal_ends_with_exit_code_one(capsys: pytest.CaptureFixture[str]) -> None:
    record("a")
    JournalHead.objects.update(seq=3)
    output = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("journal", "verify", "--json", stdout=output)
    assert end.value.code == 1
    said = json.loads(output.getvalue())
    assert said["intact"] is False
    assert [place["seq"] for place in said["breaks"]] == [2, 3]


def test_export_can_be_checked_by_others() -> None:
    for note in "abc":
        record(note, after={"site": "Köln", "n": 2.0})
    previous = "00" * 32
    for line in journal("export").splitlines():
        entry = json.loads(line)
        digest = entry.pop("digest")
        assert entry["previous"] == previous
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(text.encode()).hexdigest() == digest
        previous = digest


def test_export_begins_behind_a_number() -> None:
    for note in "abc":
        record(note)
    assert [json.loads(line)["seq"] for line in journal("export", "--json", "--after", "2").splitlines()] == [3]


def test_unknown_action_is_refused() -> None:
    with pytest.raises(CommandError):
        journal("burn")
