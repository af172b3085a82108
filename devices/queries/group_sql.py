"""What a group's query asks, as the database is asked it: the same answer as `belongs` of core/group_query gives.

Every comparison is true or false and never NULL, so that `not` means what it means there. Texts compare by octets,
whatever the database's collation is; a number is judged as the double that JSON's text of it is.
"""

from __future__ import annotations

import json
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import F, Func, Q, Value
from django.db.models.fields import BooleanField

from devices.core.group_query import AllOf, AnyOf, Comparison, Kind, Not, OneOf, Operator, Query, kind_of, parse
from devices.core.values import AttributeValue
from devices.models import Device, DeviceQuerySet
from kernel.core.ids import DomainId

Statement = tuple[str, tuple[Any, ...]]
_SIGNS = {each: "=" if each is Operator.EQUAL else each.value for each in Operator}
_SQLITE_KINDS = {Kind.TEXT: "'text'", Kind.NUMBER: "'integer', 'real'", Kind.TRUTH: "'true', 'false'"}
_POSTGRESQL_CASTS = {Kind.TEXT: ' COLLATE "C"', Kind.NUMBER: "::float8", Kind.TRUTH: "::boolean"}
_POSTGRESQL_KINDS = {Kind.TEXT: "string", Kind.NUMBER: "number", Kind.TRUTH: "boolean"}


def matching(*, domain: DomainId, query: str) -> DeviceQuerySet:
    """The devices of the domain that the query is true of; applications are none. Raises BadQuery."""
    return Device.objects.filter(condition(parse(query)), domain_id=domain, device_type__isnull=False)


def condition(query: Query) -> Q:
    """The query, of rows that are devices."""
    match query:
        case Comparison():
            return Q(_comparison(query.field, query.operator, query.value))
        case OneOf():
            kinds = [[value for value in query.values if kind_of(value) is kind] for kind in Kind]
            return reduce(or_, (Q(_comparison(query.field, Operator.EQUAL, *values)) for values in kinds if values))
        case Not():
            return ~condition(query.term)
        case AllOf():
            return reduce(and_, map(condition, query.terms))
        case AnyOf():
            return reduce(or_, map(condition, query.terms))


def _comparison(field: str, operator: Operator, *values: AttributeValue) -> Any:
    """Whether it compares so with one of the values, which are of one kind; there are several for EQUAL alone."""
    kind, _, name = field.partition(".")
    if name:
        return _AttributeIs(name, operator, *values)
    if kind_of(values[0]) is not Kind.TEXT:
        return Value(False, output_field=BooleanField())  # noqa: FBT003 - a literal
    return _TextIs(F("device_type__name" if kind == "device_type" else kind), operator, *values)


class _TextIs(Func):
    """Whether a column compares so with one of the texts."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, column: F, operator: Operator, *values: AttributeValue) -> None:
        super().__init__(column)
        self.operator, self.values = operator, values

    def as_sqlite(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """Columns have the collation BINARY, which is by octets."""
        column, params = compiler.compile(self.source_expressions[0])
        compared, given = _compared(column, self.operator, self.values)
        return f"COALESCE({compared}, 0)", (*params, *given)

    def as_postgresql(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """The collation C is by octets."""
        column, params = compiler.compile(self.source_expressions[0])
        compared, given = _compared(f'{column} COLLATE "C"', self.operator, self.values)
        return f"COALESCE({compared}, false)", (*params, *given)


class _AttributeIs(Func):
    """Whether an attribute is there, of the values' kind, and compares so with one of them."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, name: str, operator: Operator, *values: AttributeValue) -> None:
        super().__init__(F("attributes"))
        self.name, self.operator, self.values = name, operator, values
        self.kind = kind_of(values[0]) or Kind.TEXT

    def as_sqlite(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """The value goes through the database's own reading of JSON, as the attribute does."""
        column, params = compiler.compile(self.source_expressions[0])
        path, kinds = f'$."{self.name}"', _SQLITE_KINDS[self.kind]
        found, values, each = f"json_extract({column}, %s)", self.values, "%s"
        if self.kind is not Kind.TEXT:
            values, each = tuple(map(json.dumps, values)), "json_extract(%s, '$')"
        compared, given = _compared(found, self.operator, values, each)
        statement = f"COALESCE(CASE WHEN json_type({column}, %s) IN ({kinds}) THEN {compared} END, 0)"
        return statement, (*params, path, *params, path, *given)

    def as_postgresql(self, compiler: Any, *_: Any, **__: Any) -> Statement:
        """jsonb keeps numbers as decimals; both sides are cast to what Python reads them as."""
        column, params = compiler.compile(self.source_expressions[0])
        kind, found = _POSTGRESQL_KINDS[self.kind], f"({column} ->> %s::text)"
        cast = _POSTGRESQL_CASTS[self.kind]
        compared, given = _compared(f"{found}{cast}", self.operator, self.values, f"%s{cast}")
        statement = f"COALESCE(CASE WHEN jsonb_typeof({column} -> %s::text) = '{kind}' THEN {compared} END, false)"
        return statement, (*params, self.name, *params, self.name, *given)


def _compared(found: str, operator: Operator, values: tuple[AttributeValue, ...], each: str = "%s") -> Statement:
    """The comparison with one of the values, each spelled as `each`; a beginning is as many characters as it has."""
    if operator is Operator.STARTS_WITH:
        return f"substr({found}, 1, {len(str(values[0]))}) = %s", values
    if len(values) > 1:
        return f"{found} IN ({', '.join([each] * len(values))})", values
    return f"{found} {_SIGNS[operator]} {each}", values
