from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.core.emqx.terms import Atom, Fault, Form, Listed, quoted, read_forms


def term(text: str) -> object:
    (form,) = read_forms(f"{text}.")
    assert isinstance(form, Form), form
    return form.term


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("allow", Atom("allow")),
        ("'and'", Atom("and")),
        ("'ssl:default'", Atom("ssl:default")),
        ("a_b@c1", Atom("a_b@c1")),
        ('"a/b"', "a/b"),
        ('""', ""),
        ('"a" "b"', "ab"),
        ('"a"\n  % in between\n "b"', "ab"),
        (r'"q\"b\\s"', 'q"b\\s'),
        (r'"\^A"', "\x01"),
        (r'"\t\n\x41\x{e9}\101\s\e"', "\t\nA\u00e9A \x1b"),
        ('"\u00e9"', "\u00e9"),
        ('<<"a">>', "a"),
        ('<<"a"/utf8>>', "a"),
        ('<< "a" / utf8 >>', "a"),
        ("<<>>", ""),
        ("0", 0),
        ("-12", -12),
        ("16#ff", 255),
        ("$a", 97),
        ("[]", Listed(())),
        ("{}", ()),
        ("{a, [1, {b}]}", (Atom("a"), Listed((1, (Atom("b"),))))),
    ],
)
def test_terms_are_read(text: str, read: object) -> None:
    assert term(text) == read


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_is_read_as_it_was_quoted(text: str) -> None:
    assert term(quoted(text)) == text


@given(st.text(alphabet="{}[]<>\"'\\%$.,a1 \n", max_size=30))
def test_no_text_is_more_than_faulty(text: str) -> None:
    for found in read_forms(text):
        assert 1 <= found.line <= text.count("\n") + 1


def test_lines_are_counted_and_reading_goes_on_behind_a_fault() -> None:
    found = list(read_forms("%% one\na.\n\n{b,,c}. d.\n {e,\n f}.\n"))
    assert [(each.line, isinstance(each, Fault)) for each in found] == [(2, False), (4, True), (4, False), (5, False)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a", 1),
        ("\n{a", 2),
        ('\n\n"a.', 3),
        ("[a, b.", 1),
        ("{a b}.", 1),
        ("<<a>>.", 1),
        ('<<"a">.', 1),
        ('"\\x{110000}".', 1),
        ("Variable.", 1),
        ("3#9.", 1),
        ("[" * 60 + "]" * 60 + ".", 1),
    ],
)
def test_what_is_no_term_is_a_fault_with_its_line(text: str, line: int) -> None:
    first = next(iter(read_forms(text)))
    assert isinstance(first, Fault)
    assert (first.line, first.why[-1]) == (line, ".")
