"""The authentication chains of brokers that ask over HTTP: read, changed, and tried on a sample."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from django.db import transaction

from brokers import models, queries
from brokers.core.auth_chains.chain import AuthChain, Told, Walked, walk
from brokers.core.auth_chains.document import chain_document, kept_chain, refuse_for
from brokers.core.auth_chains.flow import flow_of
from brokers.core.auth_chains.terms import AuthTerms
from brokers.core.decide.decisions import Identity, Judgement, Login, Password
from brokers.core.decide.snippets import SHOWS_CERTIFICATE, TELLS_NAME, Dialect
from brokers.core.values import AdapterKind, BrokerId
from brokers.services.deciding import Decider
from brokers.services.decision_doors import Door
from kernel.conf import master_key
from kernel.core.actor import Actor
from kernel.core.errors import Invalid, Superseded
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record

MOST_PEM = 20_000
_ASKS_AS = {
    AdapterKind.EMQX: Dialect.EMQX,
    AdapterKind.RABBITMQ: Dialect.RABBITMQ,
    AdapterKind.VERNEMQ_POSTGRESQL: Dialect.VERNEMQ,
    AdapterKind.NANOMQ: Dialect.NANOMQ,
}


class UnreadableSample(Invalid):
    """The certificate of a sample is none."""

    code = "sample-unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptChain:
    """A broker's chain, in which dialect it asks, and what tells this state of the chain from the next."""

    chain: AuthChain
    dialect: Dialect
    tag: str

    @property
    def believable(self) -> bool:
        """Whether no two names become one, so that a secret may say that the broker's word on names is enough."""
        return flow_of(self.chain, tells_name=self.dialect in TELLS_NAME).exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A CONNECT to try: what the client sends, `certificate` as PEM if it has one."""

    username: str
    client_id: str
    certificate: str = ""
    password: str = field(default="", repr=False)
    identity: Identity = Identity.SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What the steps make of a sample, and the judgement on it."""

    walked: Walked
    judgement: Judgement


def auth_chain_of(*, broker: BrokerId) -> KeptChain:
    """The chain that holds; without steps and with every method unless it was changed. Raises BrokerNotFound."""
    return _kept(queries.registered(models.Broker.objects.filter(id=broker)))


def change_auth_chain(
    *, broker: BrokerId, chain: AuthChain, expected: str | None = None, actor: Actor, now: datetime
) -> KeptChain:
    """The chain, which holds within a second; with `expected` only if that is still its tag.

    Raises BrokerNotFound, InvalidAuthChain, Superseded.
    """
    with transaction.atomic():
        row = queries.registered(models.Broker.objects.select_for_update().filter(id=broker))
        before = _kept(row)
        if expected is not None and expected != before.tag:
            raise Superseded("The chain was changed since you read it: read it again, then change it.")
        refuse_for(chain, before.dialect)
        row.auth_chain = chain_document(chain)
        row.save(update_fields=["auth_chain"])
        record(
            action="brokers.auth_chain.changed",
            subject=Subject(kind="brokers.broker", id=str(row.id), label=row.name),
            actor=actor,
            now=now,
            domain=DomainId(row.domain_id),
            before=chain_document(before.chain),
            after=chain_document(chain),
        )
    return _kept(row)


def try_auth_chain(*, broker: BrokerId, chain: AuthChain | None = None, sample: Sample, now: datetime) -> Trial:
    """What would become of the sample now, with that chain in place of the one that holds. Nothing is written down.

    Raises BrokerNotFound, InvalidAuthChain, UnreadableSample.
    """
    row = queries.registered(models.Broker.objects.filter(id=broker))
    kept = _kept(row)
    if chain is not None:
        refuse_for(chain, kept.dialect)
    used = kept.chain if chain is None else chain
    login = _login(sample, kept.dialect)
    told = Told(
        username=login.username,
        client_id=login.client_id,
        common_name=login.common_name,
        certificate=login.certificate,
        tells_name=kept.dialect in TELLS_NAME,
    )
    door = Door(broker=broker, domain=DomainId(row.domain_id), secrets=(), terms=AuthTerms(used))
    judgement = Decider().judge_afresh(door, sample.identity, login, dialect=kept.dialect, now=now)
    return Trial(walked=walk(used.steps, told), judgement=judgement)


def _kept(row: models.Broker) -> KeptChain:
    chain = kept_chain(row.auth_chain)
    said = json.dumps(chain_document(chain), sort_keys=True)
    return KeptChain(chain=chain, dialect=_dialect_of(row), tag=hashlib.sha256(said.encode()).hexdigest())


def _login(sample: Sample, dialect: Dialect) -> Login:
    """What a broker of that dialect would tell of the sample."""
    certificate = _read(sample.certificate)
    name = None
    if dialect in TELLS_NAME:
        name = "" if certificate is None else _common_name(certificate)
    shown = certificate if dialect in SHOWS_CERTIFICATE else None
    return Login(
        username=name or sample.username if dialect is Dialect.NANOMQ else sample.username,
        client_id=sample.client_id,
        certificate=None if shown is None else shown.public_bytes(Encoding.DER),
        common_name=name,
        password=Password(sample.password) if sample.password or dialect is Dialect.GOAUTH else None,
    )


def _read(pem: str) -> x509.Certificate | None:
    if not pem.strip():
        return None
    try:
        return x509.load_pem_x509_certificate(pem[:MOST_PEM].encode())
    except ValueError as error:
        raise UnreadableSample("The certificate is no PEM: paste what begins with BEGIN CERTIFICATE.") from error


def _common_name(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[-1].value) if found else ""


def _dialect_of(row: models.Broker) -> Dialect:
    """The one it was registered with, or its make's; a make that asks by none of its own may do so by go-auth's."""
    kind = AdapterKind(row.kind)
    if kind is not AdapterKind.HTTP_DECISIONS:
        return _ASKS_AS.get(kind, Dialect.GOAUTH)
    opened = master_key().unwrap(bytes(row.connection), purpose=queries.CONNECTION_PURPOSE, context=str(row.id))
    return Dialect(json.loads(opened)["dialect"])
