"""Every artifact that policy is compiled to: the one registry of them.

What stands here is what `make faithfulness` tries, so a compiler that is not here is not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from acl.core.values import Principal, Request, Subscribe
from brokers.core.emqx import acl as emqx_acl
from brokers.core.emqx import compiler as emqx_compiler
from brokers.core.emqx import emulator as emqx_emulator
from brokers.core.emqx import file as emqx_file
from brokers.core.emqx import file_emulator as emqx_file_emulator
from brokers.core.emqx import rules as emqx_rules
from brokers.core.emqx import rules_emulator as emqx_rules_emulator
from brokers.core.goauth import emulator as goauth_emulator
from brokers.core.goauth import postgresql as goauth_postgresql
from brokers.core.goauth import redis as goauth_redis
from brokers.core.hivemq import ce_file as hivemq_ce_file
from brokers.core.hivemq import emulator as hivemq_emulator
from brokers.core.hivemq import ese_file as hivemq_ese_file
from brokers.core.hivemq import ese_sql as hivemq_ese_sql
from brokers.core.hivemq import policy as hivemq
from brokers.core.mosquitto import acl as mosquitto_acl
from brokers.core.mosquitto import acl_emulator as mosquitto_acl_emulator
from brokers.core.mosquitto import acl_file as mosquitto_acl_file
from brokers.core.mosquitto import acl_patterns as mosquitto_acl_patterns
from brokers.core.mosquitto import dynsec as mosquitto_dynsec
from brokers.core.mosquitto import dynsec_21 as mosquitto_dynsec_21
from brokers.core.mosquitto import dynsec_21_emulator as mosquitto_dynsec_21_emulator
from brokers.core.mosquitto import dynsec_emulator, dynsec_state
from brokers.core.mosquitto import topics as mosquitto_topics
from brokers.core.nanomq import emulator as nanomq_emulator
from brokers.core.nanomq import file as nanomq_file
from brokers.core.nanomq import policy as nanomq
from brokers.core.nats import emulator as nats_emulator
from brokers.core.nats import policy as nats
from brokers.core.ports import Capabilities, Rendering, RenderSubject
from brokers.core.rabbitmq import emulator as rabbitmq_emulator
from brokers.core.rabbitmq import policy as rabbitmq
from brokers.core.rabbitmq import state as rabbitmq_state
from brokers.core.vernemq import acl as vernemq_acl
from brokers.core.vernemq import emulator as vernemq_emulator
from brokers.core.vernemq import policy as vernemq
from brokers.core.vernemq import postgresql as vernemq_postgresql
from kernel.core.garbage import collection_paused


def _never(_request: Request) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One artifact format of one broker.

    `parse` reads what `render` wrote into a state of the broker's own, and `write` is its inverse. `emulate` says
    whether the broker that holds the state lets the principal's request pass, `deliverable` whether a message on a
    topic reaches who asked for a filter. With `together` it may grant a filter that several rules cover only together;
    `limited` are the requests that `capabilities.limits` says are never allowed, whatever the policy is; with
    `grants_all` they say that every filter is granted, and that what may not be received is not delivered.
    """

    name: str
    capabilities: Capabilities
    renders: Callable[[Iterable[RenderSubject]], Rendering]
    parse: Callable[[str], Any]
    write: Callable[[Any], str]
    emulate: Callable[[Any, Principal, Request], bool]
    deliverable: Callable[[Any, Principal, Subscribe, str], bool]
    together: bool = False
    grants_all: bool = False
    limited: Callable[[Request], bool] = _never

    def render(self, subjects: Iterable[RenderSubject]) -> Rendering:
        """What the broker should hold of these principals, and how it deviates from the policy."""
        with collection_paused():
            return self.renders(subjects)


