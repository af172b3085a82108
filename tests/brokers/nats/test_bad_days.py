"""A NATS server that was changed or emptied behind our back: nobody gets in by it, it is told, and it is put right."""

from __future__ import annotations

import signal
from datetime import timedelta

import pytest

from brokers import queries, services
from brokers.adapters.nats import NatsAdapter
from brokers.adapters.nats_files import FILE, ConfigurationRefused
from brokers.core.outcomes import Comparison
from brokers.core.ports import AppliedState, BrokerUnreachable, DesiredState
from brokers.core.values import AdapterKind, Listener, SyncState
from kernel.core.clock import utc_now
from tests.brokers.bringing import all_of, bring_to
from tests.brokers.fleet import Fleet
from tests.brokers.nats.conftest import Open
from tests.brokers.nats.hall import Hall, hall
from tests.brokers.nats.server import Doorman, LiveNats
from tests.brokers.nats.test_adapter import adapter, doorman
from tests.brokers.nats.test_adapter import subject as asked_subject
from tests.brokers.subjects import DOWN, UP, subject
from tests.cast import ADA
from tests.servers import wait_until

pytestmark = pytest.mark.e2e
__all__ = ["adapter", "doorman", "hall"]

EVERYBODY = [("set-user", "alpha"), ("set-user", "beta"), ("read-file", FILE)]


def steps(hall: Hall, desired: DesiredState) -> list[tuple[str, str]]:
    return [(step.kind, step.target) for step in hall.adapter.plan(desired, hall.adapter.read())]


def test_users_that_are_emptied_or_gone_let_nobody_in_and_are_brought_back(hall: Hall) -> None:
    desired = all_of(subject("alpha", UP, DOWN), subject("beta", UP))
    bring_to(hall.adapter, desired)
    alpha = hall.device("alpha")
    assert alpha.connect()

    (hall.folder / FILE).write_text("")
    hall.process.send_signal(signal.SIGHUP)
    assert alpha.wait_closed()
    assert not hall.device("beta").connect()
    assert bring_to(hall.adapter, desired) == EVERYBODY
    beta = hall.enters("beta")

    from_nothing = hall.adapter.plan(desired, AppliedState(artifact=""))  # which nobody is asked about
    assert [(step.kind, step.target) for step in from_nothing] == EVERYBODY

    (hall.folder / FILE).unlink()
    hall.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "no such file" in hall.log.read_text(), what="the server goes on with what it had")
    assert bring_to(hall.adapter, desired) == EVERYBODY
    assert beta.subscribe("north/beta/down/#") == 128  # it was not closed for it, and may what it might

    (hall.folder / FILE).unlink()
    hall.kill()
    assert hall.launch().wait(60) != 0  # without the file it does not start
    with pytest.raises(BrokerUnreachable):
        hall.adapter.read()
    hall.start()  # since it is there again, with nobody in it
    assert not hall.device("alpha").connect()
    assert bring_to(hall.adapter, desired) == EVERYBODY
    hall.enters("alpha")


def test_configuration_that_was_edited_is_a_difference_and_one_without_our_file_is_refused(hall: Hall) -> None:
    desired = all_of(subject("alpha", UP))
    bring_to(hall.adapter, desired)
    assert steps(hall, desired) == []

    hall.conf.write_text(hall.good + "max_connections: 5000\n")
    hall.process.send_signal(signal.SIGHUP)
    wait_until(lambda: steps(hall, desired) == [("read-file", FILE)], what="it is a difference")
    assert bring_to(hall.adapter, desired) == [("read-file", FILE)]
    alpha = hall.enters("alpha")

    rogue = hall.good.replace(f"include 'brokers/hall-5/{FILE}'", 'users: [ { user: "CN=rogue" } ]')
    assert rogue != hall.good
    hall.conf.write_text(rogue)
    hall.process.send_signal(signal.SIGHUP)
    assert alpha.wait_closed()
    hall.enters("rogue")
    assert hall.adapter.read().foreign == {"rogue"}
    for _ in range(2):  # it stays one until somebody has put it right
        assert steps(hall, desired) == [("read-file", FILE)]
        with pytest.raises(ConfigurationRefused, match=r"does not read users\.conf: include it in its account FLEET"):
            bring_to(hall.adapter, desired)
    assert not hall.device("alpha").connect()

    hall.conf.write_text(hall.good)
    assert bring_to(hall.adapter, desired) == [("read-file", FILE)]
    wait_until(lambda: hall.adapter.read().foreign == frozenset(), what="it was closed")
    hall.enters("alpha")


