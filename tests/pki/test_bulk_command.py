"""`manage.py issue --bulk`: a file goes in, and a line for each of its rows comes out."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from kernel.models import Wakeup
from pki import tasks
from pki.adapters import issuance_folder
from pki.core.values import Issuer
from pki.models import Certificate
from tests.pki.test_issuance_batch import new_csr


@pytest.fixture(autouse=True)
def _workers(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wake-ups are carried out while the command waits."""
    settings.GATEHOUSE_HOME = tmp_path
    settings.GATEHOUSE_ROUTER = "console.wiring.router"
    monkeypatch.setattr(issuance_folder, "PART", 2)

    def work(_seconds: float) -> None:
        row = Wakeup.objects.filter(task="pki.issue_part", finished_at=None).order_by("pk").first()
        assert row is not None
        assert (row.queue, row.order_key.partition(":")[0]) == ("bulk", "issue")
        tasks.issue_part.run(wakeup=row.pk)

    monkeypatch.setattr("pki.management.bulk.time.sleep", work)


def run(path: Path, *words: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    always = ("--issuer", "north-ca", "--profile", "device")
    call_command("issue", "--bulk", str(path), *always, *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def write(path: Path, count: int) -> Path:
    with path.open("w") as file:
        for number in range(1, count + 1):
            variables = {"auth_id": f"p-{number}", "domain": "north", "id": str(number)}
            row = {"csr": new_csr().decode(), "holder": f"service:{number}", "variables": variables}
            file.write(json.dumps(row) + "\n")
    return path


def test_each_row_has_a_line(ca: Issuer, tmp_path: Path) -> None:
    out, err = run(write(tmp_path / "rows.ndjson", 5))
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["row"] for line in lines] == [1, 2, 3, 4, 5]
    assert Certificate.objects.filter(profile="device", state="issued").count() == 5
    assert "5 certificates in 3 parts" in err
    assert "3 of 3 parts" in err
    assert "5 issued, 0 refused" in err


def test_the_result_is_written_into_a_file_and_the_sum_is_printed(ca: Issuer, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.ndjson", 1)
    path.write_text(path.read_text() + "junk\n")
    out, _ = run(path, "--result", str(tmp_path / "result"), "--json")
    said = json.loads(out)
    assert (said["rows"], said["issued"], said["refused"]) == (2, 1, 1)
    lines = (tmp_path / "result").read_text().splitlines()
    assert json.loads(lines[1]) == {
        "row": 2, "holder": "", "code": "bad-row", "detail": "The line is no JSON object.",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_file_is_refused(text: str, ca: Issuer, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("csr,holder\n")
    (tmp_path / "rows.ndjson").write_text(text)
    for name in ("rows.csv", "rows.ndjson"):
        with pytest.raises(CommandError, match="no rows"):
            run(tmp_path / name)


def test_a_file_that_is_not_there_is_named(ca: Issuer, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere\.ndjson"):
        run(tmp_path / "nowhere.ndjson")


def test_one_request_needs_its_file_and_holder(ca: Issuer) -> None:
    with pytest.raises(CommandError, match="--holder"):
        call_command("issue", "--issuer", "north-ca", "--profile", "device")
