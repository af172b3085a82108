"""Rows of a file become devices or sentences, and never an exception."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devices.core.attributes import AttributeSpec, AttributeType
from devices.core.import_rows import BadRow, DeviceRow, read_csv, read_ndjson, typed


@given(st.lists(st.text()))
def test_any_line_of_ndjson_is_a_device_or_bad(lines: list[str]) -> None:
    for number, row in read_ndjson(lines):
        assert 1 <= number <= len(lines)
        assert isinstance(row, DeviceRow | BadRow)


@given(st.lists(st.text(alphabet='a",\r\n;\0 ', max_size=12)))
def test_any_line_of_csv_is_a_device_or_bad(lines: list[str]) -> None:
    for _, row in read_csv(["name,device_type", *lines]):
        assert isinstance(row, DeviceRow | BadRow)


def test_texts_become_what_the_type_wants_where_they_can() -> None:
    kinds = {
        "s": AttributeType.STRING,
        "i": AttributeType.INTEGER,
        "n": AttributeType.NUMBER,
        "b": AttributeType.BOOLEAN,
    }
    specs = [AttributeSpec(name=name, type=kind) for name, kind in kinds.items()]
    assert typed({"s": "5", "i": "5", "n": "5.5", "b": "TRUE"}, specs) == {"s": "5", "i": 5, "n": 5.5, "b": True}
    assert typed({"i": "x", "n": "", "b": "yes", "other": "5"}, specs) == {"i": "x", "n": "", "b": "yes", "other": "5"}
    assert typed({"i": 7, "b": False}, specs) == {"i": 7, "b": False}