def test_check_tells_what_was_done_to_the_server_and_puts_right_what_it_can(hall: Hall, fleet: Fleet) -> None:
    fleet.enroll("alpha")
    made = services.register_broker(
        domain=fleet.domain.id, name="hall-5", kind=AdapterKind.NATS_FILES, connection=hall.connection,
        listeners=[Listener(host="127.0.0.1", port=hall.mqtt_port)], actor=ADA, now=utc_now(),
    )  # fmt: skip

    def check(minutes: int = 0) -> Comparison:
        return services.check_drift(broker=made.id, now=utc_now() + timedelta(minutes=minutes))

    def reload(conf: str) -> None:
        before = hall.log.read_text().count("Reloaded server configuration")
        hall.conf.write_text(conf)
        hall.process.send_signal(signal.SIGHUP)
        wait_until(lambda: hall.log.read_text().count("Reloaded server configuration") > before, what="it is read")

    plan = services.plan_broker(broker=made.id, actor=ADA, now=utc_now())
    services.apply_plan(broker=made.id, plan=plan.id, accept_deviations=(), actor=ADA, now=utc_now())
    assert services.converge(broker=made.id, now=utc_now()).sync is SyncState.IN_SYNC
    alpha = hall.enters("alpha")

    (hall.folder / FILE).write_text("")
    reload(hall.good)
    assert alpha.wait_closed()
    assert check().sync is SyncState.IN_SYNC  # at once, as after an outage
    hall.enters("alpha")

    reload(hall.good.replace(f"include 'brokers/hall-5/{FILE}'", 'users: [ { user: "CN=rogue" } ]'))
    hall.enters("rogue")
    told = check()
    assert (told.sync, told.count) == (SyncState.DRIFT, 1)
    assert "configuration was changed" in told.detail
    assert queries.get_broker(id=made.id).unknown_accounts == ("rogue",)
    later = check(minutes=3)
    assert later.sync is SyncState.PENDING
    assert "does not read users.conf" in later.detail

    reload(hall.good)
    assert check(minutes=4).sync is SyncState.IN_SYNC
    hall.enters("alpha")


def test_other_accounts_of_the_server_are_other_peoples(hall: Hall) -> None:
    other = 'accounts {\n  OTHER { jetstream: enabled, users: [ { user: "CN=alpha" } ] }\n'
    hall.conf.write_text(hall.good.replace("accounts {\n", other))
    hall.kill()
    hall.start()
    alpha = hall.device("alpha")
    assert alpha.connect()
    ours = hall.adapter
    assert ours.read().foreign == frozenset()
    assert ours.present() == []
    assert ours.disconnect(subject("alpha").principal) == -1
    assert alpha.subscribe("any/#") == 1
    theirs = hall.adapter_of("OTHER")
    assert [event.auth_id for event in theirs.present()] == ["alpha"]


def test_server_that_asks_nobody_any_more_is_found_out(
    nats: LiveNats, adapter: NatsAdapter, doorman: Doorman, device: Open
) -> None:
    """Somebody took the callout out of its configuration, and gave a device all."""
    desired = DesiredState(subjects=(asked_subject("pump-1"),))
    assert device("pump-1").connect()
    conf = nats.folder / "nats.conf"
    ours = conf.read_text()
    begin, end = ours.index("authorization {"), ours.index("mqtt {")
    rogue = (ours[:begin] + ours[end:]).replace("verify: true", "verify_and_map: true")
    rogue = rogue.replace("FLEET { jetstream: enabled }", 'FLEET { jetstream: enabled, users: [{user: "CN=rogue"}] }')
    assert "CN=rogue" in rogue
    nats.stop(by=signal.SIGKILL)
    conf.write_text(rogue)
    nats.start()
    rogue_device = device("rogue")
    assert rogue_device.connect()
    assert not device("pump-1").connect()
    applied = adapter.read()
    assert applied.foreign == {"CN=rogue"}
    adapter.apply(adapter.plan(desired, applied), between=lambda: None)
    assert rogue_device.wait_closed()


def test_server_that_was_emptied_is_told_and_lets_nobody_in(
    nats: LiveNats, adapter: NatsAdapter, doorman: Doorman, device: Open
) -> None:
    """It is started anew without configuration, accounts or stored sessions, and then with its own again."""
    assert device("pump-1").connect()
    conf = nats.folder / "nats.conf"
    ours = conf.read_text()
    nats.stop(by=signal.SIGKILL)
    conf.write_text(f"server_name: x\nlisten: 127.0.0.1:{nats.client_port}\n")
    nats.start(devices=False)
    with pytest.raises(BrokerUnreachable, match="its accounts were changed"):
        adapter.read()
    assert not device("pump-1").connect()
    nats.stop(by=signal.SIGKILL)
    conf.write_text(ours)
    nats.start()
    with Doorman(nats, doorman.grants):
        wait_until(lambda: device("pump-1").connect(), what="it is in again")
    assert adapter.plan(DesiredState(subjects=(asked_subject("pump-1"),)), adapter.read()) == ()
