"""The listener profile of a broker: kept, changed, and rendered to the broker's own configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from brokers import models, queries
from brokers.conf import adapter_class
from brokers.core.listeners.profile import (
    InvalidListenerProfile,
    ListenerProfile,
    profile_document,
    read_profile,
)
from brokers.core.listeners.renderers import render_listeners
from brokers.core.listeners.rendering import RenderedListeners, Site
from brokers.core.values import AdapterKind, Broker, BrokerId
from brokers.services.certify_server import server_chain_of
from kernel.core.actor import Actor
from kernel.core.errors import FieldError, Superseded
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record
from pki import queries as pki


class ListenerProfileChanged(Superseded):
    """Somebody changed the profile meanwhile."""

    code = "listener-profile-changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptProfile:
    """A broker's profile; version 0 is that of a broker of which nobody said anything, and safe."""

    profile: ListenerProfile
    version: int


def listener_profile_of(*, broker: Broker) -> KeptProfile:
    """How the broker is to listen."""
    row = models.Listening.objects.filter(broker_id=broker.id).first()
    if row is None or row.profile is None:
        return KeptProfile(profile=read_profile({}, kind=broker.kind), version=0)
    return KeptProfile(profile=read_profile(row.profile, kind=broker.kind), version=row.version)


def render_listener_profile(*, broker: Broker, now: datetime) -> RenderedListeners:
    """The profile in the words of the broker's make, with warnings. It has paths of files, and nothing of theirs."""
    chain = server_chain_of(broker=broker, now=now)
    site = Site(
        listeners=broker.listeners,
        version=broker.version,
        ocsp_url=pki.ocsp_url(slug=chain.certificate.issuer_slug) if chain else "",
        asks=not adapter_class(broker.kind).capabilities.stores_policy,
        unasked=tuple(
            each.name for each in pki.list_profiles(domain=broker.domain) if each.may_be_client and not each.names_ocsp
        ),
    )
    return render_listeners(listener_profile_of(broker=broker).profile, site)


def change_listener_profile(
    *, broker: BrokerId, document: object, expected_version: int | None = None, actor: Actor, now: datetime
) -> KeptProfile:
    """The profile as it is now; the broker itself is not told. A document that says the same changes nothing.

    Raises BrokerNotFound, InvalidListenerProfile, and ListenerProfileChanged if the profile is not at
    `expected_version` any more.
    """
    with transaction.atomic():
        row = queries.registered(models.Broker.objects.select_for_update().filter(id=broker))
        profile = read_profile(document, kind=AdapterKind(row.kind))
        _check_port(profile, row.listeners)
        kept, _ = models.Listening.objects.get_or_create(broker=row)
        if expected_version not in {None, kept.version}:
            raise ListenerProfileChanged(
                f"The listener profile of {row.name} was changed meanwhile (it is at version {kept.version}): "
                "read it again, then repeat."
            )
        before, after = kept.profile or {}, profile_document(profile)
        if before != after:
            kept.profile, kept.version = after, kept.version + 1
            kept.save(update_fields=["profile", "version"])
            _record(row, _differences(before, after), actor=actor, now=now)
        return KeptProfile(profile=profile, version=kept.version)


def _check_port(profile: ListenerProfile, listeners: list[Mapping[str, Any]]) -> None:
    if profile.plain_port in {listener["port"] for listener in listeners}:
        detail = "A listener with TLS has this port: choose another, or null."
        fault = FieldError(pointer="/plain_port", code="port-taken", detail=detail)
        raise InvalidListenerProfile(f"The profile can not be like this: {detail}", errors=(fault,))


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    changed = [name for name, value in after.items() if name not in before or before[name] != value]
    return {name: before[name] for name in changed if name in before}, {name: after[name] for name in changed}


def _record(row: models.Broker, changed: tuple[dict[str, Any], dict[str, Any]], *, actor: Actor, now: datetime) -> None:
    record(
        action="brokers.listener_profile.changed",
        subject=Subject(kind="brokers.broker", id=str(row.id), label=row.name),
        actor=actor,
        now=now,
        domain=DomainId(row.domain_id),
        before=changed[0],
        after=changed[1],
    )
