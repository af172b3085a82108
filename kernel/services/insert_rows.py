"""Inserting many rows at once. The query builder's `bulk_create` compiles an expression for every single value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, ForeignKey, Model

_VALUES_AT_ONCE = 20_000  # SQLite takes 32,766, PostgreSQL 65,535
_TEXTS = frozenset({"CharField", "TextField", "SlugField"})
_AS_THEY_ARE = frozenset(
    {
        "BigIntegerField", "BinaryField", "IntegerField", "PositiveIntegerField", "PositiveSmallIntegerField",
        "UUIDField",
    }
)  # fmt: skip


def insert_rows(rows: Sequence[Model], *, ignore_known: bool = False) -> None:
    """Inserts the rows, all of one model, with every field as it is set, in the caller's transaction.

    What stands there already is an IntegrityError, or left alone if `ignore_known`.
    """
    if not rows:
        return
    connection = connections[DEFAULT_DB_ALIAS]  # not the proxy, which looks it up for each value anew
    meta = type(rows[0])._meta  # noqa: SLF001 - Django documents it
    fields = meta.concrete_fields
    columns = [(field.attname, column_converter(field, connection)) for field in fields]
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


def column_converter(field: Field[Any, Any], connection: BaseDatabaseWrapper) -> Callable[[Any], Any]:
    """What makes the database's value of a field's; the commonest without a detour."""
    if isinstance(field, ForeignKey):
        return column_converter(field.target_field, connection)
    kind = field.get_internal_type()
    if kind == "UUIDField" and not connection.features.has_native_uuid_field:
        return _hex
    if kind in _AS_THEY_ARE:
        return _plain
    if kind in _TEXTS:
        return _plain_text

    def convert(value: Any) -> Any:
        return field.get_db_prep_save(value, connection)

    return lru_cache(maxsize=64)(convert) if kind == "DateTimeField" else convert  # many rows, few moments


def _plain(value: Any) -> Any:
    return value


def _plain_text(value: Any) -> Any:
    return value if type(value) is str or value is None else str(value)


def _hex(value: Any) -> Any:
    return None if value is None else value.hex
