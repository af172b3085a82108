"""The adapter against a real RabbitMQ: what is written is read back, and devices with certificates feel it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread

import pytest

from acl.core.values import Publish
from brokers.adapters.rabbitmq import RabbitmqAdapter, VhostNotFound
from brokers.adapters.rabbitmq_management import management
from brokers.core.ports import BrokerAdapter, BrokerUnreachable, DesiredState, EffectLine, Standing
from brokers.core.rabbitmq.connection import RabbitConnection
from brokers.core.rabbitmq.names import COLONS
from brokers.core.taken_names import AccountTaken, due
from brokers.core.values import (
    AccessKind,
    AdapterKind,
    BrokerEvent,
)
from devices.core.password_verifier import PasswordVerifier, new_salt
from tests.brokers.bringing import all_of, only
from tests.brokers.conftest import OpensslCa, new_openssl_ca
from tests.brokers.core.real_rabbitmq import Client, Closed, Rabbit, rabbitmq
from tests.brokers.hearing import events_in
from tests.brokers.links import broker_link
from tests.brokers.subjects import ALL, DOWN, PUBLISH, SUBSCRIBE, UP, rule, subject
from tests.servers import free_port, wait_until

pytestmark = pytest.mark.e2e

PLUGINS = ("rabbitmq_event_exchange", "rabbitmq_auth_mechanism_ssl")
RIGHTS = {
    "configure": r"^(gatehouse\.events|mqtt-subscription-.*)$",
    "write": r"^(gatehouse\.events|mqtt-subscription-.*)$",
    "read": r"^(gatehouse\.events|amq\.rabbitmq\.event|amq\.topic)$",
}
HUB = rule("allow", PUBLISH, "north/#", role="hub")
PASSWORD = "not-a-secret"


@dataclass(frozen=True)
class House:
    """A RabbitMQ whose listener wants certificates of `ca`, and an account of ours with just the rights it needs."""

    rabbit: Rabbit
    tls_port: int
    ca: OpensslCa

    def adapter(self, **changed: object) -> RabbitmqAdapter:
        members = {"host": "127.0.0.1", "port": self.rabbit.management, "username": "gate/house", "password": PASSWORD}
        return RabbitmqAdapter(link=broker_link(AdapterKind.RABBITMQ, {**members, **changed}))

    def device(self, name: str, *, client_id: str = "", keep: bool = False, will: str = "") -> Client:
        """A connection with the certificate of that name, and a client id that is the name too. Raises Closed."""
        path = self.ca.folder / f"{name}.pem"
        certificate, key = (path, path.with_suffix(".key")) if path.exists() else self.ca.make(name)
        context = ssl.create_default_context(cadata=self.ca.certificate)
        context.load_cert_chain(certificate, key)
        return Client(self.tls_port, name, client_id or name, keep=keep, tls=context, will=will)

    def lets_in(self, name: str, password: str) -> bool:
        """Whether the password opens the account, where no certificate is asked for."""
        try:
            Client(self.rabbit.port, name, name, password=password).close()
        except Closed:
            return False
        return True

    def ask(self, method: str, path: str, body: dict[str, str] | None = None) -> object:
        """What the management API answers its administrator."""
        administrator = RabbitConnection(
            host="127.0.0.1",
            port=self.rabbit.management,
            username="guest",
            password="guest",
        )
        with management(administrator) as broker:
            return broker.ask(method, path, body)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("rabbitmq")
    ca = new_openssl_ca(folder / "ca")
    certificate, key = ca.make("broker", "subjectAltName=IP:127.0.0.1")
    port = free_port()
    more = (
        f"mqtt.listeners.ssl.1 = 127.0.0.1:{port}\nmqtt.ssl_cert_login = true\nssl_cert_login_from = common_name\n"
        f"ssl_options.cacertfile = {ca.folder / 'ca.pem'}\nssl_options.certfile = {certificate}\n"
        f"ssl_options.keyfile = {key}\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n"
    )
    with rabbitmq(folder, plugins=PLUGINS, more=more) as rabbit:
        house = House(rabbit=rabbit, tls_port=port, ca=ca)
        house.ask("PUT", "users/gate%2Fhouse", {"password": PASSWORD, "tags": "administrator"})
        house.ask("PUT", "permissions/%2F/gate%2Fhouse", RIGHTS)
        yield house


@pytest.fixture
def house(running: House) -> Iterator[House]:
    yield running
    bring_to(running.adapter(), all_of())


def bring_to(adapter: RabbitmqAdapter, desired: DesiredState) -> list[str]:
    """The kinds of the steps that it took; afterwards nothing is left to do."""
    steps = adapter.plan(desired, adapter.read(only=desired.only))
    adapter.apply(steps, between=lambda: None)
    assert adapter.plan(desired, adapter.read(only=desired.only)) == ()
    return [step.kind for step in steps]


def refused(device: Client, topic: str) -> bool:
    """Whether the publish is answered by the end of the connection."""
    try:
        device.publish(topic)
    except Closed:
        return True
    finally:
        device.close()
    return False


def end(device: Client, topic: str) -> None:
    """Publishes there without rest until the broker closes the connection, which it may say before it does."""
    wait_until(lambda: not _passes(device, topic), what="the broker closes the connection")
    device.close()


def _passes(device: Client, topic: str) -> bool:
    try:
        device.publish(topic)
    except Closed:
        return False
    return True


def ended(device: Client) -> bool:
    """Whether the broker has closed the connection, or does so now."""
    try:
        device.receive_until("nothing of that name is sent")
    except Closed:
        device.close()
        return True
    return False


def test_adapter_has_all_that_the_port_asks_for(house: House) -> None:
    adapter: BrokerAdapter = house.adapter()  # the type checker compares
    assert adapter.read(only=frozenset()).version.startswith("3.")


def test_who_has_a_password_logs_in_with_it_until_it_is_taken_away(house: House) -> None:
    adapter = house.adapter()
    old, new = (
        replace(subject("alpha", UP), password=PasswordVerifier.of(text, salt=new_salt()))
        for text in ("k7mw-ace2-old", "k7mw-ace2-new")
    )
    assert bring_to(adapter, all_of(old, subject("beta", UP))).count("set-user") == 2
    assert adapter.read().artifact.count('"password_hash": ""') == 1
    asked = [
        ("alpha", "k7mw-ace2-old"),
        ("alpha", "k7mw-ace2-new"),
        ("alpha", ""),
        ("beta", "k7mw-ace2-old"),
        ("beta", ""),
    ]
    assert [house.lets_in(*each) for each in asked] == [True, False, False, False, False]
    assert bring_to(adapter, only(new)) == ["set-user"]
    assert [house.lets_in("alpha", text) for text in ("k7mw-ace2-old", "k7mw-ace2-new")] == [False, True]
    house.ask("PUT", "users/alpha", {"password": PASSWORD, "tags": "gatehouse"})  # by hand
    assert bring_to(adapter, all_of(new, subject("beta", UP))) == ["set-user"]
    assert bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP))) == ["set-user"]
    assert not house.lets_in("alpha", "k7mw-ace2-new")


def test_devices_log_in_with_their_certificates_and_are_held_to_their_topics(house: House) -> None:
    adapter = house.adapter()
    desired = all_of(subject("alpha", UP, DOWN), subject("hub", HUB))
    assert set(bring_to(adapter, desired)) == {"set-user", "set-topics", "set-permission"}
    alpha, hub = house.device("alpha"), house.device("hub")
    alpha.subscribe("north/alpha/down/#")
    hub.publish("north/alpha/down/valve")
    hub.publish("north/alpha/down/end")
    assert alpha.receive_until("north/alpha/down/end") == ["north/alpha/down/valve"]
    alpha.publish("north/alpha/up/t")
    hub.close()
    assert refused(alpha, "north/beta/up/t")
    [alpha_as_told] = [one.principal for one in desired.subjects if one.principal.auth_id == "alpha"]
    rendering = adapter.render(desired)
    assert adapter.enforces(rendering, alpha_as_told, Publish(topic="north/alpha/up/t"))
    assert not adapter.enforces(rendering, alpha_as_told, Publish(topic="north/beta/up/t"))


def test_plan_tells_who_gains_and_who_loses_what(house: House) -> None:
    adapter = house.adapter()
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP)))
    desired = all_of(subject("alpha", UP, DOWN), subject("beta", standing=Standing.BARRED))
    found = adapter.effect(desired, adapter.read())
    assert found.gain == (EffectLine(auth_id="alpha", action="subscribe", filter="north/alpha/down/#"),)
    assert found.lose == (EffectLine(auth_id="beta", action="publish", filter="north/beta/up/#"),)


def test_unknown_device_with_a_good_certificate_does_not_get_in(house: House) -> None:
    bring_to(house.adapter(), all_of(subject("alpha", UP)))
    with pytest.raises(Closed):
        house.device("stranger")


def test_subscription_ends_when_its_permission_goes_also_one_that_is_kept_for_who_is_away(house: House) -> None:
    adapter = house.adapter()
    hub = subject("hub", HUB)
    bring_to(adapter, all_of(hub, subject("alpha", DOWN, ALL), subject("beta", DOWN, ALL)))
    alpha, beta = house.device("alpha"), house.device("beta", keep=True)
    for device, name in ((alpha, "alpha"), (beta, "beta")):
        device.subscribe("north/all/#")
        device.subscribe(f"north/{name}/down/#")
    beta.close()
    kinds = bring_to(adapter, all_of(hub, subject("alpha", DOWN), subject("beta", DOWN)))
    assert kinds.count("delete-subscription") == 2
    assert ended(alpha)
    alpha = house.device("alpha")
    alpha.subscribe("north/alpha/down/#")
    sender = house.device("hub")
    for name in ("alpha", "beta"):
        sender.publish("north/all/news")
        sender.publish(f"north/{name}/down/end")
    sender.close()
    beta = house.device("beta", keep=True)
    assert alpha.receive_until("north/alpha/down/end") == []
    assert beta.receive_until("north/beta/down/end") == []
    alpha.close()
    beta.close()


def test_subscription_of_one_device_ends_when_only_that_device_is_changed(house: House) -> None:
    adapter = house.adapter()
    whole = all_of(subject("hub", HUB), subject("alpha|()", DOWN, ALL), subject("beta", DOWN, ALL))
    bring_to(adapter, whole)
    devices = [house.device("alpha|()"), house.device("beta")]
    for device in devices:
        device.subscribe("north/all/#")
    smaller = only(subject("alpha|()", DOWN))
    closed = ["delete-entry", "set-topics", "delete-connection", "delete-subscription", "set-permission"]
    assert bring_to(adapter, smaller) == closed
    house.ask("PUT", "permissions/%2F/alpha%7C%28%29", {"configure": ".*", "write": ".*", "read": ".*"})
    put_right = ["delete-entry", "delete-connection", "set-permission"]
    assert bring_to(adapter, smaller) == put_right  # it can not be told whose is what: all are looked at
    hub = house.device("hub")
    hub.publish("north/all/news")
    hub.publish("north/all/end")
    assert devices[1].receive_until("north/all/end") == ["north/all/news"]
    assert house.ask("GET", "queues/%2F/mqtt-subscription-alpha%7C%28%29qos1/bindings") is not None
    for device in (hub, *devices):
        device.close()


def test_subscriptions_that_no_request_can_name_end_with_their_queue(house: House) -> None:
    adapter = house.adapter()
    bring_to(adapter, all_of(subject("alpha", rule("allow", SUBSCRIBE, "+/+/#"))))
    alpha = house.device("alpha", keep=True)
    for filter in ("/", "//", "a/+"):
        alpha.subscribe(filter)
    alpha.close()
    assert "delete-queue" in bring_to(adapter, only(subject("alpha", DOWN)))
    assert house.ask("GET", "queues/%2F/mqtt-subscription-alphaqos1") is None


@pytest.mark.parametrize("whole", [True, False])
def test_names_that_look_like_something_else_are_names(house: House, whole: bool) -> None:
    adapter = house.adapter()
    names = [
        "...",
        "..%2F..",
        "%2e%2e",
        "a b",
        '"; DROP',
        "{username}",
        "ä泵😀",
        ".*",
        "\\E",
        "guest\u0130",
        "x" * 255,
        "a:b:",
        "x:..",
    ]
    desired = [subject(name, rule("allow", SUBSCRIBE, "north/${auth_id}/down/#"), UP) for name in names]
    for state in [all_of(*desired)] if whole else list(map(only, desired)):
        assert "set-user" in bring_to(adapter, state)
    assert {name for name in names if name not in adapter.read().artifact} <= {'"; DROP', "ä泵😀", "\\E", "guest\u0130"}
    barred = [subject(name, standing=Standing.BARRED) for name in names]
    for one in barred:
        bring_to(adapter, only(one))
        assert adapter.disconnect(one.principal) == 0


def test_barred_device_is_thrown_out_and_does_not_come_back(house: House) -> None:
    adapter = house.adapter()
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP)))
    alpha, beta = house.device("alpha", keep=True), house.device("beta")
    alpha.subscribe("north/alpha/down/#")
    barred = subject("alpha", standing=Standing.BARRED)
    bring_to(adapter, only(barred))
    adapter.disconnect(barred.principal)
    with pytest.raises(Closed):
        alpha.publish("north/alpha/up/t")
    with pytest.raises(Closed):
        house.device("alpha")
    beta.publish("north/beta/up/t")
    beta.close()
    alpha.close()
    assert house.ask("GET", "queues/%2F/mqtt-subscription-alphaqos1") is None


def test_last_will_of_who_may_not_or_is_thrown_out_is_published_to_nobody(house: House) -> None:
    adapter = house.adapter()
    ear = subject("ear", rule("allow", SUBSCRIBE, "north/#", role="ear"))
    bring_to(adapter, all_of(ear, *(subject(name, UP) for name in ("alpha", "beta", "gamma"))))
    listener = house.device("ear")
    listener.subscribe("north/#")
    forbidden = house.device("alpha", will="north/gamma/up/will")
    beta = house.device("beta", will="north/beta/up/will")
    beta.publish("north/beta/up/will")  # RabbitMQ remembers for a moment that it might
    gamma = house.device("gamma", will="north/gamma/up/last")
    forbidden.close()
    barred = subject("beta", standing=Standing.BARRED)
    bring_to(adapter, only(barred))
    adapter.disconnect(barred.principal)
    assert refused(beta, "north/beta/up/t")
    gamma.close()
    assert listener.receive_until("north/gamma/up/last") == ["north/beta/up/will"]
    listener.close()


def test_disconnecting_closes_every_connection_of_the_account_and_those_of_nobody_else(house: House) -> None:
    adapter, beta = house.adapter(), subject("beta", UP, DOWN)
    alpha = subject("alpha", UP, DOWN)
    bring_to(adapter, all_of(alpha, beta))
    both = [house.device("alpha", keep=True), house.device("alpha", client_id="its other")]
    both[0].subscribe("north/alpha/down/#")
    other = house.device("beta", client_id="alpha beta")
    assert adapter.disconnect(alpha.principal) == 2
    for one in both:
        end(one, "north/alpha/up/t")
    assert not refused(other, "north/beta/up/t")
    assert house.ask("GET", "queues/%2F/mqtt-subscription-alphaqos1") is None
    assert adapter.disconnect(alpha.principal) == 0


def test_device_that_may_subscribe_to_nothing_any_more_begins_a_clean_session(house: House) -> None:
    bring_to(house.adapter(), all_of(subject("gamma", UP, DOWN)))
    gamma = house.device("gamma", keep=True)
    gamma.subscribe("north/gamma/down/#")
    gamma.close()
    bring_to(house.adapter(), all_of(subject("gamma", UP)))
    gamma = house.device("gamma")
    gamma.publish("north/gamma/up/t")
    gamma.close()


def test_device_that_was_barred_while_the_broker_could_not_be_reached_is_thrown_out_by_the_whole(house: House) -> None:
    adapter = house.adapter()
    bring_to(adapter, all_of(subject("alpha", UP)))
    alpha = house.device("alpha")
    kinds = bring_to(adapter, all_of(subject("alpha", standing=Standing.BARRED)))
    assert "delete-connection" in kinds
    assert refused(alpha, "north/alpha/up/t")


def test_device_that_is_gone_leaves_no_account(house: House) -> None:
    adapter = house.adapter()
    bring_to(adapter, all_of(subject("alpha", UP)))
    assert bring_to(adapter, only(subject("alpha", standing=Standing.ABSENT))) == ["delete-user"]
    assert house.ask("GET", "users/alpha") is None


def test_what_was_changed_by_hand_is_seen_and_put_right(house: House) -> None:
    adapter, desired = house.adapter(), all_of(subject("alpha", UP))
    bring_to(adapter, desired)
    house.ask("PUT", "users/alpha", {"password": "by hand", "tags": "gatehouse,administrator"})
    house.ask("PUT", "topic-permissions/%2F/alpha", {"exchange": "amq.topic", "write": ".*", "read": ".*"})
    house.ask("PUT", "vhosts/other")
    house.ask("PUT", "permissions/other/alpha", {"configure": ".*", "write": ".*", "read": ".*"})
    put_right = ["delete-entry", "delete-permission", "set-user", "set-topics", "delete-connection", "set-permission"]
    assert bring_to(adapter, desired) == put_right
    found = house.ask("GET", "users/alpha")
    assert isinstance(found, dict)
    assert (found["password_hash"], found["tags"]) == ("", ["gatehouse"])
    house.ask("DELETE", "vhosts/other")


def test_account_that_is_not_ours_is_never_touched_and_said(house: House) -> None:
    adapter = house.adapter()
    house.ask("PUT", "users/chief", {"password": PASSWORD, "tags": "administrator"})
    chief = subject("chief", UP)
    applied = adapter.read()
    assert {"chief", "guest", "gate/house"} <= applied.foreign
    for desired in (all_of(chief, subject("alpha", UP)), all_of(chief)):  # all else comes and goes
        steps = adapter.plan(desired, adapter.read())
        assert (steps[-1].kind, steps[-1].target, "'chief'" in steps[-1].summary) == ("account-taken", "chief", True)
        adapter.apply(due(steps), between=lambda: None)
        assert [step.target for step in adapter.plan(desired, adapter.read())] == ["chief"]
        assert ("alpha" in house.adapter().read().artifact) is (len(desired.subjects) == 2)
    assert [step.kind for step in adapter.plan(only(chief), adapter.read(only=only(chief).only))] == ["account-taken"]
    with pytest.raises(AccountTaken):
        adapter.disconnect(chief.principal)
    house.ask("PUT", "users/gate%2Fhouse", {"password": PASSWORD, "tags": "administrator,gatehouse"})
    assert "gate/house" in adapter.read().foreign  # what we log in with is never a device's
    house.ask("PUT", "users/gate%2Fhouse", {"password": PASSWORD, "tags": "administrator"})
    house.ask("PUT", "users/chief", {"password": PASSWORD, "tags": "gatehouse"})  # handed over
    assert "set-user" in bring_to(adapter, all_of(chief))


def test_name_with_a_colon_is_refused_where_its_certificate_opens_the_account_of_another(house: House) -> None:
    house.ask("PUT", "vhosts/plant")
    house.ask("PUT", "permissions/plant/gate%2Fhouse", RIGHTS)
    adapter, beta = house.adapter(vhost="plant"), subject("beta", UP)
    bring_to(adapter, all_of(beta))
    mistaken = house.device("plant:beta")
    mistaken.publish("north/beta/up/t")
    mistaken.close()
    both = all_of(subject("plant:beta", UP), beta, subject("gamma", UP))
    steps = adapter.plan(both, adapter.read())
    assert (steps[-1].kind, "is the account 'beta'" in steps[-1].summary) == ("account-taken", True)
    adapter.apply(due(steps), between=lambda: None)
    assert '"gamma"' in adapter.read().artifact
    assert [step.target for step in adapter.plan(both, adapter.read())] == ["plant:beta"]
    for name in ("plant:beta", "hall:guest"):
        steps = adapter.plan(only(subject(name, UP)), adapter.read(only=frozenset({name})))
        assert [step.kind for step in steps if step.target == name][-1:] == ["account-taken"]
        adapter.apply(due(steps), between=lambda: None)
        assert bring_to(adapter, only(subject(name, standing=Standing.BARRED))) == []
    other = all_of(subject("hall:beta", UP), beta)  # where beta has no permission
    bring_to(adapter, other)
    assert adapter.render(other).warnings == (COLONS,)
    with pytest.raises(Closed):
        house.device("hall:beta")
    house.ask("DELETE", "vhosts/plant")


def test_wrong_password_and_wrong_vhost_are_said(house: House) -> None:
    with pytest.raises(BrokerUnreachable, match="refuses our account") as refusal:
        house.adapter(password="wrong").read()
    assert "wrong" not in refusal.value.detail
    with pytest.raises(VhostNotFound, match="'plant'"):
        house.adapter(vhost="plant").read()
    with pytest.raises(BrokerUnreachable, match="does not answer"):
        house.adapter(port=free_port()).read()


def test_connections_and_refusals_are_told_also_those_while_nobody_listened(house: House) -> None:
    adapter = house.adapter()
    bring_to(adapter, all_of(subject("alpha", UP)))
    heard = Ear(adapter)
    house.device("alpha").close()
    heard.wait_for((AccessKind.CONNECTED, "alpha"), (AccessKind.DISCONNECTED, "alpha"))
    stays = house.device("alpha", client_id="stays")
    wait_until(lambda: "stays" in {event.client_id for event in heard.events}, seconds=60, what="it is told")
    assert heard.events[0].kind is AccessKind.STARTED
    assert heard.events[0].at < heard.events[1].at
    heard.stop()
    stays.close()
    with pytest.raises(Closed):
        house.device("stranger")
    again = Ear(house.adapter())
    again.wait_for((AccessKind.REFUSED, "stranger"))
    [begun] = {event.connection_id for event in heard.events if event.client_id == "stays"}
    ended = (AccessKind.DISCONNECTED, begun)
    wait_until(
        lambda: ended in {(event.kind, event.connection_id) for event in again.events}, seconds=60, what="it ends"
    )
    again.stop()


class Ear:
    """Who listens to a broker, in a thread."""

    def __init__(self, adapter: RabbitmqAdapter) -> None:
        self.events: list[BrokerEvent] = []
        self._end = Event()
        self._thread = Thread(target=self._listen, args=(adapter,))
        self._thread.start()
        wait_until(lambda: bool(self.events), seconds=60, what="it says when the broker started")

    def _listen(self, adapter: RabbitmqAdapter) -> None:
        for event in events_in(adapter.watch(self._end)):
            self.events.append(event)

    def wait_for(self, *wanted: tuple[AccessKind, str]) -> None:
        def come() -> bool:
            return set(wanted) <= {(event.kind, event.auth_id) for event in self.events}

        wait_until(come, seconds=60, what=str(wanted))

    def stop(self) -> None:
        self._end.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
