"""What is read of principals to decide about them: some at a time, beside what is the same for all of their domain."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from brokers.core.ports import RenderSubject
from brokers.core.standing import render_subject
from brokers.core.values import BrokerId
from brokers.services.desired import is_good_or_untouched, takes_passwords
from devices import queries as devices
from devices.core.passwords import Password, on_brokers
from devices.core.values import DeviceId
from kernel.core.ids import DomainId
from pki import queries as pki
from pki.core.values import CertificateState

Key = tuple[DomainId, str, BrokerId | None]
"""Whom a broker asks about: domain, auth id and who asks."""


@dataclass(frozen=True, slots=True)
class Known:
    """A principal as it was from epoch `since` on, and `until` a binding of it begins or ends (FOR_EVER: none does).

    `passwords`: those that were good then, where the broker takes them. `proofs`: until when each certificate proves it
    (None: it does not), by SHA-256; filled by those who ask.
    """

    key: Key
    device: DeviceId
    name: str
    subject: RenderSubject
    since: int
    until: datetime
    passwords: tuple[Password, ...] = ()
    proofs: dict[bytes, datetime | None] = field(default_factory=dict)


class Ground:
    """What is the same for many principals of a domain, as it was from epoch `since` on; thread-safe."""

    def __init__(self, domain: DomainId, *, since: int) -> None:
        self.since = since
        self._domain = domain
        self._policy = devices.PolicyGround(domain=domain)
        self._revoked = pki.revoked_issuers(domain=domain)
        self._taking: dict[BrokerId | None, bool] = {}

    def learn(
        self, *, auth_ids: Collection[str], broker: BrokerId | None, since: int, now: datetime
    ) -> dict[str, Known]:
        """Those of the principals that there are, by auth id. `since` is the epoch at which this began."""
        found = self._policy.devices(auth_ids=auth_ids, broker=broker, now=now)
        doubtful = [each.subject.device.holder for each in found if not self._is_proved(each)]
        states = pki.certificate_states(holders=doubtful) if doubtful else {}
        unproved = {each for each in doubtful if not is_good_or_untouched(states.get(each, ()), revoked=self._revoked)}
        passwords = {}
        if found and self._takes_passwords(broker):
            passwords = devices.all_good_passwords(devices=[each.subject.device.id for each in found], now=now)
        learnt = {}
        for each in found:
            device, kept = each.subject.device, passwords.get(each.subject.device.id, [])
            password = on_brokers(kept, now=now)
            has_something = password is not None or not each.is_without_certificate
            subject = render_subject(
                each.subject,
                proved=has_something and device.holder not in unproved,
                password=password.verifier if password else None,
            )
            key = (self._domain, device.auth_id, broker)
            learnt[device.auth_id] = Known(key, device.id, device.name, subject, since, each.until, tuple(kept))
        return learnt

    def _is_proved(self, found: devices.Grounded) -> bool:
        """Whether its newest certificate is good, so that no other need be looked at."""
        certificate = found.certificate
        return (
            certificate is not None
            and certificate.holder == found.subject.device.holder
            and certificate.state is CertificateState.ISSUED
            and certificate.issuer not in self._revoked
        )

    def _takes_passwords(self, broker: BrokerId | None) -> bool:
        if broker not in self._taking:
            self._taking[broker] = takes_passwords(broker)
        return self._taking[broker]
