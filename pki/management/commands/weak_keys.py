"""`manage.py weak_keys hunt|check|list-debian`: keys that nobody should have a certificate for."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.management.base import BaseCommand, CommandError

from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from pki.core.debian_openssl import MACHINES, PIDS, Seeding
from pki.core.key_checks import WeakKey, check_key
from pki.core.shared_factors import untold
from pki.core.weak_keys import lists_in_use
from pki.management.operator import shell_operator
from pki.services import Hunt, hunt_weak_keys
from pki.services.list_debian_keys import list_debian_keys


class Command(BaseCommand):
    """Hunts for weak keys, or judges one."""

    help = "Looks for weak keys among those that certificates were issued for, or judges one key."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What is done."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="hunt|check|list-debian")
        hunt = verbs.add_parser("hunt", help="test keys that are new since the last hunt, compare them with all")
        hunt.add_argument("--all", action="store_true", help="test every key again")
        check = verbs.add_parser("check", help="judge one key; exit code 1 if it is refused")
        check.add_argument("file", help="PEM of a public key, a request or a certificate")
        listing = verbs.add_parser("list-debian", help="make a list of Debian's weak keys of 2008; it takes hours")
        listing.add_argument("out", help="file to write, or to go on with")
        listing.add_argument("--bits", type=int, nargs="+", choices=(2048, 3072, 4096), default=[2048])
        listing.add_argument("--machines", nargs="+", choices=sorted(MACHINES), default=["le32", "le64"])
        listing.add_argument("--seedings", nargs="+", choices=[*Seeding], default=[*Seeding])
        listing.add_argument("--pids", type=int, nargs=2, metavar=("FIRST", "LAST"), default=[PIDS[0], PIDS[-1]])
        listing.add_argument("--jobs", type=int, default=0, help="processes at once; one for each processor if absent")
        for verb in (hunt, check, listing):
            verb.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """Hunts or judges, and prints."""
        try:
            if verb == "check":
                self._check(Path(options["file"]), as_json=options["json"])
                return
            if verb == "list-debian":
                self._list(options)
                return
            told = self._tell if sys.stderr.isatty() and not options["json"] else None
            hunt = hunt_weak_keys(
                everything=options["all"],
                actor=shell_operator(),
                now=utc_now(),
                **({"progress": told} if told else {}),
            )
        except DomainError as error:
            raise CommandError(error.detail) from error
        self._print(hunt, as_json=options["json"])

    def _tell(self, done: int, of: int) -> None:
        self.stderr.write(f"\r{done:,} of {of:,} RSA keys compared", ending="\n" if done == of else "")

    def _print(self, hunt: Hunt, *, as_json: bool) -> None:
        if as_json:
            found = [
                {"public_key_sha256": each.public_key_sha256, "holder": each.holder, "weakness": str(each.weakness)}
                for each in hunt.found
            ]
            self.stdout.write(json.dumps({"rsa_keys": hunt.rsa_keys, "new_keys": hunt.new_keys, "found": found}))
            return
        for each in hunt.found:
            self.stdout.write(f"{each.holder}  {each.public_key_sha256}  {each.weakness.words}")
        self.stdout.write(
            f"{hunt.new_keys} keys tested, {hunt.rsa_keys} RSA keys compared, {len(hunt.found)} found that are weak; "
            f"{len(lists_in_use())} lists of weak keys in use."
        )

    def _list(self, options: dict[str, Any]) -> None:
        first, last = options["pids"]
        try:
            made = list_debian_keys(
                out=Path(options["out"]),
                bits=options["bits"],
                machines=options["machines"],
                seedings=[Seeding(seeding) for seeding in options["seedings"]],
                pids=range(max(first, PIDS.start), min(last + 1, PIDS.stop)),
                jobs=options["jobs"],
                progress=self._tell_blocks if sys.stderr.isatty() else untold,
            )
        except (OSError, ValueError) as error:
            raise CommandError(f"The list can not be written: {error}.") from error
        self.stdout.write(
            json.dumps({"made": made}) if options["json"] else f"{made} blocks of keys were made and listed."
        )

    def _tell_blocks(self, done: int, of: int) -> None:
        self.stderr.write(f"\r{done:,} of {of:,} blocks", ending="\n" if done == of else "")

    def _check(self, path: Path, *, as_json: bool) -> None:
        try:
            public_key = _read(path.read_bytes())
        except OSError as error:
            raise CommandError(f"The file can not be read: {error}.") from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise CommandError(f"{path} holds no public key, request or certificate in PEM.") from error
        fault = ""
        try:
            check_key(public_key)
        except WeakKey as error:
            fault = error.detail
        self.stdout.write(json.dumps({"accepted": not fault, "detail": fault}) if as_json else fault or "Accepted.")
        if fault:
            sys.exit(1)


def _read(octets: bytes) -> PublicKeyTypes:
    """The key. Raises ValueError, UnsupportedAlgorithm."""
    if b"CERTIFICATE REQUEST" in octets:
        return x509.load_pem_x509_csr(octets).public_key()
    if b"BEGIN CERTIFICATE" in octets:
        return x509.load_pem_x509_certificate(octets).public_key()
    return load_pem_public_key(octets)
