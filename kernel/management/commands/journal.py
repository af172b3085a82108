"""`manage.py journal verify|export`: whether the journal is as it was written, and a copy of it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand

from kernel import queries
from kernel.core.journal import Break, Entry, as_document


class Command(BaseCommand):
    """Reads the journal; changes nothing."""

    help = "Checks the journal's chain, or prints its entries as NDJSON."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="verify|export")
        verify = actions.add_parser("verify", help="find changed, removed and reordered entries; exit code 1 if any")
        verify.add_argument("--json", action="store_true", help="print one JSON document")
        export = actions.add_parser("export", help="print every entry as one line of JSON")
        export.add_argument("--json", action="store_true", help="the same: NDJSON is JSON")
        export.add_argument("--after", type=int, default=0, metavar="SEQ", help="only entries behind this number")

    def handle(self, *_args: Any, action: str, json: bool, after: int = 0, **_options: Any) -> None:
        if action == "export":
            self._export(after_seq=after)
        else:
            self._verify(as_json=json)

    def _verify(self, *, as_json: bool) -> None:
        breaks: list[Break] = []
        last: Entry | None = None
        for found in queries.verify_journal():
            if isinstance(found, Break):
                breaks.append(found)
            else:
                last = found
        count = last.seq if last else 0
        if as_json:
            said: dict[str, Any] = {"intact": not breaks, "last": count, "digest": last.digest.hex() if last else None}
            said["breaks"] = [{"seq": place.seq, "what": place.what} for place in breaks]
            self.stdout.write(json.dumps(said))
        else:
            for place in breaks:
                self.stdout.write(f"entry {place.seq}: {place.what}")
            if not breaks:
                digest = f", ending with {last.digest.hex()}" if last else ""
                self.stdout.write(f"The journal holds: {count} entries{digest}.")
        if breaks:
            sys.exit(1)

    def _export(self, *, after_seq: int) -> None:
        for entry in queries.iterate_entries(after_seq=after_seq):
            self.stdout.write(json.dumps(as_document(entry), sort_keys=True, ensure_ascii=False))
