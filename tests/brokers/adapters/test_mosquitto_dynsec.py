"""The adapter against a real Mosquitto: what is written is read back, and devices feel it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from threading import Event, Thread

import pytest

from brokers.adapters import mosquitto_control
from brokers.adapters.mosquitto_control import CommandRefused, control
from brokers.adapters.mosquitto_dynsec import ControlAccountTaken, MosquittoDynsecAdapter
from brokers.core.mosquitto.conf import DYNSEC_FILE
from brokers.core.mosquitto.connection import MosquittoConnection
from brokers.core.mosquitto.dynsec_first_file import merged
from brokers.core.ports import (
    AppliedState,
    BrokerAdapter,
    BrokerUnreachable,
    DesiredState,
    EffectLine,
    RenderSubject,
    Standing,
)
from brokers.core.values import (
    AccessKind,
    AdapterKind,
    BrokerEvent,
    BrokerLink,
)
from tests.brokers.conftest import OpensslCa
from tests.brokers.device import Device, wait_until
from tests.brokers.hearing import events_in
from tests.brokers.links import broker_link
from tests.brokers.mosquitto import ADMIN, LiveMosquitto
from tests.brokers.subjects import ALL, DOWN, PUBLISH, SUBSCRIBE, UP, rule, subject


@pytest.fixture
def adapter(bare_mosquitto: LiveMosquitto) -> MosquittoDynsecAdapter:
    return MosquittoDynsecAdapter(link=link_to(bare_mosquitto))


def link_to(broker: LiveMosquitto) -> BrokerLink:
    return broker_link(AdapterKind.MOSQUITTO_DYNSEC, broker.connection)


def all_of(*subjects: RenderSubject) -> DesiredState:
    return DesiredState(subjects=subjects)


def only(one: RenderSubject) -> DesiredState:
    return DesiredState(subjects=(one,), only=frozenset({one.principal.auth_id}))


def bring_to(adapter: MosquittoDynsecAdapter, desired: DesiredState) -> int:
    """How many steps it took; afterwards nothing is left to do."""
    steps = adapter.plan(desired, adapter.read(only=desired.only))
    adapter.apply(steps, between=lambda: None)
    assert adapter.plan(desired, adapter.read(only=desired.only)) == ()
    return len(steps)


Enter = Callable[..., Device]
HUB = rule("allow", PUBLISH, "north/#", role="hub")


@pytest.fixture
def device(bare_mosquitto: LiveMosquitto, openssl_ca: OpensslCa) -> Iterator[Enter]:
    """A device with a certificate of that name, not yet connected."""
    made: list[Device] = []

    def make(name: str, **options: str) -> Device:
        certificate, key = (
            openssl_ca.make(name)
            if not (openssl_ca.folder / f"{name}.pem").exists()
            else (
                openssl_ca.folder / f"{name}.pem",
                openssl_ca.folder / f"{name}.key",
            )
        )
        port = bare_mosquitto.device_port
        made.append(Device(port=port, ca=openssl_ca.certificate, certificate=certificate, key=key, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_adapter_has_all_that_the_port_asks_for(bare_mosquitto: LiveMosquitto) -> None:
    adapter: BrokerAdapter = MosquittoDynsecAdapter(link=link_to(bare_mosquitto))  # the type checker compares
    asked = {name for name in vars(BrokerAdapter) if not name.startswith("_")}
    assert asked <= {*dir(adapter)}


def test_fresh_broker_holds_what_was_planned(adapter: MosquittoDynsecAdapter) -> None:
    desired = all_of(subject("p-1", UP, DOWN, ALL), subject("p-2", UP, ALL), subject("p-3", standing=Standing.BARRED))
    assert bring_to(adapter, desired) > 0
    assert adapter.read().artifact == adapter.render(desired).artifact


def test_second_plan_is_empty(adapter: MosquittoDynsecAdapter) -> None:
    desired = all_of(subject("p-1", UP, DOWN, ALL))
    bring_to(adapter, desired)
    assert bring_to(adapter, desired) == 0


def test_one_device_costs_the_same_beside_many(adapter: MosquittoDynsecAdapter) -> None:
    bring_to(adapter, all_of(*(subject(f"p-{n}", UP, ALL) for n in range(60))))
    new = subject("p-new", UP, ALL)
    assert bring_to(adapter, only(new)) <= 6
    assert bring_to(adapter, only(new)) == 0


def test_administrator_stays_as_it_was(adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto) -> None:
    before = bare_mosquitto.ctrl("getClient", ADMIN), bare_mosquitto.ctrl("getRole", "admin")
    bring_to(adapter, all_of(subject("p-1", UP)))
    bring_to(adapter, all_of())
    assert (bare_mosquitto.ctrl("getClient", ADMIN), bare_mosquitto.ctrl("getRole", "admin")) == before


def test_nothing_is_received_by_default(adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto) -> None:
    bring_to(adapter, all_of())
    said = bare_mosquitto.ctrl("getDefaultACLAccess")
    assert "publishClientReceive : deny" in said


def test_device_is_held_to_its_topics(adapter: MosquittoDynsecAdapter, device: Enter) -> None:
    bring_to(adapter, all_of(subject("p-1", UP, DOWN, ALL), subject("hub", HUB)))
    pump, hub = device("p-1"), device("hub")
    assert pump.connect()
    assert hub.connect()
    assert pump.subscribe("north/p-1/down/#")
    assert not pump.subscribe("north/p-2/down/#")
    assert not pump.subscribe("#")
    assert not pump.subscribe("$SYS/#")
    assert not pump.subscribe("$CONTROL/#")
    assert pump.publish("north/p-1/up/t")
    assert not pump.publish("north/p-2/up/t")
    assert not pump.publish("$CONTROL/dynamic-security/v1")
    hub.publish("north/p-1/down/t")
    assert pump.hears("north/p-1/down/t")


def test_own_rules_are_one_devices_and_go_when_they_are_taken_away(
    adapter: MosquittoDynsecAdapter, device: Enter
) -> None:
    own = [rule("allow", PUBLISH, topic, role="@pump 17") for topic in ("alarm/#", "hush")]
    effects = (("allow", "alarm/#"), ("deny", "hush"))
    others = [rule(effect, PUBLISH, topic, role="@pump 17.deny") for effect, topic in effects]
    bring_to(adapter, all_of(subject("pump 17", UP, *own), subject("pump 17.deny", UP, *others)))
    pump, other = device("pump 17"), device("pump 17.deny")
    assert pump.connect()
    assert other.connect()
    assert (pump.publish("alarm/17"), pump.publish("hush")) == (True, True)
    assert (other.publish("alarm/17"), other.publish("hush")) == (True, False)
    bring_to(adapter, all_of(subject("pump 17", UP), subject("pump 17.deny", UP, *others)))
    again = device("pump 17")  # Mosquitto closes the session of whom a role is taken from
    assert again.connect()
    assert (again.publish("alarm/17"), again.publish("north/pump 17/up/t")) == (False, True)


def test_client_id_is_the_certificates(adapter: MosquittoDynsecAdapter, device: Enter) -> None:
    bring_to(adapter, all_of(subject("p-1", UP), subject("p-2", UP)))
    victim, thief = device("p-1"), device("p-2", client_id="p-1")
    assert victim.connect()
    thief.connect()
    assert not wait_until(lambda: victim.ended, seconds=0.5)
    assert not thief.publish("north/p-1/up/t")


def test_edit_of_a_role_acts_on_live_connections(adapter: MosquittoDynsecAdapter, device: Enter) -> None:
    wide, hub = (
        rule("allow", SUBSCRIBE, "${domain}/all/#"),
        subject("hub", HUB),
    )
    bring_to(adapter, all_of(subject("p-1", UP, wide), hub))
    pump, speaker = device("p-1"), device("hub")
    assert pump.connect()
    assert speaker.connect()
    assert pump.subscribe("north/all/#")
    secret = rule("deny", SUBSCRIBE, "${domain}/all/secret/#")
    bring_to(adapter, all_of(subject("p-1", UP, wide, secret), hub))
    speaker.publish("north/all/secret/t")
    speaker.publish("north/all/open")
    assert pump.hears("north/all/open")
    assert not pump.hears("north/all/secret/t", seconds=0.3)
    assert pump.connected


def test_barred_device_is_closed_and_comes_back_to_nothing(adapter: MosquittoDynsecAdapter, device: Enter) -> None:
    bring_to(adapter, all_of(subject("p-1", UP, DOWN, ALL)))
    pump = device("p-1")
    assert pump.connect()
    bring_to(adapter, only(subject("p-1", standing=Standing.BARRED)))
    assert wait_until(lambda: pump.ended)
    again = device("p-1")
    if again.connect():  # the certificate is still good for this broker
        assert not again.publish("north/p-1/up/t")
        assert not again.subscribe("north/p-1/down/#")
        assert not again.subscribe("$share/g/north/all/x")


def test_last_will_of_who_may_not_or_is_thrown_out_is_published_to_nobody(
    adapter: MosquittoDynsecAdapter, device: Enter
) -> None:
    ear = subject("ear", rule("allow", SUBSCRIBE, "north/#", role="ear"))
    bring_to(adapter, all_of(ear, *(subject(f"p-{number}", UP) for number in (1, 2, 3))))
    listener = device("ear")
    assert listener.connect()
    assert listener.subscribe("north/#")
    devices = [device(f"p-{number}") for number in (1, 2, 3)]
    for one, topic in zip(devices, ("north/p-3/up/will", "north/p-2/up/will", "north/p-3/up/will"), strict=True):
        one.leave_behind(topic)
        assert one.connect()
    devices[0].vanish()  # it was let in with a will that it may not publish
    bring_to(adapter, only(subject("p-2", standing=Standing.BARRED)))
    assert wait_until(lambda: devices[1].ended)
    devices[2].vanish()
    assert listener.hears("north/p-3/up/will")
    assert [topic for topic, _ in listener.received] == ["north/p-3/up/will"]


def test_bar_of_another_device_writes_about_that_one_alone(adapter: MosquittoDynsecAdapter) -> None:
    bring_to(adapter, all_of(subject("p-1", standing=Standing.BARRED), subject("p-2", UP)))
    desired = only(subject("p-2", standing=Standing.BARRED))
    steps = adapter.plan(desired, adapter.read(only=desired.only))
    assert [(step.kind, step.target) for step in steps] == [
        ("modifyClient", "p-2"),
        ("disableClient", "p-2"),
    ]


def test_device_that_is_let_in_again_has_its_rights_again(adapter: MosquittoDynsecAdapter, device: Enter) -> None:
    bring_to(adapter, all_of(subject("p-1", UP)))
    bring_to(adapter, only(subject("p-1", standing=Standing.BARRED)))
    bring_to(adapter, only(subject("p-1", UP)))
    pump = device("p-1")
    assert pump.connect()
    assert pump.publish("north/p-1/up/t")


def test_unknown_device_gets_nothing(adapter: MosquittoDynsecAdapter, device: Enter) -> None:
    bring_to(adapter, all_of(subject("p-1", UP)))
    stranger = device("p-9")
    stranger.connect()
    assert not stranger.publish("north/p-9/up/t")
    assert not stranger.subscribe("north/all/x")


def test_disconnect_closes_whom_the_broker_knows_and_whom_not_and_has_nothing_written(
    adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto, device: Enter
) -> None:
    desired = all_of(subject("p-1", UP))
    bring_to(adapter, desired)
    written = (bare_mosquitto.folder / DYNSEC_FILE).stat().st_mtime_ns
    for name in ("p-1", "p-9"):
        pump = device(name)
        assert pump.connect()
        adapter.disconnect(subject(name).principal)
        assert wait_until(lambda pump=pump: pump.ended)  # type: ignore[misc]
    assert (bare_mosquitto.folder / DYNSEC_FILE).stat().st_mtime_ns == written
    assert adapter.plan(desired, adapter.read()) == ()
    assert adapter.read().foreign == {ADMIN}


def test_change_by_hand_is_found_and_put_right(adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto) -> None:
    desired = all_of(subject("p-1", UP, ALL))
    bring_to(adapter, desired)
    bare_mosquitto.ctrl("addRoleACL", "gh.r.pump.allow", "publishClientSend", "everything/#", "allow", "9")
    assert [step.kind for step in adapter.plan(desired, adapter.read())] == ["modifyRole"]
    bring_to(adapter, desired)


def test_what_strangers_may_is_told(adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto) -> None:
    desired = all_of(subject("p-1", UP))
    bring_to(adapter, desired)
    for words in ("createGroup strangers", "setAnonymousGroup strangers"):
        bare_mosquitto.ctrl(*words.split())
    assert adapter.read().notes == ()  # it has no rights
    for words in ("createRole open", "addRoleACL open subscribePattern # allow 1", "addGroupRole strangers open 1"):
        bare_mosquitto.ctrl(*words.split())
    applied = adapter.read()
    [note] = applied.notes
    assert "'strangers'" in note
    assert note in adapter.effect(desired, applied).warnings


def test_what_ends_in_the_middle_is_finished_by_the_next(
    adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto
) -> None:
    desired = all_of(*(subject(f"p-{number}", UP, ALL) for number in range(6)))
    steps = adapter.plan(desired, adapter.read())
    bare_mosquitto.ctrl("createClient", "p-3", "-p", "by-hand")  # meanwhile
    with pytest.raises(CommandRefused, match="createClient of p-3: Client already exists"):
        adapter.apply(steps, between=lambda: None)
    assert 0 < bring_to(adapter, desired) < len(steps)
    assert adapter.read().artifact == adapter.render(desired).artifact


def test_what_a_full_disk_took_from_the_broker_is_put_back(
    adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto
) -> None:
    bring_to(adapter, all_of(subject("p-1", UP, ALL)))
    file = bare_mosquitto.folder / DYNSEC_FILE
    copy = file.read_text()
    file.unlink()
    file.symlink_to("/dev/full")  # 2.0 writes into the file itself, and tells nobody that it could not
    barred = all_of(subject("p-1", standing=Standing.BARRED))
    bring_to(adapter, barred)
    bare_mosquitto.stop(signal.SIGKILL)
    file.unlink()
    file.write_text(copy)
    bare_mosquitto.start()
    assert adapter.plan(barred, adapter.read())
    bring_to(adapter, barred)


def test_fifty_thousand_devices_of_a_first_file_are_read_and_one_of_them_is_thrown_out(
    adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto, device: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in (
        "_CONNECT_SECONDS",
        "_ANSWER_SECONDS",
    ):  # a write may take its time
        monkeypatch.setattr(mosquitto_control, limit, 90.0)
    desired = all_of(*(subject(f"p-{number}", ALL) for number in range(50_000)))
    file = bare_mosquitto.folder / DYNSEC_FILE
    bare_mosquitto.stop()
    file.write_text(merged(file.read_text(), adapter.render(desired).artifact, control=ADMIN))
    bare_mosquitto.start()
    applied = adapter.read()
    assert adapter.plan(desired, applied) == ()
    assert applied.foreign == {ADMIN}
    pump = device("p-31337")
    assert pump.connect()
    assert pump.subscribe("north/all/#")
    bring_to(adapter, only(subject("p-31337", standing=Standing.BARRED)))
    assert wait_until(lambda: pump.ended)


def test_foreign_client_with_a_devices_name_is_taken_over(
    adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto
) -> None:
    bare_mosquitto.ctrl("createClient", "p-1", "-p", "by-hand")
    bare_mosquitto.ctrl("addClientRole", "p-1", "admin", "5")
    bring_to(adapter, only(subject("p-1", UP)))
    assert "admin" not in bare_mosquitto.ctrl("getClient", "p-1")
    bring_to(adapter, all_of(subject("p-1", UP)))


def test_device_that_goes_leaves_no_account_though_somebody_deleted_its_own_role(
    adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto
) -> None:
    bring_to(adapter, all_of(subject("p-1", UP, ALL)))
    bare_mosquitto.ctrl("deleteRole", "gh.d.p-1.allow")
    bring_to(adapter, only(subject("p-1", standing=Standing.ABSENT)))
    assert "p-1" not in bare_mosquitto.ctrl("listClients")


def test_device_called_like_the_control_account_never_touches_it(
    adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto
) -> None:
    before = bare_mosquitto.ctrl("getClient", ADMIN)
    desired = all_of(subject(ADMIN, UP), subject("p-1", UP))
    bring_to(adapter, desired)
    assert ADMIN in adapter.render(desired).warnings[0]
    with pytest.raises(ControlAccountTaken):
        adapter.disconnect(subject(ADMIN).principal)
    assert bare_mosquitto.ctrl("getClient", ADMIN) == before


def test_effect_says_who_gains_what(adapter: MosquittoDynsecAdapter) -> None:
    found = adapter.effect(all_of(subject("p-1", UP, ALL)), AppliedState(artifact=""))
    assert found.gain == (
        EffectLine(auth_id="p-1", action="publish", filter="north/p-1/up/#"),
        EffectLine(auth_id="p-1", action="subscribe", filter="north/all/#"),
    )
    assert found.lose == ()


def test_effect_says_who_loses_what(adapter: MosquittoDynsecAdapter) -> None:
    bring_to(adapter, all_of(subject("p-1", UP, ALL)))
    found = adapter.effect(all_of(subject("p-1", standing=Standing.BARRED)), adapter.read())
    assert {line.filter for line in found.lose} == {"north/p-1/up/#", "north/all/#"}
    assert found.gain == ()


def test_watch_tells_who_comes_and_goes(adapter: MosquittoDynsecAdapter, device: Enter) -> None:
    seen: list[BrokerEvent] = []
    stop = Event()
    thread = Thread(target=lambda: seen.extend(events_in(adapter.watch(stop))))
    thread.start()

    def passes_by() -> bool:
        pump = device("p-1")
        pump.connect()
        pump.close()
        return wait_until(
            lambda: {AccessKind.CONNECTED, AccessKind.DISCONNECTED} <= {e.kind for e in _of(seen, "p-1")}, seconds=0.3
        )

    assert wait_until(passes_by)  # the first time maybe before anybody listens
    stop.set()
    thread.join(90)
    came = next(event for event in _of(seen, "p-1") if event.kind is AccessKind.CONNECTED)
    assert (came.auth_id, came.address) == ("p-1", "127.0.0.1")
    assert abs((came.at - datetime.now(UTC)).total_seconds()) < 600


def _of(events: list[BrokerEvent], client_id: str) -> list[BrokerEvent]:
    return [event for event in events if event.client_id == client_id]


def test_device_has_no_way_in_by_password(adapter: MosquittoDynsecAdapter, bare_mosquitto: LiveMosquitto) -> None:
    bring_to(adapter, all_of(subject("p-1", UP)))
    for password in (None, "", "x"):
        connection = {**bare_mosquitto.connection, "username": "p-1", "password": password}
        with (
            pytest.raises(BrokerUnreachable, match="refused the control account"),
            control(MosquittoConnection.of(connection)),
        ):
            pass
