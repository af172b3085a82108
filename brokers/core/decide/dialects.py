"""Every path of every dialect, as it stands behind /decide/<broker-id>/."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from brokers.core.decide import emqx as decide_emqx
from brokers.core.decide import emqx_rules as decide_emqx_rules
from brokers.core.decide import goauth as decide_goauth
from brokers.core.decide import nanomq as decide_nanomq
from brokers.core.decide import rabbitmq as decide_rabbitmq
from brokers.core.decide import vernemq as decide_vernemq
from brokers.core.decide.decisions import Call
from brokers.core.decide.snippets import Dialect

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
