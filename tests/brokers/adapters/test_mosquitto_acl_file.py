"""The adapter against a real Mosquitto with nothing but an ACL file: what is written is read, and devices feel it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from acl.core.values import Publish
from brokers.adapters.mosquitto_acl_file import MosquittoAclFileAdapter
from brokers.core.mosquitto.conf import ACL_FILE, PID_FILE
from brokers.core.ports import BrokerAdapter, BrokerUnreachable, DesiredState, EffectLine, RenderSubject, Standing
from brokers.core.values import AdapterKind
from tests.brokers.conftest import OpensslCa
from tests.brokers.device import Device
from tests.brokers.links import broker_link
from tests.brokers.mosquitto import PROGRAM
from tests.brokers.subjects import ALL, DOWN, PUBLISH, UP, rule, subject
from tests.servers import free_port, is_open, stop, wait_until

HUB = rule("allow", PUBLISH, "north/#", role="hub")


class Hall:
    """The broker, its folder, and an adapter for it."""

    def __init__(self, root: Path, ca: OpensslCa) -> None:
        self.folder, self.ca, self.port = root / "hall-5", ca, free_port()
        self.folder.mkdir(parents=True)
        certificate, key = ca.make("broker", "subjectAltName=IP:127.0.0.1")
        (self.folder / ACL_FILE).write_text("")
        (self.folder / "mosquitto.conf").write_text(
            f"user root\npid_file {self.folder / PID_FILE}\nallow_anonymous false\nacl_file {self.folder / ACL_FILE}\n"
            f"listener {self.port} 127.0.0.1\ncafile {ca.folder / 'ca.pem'}\ncertfile {certificate}\nkeyfile {key}\n"
            f"require_certificate true\nuse_identity_as_username true\nlog_dest file {self.folder / 'log'}\n"
            "log_type all\n"
        )
        self.start()

    @property
    def adapter(self) -> MosquittoAclFileAdapter:
        connection = {"files": {"directory": "hall-5"}}
        assert not MosquittoAclFileAdapter.connection_errors(connection)
        return MosquittoAclFileAdapter(link=broker_link(AdapterKind.MOSQUITTO_FILES, connection))

    def start(self) -> None:
        before = self.log().count("running\n")
        words = [PROGRAM, "-c", str(self.folder / "mosquitto.conf")]
        self.process = subprocess.Popen(words, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: is_open(self.port), what="Mosquitto listens")
        wait_until(lambda: self.log().count("running\n") > before, what="Mosquitto runs")

    def stop(self) -> None:
        stop(self.process, by=signal.SIGTERM)

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def hall(tmp_path: Path, settings: Settings, openssl_ca: OpensslCa) -> Iterator[Hall]:
    settings.GATEHOUSE_HOME = tmp_path
    made = Hall(tmp_path / "brokers", openssl_ca)
    yield made
    made.stop()


Enter = Callable[[str], Device]


@pytest.fixture
def device(hall: Hall) -> Iterator[Enter]:
    """A device with a certificate of that name, connected."""
    made: list[Device] = []

    def enter(name: str) -> Device:
        certificate, key = hall.ca.make(name)
        one = Device(port=hall.port, ca=hall.ca.certificate, certificate=certificate, key=key, client_id=name)
        made.append(one)
        assert one.connect(), hall.log()
        return one

    yield enter
    for one in made:
        one.close()


def all_of(*subjects: RenderSubject) -> DesiredState:
    return DesiredState(subjects=subjects)


def bring_to(hall: Hall, desired: DesiredState) -> list[tuple[str, str]]:
    """The steps that it took, once Mosquitto has read the file; afterwards nothing is left to do."""
    adapter, reloads = hall.adapter, hall.log().count("Reloading config")
    steps = adapter.plan(desired, adapter.read(only=desired.only))
    adapter.apply(steps, between=lambda: None)
    assert adapter.plan(desired, adapter.read(only=desired.only)) == ()
    wait_until(lambda: hall.log().count("Reloading config") > reloads, what="Mosquitto reads its files")
    return [(step.kind, step.target) for step in steps]


def test_adapter_has_all_that_the_port_asks_for(hall: Hall) -> None:
    adapter: BrokerAdapter = hall.adapter  # the type checker compares
    assert adapter.disconnect(subject("alpha").principal) is None


def test_devices_that_are_connected_have_their_new_rights_at_once(hall: Hall, device: Enter) -> None:
    bring_to(hall, all_of(subject("hub", HUB), subject("alpha", UP)))
    alpha, hub = device("alpha"), device("hub")
    assert alpha.subscribe("north/alpha/down/#")  # every subscription is granted
    assert alpha.publish("north/alpha/up/t")
    assert not alpha.publish("north/beta/up/t")
    hub.publish("north/alpha/down/early")
    assert bring_to(hall, all_of(subject("hub", HUB), subject("alpha", DOWN))) == [("set-user", "alpha")]
    hub.publish("north/alpha/down/late")
    wait_until(lambda: bool(alpha.received), what="a message is delivered")
    assert [topic for topic, _ in alpha.received] == ["north/alpha/down/late"]
    assert not alpha.publish("north/alpha/up/t")


def test_barred_device_that_stays_connected_may_nothing(hall: Hall, device: Enter) -> None:
    bring_to(hall, all_of(subject("alpha", UP), subject("beta", UP)))
    alpha = device("alpha")
    desired = DesiredState(subjects=(subject("alpha", standing=Standing.BARRED),), only=frozenset({"alpha"}))
    bring_to(hall, desired)
    assert not alpha.publish("north/alpha/up/t")
    assert device("beta").publish("north/beta/up/t")


def test_file_without_anybody_lets_nobody_do_anything(hall: Hall, device: Enter) -> None:
    bring_to(hall, all_of(subject("alpha", UP)))
    alpha = device("alpha")
    assert alpha.publish("north/alpha/up/t")
    bring_to(hall, all_of())
    assert "user" not in (hall.folder / ACL_FILE).read_text()
    assert not alpha.publish("north/alpha/up/t")


def test_file_that_was_written_and_not_read_is_a_difference(
    hall: Hall, device: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring_to(hall, all_of(subject("alpha", UP)))
    alpha, barred = device("alpha"), subject("alpha", standing=Standing.BARRED)
    for desired in (all_of(barred), DesiredState(subjects=(barred,), only=frozenset({"alpha"}))):
        with monkeypatch.context() as patch:
            patch.setattr("os.kill", refuse)
            steps = hall.adapter.plan(desired, hall.adapter.read(only=desired.only))
            with pytest.raises(BrokerUnreachable, match="may not signal"):
                hall.adapter.apply(steps, between=lambda: None)
        assert bring_to(hall, desired) == [("read-file", ACL_FILE)]
        assert not alpha.publish("north/alpha/up/t")
        bring_to(hall, all_of(subject("alpha", UP)))


def refuse(*_: object) -> None:
    raise PermissionError


def test_mosquitto_that_begins_is_not_signalled_since_that_would_end_it(hall: Hall) -> None:
    program = hall.folder / "mosquitto"  # takes no signals yet
    program.symlink_to("/bin/sleep")
    starting = subprocess.Popen([program, "600"])
    wait_until(lambda: Path(f"/proc/{starting.pid}/comm").read_text() == "mosquitto\n", what="it runs")
    (hall.folder / PID_FILE).write_text(str(starting.pid))
    try:
        with pytest.raises(BrokerUnreachable, match="is starting"):
            bring_to(hall, all_of(subject("alpha", UP)))
        assert starting.poll() is None
    finally:
        starting.kill()
        starting.wait()


def test_folder_that_can_not_be_used_is_said_and_no_text_is_no_device(hall: Hall) -> None:
    desired = all_of(subject("alpha", UP))
    (hall.folder / ACL_FILE).write_bytes(b"user \xff\ntopic read #\n")
    assert bring_to(hall, desired)[:2] == [("set-user", "alpha"), ("delete-user", "\ufffd")]
    (hall.folder / f"{ACL_FILE}.new").mkdir()
    steps = hall.adapter.plan(all_of(), hall.adapter.read())
    with pytest.raises(BrokerUnreachable, match="can not be written"):
        hall.adapter.apply(steps, between=lambda: None)


def test_what_was_changed_by_hand_goes(hall: Hall) -> None:
    desired = all_of(subject("alpha", UP))
    bring_to(hall, desired)
    with (hall.folder / ACL_FILE).open("a") as file:
        file.write("topic readwrite #\n\nuser guest\ntopic read #\n\npattern readwrite %u/#\n")
    found = hall.adapter.effect(desired, hall.adapter.read())
    assert EffectLine(auth_id="guest", action="subscribe", filter="#") in found.lose
    kinds = [("set-user", "alpha"), ("delete-user", "guest"), ("delete-others", ACL_FILE), ("read-file", ACL_FILE)]
    assert bring_to(hall, desired) == kinds
    (hall.folder / ACL_FILE).write_text("whatever\n")
    assert bring_to(hall, desired) == [("set-user", "alpha"), ("read-file", ACL_FILE)]


def test_plan_tells_who_gains_and_emulator_agrees(hall: Hall) -> None:
    desired = all_of(subject("alpha", UP, ALL))
    found = hall.adapter.effect(desired, hall.adapter.read())
    assert found.gain == (
        EffectLine(auth_id="alpha", action="publish", filter="north/alpha/up/#"),
        EffectLine(auth_id="alpha", action="subscribe", filter="north/all/#"),
    )
    alpha = desired.subjects[0].principal
    assert hall.adapter.enforces(hall.adapter.render(desired), alpha, Publish(topic="north/alpha/up/t"))


def test_broker_that_is_down_is_said_and_reads_the_file_when_it_starts(hall: Hall, device: Enter) -> None:
    hall.stop()
    desired = all_of(subject("alpha", UP))
    with pytest.raises(BrokerUnreachable, match="reads its files when it starts"):
        hall.adapter.apply(hall.adapter.plan(desired, hall.adapter.read()), between=lambda: None)
    hall.start()
    assert device("alpha").publish("north/alpha/up/t")


def test_broker_that_begins_again_with_an_empty_file_is_brought_back(hall: Hall, device: Enter) -> None:
    desired = all_of(subject("alpha", UP))
    bring_to(hall, desired)
    hall.stop()
    (hall.folder / ACL_FILE).write_text("")
    hall.start()
    alpha = device("alpha")
    assert not alpha.publish("north/alpha/up/t")
    assert bring_to(hall, desired) == [("set-user", "alpha"), ("read-file", ACL_FILE)]
    assert alpha.publish("north/alpha/up/t")


@pytest.mark.parametrize(
    "connection", [None, {}, {"files": None}, {"files": {"directory": "../x"}}, {"files": {}, "x": 1}]
)
def test_connection_is_a_folder_and_nothing_else(connection: object) -> None:
    assert MosquittoAclFileAdapter.connection_errors(connection)
