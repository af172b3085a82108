from __future__ import annotations

import pytest

from brokers.core.mosquitto.acl_file import Access, AclFile, AclLine, InvalidAclFile, parse, to_text, writable


def line(access: str, topic: str) -> AclLine:
    return AclLine(access=Access(access), topic=topic)


def test_users_patterns_and_who_has_no_name_are_told_apart() -> None:
    file = parse(
        "# a comment\n\ntopic open/#\npattern read sensors/%u/+\nuser ada\ntopic write a\npattern deny x\n"
        "user bo b\ntopic deny b/#\nuser ada\ntopic read c d\n"
    )
    assert file.users == {
        None: (line("readwrite", "open/#"),),
        "ada": (line("write", "a"), line("read", "c d")),
        "bo b": (line("deny", "b/#"),),
    }
    assert file.patterns == (line("read", "sensors/%u/+"), line("deny", "x"))


def test_lines_keep_their_numbers() -> None:
    file = parse("# one\nuser ada\n\ntopic a\npattern b\n")
    assert [found.number for found in file.users["ada"]] == [4]
    assert [found.number for found in file.patterns] == [5]


@pytest.mark.parametrize(
    ("text", "access", "topic"),
    [
        ("topic  deny   a/b", "deny", "a/b"),
        ("  topic read a \t\r", "read", "a"),
        ("topic read\ta", "readwrite", "read\ta"),
        ("topic read", "readwrite", "read"),
        ("topic read read", "read", "read"),
        ("topic write a b", "write", "a b"),
        ("topic read a\u2028b\x85c", "read", "a\u2028b\x85c"),
    ],
)
def test_a_line_is_split_as_mosquitto_splits_it(text: str, access: str, topic: str) -> None:
    assert parse(text).users[None] == (line(access, topic),)


def test_every_fault_is_named_with_its_line() -> None:
    with pytest.raises(InvalidAclFile) as caught:
        parse("topic read a\ninclude b\nuser\ntopic maybe c\ntopic read d+\ntopic read e\x00\n")
    assert [error.pointer for error in caught.value.errors] == [
        "/lines/2",
        "/lines/3",
        "/lines/4",
        "/lines/5",
        "/lines/6",
    ]
    assert "5 fault(s); the first, at /lines/2" in caught.value.detail


def test_the_file_is_written_sorted_and_reads_back() -> None:
    file = AclFile(
        users={"b": (line("read", "x"),), "a": (line("write", "y"), line("deny", "z")), None: (line("read", "o"),)},
        patterns=(line("read", "q"), line("deny", "%u")),
    )
    text = to_text(file)
    assert text.split("\n")[1:] == [
        *("pattern deny %u", "pattern read q", "topic read o", ""),
        *("user a", "topic deny z", "topic write y", "", "user b", "topic read x", ""),
    ]
    assert to_text(parse(text)) == text


def test_what_would_not_read_back_is_not_writable() -> None:
    assert [writable(text) for text in ("a", "a b", "#", "user x")] == [True] * 4
    assert [writable(text) for text in ("", " a", "a ", "a\n", "a\nuser b", "a\tb", "a\x00b")] == [False] * 7
