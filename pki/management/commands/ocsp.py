"""`manage.py ocsp`: what our own responder says of a certificate."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.errors import DomainError
from pki.core.values import SerialNumber
from pki.services import query_ocsp


class Command(BaseCommand):
    """Asks; changes nothing."""

    help = "Asks our own OCSP responder about one certificate, and prints its signed answer's content."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which certificate."""
        parser.add_argument("issuer", help="slug of the issuer")
        parser.add_argument("serial", help="serial number in hex")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, issuer: str, serial: str, **options: Any) -> None:
        """Asks, and prints."""
        try:
            number = SerialNumber(int(serial.replace(":", ""), 16))
        except ValueError as error:
            raise CommandError("Give the serial number in hex.") from error
        if not 0 < number < 1 << 160:
            raise CommandError("A serial number has 1 to 20 octets and is above zero (RFC 5280 4.1.2.2).")
        try:
            report = query_ocsp(issuer=issuer, serial=number, now=utc_now())
        except DomainError as error:
            raise CommandError(error.detail) from error
        if options["json"]:
            self.stdout.write(json.dumps({name: _plain(value) for name, value in asdict(report).items()}))
            return
        since = (
            f" since {to_rfc3339(report.revoked_at)} ({report.reason or 'unspecified'})" if report.revoked_at else ""
        )
        self.stdout.write(f"{report.status}{since}; as known at {to_rfc3339(report.this_update)}")


def _plain(value: Any) -> Any:
    return to_rfc3339(value) if isinstance(value, datetime) else value
