"""Passwords at a real Mosquitto with the dynamic security plugin: who has one logs in with it, over TLS."""

from __future__ import annotations

import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from brokers.adapters.mosquitto_acl_file import MosquittoAclFileAdapter
from brokers.adapters.mosquitto_dynsec import MosquittoDynsecAdapter, PasswordsNotInForce
from brokers.adapters.mosquitto_files import FileNotReadable, MosquittoFolder, PasswordFolder, may_read
from brokers.adapters.shared_folder import UnsafeFolder
from brokers.core.mosquitto.conf import ACL_FILE, CONFIGURATION_FILE, PASSWORD_FILE
from brokers.core.plans import rendering_digest
from brokers.core.ports import BrokerAdapter, BrokerUnreachable, DesiredState, RenderSubject, Standing
from brokers.core.values import AdapterKind
from devices.core.password_verifier import PasswordVerifier, new_salt
from tests.brokers.conftest import OpensslCa
from tests.brokers.links import broker_link
from tests.brokers.mosquitto import ADMIN, PASSWORD, LiveMosquitto
from tests.brokers.subjects import UP, subject
from tests.servers import free_port, is_open, wait_until

LET_IN, REFUSED = 0, 5
OLD, NEW = "k7mw-ace2-old", "k7mw-ace2-new"
FILES = {"files": {"directory": "hall"}}


def with_password(one: RenderSubject, password: str) -> RenderSubject:
    return replace(one, password=PasswordVerifier.of(password, salt=new_salt()))


def all_of(*subjects: RenderSubject) -> DesiredState:
    return DesiredState(subjects=subjects)


def only(one: RenderSubject) -> DesiredState:
    return DesiredState(subjects=(one,), only=frozenset({one.principal.auth_id}))


def bring_to(adapter: BrokerAdapter, desired: DesiredState) -> list[str]:
    """The kinds of the steps about passwords; afterwards nothing is left to do."""
    steps = adapter.plan(desired, adapter.read(only=desired.only))
    adapter.apply(steps, between=lambda: None)
    assert adapter.plan(desired, adapter.read(only=desired.only)) == ()
    return [step.kind for step in steps if "password" in step.kind]


class Hall(LiveMosquitto):
    """The recommended configuration, with the listener for passwords of docs/howto/passwords.md."""

    def begin(self, ca: OpensslCa) -> None:
        certificate, key = ca.make("broker", "subjectAltName=IP:127.0.0.1")
        self.ca, self.port = ca, free_port()
        pems = {"server_chain": certificate.read_text(), "server_key": key.read_text()}
        self.prepare(client_ca=ca.certificate, crl=ca.crl(), **pems)
        (self.folder / PASSWORD_FILE).write_text("")
        with (self.folder / CONFIGURATION_FILE).open("a") as conf:
            conf.write(
                f"password_file {self.folder / PASSWORD_FILE}\nlistener {self.port} 127.0.0.1\n"
                f"certfile {self.folder / 'server.pem'}\nkeyfile {self.folder / 'server.key'}\n"
                "use_username_as_clientid true\ntls_version tlsv1.2\n"
            )
        self.start()
        wait_until(lambda: is_open(self.port), what="Mosquitto listens for passwords")

    def adapter(self, *, takes_passwords: bool | None = True) -> MosquittoDynsecAdapter:
        connection = {**self.connection, **FILES}
        link = broker_link(AdapterKind.MOSQUITTO_DYNSEC, connection, takes_passwords=takes_passwords)
        return MosquittoDynsecAdapter(link=link)

    def answer(self, name: str, password: str, *, certificate: tuple[Path, Path] | None = None) -> int:
        """The return code of CONNACK to a CONNECT (MQTT 3.1.1) over TLS, where certificates are asked for with one."""
        texts = [name, name, password]
        payload = b"".join(len(text).to_bytes(2, "big") + text.encode() for text in texts)
        packet = b"\x00\x04MQTT\x04\xc2\x00\x3c" + payload
        context = ssl.create_default_context(cadata=self.ca.certificate)
        if certificate:
            context.load_cert_chain(*certificate)
        port = self.device_port if certificate else self.port
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
        ):
            tls.sendall(b"\x10" + bytes([len(packet)]) + packet)
            return tls.recv(4)[3]

    def obeys(self, name: str, password: str, answer: int) -> None:
        """Waits until that is the answer: a signal is no call."""
        wait_until(lambda: self.answer(name, password) == answer, what=f"{name} is told {answer}")


@pytest.fixture
def hall(tmp_path: Path, settings: Settings, openssl_ca: OpensslCa) -> Iterator[Hall]:
    settings.GATEHOUSE_HOME = tmp_path
    made = Hall(tmp_path / "brokers" / "hall")
    made.begin(openssl_ca)
    yield made
    made.stop()


