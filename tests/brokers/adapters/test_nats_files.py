"""The adapter and a real NATS server that includes its file: what is written is read, and devices feel it."""

from __future__ import annotations

from threading import Event

import pytest

from acl.core.values import Action
from brokers.adapters.nats import NatsAdapter
from brokers.adapters.nats_files import FILE, ConfigurationRefused, NatsFilesAdapter
from brokers.core.nats import users as nats_users
from brokers.core.nats.nkeys import AccountKey
from brokers.core.nats.policy import NOTHING, permissions
from brokers.core.nats.version import LeakyNats
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, Standing
from brokers.core.values import AccessKind, AdapterKind, BrokerEvent
from tests.brokers.bringing import all_of, bring_to, only
from tests.brokers.links import broker_link
from tests.brokers.nats.hall import AS_IT_BEGINS, Hall, hall
from tests.brokers.subjects import DOWN, PUBLISH, SUBSCRIBE, UP, rule, subject
from tests.servers import wait_until

__all__ = ["hall"]
HUB = rule("allow", PUBLISH, "north/+/down/t", role="hub")


@pytest.mark.e2e
def test_devices_may_what_the_file_says_and_lose_it_at_once(hall: Hall) -> None:
    adapter: BrokerAdapter = hall.adapter
    assert adapter.read().version.startswith("2.")
    stop = Event()
    events = adapter.watch(stop)
    assert next(events) is None  # from now on everything is heard
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("hub", HUB)))
    alpha, hub = hall.device("alpha"), hall.device("hub")
    assert alpha.connect()
    assert hub.connect()
    assert not hall.device("stranger").connect()
    assert alpha.subscribe("north/alpha/down/#") == 1
    assert alpha.subscribe("north/hub/down/#") == 128
    hub.publish("north/alpha/down/t", b"1")
    assert alpha.received(b"1")
    assert {event.auth_id for event in adapter.present() or ()} == {"alpha", "hub"}

    bring_to(adapter, only(subject("alpha", UP)))  # it stays connected, and is not brought any more
    hub.publish("north/alpha/down/t", b"2")
    assert alpha.subscribe("north/alpha/down/t") == 128  # behind what hub sent
    assert [payload for _, payload in alpha.messages] == [b"1"]

    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert alpha.wait_closed()
    assert not hall.device("alpha").connect()
    wait_until(lambda: adapter.disconnect(subject("alpha").principal) == -1, what="nothing is left of alpha")
    assert adapter.disconnect(subject("hub").principal) == 1
    assert hub.wait_closed()

    wanted = {
        (AccessKind.CONNECTED, "alpha"), (AccessKind.DISCONNECTED, "alpha"), (AccessKind.DISCONNECTED, "hub"),
        (AccessKind.REFUSED, ""),
    }  # fmt: skip
    heard = set()

    def all_is_heard() -> bool:
        event = next(events)
        if isinstance(event, BrokerEvent):
            heard.add((event.kind, "" if event.kind is AccessKind.REFUSED else event.auth_id))
        return wanted <= heard

    wait_until(all_is_heard, what="the server has told everything")
    stop.set()
    for _ in events:
        continue


@pytest.mark.e2e
def test_last_will_of_who_may_not_or_is_thrown_out_is_published_to_nobody(hall: Hall) -> None:
    adapter, names = hall.adapter, ("alpha", "beta", "gamma")
    ear = rule("allow", SUBSCRIBE, "north/#", role="ear")
    bring_to(adapter, all_of(subject("ear", ear), *(subject(name, UP) for name in names)))
    listener = hall.device("ear")
    assert listener.connect()
    assert listener.subscribe("north/#") == 1
    devices = {name: hall.device(name) for name in names}
    for name, topic in zip(names, ("north/gamma/up/will", "north/beta/up/will", "north/gamma/up/will"), strict=True):
        devices[name].client.will_set(topic, name.encode(), qos=1)
        assert devices[name].connect()
    adapter.disconnect(subject("alpha").principal)  # let in with a will that it may not publish
    assert devices["alpha"].wait_closed()
    bring_to(adapter, only(subject("beta", standing=Standing.BARRED)))
    assert devices["beta"].wait_closed()
    adapter.disconnect(subject("gamma").principal)
    assert listener.received(b"gamma")
    assert [payload for _, payload in listener.messages] == [b"gamma"]


@pytest.mark.e2e
def test_what_the_server_did_not_read_is_a_difference_until_it_has(hall: Hall) -> None:
    adapter, desired = hall.adapter, all_of(subject("alpha", UP))
    hall.conf.write_text(hall.good + "nonsense {\n")
    with pytest.raises(ConfigurationRefused, match=r"refuses its configuration: .*Put that right"):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
    assert not hall.device("alpha").connect()
    hall.conf.write_text(hall.good)
    assert bring_to(adapter, desired) == [("read-file", FILE)]
    assert hall.device("alpha").connect()
    before = (hall.folder / FILE).read_text()
    for text in (AS_IT_BEGINS, "", before.replace("publish", "subscribe", 1), before + "no_auth_user: alpha\n", "{"):
        (hall.folder / FILE).write_text(text)  # by hand
        assert ("read-file", FILE) in bring_to(adapter, desired)
        assert (hall.folder / FILE).read_text() == before
    (hall.folder / FILE).write_text(before.replace("users: [", "users: [ # by hand"))
    bring_to(adapter, only(subject("beta", standing=Standing.BARRED)))
    assert (hall.folder / FILE).read_text() == before  # nobody else is thrown out by it
    hall.kill()
    with pytest.raises(BrokerUnreachable):
        adapter.read()


