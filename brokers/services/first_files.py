"""The file that a Mosquitto with dynamic security starts with, when commands for all of it would take too long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.db import transaction

from brokers import models, queries
from brokers.adapters.mosquitto_files import FirstFileFolder
from brokers.conf import adapter_for, files_root
from brokers.core.mosquitto.conf import DYNSEC_FILE, FIRST_FILE
from brokers.core.mosquitto.connection import MosquittoConnection
from brokers.core.mosquitto.dynsec_first_file import merged
from brokers.core.plans import require_acceptance
from brokers.core.values import AdapterKind, BrokerId, BrokerLink
from brokers.services.desired import desired_state
from kernel.core.actor import Actor
from kernel.core.errors import Conflict
from kernel.core.journal import Subject
from kernel.services import record


class NoFirstFile(Conflict):
    """The broker is not started with a file of ours, or the file can not be read or put where it is to be."""

    code = "no-first-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstFile:
    """The file, for whoever starts the broker; `warnings` are the rendering's. It holds the control account's hash."""

    text: str
    devices: int
    warnings: tuple[str, ...]


def first_file_of(*, broker: BrokerId, existing: str, actor: Actor, now: datetime) -> FirstFile:
    """What the broker's own file `existing` becomes with the policy of its domain in it; the broker is not contacted.

    The journal keeps who had it made. A broker that starts with it is managed once a plan was applied, which has no
    steps then. Raises NoFirstFile, InvalidDynsec, DeviationNotAccepted.
    """
    link = _mosquitto(broker)
    desired = desired_state(domain=link.broker.domain, broker=broker, now=now)
    rendering = adapter_for(link).render(desired)
    require_acceptance(rendering.deviations, models.Broker.objects.get(id=broker).accepted_deviations)
    control = MosquittoConnection.of(link.connection).username
    made = FirstFile(
        text=merged(existing, rendering.artifact, control=control),
        devices=len(desired.subjects),
        warnings=rendering.warnings,
    )
    with transaction.atomic():
        record(
            action="brokers.first_file.made",
            subject=Subject(kind="brokers.broker", id=str(broker), label=link.broker.name),
            actor=actor,
            now=now,
            domain=link.broker.domain,
            after={"broker": link.broker.name, "devices": made.devices},
        )
    return made


def write_first_file(*, broker: BrokerId, actor: Actor, now: datetime) -> tuple[FirstFile, Path]:
    """The same from the file in the folder that both share, and where it was written: beside that file, never over it.

    Raises NoFirstFile, UnsafeFolder and BrokerUnreachable too.
    """
    name = MosquittoConnection.of(_mosquitto(broker).connection).directory
    if name is None:
        raise NoFirstFile("The broker shares no folder with Gatehouse: give its file, and take the new one.")
    folder = FirstFileFolder(root=files_root(), name=name)
    made = first_file_of(broker=broker, existing=folder.text(DYNSEC_FILE), actor=actor, now=now)
    folder.replace(FIRST_FILE, made.text)
    return made, files_root() / name / FIRST_FILE


def _mosquitto(broker: BrokerId) -> BrokerLink:
    link = queries.link_to(broker=broker)
    if link.broker.kind is not AdapterKind.MOSQUITTO_DYNSEC:
        raise NoFirstFile("Only a Mosquitto with dynamic security starts with such a file: make a plan and apply it.")
    return link
