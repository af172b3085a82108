"""Certificates asked for in a file, one a line: NDJSON, or CSV with a header; and what became of each, as NDJSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kernel.core.errors import Invalid

NAMES = ("dns", "ip", "email", "uri")
_MEMBERS = ("csr", "holder", "variables", *NAMES)


class BadRow(Invalid):
    """The row can not be read as a request for a certificate."""

    code = "bad-row"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuanceRow:
    """One row by its number from 1: `csr` is PEM; if it can not be read, `fault` says why and the rest is empty."""

    number: int
    csr: str = ""
    holder: str = ""
    variables: Mapping[str, str]
    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    email: tuple[str, ...] = ()
    uri: tuple[str, ...] = ()
    fault: str = ""


def read_rows(lines: Iterable[str], *, is_csv: bool) -> Iterator[IssuanceRow]:
    """The rows of a file while it is read; empty lines are left out. Raises BadRow if a CSV's header is none."""
    return _read_csv(lines) if is_csv else _read_ndjson(lines)


def write_row(row: IssuanceRow) -> str:
    """The row as one line of JSON, which `parse_row` reads."""
    return json.dumps(asdict(row), ensure_ascii=False, separators=(",", ":"))


def parse_row(line: str) -> IssuanceRow:
    """What `write_row` wrote."""
    found: dict[str, Any] = json.loads(line)
    return IssuanceRow(**found | {name: tuple(found[name]) for name in NAMES})


def _read_ndjson(lines: Iterable[str]) -> Iterator[IssuanceRow]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield _from_json(number, line)
            except BadRow as error:
                yield IssuanceRow(number=number, variables={}, fault=error.detail)


def _from_json(number: int, line: str) -> IssuanceRow:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow("The line is no JSON object.") from error
    if not isinstance(found, dict):
        raise BadRow("The line is no JSON object.")
    if unknown := sorted(set(found) - set(_MEMBERS)):
        raise BadRow(f"There is no member {unknown[0][:64]!r}: there are {', '.join(_MEMBERS)}.")
    variables = found.get("variables", {})
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise BadRow("The variables are an object of texts.")
    return IssuanceRow(
        number=number,
        csr=_text(found, "csr"),
        holder=_text(found, "holder"),
        variables=variables,
        dns=_texts(found, "dns"),
        ip=_texts(found, "ip"),
        email=_texts(found, "email"),
        uri=_texts(found, "uri"),
    )


def _text(found: Mapping[str, Any], member: str) -> str:
    value = found.get(member)
    if not isinstance(value, str) or not value:
        raise BadRow(f"The row needs {member!r}, a text.")
    return value


def _texts(found: Mapping[str, Any], member: str) -> tuple[str, ...]:
    values = found.get(member, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadRow(f"{member!r} is a list of texts.")
    return tuple(values)


def _read_csv(lines: Iterable[str]) -> Iterator[IssuanceRow]:
    """Columns that are no members are variables; several names in one field are apart by blanks."""
    reader = csv.DictReader(lines, restkey="", strict=True)
    if missing := [name for name in ("csr", "holder") if name not in (reader.fieldnames or ())]:
        raise BadRow(f"The first line has to name the columns, and one of them has to be {missing[0]}.")
    count = 0
    try:
        for row in reader:
            count += 1
            yield _from_csv(count, row)
    except csv.Error as error:
        yield IssuanceRow(number=count + 1, variables={}, fault=f"This is no CSV: {error}.")


def _from_csv(number: int, row: Mapping[str, str | None]) -> IssuanceRow:
    if "" in row or None in row.values():
        return IssuanceRow(number=number, variables={}, fault="The row has more or fewer fields than the header.")
    texts = {name: value or "" for name, value in row.items()}
    if not texts["csr"] or not texts["holder"]:
        return IssuanceRow(number=number, variables={}, fault="The row needs 'csr' and 'holder'.")
    return IssuanceRow(
        number=number,
        csr=texts["csr"],
        holder=texts["holder"],
        variables={name: value for name, value in texts.items() if name not in _MEMBERS},
        dns=(*texts.get("dns", "").split(),),
        ip=(*texts.get("ip", "").split(),),
        email=(*texts.get("email", "").split(),),
        uri=(*texts.get("uri", "").split(),),
    )
