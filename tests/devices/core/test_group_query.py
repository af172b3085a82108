"""The language of groups by query: what is read, what is refused and where, and what is true of a device."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.core.group_query import (
    AllOf,
    AnyOf,
    Asked,
    BadQuery,
    Comparison,
    Not,
    OneOf,
    Operator,
    Query,
    belongs,
    canonical,
    parse,
    spell,
)

PUMP = Asked(
    name="pump-17",
    device_type="pump",
    hardware_serial="SN-1",
    attributes={"site": "north", "litres": 5, "weight": 2.5, "wet": True, "empty": ""},
)


@pytest.mark.parametrize(
    ("text", "is_true"),
    [
        ('attr.site == "north"', True),
        ('attr.site == "North"', False),
        ('attr.site != "south"', True),
        ('attr.site < "nz"', True),
        ('"a" == "a" or name == "pump-17"'.removeprefix('"a" == "a" or '), True),
        ('name starts_with "pump-"', True),
        ('name starts_with ""', True),
        ('name starts_with "ump"', False),
        ('device_type in ["valve", "pump"]', True),
        ('hardware_serial == ""', False),
        ("attr.litres == 5.0", True),
        ("attr.litres >= 5 and attr.litres <= 5", True),
        ("attr.weight > 2", True),
        ("attr.weight < 2.5", False),
        ("attr.wet == true", True),
        ("attr.wet != true", False),
        ("attr.wet != false", True),
        ("attr.litres in [1, 5]", True),
        ('attr.empty == ""', True),
        # what is not there, or is of another kind, compares with nothing
        ('attr.colour == "red"', False),
        ('attr.colour != "red"', False),
        ('not attr.colour == "red"', True),
        ("attr.wet == 1", False),
        ("attr.wet != 1", False),
        ('attr.litres == "5"', False),
        ('attr.litres != "5"', False),
        ("attr.site < 5", False),
        ("name == 17", False),
        ("attr.litres in [true, false]", False),
        # and binds closer than or, not closer than either
        ('name == "x" and name == "y" or name == "pump-17"', True),
        ('name == "pump-17" or name == "x" and name == "y"', True),
        ('(name == "pump-17" or name == "x") and name == "y"', False),
        ('not name == "x" and name == "y"', False),
        ('not (name == "x" and name == "y")', True),
        ('name == "\\u0070ump-17"', True),
    ],
)
def test_what_is_true_of_a_device(text: str, *, is_true: bool) -> None:
    assert belongs(PUMP, parse(text)) is is_true


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at its end: expected a field"),
        ("attr.site", "at its end: expected one of =="),
        ('attr.site = "x"', "at character 11: no field, value or operator"),
        ("attr.site == 'x'", "at character 14: no field, value or operator"),
        ("attr.site == north", "at character 14: expected a value"),
        ('attr.Site == "x"', "at character 1: expected a field"),
        ('group == "x"', "at character 1: expected a field"),
        ('state == "active"', "at character 1: expected a field"),
        ('name == "a" name == "b"', "at character 13: expected and, or, or the end"),
        ('(name == "a"', "at its end: expected ), and or or"),
        ('name == "a")', "at character 12: expected and, or, or the end"),
        ("name in []", "at character 10: expected a value"),
        ('name in ["a" "b"]', "at character 14: expected , or ]"),
        ("attr.n == 01", "at character 11: no field, value"),
        ("attr.n == 1e999", "at character 11: numbers lie between"),
        ("attr.n == 9007199254740993", "at character 11: numbers lie between"),
        ("attr.n < true", "at character 8: < can not compare with true"),
        ("name starts_with 5", "at character 6: starts_with can not compare with 5"),
        ('name == "\\u0000"', "at character 9: this text has a NUL"),
        ('name == "\\ud800"', "at character 9: this text has a NUL or half"),
        ('name == "\\x"', "at character 9: this is no value as JSON spells them"),
        ('name == "a\nb"', "at character 9: no field"),
        ("attr.n == " + "9" * 1_900, "at character 11"),
    ],
)
def test_fault_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(BadQuery) as refused:
        parse(text)
    assert said in refused.value.detail
    assert [(each.pointer, each.code) for each in refused.value.errors] == [("/query", "bad-group-query")]


ONE = 'name == "a"'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not " * 21 + ONE, "more than 20"),
        ("(" * 21 + ONE + ")" * 21, "more than 20"),
        ("name in [" + ", ".join(["1"] * 101) + "]", "more than 100 values"),
        (" or ".join([ONE] * 21), "at character 301: more than 20 comparisons"),
        (" or ".join([ONE] * 143), "has 2141 characters"),
        ('attr.a=="' + "x" * 1_990 + '"', "once it is spelled with blanks"),
    ],
)
def test_what_is_too_large_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadQuery, match=said):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "not " * 20 + ONE,
        "(" * 20 + ONE + ")" * 20,
        "name in [" + ", ".join(["1"] * 100) + "]",
        " or ".join([ONE] * 20),
    ],
)
def test_what_is_just_small_enough_is_read(text: str) -> None:
    assert parse(canonical(text)) == parse(text)


@pytest.mark.parametrize("text", ['"' + "\\" * 1_998, "(" * 2_000, "a" * 2_000, " " * 2_000, "-" * 2_000, '"\\u' * 666])
def test_hostile_text_is_refused_at_once(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadQuery):
        parse(text)
    assert time.process_time() - began < 5


def test_one_spelling() -> None:
    text = '( attr.a==1 and(attr.b<2.50 and name=="\\u00e4\\"") )or not(not( attr.c in[true,"x"]or name!="b" ))'
    assert canonical(text) == (
        'attr.a == 1 and attr.b < 2.5 and name == "ä\\"" or not not (attr.c in [true, "x"] or name != "b")'
    )


FIELDS = st.sampled_from(["name", "device_type", "hardware_serial", "attr.site", "attr.a_1"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(-(2.0**53), 2.0**53)
VALUES: st.SearchStrategy[Any] = TEXTS | NUMBERS | st.booleans()
ORDERED = st.sampled_from([Operator.LESS, Operator.AT_MOST, Operator.GREATER, Operator.AT_LEAST])
EQUALITY = st.sampled_from([Operator.EQUAL, Operator.NOT_EQUAL])
TERMS = (
    st.builds(Comparison, field=FIELDS, operator=EQUALITY, value=VALUES)
    | st.builds(Comparison, field=FIELDS, operator=ORDERED, value=TEXTS | NUMBERS)
    | st.builds(Comparison, field=FIELDS, operator=st.just(Operator.STARTS_WITH), value=TEXTS)
    | st.builds(OneOf, field=FIELDS, values=st.lists(VALUES, min_size=1, max_size=3).map(tuple))
)


def _joined(inner: st.SearchStrategy[Query]) -> st.SearchStrategy[Query]:
    def of(kind: type[AllOf | AnyOf]) -> st.SearchStrategy[Query]:
        terms = st.lists(inner.filter(lambda term: not isinstance(term, kind)), min_size=2, max_size=3)
        return terms.map(lambda found: kind(terms=tuple(found)))

    return of(AllOf) | of(AnyOf) | st.builds(Not, term=inner)


@given(st.recursive(TERMS, _joined, max_leaves=8))
def test_what_is_spelled_is_read_as_the_same(query: Query) -> None:
    assert repr(parse(spell(query))) == repr(query)
