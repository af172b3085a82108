"""The first run: everything that a fresh installation needs so that a device can be enrolled ten minutes later.

Each step looks before it acts, so that a run that was broken off is taken up where it ended.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from acl import queries as roles
from acl import services as acl
from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Role
from brokers import services as brokers
from brokers.core.values import AdapterKind
from brokers.embedded import embedded_connection, embedded_listeners
from brokers.queries import list_brokers
from console.core.roles import EVERY_SCOPE, ConsoleRole
from console.models import Application, Operator
from console.queries import find_operator
from console.services.applications import create_application, renew_secret
from console.services.operators import create_operator, grant_role, make_setup_link
from devices import queries as fleet
from devices import services as devices
from devices.core.values import Domain
from devices.services.bindings import BindingTarget
from kernel.core.actor import SYSTEM
from kernel.core.errors import Conflict
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.queries import list_entries
from kernel.services import record
from pki import queries as issuers
from pki import services as pki
from pki.core.values import Issuer

DOMAIN = "default"
ROOT = "default-root"
ISSUER = "default-ca"
ROLE = "device-default"
QUARANTINE_ROLE = "quarantine"
DEVICE_TYPE = "default"
PROFILE = "default"
BROKER = "embedded"
OPERATOR = "admin"
APPLICATION = "quickstart"
ATTRIBUTES = {"site": {"type": "string"}}

_OWN = "${domain}/${client_id}"
RULES = (
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=f"{_OWN}/up/#"),
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic=f"{_OWN}/down/#"),
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic="${domain}/all/#"),
)
QUARANTINE_RULES = (
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.PUBLISH}), topic=f"{_OWN}/up/renew/#"),
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic=f"{_OWN}/down/renew/#"),
    RuleSpec(effect=Effect.ALLOW, actions=frozenset({Action.SUBSCRIBE}), topic=f"{_OWN}/down/update/#"),
)
_MARK = Subject(kind="console.installation", id="first-run", label="first run")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRun:
    """What there is after the first run. Both secrets are None on every later one: they are told once."""

    operator: str
    client_id: str
    setup_url: str | None = field(default=None, repr=False)
    client_secret: str | None = field(default=None, repr=False)
    waits_for_setup: bool = False


def set_up(*, now: datetime) -> FirstRun:
    """Makes what is missing. Two at once are the caller's to prevent; not to be called in a transaction."""
    domain = _domain(now=now)
    _issuer(domain, now=now)
    _policy(domain, now=now)
    _enrolment(domain, now=now)
    _broker(domain, now=now)
    operator = _operator(domain, now=now)
    if list_entries(subject_kind=_MARK.kind, subject_id=_MARK.id, limit=1):
        known = Application.objects.filter(name=APPLICATION).order_by("pk").first()
        return FirstRun(
            operator=operator.username,
            client_id=known.client_id if known else "",
            waits_for_setup=not operator.has_usable_password(),
        )
    return _hand_over(operator, now=now)


def _hand_over(operator: Operator, *, now: datetime) -> FirstRun:
    """Makes the secrets, anew if an earlier run died before it could tell them, and marks the first run as done."""
    left = Application.objects.filter(name=APPLICATION).order_by("pk").first()
    if left is None:
        fresh = create_application(name=APPLICATION, scopes=EVERY_SCOPE, domains=None, actor=SYSTEM, now=now)
    else:
        fresh = renew_secret(client_id=left.client_id, actor=SYSTEM, now=now)
    setup_url = make_setup_link(operator=operator, actor=SYSTEM, now=now)
    with transaction.atomic():
        record(action="console.installation.set_up", subject=_MARK, actor=SYSTEM, now=now)
    return FirstRun(
        operator=operator.username,
        client_id=fresh.client_id,
        setup_url=setup_url,
        client_secret=fresh.client_secret,
        waits_for_setup=True,
    )


def _domain(*, now: datetime) -> Domain:
    for domain in fleet.list_domains():
        if domain.slug == DOMAIN:
            return domain
    return devices.create_domain(slug=DOMAIN, name="Default", actor=SYSTEM, now=now)


def _issuer(domain: Domain, *, now: datetime) -> None:
    known = {issuer.slug: issuer for issuer in issuers.list_issuers()}
    root = known.get(ROOT) or pki.create_root(
        domain=domain.id, slug=ROOT, common_name="Gatehouse default root", actor=SYSTEM, now=now
    )
    issuing: Issuer = known.get(ISSUER) or pki.create_issuing_ca(
        parent=root.id, slug=ISSUER, common_name="Gatehouse default issuing CA", actor=SYSTEM, now=now
    )
    changes = list_entries(subject_kind="devices.domain", subject_id=str(domain.id), limit=1_000)
    if not any("issuer_id" in entry.after for entry in changes):  # whoever chose another since is left alone
        devices.set_issuer(domain=domain.id, issuer=issuing.id, actor=SYSTEM, now=now)


def _policy(domain: Domain, *, now: datetime) -> None:
    role = _role(domain.id, ROLE, RULES, "What every device may do.", now=now)
    with contextlib.suppress(Conflict):  # it is bound already
        target = BindingTarget(domain=domain.slug)
        devices.bind_role(domain=domain.id, role=role.id, target=target, actor=SYSTEM, now=now)
    quarantine = _role(domain.id, QUARANTINE_ROLE, QUARANTINE_RULES, "All that is left in quarantine.", now=now)
    if domain.quarantine_role is None:
        devices.set_quarantine_role(domain=domain.id, role=quarantine.id, actor=SYSTEM, now=now)


def _role(domain: DomainId, name: str, rules: tuple[RuleSpec, ...], description: str, *, now: datetime) -> Role:
    return roles.find_role(domain=domain, name=name) or acl.create_role(
        domain=domain, name=name, rules=rules, description=description, actor=SYSTEM, now=now
    )


def _enrolment(domain: Domain, *, now: datetime) -> None:
    with contextlib.suppress(Conflict):  # there already
        devices.create_device_type(domain=domain.id, name=DEVICE_TYPE, schema=ATTRIBUTES, actor=SYSTEM, now=now)
    with contextlib.suppress(Conflict):
        devices.create_enrolment_profile(
            domain=domain.id, name=PROFILE, device_type=DEVICE_TYPE, needs_approval=False, actor=SYSTEM, now=now
        )


def _broker(domain: Domain, *, now: datetime) -> None:
    if any(broker.name == BROKER for broker in list_brokers(domains=[domain.id])):
        return
    brokers.register_broker(
        domain=domain.id,
        name=BROKER,
        kind=AdapterKind.NATS,
        connection=embedded_connection(),
        listeners=embedded_listeners(),
        actor=SYSTEM,
        now=now,
    )


def _operator(domain: Domain, *, now: datetime) -> Operator:
    operator = find_operator(username=OPERATOR)
    if operator is None:
        operator = create_operator(username=OPERATOR, display_name="Administrator", actor=SYSTEM, now=now)
    if not operator.memberships.exists():
        grant_role(operator=operator, domain=domain.id, role=ConsoleRole.OWNER, actor=SYSTEM, now=now)
    return operator
