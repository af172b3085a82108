"""`manage.py certificate list|show`: the certificates that were issued."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kernel.core.clock import to_rfc3339
from kernel.core.errors import DomainError
from pki.core.values import CertificateState, IssuedCertificate
from pki.queries import find_issuer, list_certificates, list_issuers

_PAGE = 500


class Command(BaseCommand):
    """Reads certificates; changes nothing."""

    help = "Lists certificates, the newest first, or shows one."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which certificates."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|show")
        listed = verbs.add_parser("list", help="the newest first; with --json one object a line")
        listed.add_argument("--holder", default="", help="such as device:<id> or service:billing")
        listed.add_argument("--profile", default="", help="name of the profile")
        listed.add_argument("--state", default="", choices=["", *CertificateState], metavar="STATE", help=_STATES)
        listed.add_argument("--limit", type=int, default=50, help="at most so many; 0 for all (default 50)")
        shown = verbs.add_parser("show", help="one certificate, with its PEM")
        for verb, fewest in ((listed, "?"), (shown, None)):
            verb.add_argument("serial", nargs=fewest, default="", help="serial number, or its beginning")
            verb.add_argument("--issuer", default="", help="slug of the issuer")
            verb.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *_args: Any, verb: str, serial: str, issuer: str, **options: Any) -> None:
        """Reads and prints."""
        domains = {each.domain for each in list_issuers()}
        try:
            if issuer:
                find_issuer(slug=issuer)
            if verb == "list":
                narrowed = {name: options[name] for name in ("holder", "profile", "state")}
                narrowed |= {"issuer": issuer, "serial": serial}
                self._list(domains, narrowed, limit=options["limit"], as_json=options["json"])
                return
            found = list_certificates(domains=domains, limit=2, issuer=issuer, serial=serial)
        except DomainError as error:
            raise CommandError(error.detail) from error
        if len(found) != 1:
            several = "Several certificates have a serial number that begins so: give more of it, or the issuer."
            raise CommandError(several if found else "There is no certificate with such a serial number.")
        document = {**_document(found[0]), "certificate": found[0].pem, "chain": found[0].chain_pem}
        told = (f"{name}: {value}" for name, value in document.items() if name not in {"certificate", "chain"})
        self.stdout.write(json.dumps(document) if options["json"] else "\n".join((*told, found[0].pem)))

    def _list(self, domains: set[Any], narrowed: dict[str, str], *, limit: int, as_json: bool) -> None:
        """Page by page, so that a million need no more memory than a few."""
        before, left = None, limit or None
        while page := list_certificates(domains=domains, before=before, limit=min(_PAGE, left or _PAGE), **narrowed):
            for each in page:
                self.stdout.write(json.dumps(_document(each)) if as_json else _line(each))
            before = page[-1].id
            left = None if left is None else left - len(page)
            if left == 0:
                return


_STATES = f"one of {', '.join(CertificateState)}"


def _line(certificate: IssuedCertificate) -> str:
    ends = to_rfc3339(certificate.not_after)
    return (
        f"{certificate.serial_hex:40}  {certificate.state:9}  {ends}  {certificate.issuer_slug}  {certificate.subject}"
    )


def _document(certificate: IssuedCertificate) -> dict[str, Any]:
    return {
        "id": str(certificate.id),
        "issuer": certificate.issuer_slug,
        "serial_number": certificate.serial_hex,
        "subject": certificate.subject,
        "holder": certificate.holder,
        "profile": certificate.profile,
        "state": certificate.state.value,
        "not_before": to_rfc3339(certificate.not_before),
        "not_after": to_rfc3339(certificate.not_after),
        "revoked_at": to_rfc3339(certificate.revoked_at) if certificate.revoked_at else None,
        "reason": certificate.reason.value if certificate.reason is not None else None,
        "fingerprint": certificate.fingerprint,
    }
