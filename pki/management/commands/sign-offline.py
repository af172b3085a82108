"""`manage.py sign-offline`: signs what was exported for an offline issuer, where its key is. It needs no database."""  # noqa: N999 - commands are called by the names of their files

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kernel.core.errors import DomainError
from pki.core.ca_files import read_key
from pki.core.signing_file import Order, describe, read_orders, sign_orders
from pki.core.signing_words import visible
from pki.management.key_files import read_octets, read_passphrase


class Command(BaseCommand):
    """Prints what is to be signed, asks, and signs."""

    help = "Signs a file of signing requests with an offline issuer's key, after printing what it asks for."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """The file and the key."""
        parser.add_argument("file", help="the file that `manage.py issuer export` wrote; - for standard input")
        parser.add_argument(
            "--key", required=True, metavar="KEYFILE", help="the issuer's private key: PKCS#8, PEM or DER"
        )
        parser.add_argument("--passphrase-file", default="", metavar="FILE", help="its first line opens the key")
        parser.add_argument("--out", default="", metavar="FILE", help="where to write (FILE.signed if absent)")
        parser.add_argument("--yes", action="store_true", help="sign without asking")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Shows, asks, signs."""
        try:
            file = read_orders(read_octets(options["file"]))
            shown = [line for number, order in enumerate(file.orders, 1) for line in _lines(number, order)]
            if not options["json"]:
                self.stdout.write(f"{visible(file.issuer.subject.rfc4514_string())} is asked to sign:")
                self.stdout.write("\n".join(shown) or "nothing")
            if not file.orders:
                raise CommandError("There is nothing to sign in this file.")
            if not options["yes"] and not _agreed(len(file.orders)):
                raise CommandError("Nothing was signed.")
            octets = read_octets(options["key"])
            key = read_key(octets, read_passphrase(options["passphrase_file"], key=octets))
            signed = sign_orders(file, key)
        except DomainError as error:
            raise CommandError(visible(error.detail)) from error
        out = options["out"] or (f"{options['file']}.signed" if options["file"] != "-" else "signed.json")
        _write(out, signed)
        slug = visible(file.slug)
        told = f"{len(file.orders)} signed. Take {out} back: `manage.py issuer signatures {slug} {out}`."
        self.stdout.write(json.dumps({"file": out, "signed": len(file.orders)}) if options["json"] else told)


def _lines(number: int, order: Order) -> Iterator[str]:
    """What the octets say, below what the asking host says of them."""
    yield f"{number}. What follows is read from the octets to be signed."
    yield f"    the asking host calls it (not verified): {visible(order.purpose)}"
    yield from (f"    {line}" for line in describe(order))


def _agreed(number: int) -> bool:
    if not sys.stdin.isatty():
        raise CommandError("Nobody is there to be asked: read what is to be signed, and say --yes.")
    return input(f"Sign {'this' if number == 1 else f'these {number}'}? [y/N] ").strip().lower() in {"y", "yes"}


def _write(path: str, octets: bytes) -> None:
    try:
        Path(path).write_bytes(octets)
    except OSError as error:
        raise CommandError(f"The signatures can not be written: {error}.") from error
