"""`manage.py revoke`: revokes a certificate, holds it, or releases it; or revokes all that fit a filter."""

from __future__ import annotations

import argparse
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.errors import DomainError
from pki.core.values import IssuedCertificate, ReasonCode, SerialNumber
from pki.management.matching import domain_of, parse_filter, parse_time
from pki.management.operator import shell_operator
from pki.queries import (
    find_certificate_by_fingerprint,
    find_certificate_by_serial,
    find_issuer,
    get_certificate,
    matching_certificates,
)
from pki.services import hold_certificate, release_certificate, revoke_certificate, revoke_matching

_REASONS = [each.value for each in ReasonCode if each.number not in {6, 8}]  # not hold, not removeFromCRL


class Command(BaseCommand):
    """Changes one certificate, which is harmless to repeat, or many, which begins with --dry-run."""

    help = "Revokes a certificate for good, or puts it on hold, or releases it from hold; or revokes many by --filter."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Which certificates, and why."""
        parser.add_argument(
            "certificate", nargs="?", default="", help="its SHA-256 fingerprint in hex, or its serial number (--issuer)"
        )
        parser.add_argument("--issuer", default="", help="slug of the issuer that the serial number is of")
        act = parser.add_mutually_exclusive_group()
        act.add_argument("--reason", choices=_REASONS, default=ReasonCode.UNSPECIFIED.value)
        act.add_argument("--hold", action="store_true", help="put it on hold instead")
        act.add_argument("--release", action="store_true", help="release it from hold instead")
        parser.add_argument("--invalid-since", metavar="TIME", default="", help="since when its key is lost")
        parser.add_argument("--filter", metavar="NAME=VALUE", action="append", default=[], help="all that fit; again")
        parser.add_argument("--dry-run", action="store_true", help="say what the filter would revoke, and its digest")
        parser.add_argument("--digest", default="", help="the digest that the dry run said")
        parser.add_argument("--note", default="", help="for the journal")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Changes it or them, and says how it is now."""
        if bool(options["filter"]) == bool(options["certificate"]):
            raise CommandError("Name one certificate, or several with --filter.")
        if (options["dry_run"] or options["digest"] or options["invalid_since"]) and (
            options["hold"] or options["release"]
        ):
            raise CommandError("A hold and a release are of one certificate, and need neither digest nor time.")
        try:
            document, told = _many(options) if options["filter"] else _one(options)
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(json.dumps(document) if options["json"] else told)


def _one(options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    found = _find(options["certificate"].replace(":", "").lower(), issuer=options["issuer"])
    asked = {"certificate": found.id, "actor": shell_operator(), "now": utc_now(), "note": options["note"]}
    if options["release"]:
        operation = release_certificate(**asked)
    elif options["hold"]:
        operation = hold_certificate(**asked).operation
    else:
        operation = revoke_certificate(**asked, **_why(options)).operation
    changed = get_certificate(id=found.id)
    document = {
        "id": str(changed.id),
        "serial_number": changed.serial_hex,
        "state": changed.state.value,
        "revoked_at": changed.revoked_at.isoformat() if changed.revoked_at else None,
        "reason": changed.reason.value if changed.reason else None,
        "invalidity_date": to_rfc3339(changed.invalidity_date) if changed.invalidity_date else None,
        "operation": str(operation),
    }
    return document, f"{changed.serial_hex} of {changed.issuer_slug} is {changed.state.value}."


def _many(options: dict[str, Any]) -> tuple[dict[str, Any], str]:
    wanted = parse_filter(options["filter"])
    domain = domain_of(wanted)
    if options["dry_run"]:
        found = matching_certificates(domain=domain, wanted=wanted)
        sample = [{"serial_number": each.serial_hex, "subject": each.subject} for each in found.sample]
        lines = [f"{found.count} certificates would be revoked; the newest are:"]
        lines += [f"  {each['serial_number']}  {each['subject']}" for each in sample]
        lines += [f"To revoke them, repeat it with --digest {found.digest} in place of --dry-run."]
        return {"count": found.count, "sample": sample, "digest": found.digest}, "\n".join(lines)
    if not options["digest"]:
        raise CommandError("Ask with --dry-run first, and repeat its digest: so none is revoked unseen.")
    ordered = revoke_matching(
        domain=domain,
        wanted=wanted,
        digest=options["digest"],
        note=options["note"],
        actor=shell_operator(),
        now=utc_now(),
        **_why(options),
    )
    told = f"{ordered.count} certificates are being revoked by the worker: operation {ordered.operation}."
    return {"count": ordered.count, "operation": str(ordered.operation)}, told


def _why(options: dict[str, Any]) -> dict[str, Any]:
    since = options["invalid_since"]
    return {"reason": ReasonCode(options["reason"]), "invalidity_date": parse_time(since) if since else None}


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
