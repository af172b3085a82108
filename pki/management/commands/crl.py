"""`manage.py crl publish|show`: an issuer's CRL."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from django.core.management.base import BaseCommand, CommandError

from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.errors import DomainError
from pki.core.pem import encode_pem
from pki.core.values import PublishedCrl, serial_hex
from pki.queries import find_issuer, latest_crl
from pki.services import publish_crl


class Command(BaseCommand):
    """Publishes a CRL, or shows the newest."""

    help = "Publishes an issuer's CRL now, or shows the newest one."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What is done with which issuer's CRL."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="publish|show")
        publish = verbs.add_parser("publish", help="build and store a new CRL")
        show = verbs.add_parser("show", help="what the newest CRL says")
        show.add_argument("--entries", action="store_true", help="every entry too")
        show.add_argument("--out", metavar="FILE", default="", help="write it there: PEM if the name ends so, else DER")
        for verb in (publish, show):
            verb.add_argument("issuer", help="slug of the issuer")
            verb.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, verb: str, issuer: str, **options: Any) -> None:
        """Publishes or reads, and prints."""
        try:
            id = find_issuer(slug=issuer).id
            crl = publish_crl(issuer=id, now=utc_now(), force=True) if verb == "publish" else latest_crl(issuer=id)
        except DomainError as error:
            raise CommandError(error.detail) from error
        if crl is None:
            raise CommandError(f"{issuer} has no CRL yet: publish one with `manage.py crl publish {issuer}`.")
        if options.get("out"):
            _write(Path(options["out"]), crl)
        document = _document(issuer, crl, entries=options.get("entries", False))
        if options["json"]:
            self.stdout.write(json.dumps(document))
            return
        self.stdout.write(
            f"CRL {crl.number} of {issuer} lists {crl.entries}; "
            f"made {document['this_update']}, next by {document['next_update']}."
        )
        for entry in document.get("revoked", ()):
            self.stdout.write(f"{entry['serial_number']}  {entry['revoked_at']}  {entry['reason']}")


def _write(path: Path, crl: PublishedCrl) -> None:
    octets = encode_pem("X509 CRL", crl.der).encode() if path.suffix == ".pem" else crl.der
    try:
        path.write_bytes(octets)
    except OSError as error:
        raise CommandError(f"The CRL can not be written: {error}.") from error


def _document(issuer: str, crl: PublishedCrl, *, entries: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "issuer": issuer,
        "number": crl.number,
        "this_update": to_rfc3339(crl.this_update),
        "next_update": to_rfc3339(crl.next_update),
        "entries": crl.entries,
    }
    if entries:
        document["revoked"] = [_entry(revoked) for revoked in x509.load_der_x509_crl(crl.der)]
    return document


def _entry(revoked: x509.RevokedCertificate) -> dict[str, str]:
    try:
        reason = revoked.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        reason = "unspecified"
    return {
        "serial_number": serial_hex(revoked.serial_number),
        "revoked_at": to_rfc3339(revoked.revocation_date_utc),
        "reason": reason,
    }
