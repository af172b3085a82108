"""Every path of every dialect, as it stands behind /decide/<broker-id>/."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from brokers.core import decide_emqx, decide_emqx_rules, decide_goauth, decide_nanomq, decide_rabbitmq, decide_vernemq
from brokers.core.decide import Call
from brokers.core.decide_snippets import Dialect

CALLS: Mapping[str, Call] = {
    "emqx/authn": decide_emqx.AUTHN,
    "emqx/authn-acl": decide_emqx_rules.AUTHN_ACL,
    "emqx/authz": decide_emqx.AUTHZ,
    "goauth/aclcheck": decide_goauth.ACLCHECK,
    "goauth/getuser": decide_goauth.GETUSER,
    "goauth/superuser": decide_goauth.SUPERUSER,
    "nanomq/acl": decide_nanomq.ACL,
    "nanomq/auth": decide_nanomq.AUTH,
    "rabbitmq/resource": decide_rabbitmq.RESOURCE,
    "rabbitmq/topic": decide_rabbitmq.TOPIC,
    "rabbitmq/user": decide_rabbitmq.USER,
    "rabbitmq/vhost": decide_rabbitmq.VHOST,
    "vernemq": decide_vernemq.MQTT_3,
}


@cache
def dialect_of(path: str) -> Dialect:
    """The dialect of a path that `call_of` knows."""
    return Dialect(path.partition("/")[0])


def call_of(path: str, hook: str) -> Call | None:
    """What is asked at that path; None if nothing is."""
    return decide_vernemq.MQTT_5 if path == "vernemq" and hook.endswith("_m5") else CALLS.get(path)
