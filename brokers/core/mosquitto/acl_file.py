"""Mosquitto's ACL file (`acl_file`, 2.0 and 2.1) as values; its text read as Mosquitto reads it, and written.

It must not know policy: files that other hands wrote are read here as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from acl.core.topics import InvalidTopic, valid_filter
from brokers.core.mosquitto.topics import MOST_SLASHES
from kernel.core.errors import FieldError, Invalid

BLANKS = " \t\n\v\f\r"  # isspace() of the C locale
_HEADER = "# Written by Gatehouse: what is changed here by hand is lost.\n"


class InvalidAclFile(Invalid):
    """Mosquitto would not start with this file, or not see all of it.

    `errors` has every fault, its pointer `/lines/<number>` from 1.
    """

    code = "invalid-acl-file"


class Access(StrEnum):
    """What a line is about."""

    READ = "read"
    WRITE = "write"
    READWRITE = "readwrite"
    DENY = "deny"

    def grants(self, wanted: Access) -> bool:
        """Whether the line allows reading, or writing."""
        return self in {wanted, Access.READWRITE}


@dataclass(frozen=True, slots=True, kw_only=True)
class AclLine:
    """One `topic` or `pattern` line. `number` is where it stands in the file, from 1; 0 if it was never read."""

    access: Access
    topic: str
    number: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AclFile:
    """What a file says: the `topic` lines of each user (None is who has no username), and the `pattern` lines."""

    users: Mapping[str | None, tuple[AclLine, ...]] = field(default_factory=dict)
    patterns: tuple[AclLine, ...] = ()


def parse(text: str) -> AclFile:
    """What the file says, in its order; comments are left out. Raises InvalidAclFile."""
    users: dict[str | None, list[AclLine]] = defaultdict(list)
    patterns: list[AclLine] = []
    errors: list[FieldError] = []
    user: str | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            word, rest = _split(line)
            if word == "user":
                user = _user(rest)
            elif word:
                found = _line(rest, number)
                (patterns if word == "pattern" else users[user]).append(found)
        except InvalidAclFile as error:
            errors.append(FieldError(pointer=f"/lines/{number}", code=error.code, detail=error.detail))
    if errors:
        first = errors[0]
        detail = f"The ACL file has {len(errors)} fault(s); the first, at {first.pointer}: {first.detail}"
        raise InvalidAclFile(detail, errors=tuple(errors))
    return AclFile(users={name: tuple(lines) for name, lines in users.items()}, patterns=tuple(patterns))


def to_text(file: AclFile) -> str:
    """The file, sorted: same content, same octets. Names and topics have to be `writable`."""
    return _HEADER + "".join(_sections(file))


def writable(text: str) -> bool:
    """Whether a name or topic reads back as it was written: no blanks around it, and no control characters."""
    return bool(text) and text == text.strip(BLANKS) and not any(ord(character) < 0x20 for character in text)


def _sections(file: AclFile) -> Iterator[str]:
    yield from _lines("pattern", file.patterns)
    if anonymous := file.users.get(None):
        yield from _lines("topic", anonymous)  # only before the first user are they nobody's
    for name in sorted(name for name in file.users if name is not None):
        yield f"\nuser {name}\n"
        yield from _lines("topic", file.users[name])


def _lines(word: str, lines: Iterable[AclLine]) -> Iterator[str]:
    """Denies first: that is how they are asked, whatever their order."""
    for line in sorted(lines, key=lambda line: (line.access is not Access.DENY, line.topic, line.access)):
        yield f"{word} {line.access} {line.topic}\n"


def _split(line: str) -> tuple[str, str]:
    """The first word and what follows it; nothing for a comment or an empty line."""
    if "\x00" in line:
        raise InvalidAclFile("There is a NUL character, behind which Mosquitto reads nothing: take it out.")
    line = line.rstrip(BLANKS)
    if line.startswith("#"):
        return "", ""
    word, _, rest = line.lstrip(" ").partition(" ")
    if word not in {"", "user", "topic", "pattern"}:
        raise InvalidAclFile("A line begins with user, topic, pattern or #, and no tab stands before or behind that.")
    return word, rest


def _user(rest: str) -> str:
    name = rest.strip(BLANKS)
    if not name:
        raise InvalidAclFile("The username is missing: write it behind user.")
    return name


def _line(rest: str, number: int) -> AclLine:
    word, _, topic = rest.lstrip(" ").partition(" ")
    topic = topic.strip(BLANKS)
    if not topic:
        return AclLine(access=Access.READWRITE, topic=_topic(word), number=number)
    if word not in set(Access):
        raise InvalidAclFile("Before the topic stands read, write, readwrite, deny, or nothing.")
    return AclLine(access=Access(word), topic=_topic(topic), number=number)


def _topic(topic: str) -> str:
    if topic.count("/") > MOST_SLASHES:
        raise InvalidAclFile(f"A topic has at most {MOST_SLASHES + 1} levels.")
    try:
        return valid_filter(topic)
    except InvalidTopic as error:
        raise InvalidAclFile(error.detail) from error
