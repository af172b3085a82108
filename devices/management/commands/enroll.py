"""`manage.py enroll token|csr`: an enrolment token for a factory, or a device enrolled from its request at once."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices import queries, services
from devices.core.values import Domain
from devices.management.operator import shell_operator
from devices.services import Enrolment, MintedToken
from kernel.core.clock import to_rfc3339, utc_now
from kernel.core.errors import DomainError

_LOOPBACK = "127.0.0.1"


class Command(BaseCommand):
    """Mints a token, or enrols a device with one that is spent at once."""

    help = "Mints an enrolment token, or enrols a device from a PKCS#10 request and prints its certificate."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Two subcommands."""
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="token|csr")
        token = verbs.add_parser("token", help="mint an enrolment token; it is shown this once")
        token.add_argument("--max-uses", type=int, default=1, help="how many devices it enrols (1)")
        token.add_argument("--expires-in", type=int, default=3_600, metavar="SECONDS", help="its life (3600)")
        token.add_argument("--network", action="append", default=[], metavar="CIDR", help="from there alone")
        csr = verbs.add_parser("csr", help="enrol the device of a request")
        csr.add_argument("file", help="file with the request in PEM; - for standard input")
        csr.add_argument("--name", help="the device's name; the request's common name if left out")
        csr.add_argument("--serial", default="", help="its hardware serial")
        csr.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an attribute, a string")
        for command in (token, csr):
            command.add_argument("--domain", default="default", help="slug of the domain (default)")
            command.add_argument("--profile", default="default", help="the enrolment profile (default)")
            command.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *_args: Any, verb: str, **options: Any) -> None:
        """One of both."""
        try:
            domain = queries.get_domain(slug=options.pop("domain"))
            if verb == "token":
                self._token(domain, **options)
            else:
                self._csr(domain, **options)
        except DomainError as error:
            raise CommandError(error.detail) from error

    def _token(
        self,
        domain: Domain,
        *,
        profile: str,
        max_uses: int,
        expires_in: int,
        network: list[str],
        json: bool,
        **_: Any,
    ) -> None:
        minted = _mint(domain, profile, max_uses=max_uses, seconds=expires_in, networks=network)
        if json:
            self._print({"id": str(minted.id), "token": minted.token, "expires_at": to_rfc3339(minted.expires_at)})
        else:
            self.stdout.write(minted.token)

    def _csr(self, domain: Domain, *, file: str, profile: str, json: bool, **options: Any) -> None:
        csr, attributes = _read(file), _attributes(options["set"])
        minted = _mint(domain, profile, max_uses=1, seconds=60, networks=[_LOOPBACK])
        outcome = services.enroll_device(
            token=minted.token,
            csr=csr,
            name=options["name"],
            hardware_serial=options["serial"],
            attributes=attributes,
            address=_LOOPBACK,
            now=utc_now(),
        )
        if not isinstance(outcome, Enrolment):
            raise CommandError(
                f"The profile needs an operator's approval: approve the request {outcome.request}, and repeat this."
            )
        if json:
            self._print(_document(outcome))
        else:
            self.stdout.write(outcome.certificate.pem + outcome.certificate.chain_pem)

    def _print(self, document: dict[str, str]) -> None:
        self.stdout.write(json.dumps(document))


def _mint(domain: Domain, profile: str, *, max_uses: int, seconds: int, networks: list[str]) -> MintedToken:
    return services.mint_enrolment_token(
        domain=domain.id,
        profile=profile,
        max_uses=max_uses,
        expires_in_seconds=seconds,
        allowed_networks=networks,
        actor=shell_operator(),
        now=utc_now(),
    )


def _read(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The request can not be read: {error}.") from error


def _attributes(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise CommandError(f"--set takes NAME=VALUE, not {name!r}.")
    return {name: value for name, _, value in pairs}


def _document(made: Enrolment) -> dict[str, str]:
    return {
        "device": str(made.device.id),
        "auth_id": made.device.auth_id,
        "client_id": made.device.client_id,
        "certificate": made.certificate.pem,
        "chain": made.certificate.chain_pem,
        "trust_bundle": made.trust_bundle,
        "not_after": to_rfc3339(made.certificate.not_after),
    }
