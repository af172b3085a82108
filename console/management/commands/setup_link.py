"""`manage.py setup_link <user name>`: another way in for an operator who lost the first, or the password."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from console.queries import find_operator
from console.services.operators import make_setup_link
from kernel.core.actor import SYSTEM
from kernel.core.clock import utc_now


class Command(BaseCommand):
    """Makes a setup link, and prints it."""

    help = "Prints a link with which the operator sets a password, once, within two days. Earlier links end."

    def add_arguments(self, parser: CommandParser) -> None:
        """The operator."""
        parser.add_argument("username")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Prints the link."""
        operator = find_operator(username=options["username"])
        if operator is None:
            raise CommandError(f"There is no operator called {options['username'][:150]!r}.")
        url = make_setup_link(operator=operator, actor=SYSTEM, now=utc_now())
        document = {"username": operator.username, "setup_url": url}
        self.stdout.write(json.dumps(document) if options["json"] else url)
