"""Foreign policy beside the policy in force, as one document that can be drafted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from brokers.core.foreign import DevicesById, ForeignPolicy, Note, merged, prefixed
from brokers.core.foreign_dynsec import read_dynsec, read_dynsec_21
from brokers.core.foreign_emqx import read_emqx_acl_conf
from brokers.core.foreign_emqx_json import read_emqx_rules
from brokers.core.foreign_hivemq import read_ese_file
from brokers.core.foreign_mosquitto_acl import read_mosquitto_acl
from brokers.core.foreign_rabbitmq import read_rabbitmq
from devices.core.policy_document import PolicyDocument
from devices.queries.policy import device_names_by, policy_document
from kernel.core.errors import Invalid
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


class UnknownFormat(Invalid):
    """There is no such format."""

    code = "unknown-format"


def beside(*, domain: DomainId, format: str, text: str, prefix: str = "") -> tuple[PolicyDocument, tuple[Note, ...]]:
    """The domain's policy with what the text comes to added, and what of that has no equivalent.

    Names of roles begin with `prefix`. Raises UnknownFormat, UnknownDomain, RoleDiffers, and Invalid of the format.
    """
    if format not in FORMATS:
        raise UnknownFormat(f"There is no format {format[:64]!r}: there are {', '.join(sorted(FORMATS))}.")
    foreign = prefixed(FORMATS[format](text), prefix)
    by_auth, by_client = device_names_by(
        domain=domain,
        auth_ids={binding.auth_id for binding in foreign.bindings if binding.auth_id is not None},
        client_ids={binding.client_id for binding in foreign.bindings if binding.client_id is not None},
    )
    devices = DevicesById(auth=by_auth, client=by_client)
    document, missing = merged(policy_document(domain=domain), foreign, devices)
    return document, (*foreign.notes, *missing)
