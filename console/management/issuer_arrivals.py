"""The verbs of `manage.py issuer` that bring an issuer into being."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from console.management.issuer_telling import (
    Told,
    about,
    about_order,
    add_verb,
    read_file,
    read_passphrase,
    request_facts,
    requests_table,
)
from devices.queries import get_domain
from kernel.core.clock import utc_now
from kernel.core.errors import Invalid
from pki import queries, services
from pki.core.issuer_values import SigningRequestId
from pki.core.values import Custody, IssuerKind, KeyAlgorithm
from pki.management.operator import shell_operator
from pki.queries.issuer_requests import get_signing_request

_OF_A_KEY_HERE = ("key", "pkcs12", "passphrase_file", "ask_passphrase", "custody", "shards")


def add_verbs(verbs: Any) -> None:
    """The arguments of each verb."""
    create = add_verb(verbs, "create", "a root, or a CA below --parent")
    create.add_argument("--parent", default="", help="slug of the issuer above; a root without it")
    create.add_argument("--path-length", type=int, help="how many CAs below it (the profile's; not of a root)")
    create.add_argument("--days", type=int, help="how long it is valid")
    taken = add_verb(verbs, "import", "a CA made elsewhere, with its key; with --offline without it")
    taken.add_argument("--certificate", default="", metavar="FILE", help="PEM or DER; those above it may follow")
    taken.add_argument("--chain", default="", metavar="FILE", help="the CAs above it, PEM, in any order")
    taken.add_argument("--key", default="", metavar="FILE", help="PKCS#8, PEM or DER")
    taken.add_argument("--pkcs12", default="", metavar="FILE", help="in place of --certificate and --key")
    taken.add_argument("--passphrase-file", default="", metavar="FILE", help="its first line opens the key")
    taken.add_argument("--ask-passphrase", action="store_true", help="ask for the passphrase")
    taken.add_argument("--crl", default="", metavar="FILE", help="its last CRL: what it lists stays revoked")
    taken.add_argument("--offline", action="store_true", help="its key stays elsewhere, and signs by files")
    trust = add_verb(verbs, "trust", "a CA that is only believed, such as a manufacturer's")
    trust.add_argument("certificate", metavar="FILE")
    request = add_verb(verbs, "request", "a key here and a request for a CA elsewhere; printed as PEM")
    request.add_argument("--organization", default="", metavar="O")
    request.add_argument("--unit", default="", metavar="OU")
    request.add_argument("--path-length", type=int, default=0)
    install = add_verb(verbs, "install", "the certificate that the CA elsewhere signed")
    install.add_argument("certificate", metavar="FILE", help="PEM or DER; those above it may follow")
    install.add_argument("--chain", default="", metavar="FILE", help="the CAs above it, PEM, in any order")
    add_verb(verbs, "cancel", "give up a request, with its key")
    waiting = verbs.add_parser("requests", help="CAs to be, and what offline issuers have yet to sign")
    waiting.add_argument("slug", nargs="?", default="", help="print the request of this one again, as PEM")
    given_up = verbs.add_parser("cancel-signing", help="give up what an offline issuer has yet to sign, with its key")
    given_up.add_argument("id", type=UUID, help="as `issuer requests` lists it")
    for verb in (create, request):
        verb.add_argument("--name", required=True, help="its common name")
        verb.add_argument("--algorithm", choices=[*KeyAlgorithm], default=KeyAlgorithm.ECDSA_P256.value)
    for verb in (taken, request):
        verb.add_argument("--replaces", default="", metavar="SLUG", help="the issuer that it succeeds in a rollover")
    for verb in (create, taken, request):
        verb.add_argument("--custody", choices=[*Custody], help=f"where its key is kept ({Custody.ENCRYPTED.value})")
        verb.add_argument("--shards", type=int, help="CRL shards (0: one CRL for all)")
    for verb in (create, taken, trust, request):
        verb.add_argument("--domain", default="default", help="slug of the domain (default)")


def create(options: dict[str, Any]) -> Told:
    """A root, a CA, or what an offline CA has to sign first."""
    wanted = {
        "slug": options["slug"],
        "common_name": options["name"],
        "key_algorithm": KeyAlgorithm(options["algorithm"]),
        "validity": timedelta(days=options["days"]) if options["days"] else None,
        **_kept(options),
        **_who(),
    }
    if not options["parent"]:
        return about(services.create_root(domain=_domain(options), **wanted), "is created")
    parent = queries.find_issuer(slug=options["parent"])
    wanted |= {"parent": parent.id, "path_length": options["path_length"]}
    if parent.kind is IssuerKind.OFFLINE:
        return about_order(services.order_issuing_ca(**wanted))
    return about(services.create_issuing_ca(**wanted), "is created")


def take_over(options: dict[str, Any]) -> Told:
    """`import`."""
    wanted = {
        "domain": _domain(options),
        "slug": options["slug"],
        "certificate": read_file(options["certificate"]),
        "chain": read_file(options["chain"]),
        "crl": read_file(options["crl"]),
        "replaces": _replaced(options),
        **_who(),
    }
    if options["offline"]:
        _check_keyless(options)
        return about(services.import_offline_issuer(**wanted), "is imported")
    issuer = services.import_issuer(
        **wanted,
        **_kept(options),
        key=read_file(options["key"]),
        pkcs12=read_file(options["pkcs12"]),
        passphrase=read_passphrase(options["passphrase_file"], asked=options["ask_passphrase"]),
    )
    return about(issuer, "is imported")


def trust(options: dict[str, Any]) -> Told:
    """Believes a CA."""
    certificate = read_file(options["certificate"])
    issuer = services.trust_issuer(domain=_domain(options), slug=options["slug"], certificate=certificate, **_who())
    return about(issuer, "is believed")


def request(options: dict[str, Any]) -> Told:
    """A request, as PEM."""
    waiting = services.request_issuer(
        domain=_domain(options),
        slug=options["slug"],
        common_name=options["name"],
        organization=options["organization"],
        organizational_unit=options["unit"],
        key_algorithm=KeyAlgorithm(options["algorithm"]),
        path_length=options["path_length"],
        replaces=_replaced(options),
        **_kept(options),
        **_who(),
    )
    return Told(document=request_facts(waiting), text=waiting.csr_pem.rstrip())


def install(options: dict[str, Any]) -> Told:
    """The issuer that a request becomes."""
    certificate, chain = read_file(options["certificate"]), read_file(options["chain"])
    issuer = services.install_issuer(slug=options["slug"], certificate=certificate, chain=chain, **_who())
    return about(issuer, "is installed")


def cancel(options: dict[str, Any]) -> Told:
    """Gives a request up."""
    services.cancel_issuer_request(slug=options["slug"], **_who())
    return Told(document={"cancelled": options["slug"]}, text=f"The request {options['slug']} is given up.")


def list_requests(options: dict[str, Any]) -> Told:
    """What waits for a signature elsewhere; one request again, as PEM."""
    if not options["slug"]:
        return requests_table(queries.list_issuer_requests(), queries.list_signing_requests())
    waiting = queries.find_issuer_request(slug=options["slug"])
    return Told(document=request_facts(waiting), text=waiting.csr_pem.rstrip())


def cancel_signing(options: dict[str, Any]) -> Told:
    """Gives up what an offline issuer has yet to sign."""
    found = get_signing_request(id=SigningRequestId(options["id"]))
    services.cancel_signing_request(id=found.id, **_who())
    text = f"{found.issuer} need not sign {found.purpose} any more: a signature that comes for it is refused."
    return Told(document={"cancelled": str(found.id)}, text=text)


def _check_keyless(options: dict[str, Any]) -> None:
    """Raises Invalid if an offline issuer is told what only one whose key is here can be."""
    given = [f"--{name.replace('_', '-')}" for name in _OF_A_KEY_HERE if options[name]]
    if given:
        raise Invalid(f"The key of an --offline issuer stays elsewhere: leave out {' and '.join(given)}.")


def _kept(options: dict[str, Any]) -> dict[str, Any]:
    return {"custody": Custody(options["custody"] or Custody.ENCRYPTED), "crl_shards": options["shards"] or 0}


def _who() -> dict[str, Any]:
    return {"actor": shell_operator(), "now": utc_now()}


def _domain(options: dict[str, Any]) -> Any:
    return get_domain(slug=options["domain"]).id


def _replaced(options: dict[str, Any]) -> Any:
    return queries.find_issuer(slug=options["replaces"]).id if options["replaces"] else None
