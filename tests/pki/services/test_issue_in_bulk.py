"""A file of requests: every row has its result, once, whatever dies in between."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from kernel.core.errors import DomainError, Unavailable
from kernel.core.journal import Entry
from kernel.queries import iterate_entries
from pki import services
from pki.adapters import issuance_folder
from pki.adapters.issuance_folder import IssuanceFolder, PartTaken
from pki.core import keys
from pki.core.issuance_rows import BadRow, IssuanceRow, parse_row, read_rows, write_row
from pki.core.values import Issuer
from pki.models import Certificate
from pki.services import issue_in_bulk
from tests.cast import ADA
from tests.pki.test_issuance_batch import new_csr


@pytest.fixture(autouse=True)
def _home(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.GATEHOUSE_HOME = tmp_path
    monkeypatch.setattr(issuance_folder, "PART", 4)
    monkeypatch.setattr(issue_in_bulk, "CHUNK", 2)


def row_of(number: int, holder: str = "", csr: str = "") -> dict[str, Any]:
    return {
        "csr": csr or new_csr(f"pump-{number}").decode(),
        "holder": holder or f"service:{number}",
        "variables": {"auth_id": f"pump-{number}", "domain": "north", "id": str(number)},
    }


def ordered(ca: Issuer, rows: list[dict[str, Any]], now: datetime) -> Entry:
    lines = [json.dumps(row) for row in rows]
    services.order_issuance(issuer=ca.id, profile="device", rows=read_rows(lines, is_csv=False), actor=ADA, now=now)
    return [*iterate_entries()][-1]


def results(order: Entry) -> list[dict[str, Any]]:
    folder = IssuanceFolder(UUID(order.subject.id))
    return [json.loads(line) for line in folder.all_results(order.after["parts"])]


def issued() -> int:
    return Certificate.objects.filter(profile="device", state="issued").count()


def test_every_row_has_its_result_in_the_order_of_the_file(ca: Issuer, now: datetime) -> None:
    rows = [row_of(number) for number in range(1, 10)]
    rows[2]["csr"] = "junk"
    rows[5]["holder"] = "device:somebody"
    rows[7]["colour"] = "blue"
    order = ordered(ca, rows, now)
    assert (order.after["rows"], order.after["parts"]) == (9, 3)
    for part in range(3):
        services.issue_part(order=order, part=part, now=now)
    found = results(order)
    assert [each["row"] for each in found] == [*range(1, 10)]
    refused = {each["row"]: each["code"] for each in found if "code" in each}
    assert refused == {3: "csr-malformed", 6: "certificate-holder", 8: "bad-row"}
    assert issued() == 6


def test_a_part_that_is_done_is_not_done_again(ca: Issuer, now: datetime) -> None:
    order = ordered(ca, [row_of(1)], now)
    services.issue_part(order=order, part=0, now=now)
    before = results(order)
    assert services.issue_part(order=order, part=0, now=now) == "was done"
    assert results(order) == before
    assert issued() == 1


@pytest.mark.parametrize("place", ["issue_certificates", "add", "finish"])
@pytest.mark.parametrize("at", [1, 2])
def test_a_worker_that_dies_anywhere_costs_no_row_a_second_certificate(
    place: str, at: int, ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = ordered(ca, [row_of(number) for number in range(1, 5)], now)
    owner = {"add": issuance_folder.Results, "finish": IssuanceFolder}.get(place, issue_in_bulk)
    right, calls = getattr(owner, place), iter(range(1, 100))

    def die_after(*words: Any, **named: Any) -> Any:
        found = right(*words, **named)
        if next(calls) == at:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(owner, place, die_after)
        if place != "finish" or at == 1:
            with pytest.raises(KeyboardInterrupt):
                services.issue_part(order=order, part=0, now=now)
    services.issue_part(order=order, part=0, now=now)
    found = results(order)
    assert [each["row"] for each in found] == [1, 2, 3, 4]
    assert issued() == len({each["id"] for each in found}) == 4


def test_a_line_that_a_crash_cut_off_is_written_again(ca: Issuer, now: datetime, tmp_path: Path) -> None:
    order = ordered(ca, [row_of(1), row_of(2)], now)
    folder = tmp_path / "issuances" / order.subject.id
    (folder / "000000.partial").write_bytes(b'{"row": 1, "holder"')
    services.issue_part(order=order, part=0, now=now)
    assert [each["row"] for each in results(order)] == [1, 2]


def test_two_rows_of_one_key_and_holder_get_a_certificate_each_also_after_a_crash(
    ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    same = row_of(1)
    order = ordered(ca, [same, same], now)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(issuance_folder.Results, "add", die)
        with pytest.raises(KeyboardInterrupt):
            services.issue_part(order=order, part=0, now=now)
    services.issue_part(order=order, part=0, now=now)
    assert len({each["id"] for each in results(order)}) == issued() == 2


def test_a_key_that_does_not_answer_puts_the_part_off(
    ca: Issuer, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = ordered(ca, [row_of(1), row_of(2)], now)
    right, calls = keys.wrap_signed, iter(range(10))

    def away(key: Any, octets: bytes) -> bytes:
        if next(calls) == 1:
            raise Unavailable("The token does not answer: try again.")
        return right(key, octets)

    with monkeypatch.context() as patch:
        patch.setattr(keys, "wrap_signed", away)
        with pytest.raises(Unavailable):
            services.issue_part(order=order, part=0, now=now)
    services.issue_part(order=order, part=0, now=now)
    assert [each["row"] for each in results(order)] == [1, 2]
    assert issued() == 2


def test_a_part_has_one_worker(ca: Issuer, now: datetime) -> None:
    order = ordered(ca, [row_of(1)], now)
    with (
        IssuanceFolder(UUID(order.subject.id)).results(0),
        pytest.raises(PartTaken),
    ):
        services.issue_part(order=order, part=0, now=now)
    assert issued() == 0


@pytest.mark.parametrize(
    ("rows", "changed", "code"),
    [
        ([], {}, "no-rows"),
        ([{}], {"profile": "toaster"}, "profile-unknown"),
        ([{}], {"profile": "root"}, "profile-not-for-requests"),
    ],
)
def test_what_is_refused_leaves_no_file(
    rows: list[dict[str, Any]], changed: dict[str, Any], code: str, ca: Issuer, now: datetime, tmp_path: Path
) -> None:
    given = read_rows((json.dumps(row) for row in rows), is_csv=False)
    asked: dict[str, Any] = {"issuer": ca.id, "profile": "device", "rows": given, "actor": ADA, "now": now}
    with pytest.raises(DomainError) as caught:
        services.order_issuance(**asked | changed)
    assert caught.value.code == code
    assert not [*tmp_path.glob("issuances/*")]


def test_a_csv_is_read_with_its_variables_and_names() -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows(
        [["csr", "holder", "dns", "auth_id"], ["-----\nA\n-----", "service:1", "a.example b.example", "x"]]
    )
    [row] = read_rows(io.StringIO(text.getvalue()), is_csv=True)
    assert row == IssuanceRow(
        number=1, csr="-----\nA\n-----", holder="service:1", dns=("a.example", "b.example"), variables={"auth_id": "x"}
    )
    assert parse_row(write_row(row)) == row


def test_a_csv_without_its_columns_is_refused() -> None:
    with pytest.raises(BadRow, match="holder"):
        [*read_rows(["csr,name\n"], is_csv=True)]


@pytest.mark.parametrize(
    "line",
    ["[]", "{", '"x"', "1", '{"csr": 1, "holder": "x"}', '{"csr": "a", "holder": ""}', "[" * 5000,
     '{"csr": "a", "holder": "b", "dns": "c"}', '{"csr": "a", "holder": "b", "variables": {"x": 1}}',
     '{"csr": "a", "holder": "b", "colour": "c"}'],
)  # fmt: skip
def test_a_line_that_is_no_request_is_a_row_with_a_fault(line: str) -> None:
    [row] = read_rows([line], is_csv=False)
    assert row.fault
    assert row.number == 1
