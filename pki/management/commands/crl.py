"""`manage.py crl publish|show|bundle`: an issuer's CRLs."""

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
from pki.core.values import CrlKind, IssuerId, PublishedCrl, serial_hex
from pki.queries import CRL_LABEL, find_issuer, issuers_with_crls, latest_crl
from pki.services import publish_crl


class Command(BaseCommand):
    """Publishes CRLs, or shows the newest."""

    help = "Publishes an issuer's CRLs now, shows the newest one, or writes it with those of the issuers above."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What is done with which issuer's CRL."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="publish|show|bundle")
        publish = verbs.add_parser("publish", help="build and store the full CRL, the delta and every shard")
        show = verbs.add_parser("show", help="what the newest CRL says")
        show.add_argument("--delta", action="store_true", help="of the delta")
        show.add_argument("--shard", type=int, default=None, help="of this shard")
        show.add_argument("--entries", action="store_true", help="every entry too")
        show.add_argument("--out", metavar="FILE", default="", help="write it there: PEM if the name ends so, else DER")
        bundle = verbs.add_parser("bundle", help="one PEM for brokers: its full CRL and those of the issuers above")
        for verb in (publish, show, bundle):
            verb.add_argument("issuer", help="slug of the issuer")
        for verb in (publish, show):
            verb.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, verb: str, issuer: str, **options: Any) -> None:
        """Publishes or reads, and prints."""
        try:
            id = find_issuer(slug=issuer).id
            if verb == "bundle":
                self.stdout.write(_bundle(issuer), ending="")
                return
            crl = publish_crl(issuer=id, now=utc_now(), force=True) if verb == "publish" else _newest(id, options)
        except DomainError as error:
            raise CommandError(error.detail) from error
        if crl is None:
            raise CommandError(f"{issuer} has no such CRL yet: publish one with `manage.py crl publish {issuer}`.")
        if options.get("out"):
            _write(Path(options["out"]), crl)
        document = _document(issuer, crl, entries=options.get("entries", False))
        self.stdout.write(json.dumps(document) if options["json"] else _told(document))


def _newest(issuer: IssuerId, options: dict[str, Any]) -> PublishedCrl | None:
    if options["shard"] is not None:
        return latest_crl(issuer=issuer, kind=CrlKind.SHARD, shard=options["shard"])
    return latest_crl(issuer=issuer, kind=CrlKind.DELTA if options["delta"] else CrlKind.FULL)


def _bundle(slug: str) -> str:
    found = [latest_crl(issuer=find_issuer(slug=each).id) for each in issuers_with_crls(slug=slug)]
    return "".join(encode_pem(CRL_LABEL, crl.der) for crl in found if crl)


def _told(document: dict[str, Any]) -> str:
    said = (
        f"CRL {document['number']} of {document['issuer']} lists {document['entries']}; "
        f"made {document['this_update']}, next by {document['next_update']}."
    )
    entries = (
        f"{each['serial_number']}  {each['revoked_at']}  {each['reason']}" for each in document.get("revoked", ())
    )
    return "\n".join((said, *entries))


def _write(path: Path, crl: PublishedCrl) -> None:
    octets = encode_pem(CRL_LABEL, crl.der).encode() if path.suffix == ".pem" else crl.der
    try:
        path.write_bytes(octets)
    except OSError as error:
        raise CommandError(f"The CRL can not be written: {error}.") from error


def _document(issuer: str, crl: PublishedCrl, *, entries: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "issuer": issuer,
        "kind": crl.kind.value,
        "shard": crl.shard,
        "number": crl.number,
        "base_number": crl.base_number,
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
