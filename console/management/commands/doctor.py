"""`manage.py doctor`: whether this installation is well."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from console.diagnosis import Level, look_over
from kernel.core.clock import utc_now


class Command(BaseCommand):
    """Looks everything over; exit code 1 if something is wrong."""

    help = (
        "Checks settings, keys, clocks, findings, brokers, the queue and overdue work; exit code 1 if something is bad."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--journal", action="store_true", help="check the whole journal too")

    def handle(self, *_args: Any, **options: Any) -> None:
        found = look_over(now=utc_now(), whole_journal=options["journal"])
        well = all(seen.level is not Level.ERROR for seen in found)
        if options["json"]:
            self.stdout.write(json.dumps({"well": well, "observations": [asdict(seen) for seen in found]}))
        else:
            for seen in found:
                self.stdout.write(f"{seen.level:<8} {seen.check:<9} {seen.text}")
        if not well:
            sys.exit(1)
