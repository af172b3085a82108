"""`manage.py issuer …`: the life of an issuer, from its making to its end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from console.management import issuer_arrivals, issuer_life
from console.management.issuer_telling import Told
from kernel.core.errors import DomainError

_VERBS: Mapping[str, Callable[[dict[str, Any]], Told]] = {
    "list": issuer_life.list_all,
    "show": issuer_life.show,
    "create": issuer_arrivals.create,
    "import": issuer_arrivals.take_over,
    "trust": issuer_arrivals.trust,
    "request": issuer_arrivals.request,
    "install": issuer_arrivals.install,
    "cancel": issuer_arrivals.cancel,
    "requests": issuer_arrivals.list_requests,
    "cancel-signing": issuer_arrivals.cancel_signing,
    "cross-sign": issuer_life.cross_sign,
    "rollover": issuer_life.roll_over,
    "retire": issuer_life.retire,
    "revoke": issuer_life.revoke,
    "export": issuer_life.export,
    "signatures": issuer_life.take_signatures,
}


class Command(BaseCommand):
    """Makes, imports, certifies, rolls over, retires and revokes issuers."""

    help = "Makes, imports, certifies, rolls over, retires and revokes issuers; carries files to offline keys and back."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="|".join(_VERBS))
        issuer_life.add_verbs(verbs)
        issuer_arrivals.add_verbs(verbs)
        for verb in verbs.choices.values():
            verb.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """Does it, and prints."""
        try:
            told = _VERBS[verb](options)
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(json.dumps(told.document) if options["json"] else told.text)
