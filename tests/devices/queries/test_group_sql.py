"""The database and `belongs` agree about which devices a query is true of; on PostgreSQL by test_on_postgresql.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import Func, TextField, Value
from django.db.models.functions import Cast

from devices.core.group_query import (
    AllOf,
    AnyOf,
    Asked,
    Comparison,
    Kind,
    Not,
    OneOf,
    Operator,
    Query,
    belongs,
    kind_of,
    parse,
    query_fault,
    spell,
)
from devices.models import Device, DeviceType, Domain
from devices.queries import groups
from devices.queries.group_sql import matching
from kernel.core.clock import utc_now
from kernel.core.ids import new_id
from tests.cast import NORTH, SOUTH

pytestmark = pytest.mark.django_db

Devices = Mapping[UUID, Asked]

SUM = 0.1 + 0.2
TEXTS = [
    "",
    "a",
    "A",
    "ab",
    "b",
    "ä",
    "a\u0308",
    "é",
    "z",
    "~",
    "😀",
    "\uffff",
    "%",
    "_",
    "a%",
    "a_",
    "[a]",
    "'",
    '"',
    "\\",
]
TEXTS += [
    "1",
    "1.0",
    "true",
    "null",
    "a b",
    "a\tb",
    "\x7f",
    "ß",
    "ss",
    "I",
    "\u0131",
    "K",
    "\u212a",
    "$.a",
    "{}",
    "\u2028",
]
NUMBERS: list[Any] = [0, -0.0, 1, 1.0, -1, 2, 10, 9, 2**53, -(2**53), 2**53 - 1, 0.1, 0.3, SUM, math.nextafter(SUM, 1)]
NUMBERS += [
    math.nextafter(0.1, 1),
    1e-7,
    5e-324,
    2.2250738585072014e-308,
    123456789.12345678,
    1 / 3,
    2 / 3,
    1e15,
    1e15 + 0.125,
]
VALUES: list[Any] = [*TEXTS, *NUMBERS, True, False]
NAMES = ("site", "a_1", "weight")
FIELDS = ("name", "device_type", "hardware_serial", *(f"attr.{name}" for name in NAMES))


@pytest.fixture
def devices() -> Devices:
    """300 devices of two types; attributes are any value, null, or not there."""
    random = Random(7)
    Domain.objects.create(id=NORTH, slug="north", name="North")
    Domain.objects.create(id=SOUTH, slug="south", name="South")
    kinds = [DeviceType(id=new_id(), domain_id=NORTH, name=name) for name in ("ä", "A")]
    foreign = DeviceType(id=new_id(), domain_id=SOUTH, name="A")
    DeviceType.objects.bulk_create([*kinds, foreign])
    made = []
    for number in range(300):
        known = random.sample(NAMES, random.randint(0, 3))
        made.append(
            Device(
                id=new_id(),
                domain_id=NORTH if number % 20 else SOUTH,
                device_type=random.choice(kinds) if number % 20 else foreign,
                name=f"{random.choice(TEXTS)}{number}",
                auth_id=str(number),
                client_id=str(number),
                state="active",
                hardware_serial=random.choice(TEXTS),
                attributes={name: random.choice([*VALUES, None]) for name in known},
                created_at=utc_now(),
            )
        )
    Device.objects.bulk_create(made)
    rows = Device.objects.select_related("device_type").filter(domain_id=NORTH)
    return {
        row.id: Asked(
            name=row.name,
            device_type=row.device_type.name,
            hardware_serial=row.hardware_serial,
            attributes=row.attributes,
        )
        for row in rows
        if row.device_type
    }


def term(random: Random) -> Query:
    field = random.choice(FIELDS)
    if random.random() < 0.2:
        return OneOf(field=field, values=tuple(random.sample(VALUES, random.randint(1, 4))))
    value = random.choice(VALUES if field.startswith("attr.") or random.random() < 0.1 else TEXTS)
    operators = list(Operator)
    if kind_of(value) is not Kind.TEXT:
        operators.remove(Operator.STARTS_WITH)
    if kind_of(value) is Kind.TRUTH:
        operators = [Operator.EQUAL, Operator.NOT_EQUAL]
    return Comparison(field=field, operator=random.choice(operators), value=value)


def generated(random: Random, depth: int) -> Query:
    if depth == 0 or random.random() < 0.3:
        return term(random)
    if random.random() < 0.3:
        return Not(term=generated(random, depth - 1))
    terms = tuple(generated(random, depth - 1) for _ in range(2))
    return parse(spell(AllOf(terms=terms) if random.random() < 0.5 else AnyOf(terms=terms)))


def assert_same(devices: Devices, query: Query) -> int:
    text = spell(query)
    expected = {id for id, each in devices.items() if belongs(each, query)}
    found = set(matching(domain=NORTH, query=text).values_list("id", flat=True))
    differing = [devices[id] for id in sorted(expected ^ found)[:3]]
    assert not differing, (text, differing)
    return len(found)


def test_each_comparison_with_each_value_finds_the_same(devices: Devices) -> None:
    for value in VALUES:
        for operator in Operator:
            query = Comparison(field="attr.site", operator=operator, value=value)
            if query_fault(spell(query)) is None:
                assert_same(devices, query)


def test_generated_queries_find_the_same(devices: Devices) -> None:
    random = Random(11)
    counts = [assert_same(devices, generated(random, 3)) for _ in range(150)]
    assert sum(0 < count < len(devices) for count in counts) > 70  # they tell devices apart


def test_twenty_comparisons_of_a_hundred_values_at_depth_twenty_are_asked(devices: Devices) -> None:
    listed = ",".join(f'"{number}"' for number in range(81))
    text = "not(" * 10 + " and ".join([f"attr.site in[{listed}]", *['attr.site>""'] * 19]) + ")" * 10
    assert_same(devices, parse(text))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no limit of time")
def test_preview_that_takes_too_long_is_given_up(devices: Devices, monkeypatch: pytest.MonkeyPatch) -> None:
    asleep = Cast(Func(Value(60.0), function="pg_sleep", output_field=TextField()), TextField())
    slow = Device.objects.annotate(slept=asleep).filter(slept="no")
    monkeypatch.setattr(groups, "matching", lambda **_: slow)
    monkeypatch.setattr(groups, "_LONGEST", "50ms")
    with pytest.raises(groups.SlowPreview, match="shorten"):
        groups.preview_query(domain=NORTH, query='name == "a"')
