"""Reading JSON and forms that a broker sends: flat, bounded, and nothing twice."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from brokers.core.decide.decisions import Asked, Unreadable

_MOST_FIELDS = 50
_BLANK = " \t\n\r"  # RFC 8259 2


def read_json(asked: Asked) -> Mapping[str, Any]:
    """The members of the JSON object. Raises Unreadable, also if a member stands there twice."""
    document = _document(asked)
    if not isinstance(document, dict):
        raise Unreadable("The body is no JSON object.")
    return document


def read_objects(asked: Asked) -> Sequence[Mapping[str, Any]]:
    """The objects of the JSON array, or the one object. Raises Unreadable."""
    document = _document(asked)
    found = document if isinstance(document, list) else [document]
    if not all(isinstance(each, dict) for each in found):
        raise Unreadable("The body is neither a JSON object nor an array of them.")
    return found


def _document(asked: Asked) -> Any:
    try:
        text = asked.body.decode().strip(_BLANK)
        document, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError) as error:
        raise Unreadable("The body is no JSON.") from error
    if end < len(text):
        raise Unreadable("The body is more than one JSON value.")
    return document


def read_form(asked: Asked) -> Mapping[str, str]:
    """The fields of the form. Raises Unreadable, also if a field stands there twice."""
    try:
        pairs = parse_qsl(
            asked.body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError as error:
        raise Unreadable("The body is no form.") from error
    return _once(pairs)


def read_either(asked: Asked) -> Mapping[str, Any]:
    """A form or JSON, whichever the content type says."""
    return read_json(asked) if asked.content_type == "application/json" else read_form(asked)


def text(members: Mapping[str, Any], name: str) -> str:
    """The text of that name. Raises Unreadable if there is none."""
    found = members.get(name)
    if not isinstance(found, str):
        raise Unreadable(f"There is no text {name}.")
    return found


def text_or_none(members: Mapping[str, Any], name: str) -> str | None:
    """The text of that name, or None if it is null or missing. Raises Unreadable if it is something else."""
    return None if members.get(name) is None else text(members, name)


def number(members: Mapping[str, Any], name: str, *, low: int, high: int) -> int:
    """The whole number of that name, from `low` to `high`, also as a text of one digit. Raises Unreadable."""
    found = members.get(name)
    if isinstance(found, str) and len(found) == 1 and found in "0123456789":
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
        raise Unreadable(f"{name} is no number from {low} to {high}.")
    return found


def flag(members: Mapping[str, Any], name: str) -> bool:
    """The truth value of that name, also as the text true or false. Raises Unreadable."""
    found = _FLAGS.get(_hashable(members.get(name)))
    if found is None:
        raise Unreadable(f"{name} is neither true nor false.")
    return found


def der_of(pem: str) -> bytes:
    """The octets of the one certificate. Raises Unreadable."""
    try:
        return ssl.PEM_cert_to_DER_cert(pem.strip())
    except ValueError as error:
        raise Unreadable("The certificate is no PEM.") from error


def _hashable(value: object) -> str | bool | None:
    return value if isinstance(value, str | bool) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unreadable("A member stands there twice.")
    return members


_FLAGS: Mapping[str | bool | None, bool] = {"true": True, "false": False, True: True, False: False}
_DECODER = json.JSONDecoder(object_pairs_hook=_once)