ODD = ["a.b", '["MQTT"]', "a*b", "ä泵", 'a"b', "%", "$SYS", "a'b", "{auth_id}", "x" * 200]


def test_text_of_the_file_is_read_back_as_it_was() -> None:
    odd = rule("allow", PUBLISH, "north/a\N{LINE SEPARATOR}b")
    users = {name: permissions(subject(name, UP, DOWN, odd)) for name in ODD} | {"nothing": NOTHING}
    for spelled in ("CN={auth_id}", "CN={auth_id},OU=devices,O=Acme"):
        text = nats_users.to_conf(users, subject=spelled)
        other = nats_users.respelled(text)
        assert other.count('["MQTT", "MQTT"]') == len(users)
        assert [nats_users.parse_conf(each, subject=spelled) for each in (text, other)] == [users, users]
        for strange in (
            other,
            text + "\n",
            text.replace("MQTT", "STANDARD"),
            text.replace("deny", "allow"),
            "",
            "users: []",
        ):
            found = nats_users.parse_conf(strange, subject=spelled)
            assert nats_users.to_conf(found, subject=spelled) != strange


def test_name_that_a_subject_spells_otherwise_is_no_user_and_that_is_said() -> None:
    for name in ("a,O=b", "a+b", "a=b", " a", "a\\", "a;b", "#a", "a\nb"):
        rendering = nats_users.render([subject(name, UP), subject("alpha", UP)])
        assert '"alpha"' in rendering.artifact
        assert [each.principals for each in rendering.deviations if "subject" in each.why] == [(name,)]


def test_user_belongs_to_a_device_only_if_it_is_spelled_so() -> None:
    spelled = "CN={auth_id},O=Acme"
    assert nats_users.auth_id_of("CN=alpha,O=Acme", subject=spelled) == "alpha"
    for other in ("CN=alpha", "alpha", "CN=,O=Acme", "CN=alpha,O=Acme,C=CH", ""):
        assert nats_users.auth_id_of(other, subject=spelled) == other


def test_direction_without_a_permission_is_denied_as_a_whole() -> None:
    text = nats_users.to_conf({"alpha": permissions(subject("alpha", UP))}, subject="CN={auth_id}")
    assert '"subscribe": {"allow": [], "deny": [">"]}' in text  # without the deny the server would allow all


def test_plan_tells_who_gains_and_who_loses_what() -> None:
    granted = permissions(subject("a.b", rule("allow", SUBSCRIBE, "x/+//${client_id}/#")))
    assert nats_users.flow(granted, Action.SUBSCRIBE).allows == {"x/+//a.b/#", "x/+//a.b"}
    assert nats_users.flow(NOTHING, Action.PUBLISH).denies == {"#"}


def test_server_that_brings_what_is_denied_gets_no_plan_but_one_who_goes_goes() -> None:
    """2.12.11 brings denied messages that are retained; the mend is in 2.12.12, and 2.12.14 is what is asked for."""
    seed = {"callout_user": "c", "callout_password": "p", "issuer_seed": AccountKey.generate().seed}
    both = {"host": "127.0.0.1", "port": 1, "system_user": "s", "system_password": "p", "account": "A"}
    adapters: list[BrokerAdapter] = [
        NatsFilesAdapter(link=broker_link(AdapterKind.NATS_FILES, both | {"files": {"directory": "hall"}})),
        NatsAdapter(link=broker_link(AdapterKind.NATS, both | seed)),
    ]
    for adapter in adapters:
        for version in ("2.9.10", "2.12.11", "2.14.2"):
            applied = AppliedState(artifact="", version=version)
            with pytest.raises(LeakyNats, match=version):
                adapter.plan(all_of(subject("alpha", UP)), applied)
            adapter.plan(only(subject("alpha", standing=Standing.BARRED)), applied)
        adapter.plan(all_of(subject("alpha", UP)), AppliedState(artifact="", version="2.15.1"))


def test_connection_says_what_is_wrong() -> None:
    good = {"host": "::1", "port": 1, "system_user": "s", "system_password": "p", "account": "A"}
    files = {"files": {"directory": "hall"}}
    assert not NatsFilesAdapter.connection_errors(good | files | {"subject": "CN={auth_id},O=x"})
    assert [error.pointer for error in NatsFilesAdapter.connection_errors(good)] == ["/connection/files"]
    for wrong in ("CN=x", "{auth_id}{auth_id}", 7, "CN={auth_id}\n"):
        found = NatsFilesAdapter.connection_errors(good | files | {"subject": wrong})
        assert [error.pointer for error in found] == ["/connection/subject"]
