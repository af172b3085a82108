"""Every path of every dialect, as it stands behind /decide/<broker-id>/."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from brokers.core.decide import emqx, emqx_rules, goauth, nanomq, rabbitmq, vernemq
from brokers.core.decide.decisions import Call
from brokers.core.decide.snippets import Dialect

CALLS: Mapping[str, Call] = {
    "emqx/authn": emqx.AUTHN,
    "emqx/authn-acl": emqx_rules.AUTHN_ACL,
    "emqx/authz": emqx.AUTHZ,
    "goauth/aclcheck": goauth.ACLCHECK,
    "goauth/getuser": goauth.GETUSER,
    "goauth/superuser": goauth.SUPERUSER,
    "nanomq/acl": nanomq.ACL,
    "nanomq/auth": nanomq.AUTH,
    "rabbitmq/resource": rabbitmq.RESOURCE,
    "rabbitmq/topic": rabbitmq.TOPIC,
    "rabbitmq/user": rabbitmq.USER,
    "rabbitmq/vhost": rabbitmq.VHOST,
    "vernemq": vernemq.MQTT_3,
}


@cache
def dialect_of(path: str) -> Dialect:
    """The dialect of a path that `call_of` knows."""
    return Dialect(path.partition("/")[0])


def call_of(path: str, hook: str) -> Call | None:
    """What is asked at that path; None if nothing is."""
    return vernemq.MQTT_5 if path == "vernemq" and hook.endswith("_m5") else CALLS.get(path)
