"""The verbs of `manage.py issuer` for an issuer that is there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError

from console.management.issuer_telling import (
    Told,
    about,
    about_order,
    add_verb,
    issuer_facts,
    read_file,
    table,
    write_file,
)
from kernel.core.clock import utc_now
from pki import queries, services
from pki.core.values import Custody, IssuerKind, KeyAlgorithm, ReasonCode
from pki.management.operator import shell_operator

_REASONS = [each.value for each in ReasonCode if each.number not in {6, 8}]  # not hold, not removeFromCRL


def add_verbs(verbs: Any) -> None:
    """The arguments of each verb."""
    verbs.add_parser("list", help="every issuer, those above before those below")
    add_verb(verbs, "show", "one issuer, and what of it is valid still")
    cross = add_verb(verbs, "cross-sign", "another certificate for its name and key")
    by = cross.add_mutually_exclusive_group(required=True)
    by.add_argument("--by", default="", metavar="SLUG", help="the issuer of ours that signs it")
    by.add_argument("--request", action="store_true", help="print a request for a CA elsewhere")
    by.add_argument("--certificate", default="", metavar="FILE", help="keep what a CA elsewhere signed")
    rollover = add_verb(verbs, "rollover", "a new issuer beside it; both are trusted until the old one's end")
    rollover.add_argument("--new-slug", default="", help="its slug with a generation, if absent")
    rollover.add_argument("--name", default="", help="its common name with a generation, if absent")
    rollover.add_argument("--algorithm", choices=[*KeyAlgorithm], default="")
    rollover.add_argument("--custody", choices=[*Custody], default="")
    retire = add_verb(verbs, "retire", "out of trust, once nothing that it signed is valid")
    revoke = add_verb(verbs, "revoke", "for good, with everything below it")
    revoke.add_argument("--reason", choices=_REASONS, default=ReasonCode.CA_COMPROMISE.value)
    revoke.add_argument("--confirm", default="", metavar="SLUG", help="a root's slug once more")
    export = add_verb(verbs, "export", "the file of what an offline issuer has to sign")
    export.add_argument("--out", default="", metavar="FILE", help="write it there instead of printing it")
    signatures = add_verb(verbs, "signatures", "what an offline issuer signed")
    signatures.add_argument("file", metavar="FILE", help="the file that came back; - for standard input")
    for verb in (cross, rollover):
        verb.add_argument("--days", type=int, help="how long the new certificate is valid")
    for verb in (retire, revoke):
        verb.add_argument("--note", default="", help="for the journal")


def list_all(_options: dict[str, Any]) -> Told:
    """Every issuer."""
    return table(queries.list_issuers())


def show(options: dict[str, Any]) -> Told:
    """One issuer."""
    issuer, now = queries.find_issuer(slug=options["slug"]), utc_now()
    left = queries.remainder_of(issuer=issuer.id, now=now)
    facts = {
        **issuer_facts(issuer),
        "valid_certificates": left.certificates,
        "last_ends_at": left.ends_at.isoformat() if left.ends_at else None,
        "issuers_below": [*left.issuers],
        "cross_certificates": queries.cross_pem(issuer=issuer.id, now=now),
    }
    words = about(issuer, f"has {left.certificates} valid certificates").text
    return Told(document=facts, text=f"{words}\n{issuer.certificate_pem.rstrip()}")


def cross_sign(options: dict[str, Any]) -> Told:
    """A cross-certificate, or the request for one."""
    issuer = queries.find_issuer(slug=options["slug"])
    if options["request"]:
        csr = services.cross_request(issuer=issuer.id)
        return Told(document={"request": csr}, text=csr.rstrip())
    if options["certificate"]:
        octets = read_file(options["certificate"])
        cross = services.import_cross_certificate(issuer=issuer.id, certificate=octets, **_who())
    else:
        signer = queries.find_issuer(slug=options["by"])
        wanted = {"issuer": issuer.id, "signer": signer.id, "validity": _validity(options), **_who()}
        if signer.kind is IssuerKind.OFFLINE:
            return about_order(services.order_cross_certificate(**wanted))
        cross = services.cross_sign(**wanted)
    facts = {"issuer": cross.issuer, "signer": cross.signer_name, "certificate": cross.certificate_pem}
    return Told(document=facts, text=cross.certificate_pem.rstrip())


def roll_over(options: dict[str, Any]) -> Told:
    """A successor, or what an offline issuer has to sign first."""
    done = services.roll_over_issuer(
        issuer=queries.find_issuer(slug=options["slug"]).id,
        slug=options["new_slug"],
        common_name=options["name"],
        key_algorithm=KeyAlgorithm(options["algorithm"]) if options["algorithm"] else None,
        custody=Custody(options["custody"]) if options["custody"] else None,
        validity=_validity(options),
        **_who(),
    )
    if done.ordered is not None:
        return about_order(done.ordered)
    assert done.successor is not None
    return about(done.successor, f"takes the place of {options['slug']}")


def retire(options: dict[str, Any]) -> Told:
    """The end of an issuer."""
    issuer = queries.find_issuer(slug=options["slug"])
    return about(services.retire_issuer(issuer=issuer.id, note=options["note"], **_who()), "is retired")


def revoke(options: dict[str, Any]) -> Told:
    """The sudden end of an issuer."""
    issuer = queries.find_issuer(slug=options["slug"])
    revoked = services.revoke_issuer(
        issuer=issuer.id,
        reason=ReasonCode(options["reason"]),
        confirmed=options["confirm"],
        note=options["note"],
        **_who(),
    )
    return about(revoked, "is revoked")


def export(options: dict[str, Any]) -> Told:
    """The file to take to an offline key."""
    issuer = queries.find_issuer(slug=options["slug"])
    file = services.export_signing_requests(issuer=issuer.id, now=utc_now())
    waiting = [each.purpose for each in queries.list_signing_requests(issuer=issuer.id)]
    if options["out"]:
        write_file(options["out"], file)
        told = "".join(f"\n- {purpose}" for purpose in waiting)
        return Told(document={"file": options["out"], "requests": waiting}, text=f"{options['out']} asks for:{told}")
    return Told(document={"file": file.decode(), "requests": waiting}, text=file.decode().rstrip())


def take_signatures(options: dict[str, Any]) -> Told:
    """What became of what came back; fails if any of it did not come into force."""
    issuer = queries.find_issuer(slug=options["slug"])
    outcomes = services.import_signatures(issuer=issuer.id, file=read_file(options["file"]), **_who())
    lines = [f"{each.purpose}: {each.fault or 'in force'}" for each in outcomes]
    if any(each.fault for each in outcomes):
        raise CommandError("\n".join(lines))
    results = [{"purpose": each.purpose, "fault": each.fault} for each in outcomes]
    return Told(document={"results": results}, text="\n".join(lines))


def _who() -> dict[str, Any]:
    return {"actor": shell_operator(), "now": utc_now()}


def _validity(options: dict[str, Any]) -> timedelta | None:
    return timedelta(days=options["days"]) if options["days"] else None
