"""NanoMQ's ACL file, judged by a mirror of its matcher; its HTTP API is a stand-in made from `rest_api.c`.

NanoMQ itself can not be installed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from acl.core.values import Publish
from brokers import services
from brokers.adapters.json_api import RequestRefused
from brokers.adapters.nanomq import FILE, NanomqAdapter
from brokers.core.nanomq.emulator import emulate
from brokers.core.nanomq.file import parse
from brokers.core.nanomq.version import OldNanomq
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, EffectLine, Standing
from brokers.core.values import AdapterKind
from devices import services as devices
from kernel.core.clock import utc_now
from pki.core.values import ReasonCode
from tests.brokers.api.test_disconnect import register
from tests.brokers.bringing import all_of, bring_to, only
from tests.brokers.fleet import Fleet
from tests.brokers.links import broker_link
from tests.brokers.stand_in import JsonAnswers, stand_in
from tests.brokers.subjects import ALL, DOWN, UP, subject
from tests.cast import ADA


@dataclass
class Nanomq:
    """The broker: what it read when it started last, and what it answers to a restart."""

    file: Path
    port: int = 0
    code: int = 0
    status: int = 200
    version: str = "0.23.8-3"
    read: list[str] = field(default_factory=list)

    def lets(self, name: str, topic: str) -> bool:
        """Whether what it read last lets that device publish there."""
        return emulate(parse(self.read[-1]), subject(name).principal, Publish(topic=topic))

    @property
    def connection(self) -> dict[str, Any]:
        return {
            "host": "127.0.0.1", "port": self.port, "username": "admin", "password": "pw",
            "files": {"directory": "hall"},
        }  # fmt: skip

    @property
    def adapter(self) -> NanomqAdapter:
        assert not NanomqAdapter.connection_errors(self.connection)
        return NanomqAdapter(link=broker_link(AdapterKind.NANOMQ, self.connection))


@pytest.fixture
def nanomq(tmp_path: Path, settings: Settings) -> Iterator[Nanomq]:
    settings.GATEHOUSE_HOME = tmp_path
    folder = tmp_path / "brokers" / "hall"
    folder.mkdir(parents=True)
    state = Nanomq(folder / FILE)

    class Answers(JsonAnswers):
        def do_GET(self) -> None:
            assert self._asked() == "/api/v4/brokers"
            self.answer(200, {"code": 0, "data": [{"node_status": "Running", "version": state.version}]})

        def do_POST(self) -> None:
            assert self._asked() == "/api/v4/ctrl/restart"
            self.rfile.read(int(self.headers["Content-Length"]))
            if state.code == 0 and state.status == 200:
                state.read.append(state.file.read_text())
            self.answer(state.status, {"code": state.code})

        def _asked(self) -> str:
            assert self.headers["Authorization"] == "Basic YWRtaW46cHc="  # printf admin:pw | base64
            return self.path

    with stand_in(Answers) as state.port:
        yield state


def test_each_change_is_read_by_one_restart(nanomq: Nanomq) -> None:
    adapter: BrokerAdapter = nanomq.adapter
    assert adapter.read().version == "0.23.8-3"
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP, ALL)))
    assert nanomq.lets("alpha", "north/alpha/up/t")
    assert not nanomq.lets("alpha", "north/beta/up/t")
    assert bring_to(adapter, only(subject("alpha", standing=Standing.BARRED))) == [("set-rules", "alpha")]
    assert not nanomq.lets("alpha", "north/alpha/up/t")
    assert nanomq.lets("beta", "north/beta/up/t")
    assert len(nanomq.read) == 2
    adapter.apply((), between=lambda: None)
    assert len(nanomq.read) == 2
    lost = adapter.effect(all_of(), adapter.read()).lose
    assert EffectLine(auth_id="beta", action="publish", filter="north/beta/up/#") in lost
    bring_to(adapter, all_of())
    assert not nanomq.lets("beta", "north/beta/up/t")
    assert adapter.disconnect(subject("beta").principal) is None


def test_many_who_have_to_go_cost_one_restart(nanomq: Nanomq, fleet: Fleet) -> None:
    broker = register(fleet, "hall-2", "nanomq", nanomq.connection)
    pumps = {name: fleet.enroll(name).id for name in ("p-1", "p-2", "p-3", "p-4")}
    services.converge(broker=broker, now=utc_now())
    rules = nanomq.file.read_text()
    nanomq.file.write_text(rules.replace("north/p-4/up", "north/p-4/by-hand"))
    nanomq.read.clear()
    devices.suspend_device(device=pumps["p-1"], actor=ADA, now=utc_now())
    devices.revoke_device(device=pumps["p-2"], reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now())
    devices.quarantine_device(device=pumps["p-3"], actor=ADA, now=utc_now())

    told = [services.evict(broker=broker, device=pumps[name], now=utc_now()).detail for name in ("p-2", "p-1", "p-3")]

    assert len(nanomq.read) == 1
    assert all("the restart by which the broker reads that ends every session" in detail for detail in told[:2])
    assert not any(nanomq.lets(name, f"north/{name}/up/t") for name in ("p-1", "p-2", "p-3"))
    assert nanomq.lets("p-4", "north/p-4/by-hand/t"), "what is nobody's eviction waits for its check"


def test_old_nanomq_is_given_no_policy_and_throws_out_all_the_same(nanomq: Nanomq) -> None:
    adapter = nanomq.adapter
    bring_to(adapter, all_of(subject("alpha", UP)))
    nanomq.version = "0.23.7-2"
    with pytest.raises(OldNanomq, match=r"0\.23\.7-2"):
        adapter.plan(all_of(subject("alpha", UP, DOWN)), adapter.read())
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert not nanomq.lets("alpha", "north/alpha/up/t")


def test_what_nanomq_did_not_read_is_a_difference_until_it_has(nanomq: Nanomq) -> None:
    adapter, desired = nanomq.adapter, all_of(subject("alpha", UP))
    nanomq.code = 101
    with pytest.raises(RequestRefused, match="would not restart"):
        bring_to(adapter, desired)
    nanomq.code, nanomq.status = 0, 500
    with pytest.raises(BrokerUnreachable):
        bring_to(adapter, desired)
    nanomq.status = 200
    assert bring_to(adapter, desired) == [("read-file", FILE)]
    assert nanomq.lets("alpha", "north/alpha/up/t")


def test_folder_that_was_lost_is_filled_again_and_read(nanomq: Nanomq) -> None:
    adapter, desired = nanomq.adapter, all_of(subject("alpha", UP), subject("beta", standing=Standing.BARRED))
    bring_to(adapter, desired)
    before, text = adapter.read(), nanomq.file.read_text()
    for file in nanomq.file.parent.iterdir():
        file.unlink()

    assert adapter.plan(desired, adapter.read()) == adapter.plan(desired, AppliedState(artifact=""))
    assert bring_to(adapter, desired) == [("set-rules", "alpha"), ("set-rules", "beta"), ("read-file", FILE)]

    assert (adapter.read(), nanomq.file.read_text()) == (before, text)
    assert nanomq.lets("alpha", "north/alpha/up/t")
    assert not nanomq.lets("beta", "north/beta/up/t")
    nanomq.file.parent.joinpath(FILE).unlink()
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert not nanomq.lets("alpha", "north/alpha/up/t"), "one alone is brought to an empty file, which denies the rest"


def test_what_was_changed_by_hand_is_put_right_without_throwing_others_out(nanomq: Nanomq) -> None:
    adapter, desired = nanomq.adapter, all_of(subject("alpha", UP), subject("beta", UP))
    bring_to(adapter, desired)
    before = nanomq.file.read_text()
    everything = '{"permit": "allow", "username": "#"}'
    for text in (
        before.replace("rules = [\n", f"rules = [\n  {everything},\n"),
        before.replace('{"permit": "deny"}', '{"permit": "allow"}'),
        before.replace('"north/alpha', '"#", "north/alpha'),
        before + "# by hand\n",
        "rules = [",
        "",
    ):
        nanomq.file.write_text(text)
        assert ("read-file", FILE) in bring_to(adapter, desired)
        assert nanomq.file.read_text() == before
    nanomq.file.write_text(before.replace("rules = [\n", f"rules = [\n  {everything},\n"))
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert not nanomq.lets("alpha", "north/beta/up/t")
    assert nanomq.lets("beta", "north/beta/up/t")


def test_connection_says_what_is_wrong() -> None:
    good = {"host": "::1", "port": 1, "username": "u", "password": "p"}
    assert [error.pointer for error in NanomqAdapter.connection_errors(good)] == ["/connection/files"]
    for wrong in ({"files": {"directory": "../x"}}, {"files": {"directory": "x"}, "host": "mq.example"}):
        assert NanomqAdapter.connection_errors(good | wrong)
    assert NanomqAdapter.connection_errors(7)
