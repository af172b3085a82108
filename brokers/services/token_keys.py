"""The keys that sign access tokens: made ahead of their time, replaced in it, and at once if one may be known."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from joserfc.jwk import ECKey

from brokers import models, queries
from brokers.core.token_keys import TokenKey, new_key, next_signs_from, outlived, signing_key
from devices import queries as devices
from kernel.conf import master_key
from kernel.core.actor import SYSTEM, Actor
from kernel.core.clock import to_rfc3339
from kernel.core.errors import Denied, Unavailable
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.core.secrets import WrongKey
from kernel.services import record
from kernel.services.rewrap_envelopes import Rewrapped, rewrap_envelopes

log = logging.getLogger(__name__)
_PURPOSE = "brokers.token-key"
_TRIES = 3


class TokenKeysBusy(Unavailable):
    """Others made keys at the same time."""

    code = "token-keys-busy"


class TokenKeyShut(Unavailable):
    """The key hangs on another master key."""

    code = "token-key-shut"


class NotEveryDomain(Denied):
    """The actor may do this in some domains, and it is about all."""

    code = "not-every-domain"


def rotate_token_keys(*, actor: Actor = SYSTEM, now: datetime) -> None:
    """Makes the next key if it is time, and removes those whose last token has ended. Repeating it is harmless."""
    keys = queries.list_token_keys()
    signs_from = next_signs_from(keys, now=now)
    if signs_from is not None:
        try:
            with transaction.atomic():
                _make(_number_after(keys), signs_from, actor=actor, now=now)
        except IntegrityError:  # somebody else made it
            return
    with transaction.atomic():
        for key in outlived(keys, now=now):
            if models.TokenKey.objects.filter(number=key.number).delete()[0]:
                _record("brokers.token_key.retired", key.kid, {}, actor=actor, now=now)


def replace_token_keys(*, domains: Collection[DomainId], actor: Actor, now: datetime, note: str = "") -> TokenKey:
    """The fresh key, which signs at once. All others are gone: no token that they signed is taken here any more.

    `domains` are those where the actor may: the keys are of all. Raises NotEveryDomain, TokenKeysBusy.
    """
    if not {domain.id for domain in devices.list_domains()} <= set(domains):
        raise NotEveryDomain("The keys sign for every domain: ask somebody who may replace them in each.")
    for _ in range(_TRIES):
        try:
            with transaction.atomic():
                gone = [row.as_value() for row in models.TokenKey.objects.select_for_update().order_by("number")]
                for key in gone:
                    models.TokenKey.objects.filter(number=key.number).delete()
                    _record("brokers.token_key.revoked", key.kid, {}, actor=actor, now=now, note=note)
                return _make(_number_after(gone), now, actor=actor, now=now)
        except IntegrityError:
            continue
    raise TokenKeysBusy("Other keys were made at the same time: look at the list, and replace them again.")


def open_signing_key(*, now: datetime) -> tuple[str, ECKey]:
    """The `kid` and the private key that signs now; the first one is made here. Raises TokenKeysBusy, TokenKeyShut."""
    row = _signing_row(now)
    if row is None:
        rotate_token_keys(now=now)
        row = _signing_row(now)
    if row is None:
        raise TokenKeysBusy("The keys that sign tokens are being replaced: ask again.")
    try:
        octets = master_key().unwrap(bytes(row.private_key), purpose=_PURPOSE, context=row.kid)
    except WrongKey as error:
        log.exception("the key %s that signs tokens does not open", row.kid)
        raise TokenKeyShut("The key that signs tokens does not open: whoever runs Gatehouse has to look.") from error
    return row.kid, ECKey.import_key(octets)


def rewrap_token_keys() -> Rewrapped:
    """What became of them: each is under the present master key. Not to be called in a transaction."""
    return rewrap_envelopes(
        place="keys that sign tokens",
        rows=models.TokenKey.objects.all(),
        column="private_key",
        purpose=_PURPOSE,
        context=lambda row: row.kid,
    )


def _signing_row(now: datetime) -> models.TokenKey | None:
    rows = {row.number: row for row in models.TokenKey.objects.all()}
    key = signing_key([row.as_value() for row in rows.values()], now=now)
    return rows[key.number] if key else None


def _number_after(keys: Sequence[TokenKey]) -> int:
    return max((key.number for key in keys), default=0) + 1


def _make(number: int, signs_from: datetime, *, actor: Actor, now: datetime) -> TokenKey:
    """The new key. Raises IntegrityError if another took the number."""
    kid, key = new_key()
    row = models.TokenKey.objects.create(
        number=number,
        kid=kid,
        public_key=key.as_der(private=False),
        private_key=master_key().wrap(key.as_der(private=True), purpose=_PURPOSE, context=kid),
        created_at=now,
        signs_from=signs_from,
    )
    _record("brokers.token_key.created", kid, {"signs_from": to_rfc3339(signs_from)}, actor=actor, now=now)
    return row.as_value()


def _record(action: str, kid: str, told: dict[str, str], *, actor: Actor, now: datetime, note: str = "") -> None:
    record(
        action=action,
        subject=Subject(kind="brokers.token_key", id=kid, label=kid),
        actor=actor,
        now=now,
        after=told,
        note=note,
    )
