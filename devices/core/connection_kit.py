"""All that somebody needs who brings a device to its brokers: values, files, programs. Nothing of it is secret."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from acl.core.evaluation import EffectiveRule
from acl.core.values import Action, Effect
from devices.core.connection_snippets import TRUST, Connecting, Snippet, proof_files, snippets_for
from devices.core.ports import BrokerEndpoint
from devices.core.values import Device

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_ANY_TOPIC = "a/topic/it/may/publish/to"


@dataclass(frozen=True, slots=True, kw_only=True)
class KitFile:
    """A file that the programs read. `content` is None where only the device has it."""

    name: str
    what: str
    content: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KitBroker:
    """A listener that the device may connect to, whose certificate names `endpoint.host`, and programs that do."""

    endpoint: BrokerEndpoint
    snippets: tuple[Snippet, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionKit:
    """The kit of one device. `permissions` are the rules in force, void ones left out.

    `by_password`: it has no certificate, and shows its password where brokers take them.
    """

    device: Device
    by_password: bool
    files: tuple[KitFile, ...]
    brokers: tuple[KitBroker, ...]
    permissions: tuple[EffectiveRule, ...]


def make_kit(
    *,
    device: Device,
    by_password: bool,
    trust_bundle: str,
    endpoints: Sequence[BrokerEndpoint],
    rules: Sequence[EffectiveRule],
) -> ConnectionKit:
    """The kit; of listeners that take no passwords none is in that of a device that has nothing else."""
    theirs = proof_files(device.name, by_password=by_password)
    trust = KitFile(name=TRUST, what="the CAs that it trusts a broker by", content=trust_bundle)
    topic = _topic_to_try(rules)
    return ConnectionKit(
        device=device,
        by_password=by_password,
        files=(trust, *(KitFile(name=name, what=what, content=None) for name, what in theirs.items())),
        brokers=tuple(
            KitBroker(endpoint=each, snippets=snippets_for(_connecting(device, each, topic, by_password=by_password)))
            for each in endpoints
            if each.takes_passwords or not by_password
        ),
        permissions=tuple(rule for rule in rules if rule.filter is not None),
    )


def archive(kit: ConnectionKit) -> bytes:
    """The kit as a zip file: same kit, same octets. The programs for a listener are in a folder of their own."""
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w") as packed:
        for name, text in _members(kit):
            packed.writestr(zipfile.ZipInfo(name, _LONG_AGO), text)
    return octets.getvalue()


def _members(kit: ConnectionKit) -> Iterator[tuple[str, str]]:
    yield "README.txt", _readme(kit)
    given = [(file.name, file.content) for file in kit.files if file.content is not None]
    yield from given
    for folder, broker in _folders(kit):
        for snippet in broker.snippets:
            yield f"{folder}/{snippet.file}", snippet.text


def _folders(kit: ConnectionKit) -> Iterator[tuple[str, KitBroker]]:
    """Each broker's folder; a broker may have several listeners, and its name is no path."""
    for number, broker in enumerate(kit.brokers, start=1):
        yield f"{number}-{broker.endpoint.name}", broker


def _readme(kit: ConnectionKit) -> str:
    device = kit.device
    lines = [
        f"Connection kit of {device.name}",
        "",
        f"client id  {device.client_id}",
        f"username   {device.auth_id}" + ("" if kit.by_password else " (brokers take it from the certificate)"),
        "",
        "Files, to be in the folder in which a program is started, such as: sh 1-hall/publish.sh",
        *(f"  {file.name}: {file.what}" + ("" if file.content else " (not in this kit)") for file in kit.files),
        "",
        "Brokers",
        *(
            f"  {folder}/: {broker.endpoint.host} port {broker.endpoint.port}, {broker.endpoint.transport}, "
            f"MQTT {' and '.join(broker.endpoint.protocol_versions)}"
            for folder, broker in _folders(kit)
        ),
        *([] if kit.brokers else ["  none that it may connect to now"]),
        "",
        "Topics",
        *(
            f"  {rule.bound.rule.effect} {' and '.join(sorted(rule.bound.rule.actions))}: {rule.filter}"
            for rule in kit.permissions
        ),
        *([] if kit.permissions else ["  none"]),
    ]
    return "\n".join(lines) + "\n"


def _connecting(device: Device, endpoint: BrokerEndpoint, topic: str, *, by_password: bool) -> Connecting:
    return Connecting(
        name=device.name,
        username=device.auth_id,
        client_id=device.client_id,
        by_password=by_password,
        endpoint=endpoint,
        topic=topic,
    )


def _topic_to_try(rules: Sequence[EffectiveRule]) -> str:
    """A topic name that the first allow rule for publish lets the device publish to."""
    for found in rules:
        rule = found.bound.rule
        if found.filter and rule.effect is Effect.ALLOW and Action.PUBLISH in rule.actions:
            return found.filter.replace("#", "hello").replace("+", "hello")
    return _ANY_TOPIC
