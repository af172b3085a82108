"""YAML read strictly: what is refused, with its line, and that nothing takes long."""

from __future__ import annotations

import time

import pytest

from devices.core import yaml_tree
from devices.core.yaml_tree import MAX_OCTETS, BadYaml, line_of, needs_quotes, read_tree


def test_values_are_those_of_json() -> None:
    text = "a: 1\nb: -20\nc: true\nd: false\ne: null\nf:\ng: ~\nh: word\ni: '5'\nj: \"x\\ny\"\nk: [0, {l: m}]\n"
    assert read_tree(text) == {
        "a": 1,
        "b": -20,
        "c": True,
        "d": False,
        "e": None,
        "f": None,
        "g": None,
        "h": "word",
        "i": "5",
        "j": "x\ny",
        "k": [0, {"l": "m"}],
    }


def test_json_is_read_as_well() -> None:
    assert read_tree('{"a": ["b", 1, null, true],\n "${c}/#": {"d\\u00e9": ""}}') == {
        "a": ["b", 1, None, True],
        "${c}/#": {"d\u00e9": ""},
    }


@pytest.mark.parametrize(
    ("text", "line", "pointer", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "/a", "line 1"),
        ("a:\n- b: 1\n  c/d: 2\n  c/d: 3\n", 4, "/a/0/c~1d", "keep one"),
        ("a: &x 1\n", 1, "/a", "Anchors"),
        ("a: 1\nb: *a\n", 2, "/b", "aliases"),
        ("a: !!python/object:os.system x\n", 1, "/a", "tag"),
        ("a: !!str 1\n", 1, "/a", "tag"),
        ("? [a]\n: b\n", 1, "", "word"),
        ("<<: {a: 1}\n", 1, "/<<", "quotes"),
        ("a: 1\nb: no\n", 2, "/b", "quotes"),
        ("b: 1e3\n", 1, "/b", "quotes"),
        ("b: 0x1F\n", 1, "/b", "quotes"),
        ("b: 007\n", 1, "/b", "quotes"),
        ("b: 1:30\n", 1, "/b", "quotes"),
        ("b: 2026-01-01\n", 1, "/b", "quotes"),
        ("b: .inf\n", 1, "/b", "quotes"),
        ("a: 1\n---\nb: 1\n", 2, "", "second"),
        ("", 1, "", "empty"),
        ("a: [1\n", 2, "", "no YAML"),
        ("a: 1\n\tb: 2\n", 2, "", "no YAML"),
        ("a: 1\nb: \x00\n", 2, "", "character"),
        ("a:\n" + "- " * 40 + "b", 2, "/a" + "/0" * 15, "deep"),
    ],
)
def test_what_is_not_read_is_told_with_its_line(text: str, line: int, pointer: str, says: str) -> None:
    with pytest.raises(BadYaml, match=says) as caught:
        read_tree(text)
    [fault] = caught.value.errors
    assert fault.detail.startswith(f"Line {line}: ")
    assert fault.pointer == pointer


def test_latin_1_is_no_utf_8() -> None:
    with pytest.raises(BadYaml, match="UTF-8"):
        read_tree("a: \u00e4".encode("latin-1"))


def test_surrogate_is_no_utf_8() -> None:
    with pytest.raises(BadYaml, match="UTF-8"):
        read_tree("a: \ud800")


def test_byte_order_mark_is_no_part_of_the_text() -> None:
    assert read_tree("\ufeffa: 1".encode()) == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
        "[" * 2_000_000,
        "{a: " * 1_000_000,
        "- " * 2_000_000,
        "a: '" + "x" * MAX_OCTETS,
        "[" + "a," * 1_500_000,
        "[a," * 1_000_000,
        "? " * 1_000_000,
    ],
    ids=["laughs", "lists", "mappings", "dashes", "long", "many", "entangled", "keys"],
)
def test_nothing_takes_long(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "MAX_NODES", 100_000)
    begun = time.process_time()
    with pytest.raises(BadYaml):
        read_tree(text)
    assert time.process_time() - begun < 60  # well below a second, and hours if it grew with the square


def test_lines_are_those_of_what_is_pointed_to() -> None:
    tree = read_tree("a: 1\nb:\n- c: 1\n  d/e: 2\n\n- f\n")
    places = ["", "/a", "/b", "/b/0", "/b/0/d~1e", "/b/1", "/b/7", "/b/0/missing", "/x"]
    assert [line_of(tree, place) for place in places] == [1, 1, 2, 3, 4, 6, 2, 3, 1]


@pytest.mark.parametrize(
    "text", ["y", "No", "ON", "null", "~", "", "0o7", "1_000", "0b1", "=", "<<", "+1", "1.", "nan"]
)
def test_words_that_readers_differ_on(text: str) -> None:
    assert needs_quotes(text) is (text != "nan")


def test_a_long_key_is_refused_with_its_line() -> None:
    assert read_tree("a" * 1_024 + ": 1\n") == {"a" * 1_024: 1}
    with pytest.raises(BadYaml, match=r"^Line 2: A key has more than 1024 characters: shorten it\.$"):
        read_tree("a: 1\n? " + "b" * 1_025 + "\n: 2\n")


def test_a_fault_deep_inside_has_its_pointer() -> None:
    with pytest.raises(BadYaml) as caught:
        read_tree("a/b:\n- 1\n- {c~: !x 2}\n")
    assert caught.value.errors[0].pointer == "/a~1b/1/c~0"
