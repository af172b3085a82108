"""Private characters that stand for the values of a principal, so that rules are compiled once for many principals.

It must not know how rules are compiled, but for what may make a difference there: whether two levels are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from acl.core.templates import placeholders, value_of
from acl.core.topics import MAX_OCTETS
from acl.core.values import BoundRule, CertificateFields, Principal
from brokers.core.hivemq.dialect import ESCAPE, is_text

MARK = "\ue000"  # stands for the name of the account; the characters behind it stand for other values
NAMING = frozenset({"client_id", "username", "auth_id", "cert.cn"})  # may be the account's name
OF_ALL = frozenset({"domain", "device_type"})  # mostly alike where policies are
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_MOST_MARKS = 100
_MOST_OCTETS = 256  # of a value that a mark may stand for
_MEANING = frozenset(f"+#/${{}}{ESCAPE}")

Taken = tuple[tuple[str, str], ...]  # texts by placeholder


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a policy takes of a principal: placeholders, sorted. A value of more octets than `room` may get too long."""

    placeholders: tuple[str, ...]
    room: int

    def taken(self, principal: Principal) -> Taken:
        """The principal's texts for them; empty where it has no value."""
        return tuple((name, value_of(name, principal)) for name in self.placeholders)


def needs(policy: Sequence[BoundRule]) -> Needs:
    """What the policy takes. Nothing has room in one that has private characters itself."""
    topics = [bound.rule.topic for bound in policy]
    room = -1 if any(map(_PRIVATE.search, topics)) else min(map(_room, topics), default=MAX_OCTETS)
    return Needs(placeholders=tuple(sorted({name for topic in topics for name in placeholders(topic)})), room=room)


def _room(topic: str) -> int:
    """How long each value in the topic may be, so that it surely stays short enough."""
    return (MAX_OCTETS - 4 * len(topic)) // max(1, topic.count("${"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The texts by placeholder with marks in place of values, and what the marks stand for (for str.translate)."""

    texts: Taken
    meaning: Mapping[int, str]

    def put_in(self, principal: Principal) -> Principal:
        """The principal with these texts for its values."""
        texts = dict(self.texts)
        cut = {kind: {key[5:]: text for key, text in texts.items() if key.startswith(kind)} for kind in _KINDS}
        plain = {key: text for key, text in texts.items() if "." not in key}
        certificate = CertificateFields(**cut["cert."])
        return replace(principal, **plain, attributes=cut["attr."], certificate=certificate)  # type: ignore[arg-type]

    def tell_apart(self, marked: Iterable[str], spelled: frozenset[str]) -> bool:
        """Whether the levels with marks become levels that differ from each other and from those `spelled` out."""
        levels = list(marked)
        filled = {level.translate(self.meaning) for level in levels}
        return len(filled) == len(levels) and filled.isdisjoint(spelled)


_KINDS = ("attr.", "cert.")


def may_have_marks(name: str, taken: Taken, room: int) -> bool:
    """Whether marks may stand for values: nothing in the account's name has a meaning, and no filter gets too long."""
    texts = [name, *(text for _, text in taken)]
    longest = max(len(text.encode(errors="replace")) for text in texts)
    return _is_plain(name) and max(longest, _MOST_OCTETS) <= room and not any(map(_PRIVATE.search, texts))


def name_marked(name: str, taken: Taken) -> Marks:
    """The mark for the account's name, and nothing else."""
    texts = tuple((each, MARK if each in NAMING and text == name else text) for each, text in taken)
    return Marks(texts=texts, meaning={ord(MARK): name})


def all_marked(name: str, taken: Taken) -> Marks:
    """A mark for the account's name, and one for each value that differs among accounts, as far as one may stand."""
    signs: dict[str, str] = {}
    texts = []
    for each, text in name_marked(name, taken).texts:
        sign = text
        if text != MARK and each not in OF_ALL and len(signs) < _MOST_MARKS and _is_plain(text):
            sign = signs.setdefault(text, chr(ord(MARK) + 1 + len(signs)))
        texts.append((each, sign))
    return Marks(texts=tuple(texts), meaning={ord(MARK): name, **{ord(sign): text for text, sign in signs.items()}})


def is_marked(text: str) -> bool:
    """Whether there is a mark in the text."""
    return _PRIVATE.search(text) is not None


def _is_plain(text: str) -> bool:
    """Whether nothing in the text has a meaning, so that a mark may stand for it."""
    if not text or len(text.encode(errors="replace")) > _MOST_OCTETS or not is_text(text):
        return False
    return text == text.strip() and _MEANING.isdisjoint(text)
