"""What should hold on the brokers of a domain, from the register of devices.

While a change comes in waves, that depends on the broker, so each is named by who acts for one. So does whether a
password proves anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from uuid import UUID

from brokers import models
from brokers.core.ports import DesiredState, RenderSubject
from brokers.core.standing import render_subject
from brokers.core.values import BrokerId
from devices import queries as devices
from devices.core.passwords import on_brokers
from devices.core.values import DeviceId
from kernel.core.ids import DomainId
from pki import queries as pki
from pki.core.values import CertificateState, IssuerId

_CHUNK = 500
_PAGE = 1_000
_TAKEN_AWAY = frozenset({CertificateState.HELD, CertificateState.REVOKED})


def desired_state(
    *, domain: DomainId, broker: BrokerId | None, now: datetime, pause: Callable[[], None] | None = None
) -> DesiredState:
    """Everything that should hold now. `pause` is called after each 500 devices; what it raises ends the work."""
    return DesiredState(subjects=tuple(_subjects(domain, broker, now, pause)))


def desired_state_of(*, device: DeviceId, broker: BrokerId | None, now: datetime) -> DesiredState:
    """What should hold of one device now."""
    known = devices.subject_of(device=device, broker=broker, now=now)
    revoked = pki.revoked_issuers(domain=known.device.domain)
    password = None
    if takes_passwords(broker):
        kept = on_brokers(devices.good_passwords(device=device, now=now), now=now)
        password = kept.verifier if kept else None
    has_something = password is not None or not devices.is_without_certificate(device=device)
    proved = has_something and _is_proved(known.device.holder, revoked=revoked)
    subject = render_subject(known, proved=proved, password=password)
    return DesiredState(subjects=(subject,), only=frozenset({subject.principal.auth_id}))


def _subjects(
    domain: DomainId, broker: BrokerId | None, now: datetime, pause: Callable[[], None] | None
) -> Iterator[RenderSubject]:
    disproved, without = _disproved_holders(domain), devices.without_certificate(domain=domain)
    verifiers = devices.verifiers_in(domain=domain, now=now) if takes_passwords(broker) else {}
    subjects = devices.iterate_subjects(domain=domain, broker=broker, now=now, chunk=_CHUNK)
    for number, subject in enumerate(subjects, start=1):
        device, password = subject.device, verifiers.get(subject.device.id)
        has_something = password is not None or device.id not in without
        yield render_subject(subject, proved=has_something and device.holder not in disproved, password=password)
        if pause is not None and number % _CHUNK == 0:
            pause()


def takes_passwords(broker: BrokerId | None) -> bool:
    """Whether devices may log in at the broker with their passwords; at none in particular they may not."""
    return broker is not None and models.Broker.objects.filter(id=broker, takes_passwords=True).exists()


def _is_proved(holder: str, *, revoked: frozenset[IssuerId]) -> bool:
    return is_good_or_untouched(pki.certificate_states(holders=[holder]).get(holder, ()), revoked=revoked)


def is_good_or_untouched(
    certificates: Iterable[tuple[IssuerId, CertificateState]], *, revoked: frozenset[IssuerId]
) -> bool:
    """Whether one of a holder's certificates is good, or none was taken away, by itself or with its issuer."""
    states = {CertificateState.REVOKED if issuer in revoked else state for issuer, state in certificates}
    return CertificateState.ISSUED in states or not states & _TAKEN_AWAY


def _disproved_holders(domain: DomainId) -> frozenset[str]:
    """Holders in the domain of whom no certificate is good any more. The cost grows with what was taken away."""
    revoked = pki.revoked_issuers(domain=domain)
    concerned: set[str] = set()
    for state in _TAKEN_AWAY:
        concerned |= _holders(domain, state=state.value)
    for issuer in revoked:
        concerned |= _holders(domain, issuer=pki.find_issuer(id=issuer).slug)
    return frozenset(holder for holder in concerned if not _is_proved(holder, revoked=revoked))


def _holders(domain: DomainId, **narrowed: str) -> set[str]:
    holders: set[str] = set()
    before: UUID | None = None
    while found := pki.list_certificates(domains=[domain], before=before, limit=_PAGE, **narrowed):
        holders |= {certificate.holder for certificate in found}
        before = found[-1].id
    return holders
