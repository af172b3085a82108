"""What `bench/push_services.py` runs in processes of their own: a fleet in a database, its broker, revocations.

`python -m bench.push_fleet prepare DEVICES HALLS`, `register CONNECTION`, `webhook`, `check`, `revoke`. `check` goes on
until its input ends, `revoke` revokes whoever a line of its input names.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
django.setup()

from acl.core.rules import RuleSpec  # noqa: E402 - after django.setup()
from acl.core.values import Action, Effect  # noqa: E402
from acl.services import create_role  # noqa: E402
from brokers import models  # noqa: E402
from brokers.core.decide.decisions import Identity  # noqa: E402
from brokers.core.mosquitto.dynsec import render  # noqa: E402
from brokers.core.values import AdapterKind, BrokerId  # noqa: E402
from brokers.services import check_drift, converge, mint_decision_secret, register_broker  # noqa: E402
from brokers.services.desired import desired_state  # noqa: E402
from devices import services  # noqa: E402
from devices.models import Device, DeviceType, Domain, Group  # noqa: E402
from devices.services.bindings import BindingTarget  # noqa: E402
from kernel.core.actor import SYSTEM  # noqa: E402
from kernel.core.clock import utc_now  # noqa: E402
from kernel.core.ids import DomainId, new_id  # noqa: E402
from pki.core.values import ReasonCode  # noqa: E402

_WHO: dict[str, Any] = {"actor": SYSTEM, "now": datetime.now(UTC)}


def prepare(devices: str, halls: str) -> None:
    """Domain, role and devices as `bench/push.py` has them, active; prints the broker's first file."""
    domain = services.create_domain(slug="north", name="North", **_WHO).id
    services.create_device_type(domain=domain, name="pump", schema={}, **_WHO)
    kind = DeviceType.objects.get()
    _role(
        domain,
        BindingTarget(device_type="pump"),
        (Action.PUBLISH, "${domain}/${client_id}/up/#"),
        (Action.SUBSCRIBE, "${domain}/${client_id}/down/#"),
        (Action.SUBSCRIBE, "${domain}/all/#"),
    )
    groups = [Group(id=new_id(), domain_id=domain, name=f"hall-{number}") for number in range(int(halls))]
    Group.objects.bulk_create(groups)
    for group in groups:
        _role(domain, BindingTarget(group=group.name), (Action.SUBSCRIBE, f"north/{group.name}/#"))
    names = [f"p-{number}" for number in range(int(devices))]
    rows = Device.objects.bulk_create(
        Device(id=new_id(), domain_id=domain, device_type=kind, name=name, auth_id=name, client_id=name,
               state="active", attributes={}, created_at=_WHO["now"])
        for name in names
    )  # fmt: skip
    member = Device.groups.through
    member.objects.bulk_create(
        member(device_id=row.id, group_id=groups[number % len(groups)].id) for number, row in enumerate(rows)
    )
    print(render(desired_state(domain=domain, broker=None, now=utc_now()).subjects).artifact)


def _role(domain: DomainId, target: BindingTarget, *topics: tuple[Action, str]) -> None:
    rules = [RuleSpec(effect=Effect.ALLOW, actions=frozenset({action}), topic=topic) for action, topic in topics]
    role = create_role(domain=domain, name=target.group or "pump", rules=rules, **_WHO)
    services.bind_role(domain=domain, role=role.id, target=target, **_WHO)


def register(connection: str) -> None:
    """The broker, which holds its first file, is kept in agreement from now on; prints how many steps were missing."""
    domain, kind = DomainId(Domain.objects.get().id), AdapterKind.MOSQUITTO_DYNSEC
    broker = register_broker(domain=domain, name="hall-7", kind=kind, connection=json.loads(connection), **_WHO)
    models.Broker.objects.update(managed_since=utc_now())
    print(converge(broker=broker.id, now=utc_now()).steps)


def webhook() -> None:
    """Registers an EMQX that tells by webhook; prints its id and secret."""
    domain = DomainId(Domain.objects.get().id)
    connection = {"host": "127.0.0.1", "port": 1, "api_key": "k", "api_secret": "s"}
    broker = register_broker(domain=domain, name="emqx-1", kind=AdapterKind.EMQX, connection=connection, **_WHO)
    made = mint_decision_secret(broker=broker.id, identity=Identity.CERTIFICATE, **_WHO)
    print(json.dumps([str(broker.id), made.secret]))


def check() -> None:
    """Checks the broker again and again until the input ends; prints how many were noted, and how many gave way."""
    enough = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), enough.set()), daemon=True).start()
    broker, noted, gave_way = BrokerId(models.Broker.objects.get().id), list[float](), 0
    while not enough.wait(0.05):
        began, lease = time.monotonic(), models.Broker.objects.get().lease
        found = check_drift(broker=broker, now=utc_now())
        if not found.detail:
            noted.append(time.monotonic() - began)
        elif models.Broker.objects.get().lease != lease:
            gave_way += 1
    print(json.dumps({"noted": len(noted), "gave_way": gave_way, "longest_seconds": round(max(noted, default=0), 2)}))


def revoke() -> None:
    """Revokes the device that each line of the input names; prints when it began to, in monotonic seconds."""
    for line in sys.stdin:
        device = Device.objects.get(name=line.strip())
        began = time.monotonic()
        services.revoke_device(device=device.id, reason=ReasonCode.KEY_COMPROMISE, actor=SYSTEM, now=utc_now())
        print(json.dumps(began), flush=True)


if __name__ == "__main__":
    works: dict[str, Callable[..., None]] = {
        "prepare": prepare,
        "register": register,
        "webhook": webhook,
        "check": check,
        "revoke": revoke,
    }
    verb, *words = sys.argv[1:]
    works[verb](*words)
