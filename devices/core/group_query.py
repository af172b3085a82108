"""Queries that say which devices belong to a group: read, spelled, and asked about one device.

A comparison with what a device does not have, or has as another kind of value, is false: `!=` too. Texts compare by
code points, which is by octets in UTF-8. devices/queries/group_sql.py says the same to the database.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from devices.core.attributes import ATTRIBUTE_NAME, MAX_NUMBER
from devices.core.values import AttributeValue, Device
from kernel.core.errors import FieldError, Invalid

MOST_CHARACTERS = 2_000
MOST_DEPTH = 20
MOST_TERMS = 100
MOST_COMPARISONS = 20  # each is asked of every device; a list of values is one
TEXT_FIELDS = ("device_type", "hardware_serial", "name")


class BadQuery(Invalid):
    """The query can not be read; the detail says where."""

    code = "bad-group-query"


class Operator(StrEnum):
    """How a field and a value are compared."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="
    STARTS_WITH = "starts_with"


class Kind(StrEnum):
    """The kinds of value; only values of one kind compare."""

    TEXT = "text"
    NUMBER = "number"
    TRUTH = "truth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`field` is attr.NAME or one of TEXT_FIELDS."""

    field: str
    operator: Operator
    value: AttributeValue


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """The field equals one of the values."""

    field: str
    values: tuple[AttributeValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """What `term` is not true of."""

    term: Query


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """What every term is true of; two terms or more, none of them an AllOf."""

    terms: tuple[Query, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """What some term is true of; two terms or more, none of them an AnyOf."""

    terms: tuple[Query, ...]


Query = Comparison | OneOf | Not | AllOf | AnyOf


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What queries look at in a device."""

    name: str
    device_type: str
    hardware_serial: str
    attributes: Mapping[str, AttributeValue]


def asked_of(device: Device) -> Asked | None:
    """What queries look at in the device; None for an application, which no query is true of."""
    if not device.device_type:
        return None
    return Asked(
        name=device.name,
        device_type=device.device_type,
        hardware_serial=device.hardware_serial,
        attributes=device.attributes,
    )


_COMPARE: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
    Operator.STARTS_WITH: str.startswith,
}


def kind_of(value: object) -> Kind | None:
    """The kind of a value; None of what is no value, as JSON's null."""
    if isinstance(value, bool):
        return Kind.TRUTH
    if isinstance(value, int | float):
        return Kind.NUMBER
    return Kind.TEXT if isinstance(value, str) else None


def belongs(device: Asked, query: Query) -> bool:
    """Whether the query is true of the device."""
    match query:
        case Comparison():
            found = _value(device, query.field)
            return kind_of(found) is kind_of(query.value) and _COMPARE[query.operator](found, query.value)
        case OneOf():
            found = _value(device, query.field)
            return any(kind_of(found) is kind_of(value) and found == value for value in query.values)
        case Not():
            return not belongs(device, query.term)
        case AllOf():
            return all(belongs(device, term) for term in query.terms)
        case AnyOf():
            return any(belongs(device, term) for term in query.terms)


def _value(device: Asked, field: str) -> AttributeValue | None:
    kind, _, name = field.partition(".")
    if name:
        return device.attributes.get(name)
    found: str = getattr(device, kind)
    return found


def spell(query: Query) -> str:
    """The query in its one spelling, on one line: `parse` reads it as the same."""
    match query:
        case Comparison():
            return f"{query.field} {query.operator.value} {_literal(query.value)}"
        case OneOf():
            return f"{query.field} in [{', '.join(map(_literal, query.values))}]"
        case Not():
            inner = spell(query.term)
            return f"not ({inner})" if isinstance(query.term, AllOf | AnyOf) else f"not {inner}"
        case AllOf():
            return " and ".join(f"({spell(term)})" if isinstance(term, AnyOf) else spell(term) for term in query.terms)
        case AnyOf():
            return " or ".join(map(spell, query.terms))


def _literal(value: AttributeValue) -> str:
    return json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=1_024)
def parse(text: str) -> Query:
    """The query that the text says. Raises BadQuery.

    It has at most 2,000 characters, 20 comparisons, 100 values, and is 20 levels deep.
    """
    if len(text) > MOST_CHARACTERS:
        raise _bad(f"has {len(text)} characters; at most {MOST_CHARACTERS} are read")
    found = _Parser(text).whole()
    if len(spell(found)) > MOST_CHARACTERS:
        raise _bad(f"has more than {MOST_CHARACTERS} characters once it is spelled with blanks; make two groups of it")
    return found


def canonical(text: str) -> str:
    """The same query in its one spelling. Raises BadQuery."""
    return spell(parse(text))


def query_fault(text: str) -> str | None:
    """What is wrong with the query, as a sentence; None if nothing is."""
    try:
        parse(text)
    except BadQuery as error:
        return error.detail
    return None


_TOKEN = re.compile(
    r'"(?:[^"\\\x00-\x1f]|\\.)*"'  # a JSON string; json.loads looks at its escapes
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])"
    r"|[A-Za-z_][A-Za-z0-9_.]*"
    r"|==|!=|<=|>=|[<>()\[\],]"
)
_BLANK = re.compile(r"[ \t\r\n]*")
_WORDS = frozenset({"and", "or", "not", "in", "true", "false", Operator.STARTS_WITH.value})


