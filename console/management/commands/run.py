"""`manage.py run`: everything under one parent, for a first look, a small site or a developer."""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from brokers.embedded import prepare_embedded
from console.processes import all_programs
from console.starting import refuse_unknown_master_key
from console.static_files import collect_static_files
from console.supervisor import Supervisor
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from kernel.services.alone import alone

HOST = "127.0.0.1"


class Command(BaseCommand):
    """Prepares what is missing, starts every process, and stays until Ctrl-C."""

    help = "Runs web server, workers, scheduler, listener and an embedded MQTT broker; Ctrl-C ends all of them."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        os.umask(0o077)  # database, queue and logs are nobody else's business
        with _only_one(settings.GATEHOUSE_HOME):
            _require_free("GATEHOUSE_PORT", settings.GATEHOUSE_PORT)
            _require_free("GATEHOUSE_MQTT_PORT", settings.GATEHOUSE_MQTT_PORT)
            broker = self._prepare()
            logs = settings.GATEHOUSE_HOME / "logs"
            self._say(f"Logs                {logs}/\n\nStarting ...")
            Supervisor(all_programs(broker=broker), logs=logs, say=self._say).run(when_ready=self._is_ready)
            self._say("Stopped.")

    def _prepare(self) -> list[str] | None:
        """The command line of the embedded broker, once everything is in its place."""
        self._say(f"Preparing {settings.GATEHOUSE_HOME} ...")
        try:
            refuse_unknown_master_key()
            call_command("quickstart", stdout=self.stdout, stderr=self.stderr)
            collect_static_files()
            return prepare_embedded(now=utc_now())
        except DomainError as error:
            raise CommandError(error.detail) from error
        finally:
            connections.close_all()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _is_ready(self) -> bool:
        """Whether requests are served; says so if they are."""
        link = http.client.HTTPConnection(HOST, settings.GATEHOUSE_PORT, timeout=2)
        try:
            link.request("GET", "/readyz", headers={"Host": urlsplit(settings.GATEHOUSE_BASE_URL).netloc})
            ready = link.getresponse().status != HTTPStatus.SERVICE_UNAVAILABLE
        except (http.client.HTTPException, OSError):
            return False
        finally:
            link.close()
        if ready:
            self._say(f"Gatehouse is up: {settings.GATEHOUSE_BASE_URL}/ (Ctrl-C ends it)")
        return ready


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    with alone(home / "run.lock") as is_alone:
        if not is_alone:
            raise CommandError(
                f"Gatehouse runs already in {home}: set GATEHOUSE_HOME, GATEHOUSE_PORT and GATEHOUSE_MQTT_PORT "
                "to run a second one beside it."
            )
        yield


def _require_free(setting: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise CommandError(f"{setting} is {port}, which needs root: choose one above 1023.") from error
            raise CommandError(f"Port {port} is taken by another program: set {setting} to a free one.") from error
