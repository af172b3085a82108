"""Importing policy from a file of ours, or of another program: what the file wants, its plan, its draft."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from brokers.core.foreign.dynsec import read_dynsec, read_dynsec_21
from brokers.core.foreign.emqx import read_emqx_acl_conf
from brokers.core.foreign.emqx_json import read_emqx_rules
from brokers.core.foreign.hivemq import read_ese_file
from brokers.core.foreign.mosquitto_acl import read_mosquitto_acl
from brokers.core.foreign.outcome import DevicesById, ForeignPolicy, Note, merged, prefixed
from brokers.core.foreign.rabbitmq import read_rabbitmq
from devices.core.policy_document import BindingSpec, PolicyDocument
from devices.core.policy_yaml import from_yaml
from devices.core.yaml_tree import MAX_OCTETS
from devices.queries.policy import application_names, device_names_by, policy_document
from devices.services.import_policy import PolicyImport, import_policy, plan_import
from devices.services.policy_changes.drafting import UnknownBindingTarget
from kernel.core.actor import Actor
from kernel.core.errors import FieldError, Invalid
from kernel.core.ids import DomainId

FORMATS: Mapping[str, Callable[[str], ForeignPolicy]] = {
    "emqx-acl-conf": read_emqx_acl_conf,
    "emqx-rules": read_emqx_rules,
    "hivemq-ese-file": read_ese_file,
    "mosquitto-acl": read_mosquitto_acl,
    "mosquitto-dynsec": read_dynsec,
    "mosquitto-dynsec-2.1": read_dynsec_21,
    "rabbitmq-definitions": read_rabbitmq,
}
"""What can be read, by the name under which it is asked for."""


class TooLong(Invalid):
    """The file is longer than any that is read."""

    code = "file-too-long"


class UnknownFormat(Invalid):
    """There is no such format."""

    code = "unknown-format"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedPolicy:
    """The policy that a file wants. Of a foreign one `notes` say what is not in it, of ours `lines` where bindings are.

    A foreign file adds to the policy in force; one of ours says all of it.
    """

    document: PolicyDocument
    notes: tuple[Note, ...] = ()
    lines: Mapping[BindingSpec, int] = field(default_factory=dict)

    def told(self, fault: FieldError) -> FieldError:
        """What is wrong with a binding, behind the line on which it stands."""
        line = self.lines.get(self.document.bindings[int(fault.pointer.rpartition("/")[2])])
        return replace(fault, detail=f"Line {line}: {fault.detail}") if line else fault


def wanted_policy(*, text: str | bytes) -> WantedPolicy:
    """What a file of ours (YAML or JSON) wants. Raises BadYaml, InvalidPolicy."""
    read = from_yaml(text)
    return WantedPolicy(document=read.document, lines=read.lines)


def foreign_policy(*, domain: DomainId, format: str, text: str, prefix: str = "") -> WantedPolicy:
    """The domain's policy with what the text comes to added; names of its roles begin with `prefix`.

    Raises UnknownFormat, TooLong, UnknownDomain, RoleDiffers, and Invalid of the format.
    """
    if format not in FORMATS:
        raise UnknownFormat(f"There is no format {format[:64]!r}: there are {', '.join(sorted(FORMATS))}.")
    if len(text) > MAX_OCTETS:
        raise TooLong(f"The file has more than {MAX_OCTETS} characters: split it.")
    foreign = prefixed(FORMATS[format](text), prefix)
    by_auth, by_client = device_names_by(
        domain=domain,
        auth_ids={binding.auth_id for binding in foreign.bindings if binding.auth_id is not None},
        client_ids={binding.client_id for binding in foreign.bindings if binding.client_id is not None},
    )
    devices = DevicesById(auth=by_auth, client=by_client, applications=application_names(domain=domain))
    document, missing = merged(policy_document(domain=domain), foreign, devices)
    return WantedPolicy(document=document, notes=tuple(sorted((*foreign.notes, *missing), key=_line)))


def _line(note: Note) -> int:
    """The number of the line; what has another place keeps its own among its like, behind the lines."""
    kind, _, number = note.place.partition(" ")
    return int(number) if kind == "line" and number.isdecimal() else sys.maxsize


def plan_wanted(*, domain: DomainId, wanted: WantedPolicy, expected_digest: str | None = None) -> PolicyImport:
    """What importing it would change; nothing is. Raises what `plan_import` raises, with lines."""
    with _telling_lines(wanted):
        return plan_import(domain=domain, document=wanted.document, expected_digest=expected_digest)


def import_wanted(
    *,
    domain: DomainId,
    wanted: WantedPolicy,
    title: str,
    apply: bool = False,
    expected_digest: str | None = None,
    actor: Actor,
    now: datetime,
) -> PolicyImport:
    """The draft that it is now, or the applied change. Raises what `import_policy` raises, with lines."""
    with _telling_lines(wanted):
        return import_policy(
            domain=domain,
            document=wanted.document,
            title=title,
            apply=apply,
            expected_digest=expected_digest,
            actor=actor,
            now=now,
        )


@contextmanager
def _telling_lines(wanted: WantedPolicy) -> Iterator[None]:
    try:
        yield
    except UnknownBindingTarget as error:
        errors = tuple(map(wanted.told, error.errors))
        raise UnknownBindingTarget(error.detail, errors=errors) from error
