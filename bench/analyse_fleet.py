"""What `bench/analyse.py` runs in processes of their own: a fleet in a database, and questions about it.

`python -m bench.analyse_fleet prepare`, `fill FROM TO`, `ask`: each prints a JSON object. Every device is in a site of
180 and a ring of 20 groups. One role is for all, 40 are for sites, 20 for rings; some deny.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

import psycopg  # noqa: E402 - after django.setup()
from django.db import connection  # noqa: E402

from acl.core.rules import RuleSpec  # noqa: E402
from acl.core.values import Action, Effect, Receive, Role  # noqa: E402
from acl.queries import find_role  # noqa: E402
from acl.services import create_role  # noqa: E402
from bench.loading import cpu_seconds  # noqa: E402
from brokers.services.asking_who_can import question_of, who_can_do  # noqa: E402
from devices import services  # noqa: E402
from devices.models import Device, DeviceType, Domain, Group  # noqa: E402
from devices.queries.role_effect import role_effect  # noqa: E402
from devices.services.bindings import BindingTarget  # noqa: E402
from kernel.core.actor import SYSTEM  # noqa: E402
from kernel.core.ids import DomainId, new_id  # noqa: E402

RUNS = 5
SITES, RINGS = 180, 20
_WHO: dict[str, Any] = {"actor": SYSTEM, "now": datetime.now(UTC)}


def prepare() -> dict[str, Any]:
    """Domain, types, groups, roles and bindings."""
    domain = services.create_domain(slug="bench", name="Bench", **_WHO).id
    for name in ("pump", "valve"):
        services.create_device_type(domain=domain, name=name, schema={"site": {"type": "string"}}, **_WHO)
    groups = [f"site-{n}" for n in range(SITES)] + [f"ring-{n}" for n in range(RINGS)]
    Group.objects.bulk_create(Group(id=new_id(), domain_id=domain, name=name) for name in groups)
    everyone = _role(
        domain, "everyone", "${domain}/${client_id}/up/#", "${domain}/all/#", "${domain}/${attr.site}/shared/#"
    )
    services.bind_role(domain=domain, role=everyone.id, target=BindingTarget(domain="bench"), **_WHO)
    for n in range(40):
        role = _role(domain, f"site-role-{n}", f"${{domain}}/site-{n}/#", f"!${{domain}}/site-{n}/secret/#")
        for number in range(n, SITES, 40):
            services.bind_role(domain=domain, role=role.id, target=BindingTarget(group=f"site-{number}"), **_WHO)
    for n in range(RINGS):
        role = _role(domain, f"ring-role-{n}", f"${{domain}}/+/ring-{n}/#", "!${domain}/+/service/#")
        services.bind_role(domain=domain, role=role.id, target=BindingTarget(group=f"ring-{n}"), **_WHO)
    return {}


def _role(domain: DomainId, name: str, *topics: str) -> Role:
    rules = [
        RuleSpec(
            effect=Effect.DENY if topic.startswith("!") else Effect.ALLOW,
            actions=frozenset(Action),
            topic=topic.removeprefix("!"),
        )
        for topic in topics
    ]
    return create_role(domain=domain, name=name, rules=rules, **_WHO)


def fill(first: int, end: int) -> dict[str, Any]:
    """The devices `first` to `end`, active, one in a hundred suspended."""
    domain, table = Domain.objects.get(slug="bench"), Device._meta  # noqa: SLF001 - Django's own way to the columns
    member = Device.groups.through._meta.db_table  # noqa: SLF001
    types = list(DeviceType.objects.order_by("name"))
    groups = {group.name: group.id for group in Group.objects.all()}
    ids = [new_id() for _ in range(first, end)]
    connection.ensure_connection()
    columns = ", ".join(str(field.column) for field in table.concrete_fields)
    with psycopg.Cursor(connection.connection) as cursor:
        with cursor.copy(f"COPY devices_device ({columns}) FROM STDIN") as copy:
            for number, id in enumerate(ids, start=first):
                name = f"pump-{number}"
                row = Device(id=id, domain=domain, name=name, auth_id=name, client_id=name, created_at=_WHO["now"])
                row.state, row.device_type = "suspended" if number % 100 == 99 else "active", types[number % 2]
                row.attributes = {"site": f"site-{number % SITES}"} if number % 50 else {}
                copy.write_row([_stored(row, field) for field in table.concrete_fields])
        with cursor.copy(f"COPY {member} (device_id, group_id) FROM STDIN") as copy:
            for number, id in enumerate(ids, start=first):
                copy.write_row([id, groups[f"site-{number % SITES}"]])
                copy.write_row([id, groups[f"ring-{number // SITES % RINGS}"]])
    with connection.cursor() as session:
        session.execute("VACUUM ANALYZE")
    return {}


def _stored(row: Device, field: Any) -> Any:
    value = getattr(row, field.attname)
    return json.dumps(value) if field.name == "attributes" else value


def ask() -> dict[str, Any]:
    """Seconds of each question, on the clock and of CPU (ours and PostgreSQL's); what was answered; peaks of memory."""
    domain = DomainId(Domain.objects.get(slug="bench").id)
    everyone = find_role(domain=domain, name="everyone")
    assert everyone is not None
    specs = [RuleSpec.of(rule) for rule in everyone.rules]
    wider = [*specs, RuleSpec(effect=Effect.ALLOW, actions=frozenset(Action), topic="${domain}/+/state/#")]

    def count(action: Action, topic: str) -> Callable[[], int]:
        return lambda: (
            who_can_do(domains=[domain], question=question_of(action=action, topic=topic), now=_WHO["now"]).count
        )

    questions: dict[str, Callable[[], int]] = {
        "publish_one": count(Action.PUBLISH, "bench/pump-77/up/t"),
        "publish_all": count(Action.PUBLISH, "bench/all/t"),
        "publish_by_attribute": count(Action.PUBLISH, "bench/site-7/shared/t"),
        "publish_within": count(Action.PUBLISH, "bench/+/up/#"),
        "subscribe_site": count(Action.SUBSCRIBE, "bench/site-7/#"),
        "subscribe_ring": count(Action.SUBSCRIBE, "bench/x/ring-3/t"),
        "receive": lambda: who_can_do(domains=[domain], question=Receive(topic="bench/all/t"), now=_WHO["now"]).count,
        "edit_wider": lambda: role_effect(role=everyone.id, rules=wider, now=_WHO["now"]).touched,
        "edit_narrower": lambda: role_effect(role=everyone.id, rules=specs[:2], now=_WHO["now"]).touched,
    }
    with connection.cursor() as session:  # one process of PostgreSQL, so that its CPU time is seen
        session.execute("SET max_parallel_workers_per_gather = 0")
        session.execute("SELECT pg_backend_pid()")
        processes = (os.getpid(), session.fetchone()[0])
    seen: dict[str, dict[str, float]] = {"seconds": {}, "cpu_seconds": {}, "answers": {}}
    for name, question in questions.items():
        found = [_timed(question, processes) for _ in range(RUNS)]
        seen["answers"][name] = found[0][2]
        for column, measured in enumerate(("seconds", "cpu_seconds")):
            seen[measured][name] = round(statistics.median(each[column] for each in found), 3)
    peaks = [_peak_mb(process) for process in processes]
    return {**seen, "peak_mb": dict(zip(("asking", "postgresql"), peaks, strict=True))}


def _timed(question: Callable[[], int], processes: tuple[int, ...]) -> tuple[float, float, int]:
    began, worked = time.perf_counter(), sum(map(cpu_seconds, processes))
    answer = question()
    return time.perf_counter() - began, sum(map(cpu_seconds, processes)) - worked, answer


def _peak_mb(process: int) -> int:
    """Of memory that is not PostgreSQL's shared buffers."""
    said = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    shared = int(said["RssShmem"].split()[0])
    return round((int(said["VmHWM"].split()[0]) - shared) / 1024)


if __name__ == "__main__":
    works: dict[str, Callable[..., dict[str, Any]]] = {"prepare": prepare, "fill": fill, "ask": ask}
    verb, *words = sys.argv[1:]
    print(json.dumps(works[verb](*map(int, words))))
