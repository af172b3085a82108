"""The secrets by which brokers ask over HTTP: made, listed and revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from brokers import models, queries
from brokers.core.decide.decisions import DecisionSecretId, Identity
from brokers.core.values import BrokerId
from kernel.conf import master_key
from kernel.core.actor import Actor
from kernel.core.errors import Conflict, NotFound
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.core.secrets import new_token
from kernel.services import record

PURPOSE = "brokers.decision-secret"
MOST_SECRETS = 5


class TooManySecrets(Conflict):
    """The broker has as many decision secrets as one may have."""

    code = "too-many-decision-secrets"


class UnknownDecisionSecret(NotFound):
    """The broker has no such decision secret."""

    code = "decision-secret-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedSecret:
    """A fresh secret; `secret` is shown this once."""

    id: DecisionSecretId
    secret: str

    def __repr__(self) -> str:
        return f"MintedSecret({self.id})"


def mint_decision_secret(*, broker: BrokerId, identity: Identity, actor: Actor, now: datetime) -> MintedSecret:
    """A fresh secret of 192 random bits, of which a keyed hash is kept; those there are stay good beside it.

    Raises BrokerNotFound, TooManySecrets.
    """
    id, secret = DecisionSecretId(new_id()), new_token()
    with transaction.atomic():
        row = _locked(broker)
        if row.decision_secrets.count() >= MOST_SECRETS:
            raise TooManySecrets(f"A broker has at most {MOST_SECRETS} decision secrets: revoke one that is not used.")
        models.DecisionSecret.objects.create(
            id=id, broker=row, secret_hash=secret_hash(broker, secret), identity=identity, created_at=now
        )
        _record(
            "brokers.decision_secret.created",
            row,
            {"secret": str(id), "identity": identity.value},
            actor=actor,
            now=now,
        )
    return MintedSecret(id=id, secret=secret)


def revoke_decision_secret(*, broker: BrokerId, secret: DecisionSecretId, actor: Actor, now: datetime) -> None:
    """Whoever asks with it is refused, within a second. Raises BrokerNotFound, UnknownDecisionSecret."""
    with transaction.atomic():
        row = _locked(broker)
        deleted, _ = models.DecisionSecret.objects.filter(broker=row, id=secret).delete()
        if not deleted:
            raise UnknownDecisionSecret("The broker has no such decision secret: it may have been revoked already.")
        _record("brokers.decision_secret.revoked", row, {"secret": str(secret)}, actor=actor, now=now)


def secret_hash(broker: BrokerId, secret: str) -> bytes:
    """What is kept of a broker's secret."""
    return master_key().keyed_hash(f"{broker}.{secret}", purpose=PURPOSE)


def _locked(broker: BrokerId) -> models.Broker:
    row = models.Broker.objects.select_for_update().filter(id=broker).first()
    if row is None:
        raise queries.BrokerNotFound("That broker is no longer registered.")
    return row


def _record(action: str, row: models.Broker, told: dict[str, str], *, actor: Actor, now: datetime) -> None:
    record(
        action=action,
        subject=Subject(kind="brokers.broker", id=str(row.id), label=row.name),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        after=told,
    )
