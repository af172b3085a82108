"""`manage.py quickstart`: makes a fresh installation usable, and says once how to get in."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from console.services import first_run
from kernel.core.clock import utc_now

_ADVISORY_LOCK = 0x6761_7465  # "gate"


class Command(BaseCommand):
    """Makes what is missing, and prints what there is."""

    help = (
        "Migrates the database and makes what a fresh installation needs: a domain, its CA, a starter role, an "
        "enrolment profile, the embedded broker, the first operator, an application. It is harmless to repeat. The "
        "first run prints the operator's setup link and the application's secret; later ones leave both out: "
        "`manage.py setup_link admin` makes another link."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """--json"""
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Sets up under a lock, then prints."""
        with _alone():
            call_command("migrate", interactive=False, verbosity=0)
            found = first_run.set_up(now=utc_now())
        if options["json"]:
            self.stdout.write(json.dumps(_document(found)))
        else:
            self.stdout.write(_prose(found))
        if found.setup_url is None and found.waits_for_setup:
            self.stderr.write(
                f"The operator {found.operator} has no password yet: "
                f"`manage.py setup_link {found.operator}` makes a new link to set one."
            )


def _document(found: first_run.FirstRun) -> dict[str, Any]:
    operator = {"username": found.operator}
    application = {"client_id": found.client_id}
    if found.setup_url is not None and found.client_secret is not None:
        operator["setup_url"] = found.setup_url
        application["client_secret"] = found.client_secret
    return {
        "operator": operator,
        "domain": first_run.DOMAIN,
        "issuer": first_run.ISSUER,
        "role": first_run.ROLE,
        "enrolment_profile": first_run.PROFILE,
        "broker": first_run.BROKER,
        "application": application,
    }


def _prose(found: first_run.FirstRun) -> str:
    lines = [
        f"Console and API     {settings.GATEHOUSE_BASE_URL}/",
        f"Domain              {first_run.DOMAIN}, issuer {first_run.ISSUER}, role {first_run.ROLE}",
        f"Enrolment profile   {first_run.PROFILE}",
        f"Broker              {first_run.BROKER}, mqtts on port {settings.GATEHOUSE_MQTT_PORT}",
        f"Operator            {found.operator}",
    ]
    if found.setup_url:
        lines.append(f"  set a password, once, within two days: {found.setup_url}")
    lines.append(f"Application         {found.client_id}")
    if found.client_secret:
        lines.append(f"  its secret, shown this once: {found.client_secret}")
    return "\n".join(lines)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Keeps a second run waiting: on this machine by a file, elsewhere by a lock of PostgreSQL."""
    with (Path(settings.GATEHOUSE_HOME) / "quickstart.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if connection.vendor != "postgresql":
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_ADVISORY_LOCK])
