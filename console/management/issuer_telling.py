"""What `manage.py issuer` prints, and how it reads files and passphrases."""

from __future__ import annotations

import argparse
import getpass
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from kernel.core.clock import to_rfc3339
from pki import queries
from pki.core.issuer_values import IssuerRequest, SigningRequest
from pki.core.values import Issuer, serial_hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a verb says: as one JSON value, and in words."""

    document: Any
    text: str


def add_verb(verbs: Any, name: str, help: str) -> argparse.ArgumentParser:
    """The parser of a verb that is about one issuer."""
    verb: argparse.ArgumentParser = verbs.add_parser(name, help=help)
    verb.add_argument("slug", help="slug of the issuer")
    return verb


def about(issuer: Issuer, what: str) -> Told:
    """The issuer, with a sentence ahead."""
    return Told(document=issuer_facts(issuer), text=f"{issuer.slug} {what}. {_line(issuer)}")


def about_order(ordered: SigningRequest) -> Told:
    """What an offline issuer has to sign first."""
    text = (
        f"{ordered.issuer} has to sign {ordered.purpose}: `manage.py issuer export {ordered.issuer} --out FILE`, "
        "`manage.py sign-offline FILE --key KEYFILE` where its key is, and "
        f"`manage.py issuer signatures {ordered.issuer} FILE`."
    )
    return Told(document={"signing_request": str(ordered.id), "issuer": ordered.issuer}, text=text)


def request_facts(waiting: IssuerRequest) -> dict[str, str]:
    """A CA to be as JSON, with its request."""
    return {"slug": waiting.slug, "name": waiting.name, "request": waiting.csr_pem}


def requests_table(waiting: list[IssuerRequest], orders: list[SigningRequest]) -> Told:
    """A line for each CA to be, and for each thing that an offline issuer has yet to sign."""
    lines = [f"{each.slug}  {each.name}  requested {to_rfc3339(each.created_at)}" for each in waiting]
    lines += [f"{each.id}  {each.issuer} has to sign {each.purpose}" for each in orders]
    asked = [{"signing_request": str(each.id), "issuer": each.issuer, "purpose": each.purpose} for each in orders]
    document = {"requests": [*map(request_facts, waiting)], "signing_requests": asked}
    return Told(document=document, text="\n".join(lines) or "Nothing waits.")


def issuer_facts(issuer: Issuer) -> dict[str, Any]:
    """The issuer as JSON."""
    parent = queries.find_issuer(id=issuer.parent).slug if issuer.parent else None
    successor = queries.find_issuer(id=issuer.successor).slug if issuer.successor else None
    custody = queries.custody_of(issuer=issuer.id)
    return {
        "slug": issuer.slug,
        "name": issuer.name,
        "kind": issuer.kind.value,
        "state": issuer.state.value,
        "parent": parent,
        "successor": successor,
        "key_algorithm": issuer.key_algorithm.value if issuer.key_algorithm else None,
        "custody": custody.value if custody else None,
        "crl_shards": issuer.crl_shards,
        "serial_number": serial_hex(issuer.serial),
        "not_before": to_rfc3339(issuer.not_before),
        "not_after": to_rfc3339(issuer.not_after),
        "certificate": issuer.certificate_pem,
        "chain": issuer.chain_pem,
    }


def table(issuers: list[Issuer]) -> Told:
    """A line for each issuer."""
    return Told(document=[issuer_facts(each) for each in issuers], text="\n".join(map(_line, issuers)))


def _line(issuer: Issuer) -> str:
    sort = issuer.key_algorithm.value if issuer.key_algorithm else "another sort of key"
    ends = to_rfc3339(issuer.not_after)
    return f"{issuer.slug}  {issuer.name}  {issuer.kind.value}, {issuer.state.value}, {sort}, until {ends}"


def read_file(path: str) -> bytes:
    """The file's octets; of `-` standard input's, of nothing none."""
    if not path:
        return b""
    try:
        return sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"The file can not be read: {error}.") from error


def write_file(path: str, octets: bytes) -> None:
    """Writes what others may read."""
    try:
        Path(path).write_bytes(octets)
    except OSError as error:
        raise CommandError(f"The file can not be written: {error}.") from error


def read_passphrase(path: str, *, asked: bool) -> str:
    """The passphrase, from the first line of a file or, if `asked`, from the terminal; it is never an argument."""
    if path:
        return next(iter(read_file(path).decode(errors="replace").splitlines()), "")
    if asked:
        return getpass.getpass("Passphrase of the private key: ")
    return ""