def test_devices_log_in_with_their_password_and_nobody_else_does(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = hall.adapter()
    alpha = with_password(subject("alpha", UP), OLD)
    control = with_password(subject(ADMIN, UP), NEW)  # a device that is called like the plugin's own account
    assert bring_to(adapter, all_of(alpha, subject("beta", UP), control)) == ["set-password", "read-passwords"]
    assert (hall.folder / PASSWORD_FILE).read_text().startswith("alpha:$7$")
    hall.obeys("alpha", OLD, LET_IN)
    refused = [("alpha", NEW), ("alpha", ""), ("beta", OLD), ("beta", ""), ("nobody", OLD), (ADMIN, OLD), (ADMIN, NEW)]
    assert {hall.answer(*each) for each in refused} == {REFUSED}
    assert hall.answer(ADMIN, PASSWORD) == LET_IN  # the plugin's own account stays what it is
    assert hall.answer("beta", "", certificate=hall.ca.make("beta")) == LET_IN

    assert bring_to(adapter, all_of(alpha, subject("beta", UP))) == []
    assert bring_to(adapter, only(with_password(subject("alpha", UP), NEW))) == ["set-password"]
    hall.obeys("alpha", NEW, LET_IN)
    assert hall.answer("alpha", OLD) == REFUSED

    barred = only(subject("alpha", standing=Standing.BARRED))
    with monkeypatch.context() as patch:
        patch.setattr("os.kill", refuse)
        with pytest.raises(PasswordsNotInForce, match="may not signal"):
            bring_to(adapter, barred)
    assert hall.answer("alpha", NEW) == REFUSED  # by the plugin, which was told all the same
    assert (hall.folder / PASSWORD_FILE).read_text() == ""
    assert bring_to(adapter, barred) == ["read-passwords"]


def refuse(*_: object) -> None:
    raise PermissionError


def test_device_is_thrown_out_though_the_folder_is_gone_or_can_not_be_read(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = hall.adapter()
    alpha, beta = with_password(subject("alpha", UP), OLD), with_password(subject("beta", UP), OLD)
    bring_to(adapter, all_of(alpha, beta))
    hall.obeys("beta", OLD, LET_IN)
    elsewhere = hall.folder.rename(hall.folder.with_name("lost"))

    barred = only(subject("alpha", standing=Standing.BARRED))
    steps = adapter.plan(barred, adapter.read(only=barred.only))
    with pytest.raises(UnsafeFolder, match="plain folder 'hall'"):
        adapter.apply(steps, between=lambda: None)
    assert hall.answer("alpha", OLD) == REFUSED, "the plugin was told all the same"
    assert [step.summary for step in adapter.plan(barred, adapter.read(only=barred.only))] == [
        "There has to be a plain folder 'hall' in GATEHOUSE_HOME/brokers: make it."
    ]
    elsewhere.rename(hall.folder)

    everybody = all_of(*(subject(name, standing=Standing.BARRED) for name in ("alpha", "beta")))
    with monkeypatch.context() as patch:
        patch.setattr(PasswordFolder, "text", unreadable)
        steps = adapter.plan(everybody, adapter.read())
        with pytest.raises(PasswordsNotInForce, match="can not be read"):
            adapter.apply(steps, between=lambda: None)
    assert hall.answer("beta", OLD) == REFUSED
    assert bring_to(adapter, everybody) == ["take-password", "take-password"]


def unreadable(*_: object) -> str:
    raise BrokerUnreachable("passwords.conf in the shared folder can not be read: Input/output error.")


@pytest.fixture
def folder(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a Mosquitto that only hears signals."""
    settings.GATEHOUSE_HOME = tmp_path
    monkeypatch.setattr("brokers.adapters.mosquitto_files.MosquittoFolder._signal", lambda _: None)
    monkeypatch.setattr("brokers.adapters.mosquitto_files.PasswordFolder._signal", lambda _: None)
    made = tmp_path / "brokers" / "hall"
    made.mkdir(parents=True)
    return made


Make = Callable[..., MosquittoAclFileAdapter]


@pytest.fixture
def by_files(folder: Path) -> Make:
    """An adapter that writes that folder alone."""

    def make(*, takes_passwords: bool | None) -> MosquittoAclFileAdapter:
        link = broker_link(AdapterKind.MOSQUITTO_FILES, FILES, takes_passwords=takes_passwords)
        return MosquittoAclFileAdapter(link=link)

    return make


def test_file_of_a_broker_that_never_took_passwords_is_left_alone(by_files: Make, folder: Path) -> None:
    (folder / PASSWORD_FILE).write_text("bridge:$7$101$c2FsdA==$aGFzaA==\n")
    assert bring_to(by_files(takes_passwords=None), all_of(with_password(subject("alpha", UP), OLD))) == []
    assert (folder / PASSWORD_FILE).read_text() == "bridge:$7$101$c2FsdA==$aGFzaA==\n"


def test_file_is_made_for_a_broker_that_takes_passwords_though_nobody_has_one(by_files: Make, folder: Path) -> None:
    assert bring_to(by_files(takes_passwords=True), all_of(subject("alpha", UP))) == ["read-passwords"]
    assert (folder / PASSWORD_FILE).read_text() == ""
    made = (folder / PASSWORD_FILE).stat()
    assert (stat.S_IMODE(made.st_mode), made.st_gid) == (0o640, folder.stat().st_gid)


def test_file_is_for_its_owner_and_the_group_of_the_folder(tmp_path: Path) -> None:
    made = tmp_path / "passwords.conf"
    made.touch()
    owner, group = made.stat().st_uid + 1, made.stat().st_gid + 1  # nobody's: the file is ours

    def status(uid: int, gid: int, groups: str = "") -> str:
        return f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\nGroups:\t{groups} \n"

    assert may_read(Path("/proc/self/status").read_text(), made.stat())
    assert may_read(status(0, group), made.stat())
    assert may_read(status(owner - 1, group), made.stat())
    assert may_read(status(owner, group - 1), made.stat())
    assert may_read(status(owner, group, f"{group} {group - 1}"), made.stat())
    assert not may_read(status(owner, group), made.stat())
    assert not may_read(status(owner, group, f"{group} {group + 1}"), made.stat())


def test_mosquitto_that_may_not_read_the_file_is_told_and_so_is_who_applies(
    by_files: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.undo()
    monkeypatch.setattr(MosquittoFolder, "_signal", lambda _: told.append("SIGHUP"))
    monkeypatch.setattr(MosquittoFolder, "_running", lambda _: (1, "Uid:\t99999\nGid:\t99999\nGroups:\t\n"))
    adapter, desired = by_files(takes_passwords=True), all_of(with_password(subject("alpha", UP), OLD))
    with pytest.raises(FileNotReadable, match="group"):
        bring_to(adapter, desired)
    assert len(told) == 2  # rules, and passwords
    assert [step.kind for step in adapter.plan(desired, adapter.read())] == ["read-passwords"]
    steps = adapter.plan(all_of(), adapter.read())
    with pytest.raises(FileNotReadable):
        adapter.apply(steps, between=lambda: None)
    assert (folder / PASSWORD_FILE).read_text() == ""
    assert "alpha" not in (folder / ACL_FILE).read_text()  # what it may is taken away all the same


def test_name_with_a_colon_gets_no_line_which_would_be_about_another(by_files: Make, folder: Path) -> None:
    other = with_password(subject("alpha:x", UP), NEW)
    bring_to(by_files(takes_passwords=True), all_of(with_password(subject("alpha", UP), OLD), other))
    [line] = (folder / PASSWORD_FILE).read_text().splitlines()
    assert line.startswith("alpha:$7$")


def test_all_passwords_go_from_a_broker_that_takes_them_no_more(by_files: Make, folder: Path) -> None:
    two = with_password(subject("alpha", UP), OLD), with_password(subject("beta", UP), NEW)
    assert bring_to(by_files(takes_passwords=True), all_of(*two)) == ["set-password"] * 2 + ["read-passwords"]
    without = all_of(subject("alpha", UP), subject("beta", UP))
    assert bring_to(by_files(takes_passwords=False), without) == ["take-password"] * 2
    assert (folder / PASSWORD_FILE).read_text() == ""
    assert "user alpha" in (folder / ACL_FILE).read_text()


def test_line_that_was_changed_by_hand_is_drift_and_stands_in_no_rendering(by_files: Make, folder: Path) -> None:
    adapter, desired = by_files(takes_passwords=True), all_of(with_password(subject("alpha", UP), OLD))
    bring_to(adapter, desired)
    before = (folder / PASSWORD_FILE).read_text()
    rendering, applied = adapter.render(desired), adapter.read()
    assert rendering.passwords == applied.passwords
    assert before.strip().partition(":")[2] not in f"{rendering} {applied} {adapter.plan(desired, applied)}"
    other = all_of(with_password(subject("alpha", UP), NEW))
    assert rendering_digest(rendering) != rendering_digest(by_files(takes_passwords=True).render(other))
    (folder / PASSWORD_FILE).write_text("alpha:$7$101$c2FsdA==$aGFzaA==\nmallory:$7$101$c2FsdA==$aGFzaA==\n")
    assert bring_to(adapter, desired) == ["take-password", "set-password", "read-passwords"]
    assert (folder / PASSWORD_FILE).read_text() == before
