"""Replacing the master key while everything runs: what hangs on an older one is brought under the present one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from oauth2_provider.models import AccessToken

from brokers.queries import unknown_connection_keys
from brokers.services.rewrapping import rewrap_connections
from brokers.services.token_keys import rewrap_token_keys
from console.models import IdempotentCall, SetupLink
from console.services.idempotent_calls import KEPT_FOR, rewrap_answers
from devices.queries import older_token_ends
from kernel.conf import master_key
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.journal import Subject
from kernel.core.secrets import ADVICE
from kernel.services import record
from kernel.services.rewrap_envelopes import Rewrapped
from kernel.services.seal_journal import seal_journal
from pki.services.inspect_keys import unknown_keys
from pki.services.rewrap_keys import rewrap_keys


class UnknownMasterKey(Conflict):
    """Stored secrets hang on a master key that is not set."""

    code = "master-key-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderHashes:
    """Tokens that are good still and are known by a hash under an older key; the last of them ends at `until`."""

    kind: str
    count: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What became of the envelopes of each place, whether the journal was sealed anew, and what ends by itself."""

    key: str
    envelopes: tuple[Rewrapped, ...]
    sealed: bool
    hashes: tuple[OlderHashes, ...]

    @property
    def done(self) -> int:
        """How many envelopes were wrapped anew."""
        return sum(place.done for place in self.envelopes)

    @property
    def left(self) -> tuple[str, ...]:
        """A sentence on each envelope that is not under the present key."""
        return tuple(sentence for place in self.envelopes for sentence in place.left)


def rewrap_everything(*, actor: Actor, now: datetime) -> Replacement:
    """What was wrapped anew, and what is left. Not to be called in a transaction; repeating it is harmless.

    Processes that have only the older key go on writing under it: start them with both before. Raises SealBroken.
    """
    envelopes = (*rewrap_keys(), rewrap_connections(), rewrap_token_keys(), rewrap_answers())
    replacement = Replacement(
        key=master_key().current.id.hex(),
        envelopes=envelopes,
        sealed=seal_journal(),
        hashes=older_hashes(now=now),
    )
    if replacement.done or replacement.sealed:
        with transaction.atomic():
            record(
                action="console.master_key.rewrapped",
                subject=Subject(kind="console.master_key", id=replacement.key),
                actor=actor,
                now=now,
                after={"envelopes": replacement.done, "left": len(replacement.left)},
            )
    return replacement


def older_hashes(*, now: datetime) -> tuple[OlderHashes, ...]:
    """The tokens that stop working if the older keys are taken away now."""
    current = master_key().current
    access = AccessToken.objects.filter(expires__gt=now).exclude(token_checksum__startswith=current.mark.hex())
    links = SetupLink.objects.open(now=now).values_list("token_hash", "expires_at")
    calls = IdempotentCall.objects.filter(started_at__gt=now - KEPT_FOR).values_list("key_hash", "started_at")
    ends = {
        "enrolment tokens": older_token_ends(now=now),
        "access tokens": [*access.values_list("expires", flat=True)],
        "setup links": [ends_at for stored, ends_at in links if not current.made(bytes(stored))],
        "idempotency keys": [begun + KEPT_FOR for stored, begun in calls if not current.made(bytes(stored))],
    }
    return tuple(OlderHashes(kind=kind, count=len(each), until=max(each)) for kind, each in ends.items() if each)


def require_known_master_key() -> None:
    """Raises UnknownMasterKey if private keys or brokers' connections hang on one that is not set."""
    unknown = unknown_keys() | unknown_connection_keys()
    if unknown:
        raise UnknownMasterKey(
            f"GATEHOUSE_MASTER_KEY is {master_key().current.id.hex()}, and stored secrets hang on "
            f"{', '.join(sorted(unknown))}: {ADVICE}"
        )