MOSQUITTO_DYNSEC = Target(
    name="mosquitto-dynsec",
    capabilities=Capabilities(
        stores_policy=True,
        protocol_versions=("3.1.1", "5"),
        version="2.0",
        limits=tuple((limit.kind, limit.why) for limit in mosquitto_dynsec.LIMITS),
    ),
    renders=mosquitto_dynsec.render,
    parse=dynsec_state.parse,
    write=dynsec_state.to_artifact,
    emulate=lambda state, principal, request: dynsec_emulator.emulate(state, principal.auth_id, request),
    deliverable=lambda state, principal, wanted, topic: dynsec_emulator.deliverable(
        state, principal.auth_id, wanted.spelled, topic
    ),
    limited=mosquitto_dynsec.limited,
)

MOSQUITTO_DYNSEC_21 = replace(
    MOSQUITTO_DYNSEC,
    name="mosquitto-dynsec-2.1",
    capabilities=mosquitto_dynsec_21.CAPABILITIES,
    renders=mosquitto_dynsec_21.render,
    emulate=mosquitto_dynsec_21_emulator.emulate,
    deliverable=mosquitto_dynsec_21_emulator.deliverable,
)

MOSQUITTO_ACL = Target(
    name="mosquitto-acl",
    capabilities=mosquitto_acl.CAPABILITIES,
    renders=mosquitto_acl.render,
    parse=mosquitto_acl_file.parse,
    write=mosquitto_acl_file.to_text,
    emulate=mosquitto_acl_emulator.emulate,
    deliverable=mosquitto_acl_emulator.deliverable,
    grants_all=True,
    limited=mosquitto_topics.limited,
)

MOSQUITTO_ACL_PATTERNS = replace(
    MOSQUITTO_ACL,
    name="mosquitto-acl-patterns",
    capabilities=mosquitto_acl_patterns.CAPABILITIES,
    renders=mosquitto_acl_patterns.render,
)

NATS = Target(
    name="nats",
    capabilities=Capabilities(
        stores_policy=False,
        protocol_versions=("3.1.1",),
        shared_subscriptions=False,
        version="2.14",
        limits=tuple((limit.kind, limit.why) for limit in nats.LIMITS),
    ),
    renders=nats.render,
    parse=nats.parse,
    write=nats.to_artifact,
    emulate=lambda state, principal, request: nats_emulator.emulate(
        state.get(principal.auth_id, nats.NOTHING), request
    ),
    deliverable=lambda state, principal, wanted, topic: nats_emulator.deliverable(
        state.get(principal.auth_id, nats.NOTHING), wanted.spelled, topic, qos=wanted.qos
    ),
    together=True,
    limited=nats.limited,
)

RABBITMQ = Target(
    name="rabbitmq",
    capabilities=rabbitmq.CAPABILITIES,
    renders=rabbitmq.render,
    parse=rabbitmq_state.parse,
    write=rabbitmq_state.to_artifact,
    emulate=rabbitmq_emulator.emulate,
    deliverable=rabbitmq_emulator.deliverable,
    limited=rabbitmq.limited,
)

HIVEMQ_ESE_SQL = Target(
    name="hivemq-ese-sql",
    capabilities=hivemq_ese_sql.CAPABILITIES,
    renders=hivemq_ese_sql.render,
    parse=hivemq_ese_sql.parse,
    write=hivemq_ese_sql.to_artifact,
    emulate=hivemq_emulator.emulate_ese,
    deliverable=hivemq_emulator.deliverable_ese,
    limited=hivemq.limited,
)

HIVEMQ_ESE_FILE = Target(
    name="hivemq-ese-file",
    capabilities=hivemq_ese_file.CAPABILITIES,
    renders=hivemq_ese_file.render,
    parse=hivemq_ese_file.parse,
    write=hivemq_ese_file.to_artifact,
    emulate=hivemq_emulator.emulate_ese,
    deliverable=hivemq_emulator.deliverable_ese,
    limited=hivemq.limited,
)

HIVEMQ_CE_FILE = Target(
    name="hivemq-ce-file",
    capabilities=hivemq_ce_file.CAPABILITIES,
    renders=hivemq_ce_file.render,
    parse=hivemq_ce_file.parse,
    write=hivemq_ce_file.to_artifact,
    emulate=hivemq_emulator.emulate_rbac,
    deliverable=hivemq_emulator.deliverable_rbac,
    limited=hivemq.limited,
)

