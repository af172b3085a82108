"""`manage.py offline-root`: makes a root whose key stays on this machine. It needs no database."""  # noqa: N999

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from django.core.management.base import BaseCommand, CommandError

from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from pki.core.offline_root import make_offline_root
from pki.core.values import KeyAlgorithm
from pki.management.key_files import choose_passphrase, write_new


class Command(BaseCommand):
    """Makes key and certificate, and writes both."""

    help = "Makes a root with a key that stays here, encrypted under a passphrase; `manage.py issuer import --offline`."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What the root is called, and where it is written."""
        parser.add_argument("name", help="its common name")
        parser.add_argument("--key", required=True, metavar="FILE", help="where the encrypted key is written")
        parser.add_argument("--certificate", required=True, metavar="FILE", help="where the certificate is written")
        parser.add_argument("--algorithm", choices=[*KeyAlgorithm], default=KeyAlgorithm.ECDSA_P384.value)
        parser.add_argument("--days", type=int, default=7_305, help="how long it is valid (7305: twenty years)")
        parser.add_argument("--passphrase-file", default="", metavar="FILE", help="its first line is the passphrase")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Makes it."""
        passphrase = choose_passphrase(options["passphrase_file"])
        try:
            certificate, key = make_offline_root(
                common_name=options["name"],
                algorithm=KeyAlgorithm(options["algorithm"]),
                validity=timedelta(days=options["days"]),
                now=utc_now(),
            )
        except DomainError as error:
            raise CommandError(error.detail) from error
        wrapped = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase.encode()))
        write_new(options["key"], wrapped, mode=0o600)
        write_new(options["certificate"], certificate.public_bytes(Encoding.PEM), mode=0o644)
        told = (
            f"{options['key']} stays here; keep a copy of it and its passphrase in two places. Take "
            f"{options['certificate']} to Gatehouse: `manage.py issuer import SLUG --offline --certificate FILE`."
        )
        facts = {"key": options["key"], "certificate": options["certificate"]}
        self.stdout.write(json.dumps(facts) if options["json"] else told)
