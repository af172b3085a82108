"""`manage.py devices export|import`: the register as NDJSON, and devices registered ahead from a file."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError

from devices import queries, services
from devices.core.import_rows import BadRow, read_csv, read_ndjson
from devices.core.values import Device, Domain
from devices.management.operator import shell_operator
from devices.queries import DeviceFilter, Place
from devices.services.import_devices import RowOutcome
from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.errors import DomainError

_CHUNK = 1_000


class Command(BaseCommand):
    """Reads devices out, and in."""

    help = "Prints the devices of a domain as NDJSON, or registers devices ahead from NDJSON or CSV."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Two subcommands."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="export|import")
        export = verbs.add_parser("export", help="print every device as one line of JSON, by name")
        export.add_argument("--state", default="", help="devices in this state only")
        importing = verbs.add_parser("import", help="register devices of a file ahead; exit code 1 if one is refused")
        importing.add_argument("file", help="NDJSON, or CSV if it is called .csv; - for NDJSON on standard input")
        importing.add_argument("--device-type", default="default", help="for rows that name none (default)")
        importing.add_argument("--dry-run", action="store_true", help="say what would become of each row")
        for command in (export, importing):
            command.add_argument("--domain", default="default", help="slug of the domain (default)")
            command.add_argument("--json", action="store_true", help="print JSON, one object a line")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """One of both."""
        try:
            domain = queries.get_domain(slug=options.pop("domain"))
            if verb == "export":
                self._export(domain, **options)
            else:
                self._import(domain, **options)
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _export(self, domain: Domain, *, state: str, **_: Any) -> None:
        for device in _devices(domain, DeviceFilter(state=state)):
            self.stdout.write(json.dumps(_document(device), ensure_ascii=False))

    def _import(self, domain: Domain, *, file: str, device_type: str, dry_run: bool, json: bool, **_: Any) -> None:
        counted: Counter[RowOutcome] = Counter()
        with _open(file) as lines:
            rows = read_csv(lines) if file.endswith(".csv") else read_ndjson(lines)
            for row in services.import_devices(
                domain=domain.id,
                rows=rows,
                device_type=device_type,
                dry_run=dry_run,
                actor=shell_operator(),
                now=utc_now(),
            ):
                counted[row.outcome] += 1
                if json:
                    self._print({"line": row.number, "name": row.name, "outcome": row.outcome, "detail": row.detail})
                elif row.outcome is RowOutcome.REFUSED:
                    self.stderr.write(f"line {row.number}: {row.name} {row.detail}")
        if not json:
            would = "would be " if dry_run else ""
            self.stdout.write(", ".join(f"{counted[outcome]} {would}{outcome}" for outcome in RowOutcome))
        if counted[RowOutcome.REFUSED]:
            sys.exit(1)

    def _print(self, document: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(document, ensure_ascii=False))


def _devices(domain: Domain, narrowed: DeviceFilter) -> Iterator[Device]:
    place: Place | None = None
    while True:
        page = queries.list_devices(domains=[domain.id], narrowed=narrowed, after=place, limit=_CHUNK)
        yield from page.devices
        if not page.has_more:
            return
        place = (page.devices[-1].name, page.devices[-1].id)


def _document(device: Device) -> dict[str, Any]:
    return {
        "id": str(device.id),
        "name": device.name,
        "auth_id": device.auth_id,
        "client_id": device.client_id,
        "state": device.state.value,
        "device_type": device.device_type,
        "hardware_serial": device.hardware_serial,
        "attributes": dict(device.attributes),
        "groups": list(device.groups),
        "created_at": to_rfc3339(device.created_at),
        "enrolled_at": to_rfc3339(device.enrolled_at) if device.enrolled_at else None,
    }


@contextlib.contextmanager
def _open(path: str) -> Iterator[TextIO]:
    if path == "-":
        yield sys.stdin
        return
    try:
        with Path(path).open(encoding="utf-8", newline="") as lines:
            yield lines
    except OSError as error:
        raise CommandError(f"The file can not be read: {error}.") from error
    except UnicodeDecodeError as error:
        raise BadRow("The file is not in UTF-8: save it as UTF-8.") from error
