"""`manage.py revoke`: revokes a certificate, holds it, or releases it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from pki.core.values import IssuedCertificate, ReasonCode, SerialNumber
from pki.management.operator import shell_operator
from pki.queries import find_certificate_by_fingerprint, find_certificate_by_serial, find_issuer, get_certificate
from pki.services import hold_certificate, release_certificate, revoke_certificate

_REASONS = [each.value for each in ReasonCode if each.number not in {6, 8}]  # not hold, not removeFromCRL


class Command(BaseCommand):
    """Changes one certificate; to revoke or hold it again is harmless."""

    help = "Revokes a certificate for good, or puts it on hold, or releases it from hold."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which certificate, and why."""
        parser.add_argument("certificate", help="its SHA-256 fingerprint in hex, or its serial number with --issuer")
        parser.add_argument("--issuer", default="", help="slug of the issuer that the serial number is of")
        act = parser.add_mutually_exclusive_group()
        act.add_argument("--reason", choices=_REASONS, default=ReasonCode.UNSPECIFIED.value)
        act.add_argument("--hold", action="store_true", help="put it on hold instead")
        act.add_argument("--release", action="store_true", help="release it from hold instead")
        parser.add_argument("--note", default="", help="for the journal")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Changes it, and says how it is now."""
        try:
            found = _find(options["certificate"].replace(":", "").lower(), issuer=options["issuer"])
            asked = {"certificate": found.id, "actor": shell_operator(), "now": utc_now(), "note": options["note"]}
            if options["release"]:
                operation = release_certificate(**asked)
            elif options["hold"]:
                operation = hold_certificate(**asked).operation
            else:
                operation = revoke_certificate(**asked, reason=ReasonCode(options["reason"])).operation
            changed = get_certificate(id=found.id)
        except DomainError as error:
            raise CommandError(error.detail) from error
        document = {
            "id": str(changed.id),
            "serial_number": changed.serial_hex,
            "state": changed.state.value,
            "revoked_at": changed.revoked_at.isoformat() if changed.revoked_at else None,
            "reason": changed.reason.value if changed.reason else None,
            "operation": str(operation),
        }
        told = f"{changed.serial_hex} of {changed.issuer_slug} is {changed.state.value}."
        self.stdout.write(json.dumps(document) if options["json"] else told)


def _find(text: str, *, issuer: str) -> IssuedCertificate:
    try:
        number = int(text, 16)
    except ValueError as error:
        raise CommandError("Name the certificate by its fingerprint or its serial number, in hex.") from error
    if issuer:
        found = find_certificate_by_serial(issuer=find_issuer(slug=issuer).id, serial=SerialNumber(number))
    else:
        found = find_certificate_by_fingerprint(sha256_hex=text)
    if found is None:
        raise CommandError("There is no such certificate. A serial number needs --issuer beside it.")
    return found
