"""Reading a JSON document strictly: every fault is noted with a pointer to it (RFC 6901), and reading goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from cryptography.x509 import ObjectIdentifier

Value = TypeVar("Value")
Choice = TypeVar("Choice", bound=StrEnum)


class Reader:
    """Notes faults in `faults`, and puts a harmless value where one is."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []

    def fault(self, at: str, text: str) -> None:
        """Notes what is wrong there, without a full stop."""
        self.faults.append((at, text))

    def record(
        self, at: str, given: object, *, needed: Sequence[str] = (), known: Sequence[str] = ()
    ) -> Mapping[str, object]:
        """The members of an object that has those needed, and none that is not known."""
        members = tuple(dict.fromkeys((*needed, *known)))
        if not isinstance(given, Mapping):
            self.fault(at, f"an object with the members {', '.join(members)} belongs here")
            return {}
        for name in given:
            if name not in members:
                self.fault(f"{at}/{_escaped(str(name))}", f"there is no such member: there are {', '.join(members)}")
        for name in needed:
            if name not in given:
                self.fault(f"{at}/{name}", "this member is missing")
        return {name: given[name] for name in members if name in given}

    def text(self, at: str, given: object, *, longest: int, may_be_empty: bool = False) -> str:
        """A text of at most so many characters, none of them a control character or half a surrogate pair."""
        if isinstance(given, str) and len(given) <= longest and (given or may_be_empty) and given.isprintable():
            return given
        self.fault(at, f"a text of {0 if may_be_empty else 1} to {longest} printable characters belongs here")
        return "x"

    def number(self, at: str, given: object, *, highest: int) -> int:
        """A whole number from 0 on."""
        if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= highest:
            return given
        self.fault(at, f"a whole number from 0 to {highest} belongs here")
        return 0

    def boolean(self, at: str, given: object) -> bool:
        """True or false."""
        if not isinstance(given, bool):
            self.fault(at, "true or false belongs here")
        return given is True

    def choice(self, at: str, given: object, choices: type[Choice]) -> Choice:
        """One of the choices."""
        found = [choice for choice in choices if choice.value == given]
        if not found:
            self.fault(at, f"one of {', '.join(choices)} belongs here")
        return found[0] if found else next(iter(choices))

    def items(
        self, at: str, given: object, each: Callable[[str, object], Value], *, most: int = 64
    ) -> tuple[Value, ...]:
        """What `each` reads of the elements of an array."""
        if not isinstance(given, list | tuple) or len(given) > most:
            self.fault(at, f"an array of at most {most} belongs here")
            return ()
        return tuple(each(f"{at}/{place}", item) for place, item in enumerate(given))

    def oid(self, at: str, given: object, *, instead: str = "") -> ObjectIdentifier:
        """A dotted object identifier."""
        try:
            return ObjectIdentifier(self.text(at, given, longest=128))
        except ValueError:
            choices = f"one of {instead}, or " if instead else ""
            self.fault(at, f"{choices}an object identifier such as 1.3.6.1.4.1.32473.1 belongs here")
            return ObjectIdentifier("1.3.6.1.4.1.32473.1")


def _escaped(name: str) -> str:
    return name[:64].replace("~", "~0").replace("/", "~1")
