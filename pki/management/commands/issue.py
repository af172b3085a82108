"""`manage.py issue`: a certificate for a request that lies in a file, or for many."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from pki.core.values import IssuedCertificate
from pki.management.bulk import issue_bulk
from pki.management.operator import shell_operator
from pki.queries import find_issuer
from pki.services import OTHERS_HOLDERS, issue_certificate


class Command(BaseCommand):
    """Issues one certificate and prints it with its chain, or one for each row of a file."""

    help = "Issues a certificate for a PKCS#10 request and prints it with its chain as PEM, or many (--bulk)."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What is issued, by whom, to whom."""
        parser.add_argument("csr", nargs="?", help="file with the request, PEM or DER; - for standard input")
        parser.add_argument(
            "--bulk", metavar="FILE", help="NDJSON or .csv with csr, holder, variables, dns, ip, email, uri in each row"
        )
        parser.add_argument("--result", metavar="FILE", help="where --bulk writes what became of each row, as NDJSON")
        parser.add_argument("--issuer", required=True, help="slug of the issuer")
        parser.add_argument("--profile", required=True, help="a profile of the issuer's domain")
        parser.add_argument("--holder", help="whom the key belongs to for ever, such as service:billing")
        parser.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="a variable of the profile"
        )
        parser.add_argument("--dns", action="append", default=[], metavar="NAME", help="a DNS name of the subject")
        parser.add_argument("--ip", action="append", default=[], metavar="ADDRESS", help="an IP address of the subject")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Issues, and prints."""
        if options["bulk"]:
            issue_bulk(options, out=self.stdout, err=self.stderr)
            return
        if not options["csr"] or not options["holder"]:
            raise CommandError("Name the file of the request and, with --holder, whom the key belongs to; or --bulk.")
        kind = options["holder"].partition(":")[0]
        if kind in OTHERS_HOLDERS:
            raise CommandError(f"A certificate of the kind {kind!r} is never issued by hand: enrol the device instead.")
        try:
            issued = issue_certificate(
                issuer=find_issuer(slug=options["issuer"]).id,
                profile=options["profile"],
                csr=_read(options["csr"]),
                holder=options["holder"],
                variables=_variables(options["set"]),
                dns_names=options["dns"],
                ip_addresses=options["ip"],
                actor=shell_operator(),
                now=utc_now(),
            )
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(json.dumps(_document(issued)) if options["json"] else issued.pem + issued.chain_pem)


def _read(path: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"The request can not be read: {error}.") from error


def _variables(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise CommandError(f"--set takes NAME=VALUE, not {name!r}.")
    return {name: value for name, _, value in pairs}


def _document(issued: IssuedCertificate) -> dict[str, str]:
    return {
        "id": str(issued.id),
        "issuer": issued.issuer_slug,
        "serial_number": issued.serial_hex,
        "not_after": issued.not_after.isoformat(),
        "fingerprint": issued.fingerprint,
        "certificate": issued.pem,
        "chain": issued.chain_pem,
    }
