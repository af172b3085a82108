"""Inserting many rows at once. The query builder's `bulk_create` compiles an expression for every single value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, ForeignKey, Model

_VALUES_AT_ONCE = 20_000  # SQLite takes 32,766, PostgreSQL 65,535
_AS_THEY_ARE = frozenset({"BigIntegerField", "IntegerField", "PositiveIntegerField", "PositiveSmallIntegerField"})


def insert_rows(rows: Sequence[Model], *, ignore_known: bool = False) -> None:
    """Inserts the rows, all of one model, with every field as it is set, in the caller's transaction.

    What stands there already is an IntegrityError, or left alone if `ignore_known`.
    """
    if not rows:
        return
    meta = type(rows[0])._meta  # noqa: SLF001 - Django documents it
    fields = meta.concrete_fields
    columns = [(field.attname, _converter(field)) for field in fields]
    names = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    ending = " ON CONFLICT DO NOTHING" if ignore_known else ""
    place = f"({', '.join(['%s'] * len(fields))})"
    size = _VALUES_AT_ONCE // len(fields)
    with connection.cursor() as cursor:
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            values = [convert(getattr(row, attribute)) for row in some for attribute, convert in columns]
            places = ", ".join([place] * len(some))
            cursor.execute(f"INSERT INTO {meta.db_table} ({names}) VALUES {places}{ending}", values)  # noqa: S608 - our own names


def _converter(field: Field[Any, Any]) -> Callable[[Any], Any]:
    """What makes the database's value of a field's; the commonest without a detour."""
    if isinstance(field, ForeignKey):
        return _converter(field.target_field)
    match field.get_internal_type():
        case "CharField" | "TextField" | "SlugField":
            return _plain_text
        case "BinaryField":
            return _plain
        case "UUIDField":
            return _plain if connection.features.has_native_uuid_field else _hex
        case kind if kind in _AS_THEY_ARE:
            return _plain
    return lambda value: field.get_db_prep_save(value, connection)


def _plain(value: Any) -> Any:
    return value


def _plain_text(value: Any) -> Any:
    return value if type(value) is str or value is None else str(value)


def _hex(value: Any) -> Any:
    return None if value is None else value.hex
