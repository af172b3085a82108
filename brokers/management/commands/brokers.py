"""`manage.py brokers`: list brokers, plan and apply the policy, see drift, and set up or fill a Mosquitto."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from brokers import queries, services
from brokers.core.mosquitto.conf import DYNSEC_PLUGIN
from brokers.core.plans import Plan
from devices import queries as devices
from devices.management.operator import shell_operator
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError


class Command(BaseCommand):
    """One subcommand for each thing that is done to a broker."""

    help = "Lists brokers, plans and applies the policy, shows drift, sets up a Mosquitto."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        for verb, told in (
            ("list", "every broker and whether it is in sync"),
            ("plan", "what applying the policy to a broker would do"),
            ("apply", "apply the policy to a broker"),
            ("drift", "how a broker differs from the policy now; exit code 1 if it does"),
            ("first-file", "the file that a Mosquitto starts with, with the policy in it, from the one that it has"),
            ("scaffold", "make the folder, certificate and configuration of a new Mosquitto, and register it"),
        ):
            command = verbs.add_parser(verb, help=told)
            command.add_argument("--json", action="store_true", help="print JSON")
            if verb != "list":
                command.add_argument("name", help="the broker's name")
            if verb == "apply":
                command.add_argument("--accept", nargs="*", default=[], help="ids of wider deviations to accept")
            if verb == "first-file":
                where = command.add_mutually_exclusive_group()
                where.add_argument("--existing", help="the file that the broker has; standard input if none is given")
                where.add_argument("--beside", action="store_true", help="read and write in the folder that both share")
            if verb == "scaffold":
                command.add_argument("--domain", default="default", help="slug of its domain")
                command.add_argument(
                    "--hosts", nargs="+", default=["127.0.0.1", "localhost"], help="what devices call it"
                )
                command.add_argument("--device-port", type=int, default=8884, help="port for devices, mutual TLS")
                command.add_argument("--control-port", type=int, default=1884, help="port for Gatehouse, on loopback")
                command.add_argument("--directory", help="the folder as the broker sees it, if it is in a container")
                command.add_argument("--plugin", default=DYNSEC_PLUGIN, help="where the broker has the plugin")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        work: Callable[..., None] = getattr(self, f"_{verb.replace('-', '_')}")
        try:
            work(**options)
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _list(self, *, json: bool, **_: Any) -> None:
        found = [queries.get_broker(id=broker) for broker in queries.all_brokers()]
        documents = [
            {"name": each.name, "kind": each.kind.value, "state": each.sync.value, "detail": each.detail}
            for each in found
        ]
        self._print(documents, json=json, line=lambda each: f"{each['name']}  {each['kind']}  {each['state']}")

    def _plan(self, *, name: str, json: bool, **_: Any) -> None:
        self._show(self._planned(name), json=json)

    def _apply(self, *, name: str, json: bool, accept: list[str], **_: Any) -> None:
        plan = self._planned(name)
        operation = services.apply_plan(
            broker=plan.broker, plan=plan.id, accept_deviations=tuple(accept), actor=shell_operator(), now=utc_now()
        )
        told = {"operation": str(operation), "steps": len(plan.steps)}
        self._print([told], json=json, line=lambda each: f"operation {each['operation']}: {each['steps']} steps")

    def _drift(self, *, name: str, json: bool, **_: Any) -> None:
        found = services.compare_broker(broker=queries.get_broker(name=name).id, now=utc_now())
        told = {"state": found.sync.value, "count": found.count, "differences": list(found.differences)}
        self._print([told], json=json, line=lambda each: "\n".join([each["state"], *each["differences"]]))
        if found.count:
            raise CommandError(f"{found.count} differences", returncode=1)

    def _first_file(self, *, name: str, json: bool, existing: str | None, beside: bool, **_: Any) -> None:
        broker, actor, now = queries.get_broker(name=name).id, shell_operator(), utc_now()
        place = "<this file>"
        if beside:
            made, path = services.write_first_file(broker=broker, actor=actor, now=now)
            place = str(path)
            self._print([{"file": place, "devices": made.devices}], json=json, line=lambda each: each["file"])
        else:
            made = services.first_file_of(broker=broker, existing=_read(existing), actor=actor, now=now)
            self.stdout.write(made.text, ending="")
        for line in (*made.warnings, *_next_steps(name, made.devices, place)):
            self.stderr.write(line)

    def _scaffold(self, *, name: str, json: bool, domain: str, directory: str | None, **settings: Any) -> None:
        broker, path = services.scaffold_mosquitto(
            domain=devices.get_domain(slug=domain).id,
            name=name,
            hosts=settings["hosts"],
            device_port=settings["device_port"],
            control_port=settings["control_port"],
            directory=PurePosixPath(directory) if directory else None,
            plugin=settings["plugin"],
            actor=shell_operator(),
            now=utc_now(),
        )
        told = {"broker": broker.name, "configuration": str(path)}
        start = f"Start it:   mosquitto -c {path}"
        then = f"Then apply: manage.py brokers apply {broker.name}"
        self._print([told], json=json, line=lambda _: f"{start}\n{then}")

    def _planned(self, name: str) -> Plan:
        return services.plan_broker(broker=queries.get_broker(name=name).id, actor=shell_operator(), now=utc_now())

    def _show(self, plan: Plan, *, json: bool) -> None:
        told = {
            "plan": str(plan.id),
            "in_sync": plan.in_sync,
            "steps": [step.summary for step in plan.steps],
            "deviations": [{"id": each.id, "kind": each.kind, "why": each.why} for each in plan.deviations],
            "warnings": list(plan.warnings),
        }
        steps = [step.summary for step in plan.steps] or ["in sync: nothing to do"]
        lines = [*steps, *(f"{each.kind}: {each.why}" for each in plan.deviations), *plan.warnings]
        self._print([told], json=json, line=lambda _: "\n".join(lines))

    def _print(self, documents: list[dict[str, Any]], *, json: bool, line: Callable[[dict[str, Any]], str]) -> None:
        for document in documents:
            self.stdout.write(_text(document) if json else line(document))


def _read(path: str | None) -> str:
    """What stands there, or on standard input. Raises CommandError."""
    try:
        if path is None and sys.stdin.isatty():
            raise CommandError("Give the file that the broker has: --existing <file>, or < <file>.")
        return sys.stdin.read() if path is None else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The file that the broker has can not be read: {error}.") from error


def _next_steps(name: str, devices: int, place: str) -> list[str]:
    return [
        f"{devices} devices. Now, without delay:",
        "1. Stop the broker: it writes over its file.",
        f"2. cat {place} > dynamic-security.json, over the broker's own: owner and mode stay.",
        "3. Start the broker.",
        f"4. manage.py brokers apply {name}: the rest, if any. Before that nobody who is revoked is shut out there.",
    ]


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False)