VERNEMQ_POSTGRESQL = Target(
    name="vernemq-postgresql",
    capabilities=vernemq_postgresql.CAPABILITIES,
    renders=vernemq_postgresql.render,
    parse=vernemq_postgresql.parse,
    write=vernemq_postgresql.to_artifact,
    emulate=vernemq_emulator.emulate_rows,
    deliverable=vernemq_emulator.deliverable_rows,
    limited=vernemq.limited,
)

VERNEMQ_ACL = Target(
    name="vernemq-acl",
    capabilities=vernemq_acl.CAPABILITIES,
    renders=vernemq_acl.render,
    parse=vernemq_acl.parse,
    write=vernemq_acl.to_artifact,
    emulate=vernemq_emulator.emulate_file,
    deliverable=vernemq_emulator.deliverable_file,
    limited=vernemq.limited,
)

EMQX_RULES = Target(
    name="emqx-rules",
    capabilities=emqx_rules.CAPABILITIES,
    renders=emqx_rules.render,
    parse=emqx_rules.parse,
    write=emqx_rules.write,
    emulate=emqx_rules_emulator.emulate,
    deliverable=emqx_rules_emulator.deliverable,
    limited=emqx_compiler.limited,
)

EMQX_ACL = Target(
    name="emqx-acl",
    capabilities=emqx_acl.CAPABILITIES,
    renders=emqx_acl.render,
    parse=emqx_acl.parse,
    write=emqx_acl.write,
    emulate=emqx_emulator.emulate,
    deliverable=emqx_emulator.deliverable,
    limited=emqx_compiler.limited,
)

EMQX_FILE = Target(
    name="emqx-file",
    capabilities=emqx_file.CAPABILITIES,
    renders=emqx_file.render,
    parse=emqx_file.parse,
    write=emqx_file.write,
    emulate=emqx_file_emulator.emulate,
    deliverable=emqx_file_emulator.deliverable,
    limited=emqx_compiler.limited,
)

NANOMQ = Target(
    name="nanomq",
    capabilities=nanomq.CAPABILITIES,
    renders=nanomq.render,
    parse=nanomq_file.parse,
    write=nanomq_file.write,
    emulate=nanomq_emulator.emulate,
    deliverable=nanomq_emulator.deliverable,
    limited=nanomq.limited,
)

GOAUTH_POSTGRESQL = Target(
    name="goauth-postgresql",
    capabilities=goauth_postgresql.CAPABILITIES,
    renders=goauth_postgresql.render,
    parse=goauth_postgresql.parse,
    write=goauth_postgresql.to_artifact,
    emulate=goauth_emulator.emulate_rows,
    deliverable=goauth_emulator.deliverable_by_rows,
    limited=mosquitto_topics.limited,
)

GOAUTH_REDIS = Target(
    name="goauth-redis",
    capabilities=goauth_redis.CAPABILITIES,
    renders=goauth_redis.render,
    parse=goauth_redis.parse,
    write=goauth_redis.to_artifact,
    emulate=goauth_emulator.emulate_keys,
    deliverable=goauth_emulator.deliverable_by_keys,
    limited=mosquitto_topics.limited,
)

TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        MOSQUITTO_DYNSEC,
        MOSQUITTO_DYNSEC_21,
        MOSQUITTO_ACL,
        MOSQUITTO_ACL_PATTERNS,
        GOAUTH_POSTGRESQL,
        GOAUTH_REDIS,
        NATS,
        RABBITMQ,
        HIVEMQ_ESE_SQL,
        HIVEMQ_ESE_FILE,
        HIVEMQ_CE_FILE,
        VERNEMQ_POSTGRESQL,
        VERNEMQ_ACL,
        EMQX_RULES,
        EMQX_ACL,
        EMQX_FILE,
        NANOMQ,
    )
}
