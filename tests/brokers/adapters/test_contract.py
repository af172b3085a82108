"""What every adapter that writes policy owes whoever calls it, without a broker: foreseeing counts on it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from brokers.adapters.emqx import EmqxAdapter
from brokers.adapters.goauth_postgresql import GoAuthPostgresqlAdapter
from brokers.adapters.goauth_redis import GoAuthRedisAdapter
from brokers.adapters.hivemq_ese import HivemqEseAdapter
from brokers.adapters.hivemq_files import HivemqCeFileAdapter, HivemqEseFileAdapter
from brokers.adapters.mosquitto_acl_file import MosquittoAclFileAdapter
from brokers.adapters.mosquitto_dynsec import MosquittoDynsecAdapter
from brokers.adapters.nanomq import NanomqAdapter
from brokers.adapters.nats_files import NatsFilesAdapter
from brokers.adapters.rabbitmq import RabbitmqAdapter
from brokers.adapters.vernemq_postgresql import VernemqPostgresqlAdapter
from brokers.core.ports import AppliedState, BrokerAdapter, DesiredState, EffectLine, Standing
from brokers.core.values import AdapterKind
from tests.brokers.links import broker_link
from tests.brokers.subjects import ALL, DOWN, UP, subject

SECRET = "pw-not-to-be-seen"
ACCOUNT: Mapping[str, object] = {"host": "127.0.0.1", "port": 1, "username": "gate/house", "password": SECRET}
ADAPTERS: Mapping[AdapterKind, tuple[type[BrokerAdapter], Mapping[str, object]]] = {
    AdapterKind.EMQX: (EmqxAdapter, {"host": "::1", "port": 1, "api_key": "k", "api_secret": SECRET}),
    AdapterKind.GOAUTH_POSTGRESQL: (GoAuthPostgresqlAdapter, {**ACCOUNT, "database": "d"}),
    AdapterKind.GOAUTH_REDIS: (GoAuthRedisAdapter, ACCOUNT),
    AdapterKind.HIVEMQ_ESE_SQL: (HivemqEseAdapter, {**ACCOUNT, "database": "d", "rest": ACCOUNT}),
    AdapterKind.HIVEMQ_CE_FILE: (HivemqCeFileAdapter, {"files": {"directory": "hall"}}),
    AdapterKind.HIVEMQ_ESE_FILE: (HivemqEseFileAdapter, {"files": {"directory": "hall"}, "rest": ACCOUNT}),
    AdapterKind.MOSQUITTO_FILES: (MosquittoAclFileAdapter, {"files": {"directory": "hall"}}),
    AdapterKind.MOSQUITTO_DYNSEC: (MosquittoDynsecAdapter, ACCOUNT),
    AdapterKind.NANOMQ: (NanomqAdapter, {**ACCOUNT, "files": {"directory": "hall"}}),
    AdapterKind.NATS_FILES: (
        NatsFilesAdapter,
        {
            "host": "::1",
            "port": 1,
            "system_user": "s",
            "system_password": SECRET,
            "account": "A",
            "files": {"directory": "hall"},
        },
    ),
    AdapterKind.RABBITMQ: (RabbitmqAdapter, ACCOUNT),
    AdapterKind.VERNEMQ_POSTGRESQL: (
        VernemqPostgresqlAdapter,
        {**ACCOUNT, "database": "d", "api": {"host": "::1", "port": 1, "api_key": SECRET}},
    ),
}
WRITTEN_AT_ONCE = {
    AdapterKind.HIVEMQ_CE_FILE,
    AdapterKind.HIVEMQ_ESE_FILE,
    AdapterKind.MOSQUITTO_FILES,
    AdapterKind.NANOMQ,
    AdapterKind.NATS_FILES,
}
"""All that a plan changes is one file, which is replaced as a whole."""
BEFORE = DesiredState(subjects=(subject("alpha", UP), subject("beta", UP, DOWN)))
AFTER = DesiredState(subjects=(subject("alpha", UP, ALL), subject("beta", standing=Standing.BARRED)))
GAINED = EffectLine(auth_id="alpha", action="subscribe", filter="north/all/#")
LOST = {
    EffectLine(auth_id="beta", action="publish", filter="north/beta/up/#"),
    EffectLine(auth_id="beta", action="subscribe", filter="north/beta/down/#"),
}


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> BrokerAdapter:
    kind, connection = ADAPTERS[request.param]
    assert not kind.connection_errors(connection)
    return kind(link=broker_link(request.param, connection))


def test_what_is_rendered_counts_as_applied(adapter: BrokerAdapter) -> None:
    held = AppliedState(artifact=adapter.render(BEFORE).artifact)
    assert adapter.plan(BEFORE, held) == ()
    unchanged = adapter.effect(BEFORE, held)
    assert (unchanged.gain, unchanged.lose) == ((), ())
    found = adapter.effect(AFTER, held)
    assert GAINED in found.gain
    assert set(found.lose) >= LOST
    assert adapter.plan(AFTER, held)


def test_whoever_loses_does_so_before_anybody_gains(adapter: BrokerAdapter, request: pytest.FixtureRequest) -> None:
    before = DesiredState(subjects=(subject("alpha", UP), subject("gone", UP), subject("zulu", UP, DOWN)))
    after = DesiredState(subjects=(subject("alpha", UP, ALL), subject("zulu", UP)))
    steps = adapter.plan(after, AppliedState(artifact=adapter.render(before).artifact))
    told = [name for step in steps for name in ("alpha", "gone", "zulu") if name in step.target]
    if request.node.callspec.params["adapter"] not in WRITTEN_AT_ONCE:
        assert told.index("zulu") < (told.index("alpha") if "alpha" in told else len(told))


def test_nothing_is_applied_where_nothing_was_read(adapter: BrokerAdapter) -> None:
    assert len(adapter.plan(BEFORE, AppliedState(artifact=""))) >= len(BEFORE.subjects)
    assert adapter.effect(BEFORE, AppliedState(artifact="")).lose == ()


def test_no_step_nor_name_of_an_adapter_tells_its_password(adapter: BrokerAdapter) -> None:
    steps = adapter.plan(AFTER, AppliedState(artifact=""))
    told = [repr(adapter), repr(vars(adapter)), repr(steps), adapter.render(AFTER).artifact]
    assert not any(SECRET in text for text in told)
