"""`manage.py keys`: the private keys there are, whether they sign, and bringing them under a new master key."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.services.replace_master_key import Replacement, rewrap_everything
from kernel.conf import master_key
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from pki.management.operator import shell_operator
from pki.services.inspect_keys import KeyFacts, check_keys, list_keys, list_strays


class Command(BaseCommand):
    """Never prints a key."""

    help = "Lists private keys, tries each of them, or brings all that is secret under the present master key."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do."""
        parser.add_argument("verb", choices=["list", "check", "rewrap"])
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """Exit code 1 if a key does not sign, or something stays under another master key."""
        try:
            if verb == "rewrap":
                well = self._rewrap(as_json=options["json"])
            elif verb == "list":
                well = self._show(list_keys(), [], as_json=options["json"])
            else:
                well = self._show([*check_keys()], list_strays(), as_json=options["json"])
        except DomainError as error:
            raise CommandError(error.detail) from error
        if not well:
            sys.exit(1)

    def _show(self, keys: list[KeyFacts], strays: list[str], *, as_json: bool) -> bool:
        if as_json:
            documents = [asdict(facts) | {"id": str(facts.id)} for facts in keys]
            self.stdout.write(
                json.dumps({"master_key": master_key().current.id.hex(), "keys": documents, "strays": strays})
            )
        else:
            for facts in keys:
                place = facts.locator or f"under {facts.master_key}"
                words = f"{facts.id}  {facts.algorithm:<10}  {facts.custody:<9}  {facts.purpose:<32}  {place}"
                self.stdout.write(words + (f"\n    {facts.fault}" if facts.fault else ""))
            for place in strays:
                self.stdout.write(f"{place}: nothing names this key; an attempt that was broken off may have left it")
            self.stdout.write(f"{len(keys)} keys; the master key is {master_key().current.id.hex()}.")
        return not any(facts.fault for facts in keys)

    def _rewrap(self, *, as_json: bool) -> bool:
        found = rewrap_everything(actor=shell_operator(), now=utc_now())
        if as_json:
            self.stdout.write(json.dumps(asdict(found), default=str))
            return not found.left
        for place in found.envelopes:
            self.stdout.write(f"{place.place}: {place.done} wrapped anew")
        self.stdout.write("journal: sealed anew" if found.sealed else "journal: sealed under the present key")
        for sentence in found.left:
            self.stdout.write(f"left: {sentence}")
        self.stdout.write(_conclusion(found))
        return not found.left


def _conclusion(found: Replacement) -> str:
    if found.left:
        return f"{len(found.left)} secrets are not under the master key {found.key}: keep the older ones."
    if found.hashes:
        tokens = ", ".join(f"{each.count} {each.kind} (to {each.until:%Y-%m-%d %H:%M} UTC)" for each in found.hashes)
        return f"Only tokens hang on older master keys, which stop working without them: {tokens}."
    return "Nothing hangs on an older master key: GATEHOUSE_MASTER_KEY_PREVIOUS can be emptied."