class _Parser:
    """Reads from left to right, one token ahead: or, and, not, comparison."""

    def __init__(self, text: str) -> None:
        self._text, self._place, self._token = text, 0, ""
        self._depth = self._terms = self._comparisons = 0
        self._next(0)

    def whole(self) -> Query:
        """The query that the whole text is."""
        found = self._any()
        if self._token:
            raise self._fault("expected and, or, or the end")
        return found

    def _next(self, start: int) -> None:
        """Reads the token that begins at `start` or after blanks there; none at the end."""
        self._place = _BLANK.match(self._text, start).end()  # type: ignore[union-attr]  # it matches nothing, too
        if self._place == len(self._text):
            self._token = ""
            return
        found = _TOKEN.match(self._text, self._place)
        if found is None:
            raise self._fault("no field, value or operator begins here; texts stand in double quotes")
        self._token = found.group()

    def _take(self, token: str) -> bool:
        """Whether that token was there, and is read."""
        if self._token != token:
            return False
        self._next(self._place + len(token))
        return True

    def _fault(self, what: str) -> BadQuery:
        place = f"at character {self._place + 1}" if self._place < len(self._text) else "at its end"
        return _bad(f"is wrong {place}: {what}")

    def _any(self) -> Query:
        return self._chain("or", self._all, AnyOf)

    def _all(self) -> Query:
        return self._chain("and", self._one, AllOf)

    def _chain(self, word: str, read: Callable[[], Query], joined: type[AllOf | AnyOf]) -> Query:
        terms: list[Query] = []
        while not terms or self._take(word):
            found = read()
            terms += found.terms if isinstance(found, joined) else [found]
        return terms[0] if len(terms) == 1 else joined(terms=tuple(terms))

    def _one(self) -> Query:
        if self._token not in {"not", "("}:
            return self._comparison()
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise self._fault(f"more than {MOST_DEPTH} brackets and nots inside each other")
        if self._take("not"):
            found: Query = Not(term=self._one())
        else:
            self._take("(")
            found = self._any()
            if not self._take(")"):
                raise self._fault("expected ), and or or")
        self._depth -= 1
        return found

    def _comparison(self) -> Query:
        self._comparisons += 1
        if self._comparisons > MOST_COMPARISONS:
            raise self._fault(f"more than {MOST_COMPARISONS} comparisons; write values of one field as in [...]")
        field = self._field()
        if self._take("in"):
            return OneOf(field=field, values=self._list())
        if self._token not in {each.value for each in Operator}:
            raise self._fault(f"expected one of {' '.join(Operator)} in")
        found, place = Operator(self._token), self._place
        self._take(self._token)
        value = self._one_value()
        kind = kind_of(value)
        if (found is Operator.STARTS_WITH and kind is not Kind.TEXT) or (
            kind is Kind.TRUTH and found not in {Operator.EQUAL, Operator.NOT_EQUAL}
        ):
            self._place = place
            raise self._fault(f"{found.value} can not compare with {_literal(value)}")
        return Comparison(field=field, operator=found, value=value)

    def _field(self) -> str:
        field = self._token
        known = field in TEXT_FIELDS or (field[:5] == "attr." and ATTRIBUTE_NAME.fullmatch(field[5:]))
        if not known:
            raise self._fault(f"expected a field: attr.NAME, {', '.join(TEXT_FIELDS)}")
        self._take(field)
        return field

    def _list(self) -> tuple[AttributeValue, ...]:
        if not self._take("["):
            raise self._fault("expected [ and values")
        values = [self._one_value()]
        while self._take(","):
            values.append(self._one_value())
        if not self._take("]"):
            raise self._fault("expected , or ]")
        return tuple(values)

    def _one_value(self) -> AttributeValue:
        token = self._token
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise self._fault(f"more than {MOST_TERMS} values")
        if not token or (token not in {"true", "false"} and token[0] not in '"-0123456789'):
            raise self._fault('expected a value: "text", a number, true or false')
        value = self._read_value(token)
        self._take(token)
        return value

    def _read_value(self, token: str) -> AttributeValue:
        try:
            value: AttributeValue = json.loads(token)
        except ValueError as error:  # an escape that JSON does not have, or a number of thousands of digits
            raise self._fault("this is no value as JSON spells them") from error
        if isinstance(value, str):
            if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
                raise self._fault("this text has a NUL or half a character")
        elif not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise self._fault(f"numbers lie between -{MAX_NUMBER} and {MAX_NUMBER}")
        return value


def _bad(what: str) -> BadQuery:
    error = FieldError(pointer="/query", code=BadQuery.code, detail=f"The query {what}.")
    return BadQuery(error.detail, errors=(error,))
