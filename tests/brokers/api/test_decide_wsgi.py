"""Decisions over HTTP about devices of a real fleet: who is let in, how soon a change shows, and what errors answer."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import OperationalError
from pytest_django import DjangoAssertNumQueries, Settings

from acl.core.values import Action, Allow, Deny
from brokers import models, services
from brokers.api import decide_wsgi
from brokers.core.auth_chains.document import read_chain
from brokers.core.decide.decisions import EVERY_METHOD, DecisionSecretId, Identity
from brokers.core.values import BrokerId
from brokers.services import decision_secrets
from brokers.services.deciding import Decider
from brokers.services.decision_memory import DecisionMemory
from devices import services as devices
from devices.queries import list_bindings
from kernel.conf import master_key
from kernel.core.clock import utc_now
from kernel.core.secrets import MasterKey, MasterKeys
from pki import queries as pki
from pki import services as pki_services
from pki.core.values import ReasonCode
from tests.brokers.asking import Broker, Reply, ask
from tests.brokers.fleet import Enrolled, Fleet, allow
from tests.cast import ADA


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Hall:
    """A broker that asks, and two web processes that answer: `decide_wsgi` is the one, `other` the other."""

    fleet: Fleet
    id: BrokerId
    clock: Clock
    other: Decider
    used: list[Any] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)

    def note(self, *refusal: Any) -> None:
        """In place of the access log."""
        self.refused.append(refusal)

    def broker(self, identity: Identity = Identity.SHOWN) -> Broker:
        """The broker with a fresh secret."""
        made = services.mint_decision_secret(broker=self.id, identity=identity, actor=ADA, now=utc_now())
        self.pass_time()
        return Broker(id=str(self.id), secret=made.secret)

    def pass_time(self, seconds: float = 0.31) -> None:
        """So much that a process looks at the journal again."""
        self.clock.now += seconds


@pytest.fixture
def hall(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Hall:
    id, clock = BrokerId(uuid4()), Clock()
    models.Broker.objects.create(
        id=id, domain_id=fleet.domain.id, name="hall-7", kind="nats", connection=b"", created_at=utc_now()
    )
    made = Hall(fleet, id, clock, Decider(DecisionMemory(clock=clock)))
    monkeypatch.setattr(decide_wsgi, "decider", Decider(DecisionMemory(clock=clock)))
    monkeypatch.setattr(decide_wsgi, "refusals", made)
    monkeypatch.setattr("brokers.services.policy_use.note_decided", lambda **noted: made.used.append(noted))
    return made


def certificate_of(device: Enrolled) -> bytes:
    return x509.load_pem_x509_certificate(device.certificate.read_bytes()).public_bytes(Encoding.DER)


def register(broker: Broker, device: Enrolled, *, certificate: bytes | None = None, name: str = "") -> Any:
    """What VerneMQ is told when the device connects."""
    shown = base64.b64encode(certificate_of(device) if certificate is None else certificate).decode()
    who = name or device.device.auth_id
    return broker.ask_json(
        "vernemq", hook="auth_on_register", username=who, client_id=who, password=None, client_cert=shown
    ).document["result"]


def publish(broker: Broker, name: str = "pump-1", topic: str = "north/pump-1/up/t") -> Any:
    members = {"username": name, "client_id": name, "topic": topic, "qos": 0, "retain": False}
    return often(broker, "vernemq", hook="auth_on_publish", **members)["result"]


def often(broker: Broker, path: str, **asked: Any) -> Any:
    """The document that is answered: at first, after what is asked again is kept, and from what was kept."""
    first, kept, again = (broker.ask_json(path, **asked).document for _ in range(3))
    assert first == kept == again
    return again


REFUSED = {"error": "not_allowed"}


def test_a_device_enters_with_its_own_certificate_alone(hall: Hall) -> None:
    broker, pump, other = hall.broker(), hall.fleet.enroll("pump-1"), hall.fleet.enroll("pump-2")
    assert register(broker, pump) == "ok"
    assert register(broker, pump, certificate=certificate_of(other)) == REFUSED
    assert register(broker, pump, certificate=b"") == REFUSED
    assert register(broker, pump, certificate=b"no DER") == REFUSED
    assert register(broker, pump, name="pump-3") == REFUSED


def test_what_was_asked_once_is_answered_from_memory(
    hall: Hall, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    broker, pump = hall.broker(), hall.fleet.enroll("pump-1")
    register(broker, pump)
    publish(broker, "stranger")
    with django_assert_num_queries(0):
        assert register(broker, pump) == "ok"
        assert publish(broker) == "ok"
        assert publish(broker, topic="north/pump-2/up/t") == REFUSED
        assert publish(broker, "stranger") == REFUSED
    hall.pass_time()
    with django_assert_num_queries(1):  # the journal's end
        assert publish(broker) == "ok"


Act = Callable[[Hall, Enrolled], object]


def _certificate(device: Enrolled) -> Any:
    return pki.certificates_of(holder=f"device:{device.id}")[0].id


TAKEN_AWAY: dict[str, Act] = {
    "suspended": lambda _, pump: devices.suspend_device(device=pump.id, actor=ADA, now=utc_now()),
    "quarantined": lambda _, pump: devices.quarantine_device(device=pump.id, actor=ADA, now=utc_now()),
    "revoked": lambda _, pump: devices.revoke_device(
        device=pump.id, reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now()
    ),
    "its certificate revoked": lambda _, pump: pki_services.revoke_certificate(
        certificate=_certificate(pump), reason=ReasonCode.KEY_COMPROMISE, actor=ADA, now=utc_now()
    ),
    "its role taken": lambda hall, _: devices.unbind_role(
        binding=list_bindings(domains=[hall.fleet.domain.id])[0].id, actor=ADA, now=utc_now()
    ),
    "its role changed": lambda hall, _: hall.fleet.change_role(allow(Action.PUBLISH, "somewhere")),
}


@pytest.mark.parametrize("what", TAKEN_AWAY)
def test_what_is_taken_away_is_gone_at_the_next_look_in_every_process(
    hall: Hall, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, pump = hall.broker(), hall.fleet.enroll("pump-1")
    first = decide_wsgi.decider
    for process in (first, hall.other):
        monkeypatch.setattr(decide_wsgi, "decider", process)
        assert (register(broker, pump), publish(broker)) == ("ok", "ok")
    TAKEN_AWAY[what](hall, pump)
    hall.pass_time()
    for process in (first, hall.other):
        monkeypatch.setattr(decide_wsgi, "decider", process)
        assert publish(broker) == REFUSED
        if "role" not in what and what != "quarantined":
            assert register(broker, pump) == REFUSED


def test_a_name_that_was_nobodys_is_known_once_it_is_somebodys(hall: Hall) -> None:
    broker = hall.broker()
    assert publish(broker) == REFUSED
    hall.fleet.enroll("pump-1")
    hall.pass_time()
    assert publish(broker) == "ok"


def test_a_device_of_another_domain_is_nobody(hall: Hall, tmp_path: Any) -> None:
    broker = hall.broker()
    (tmp_path / "south").mkdir()
    stranger = Fleet(tmp_path / "south", slug="south").enroll("pump-1")
    assert register(broker, stranger) == REFUSED
    assert publish(broker) == REFUSED


def test_each_wish_is_counted_with_the_rule_that_decided_also_when_it_comes_again(hall: Hall) -> None:
    broker, pump = hall.broker(), hall.fleet.enroll("pump-1")
    register(broker, pump)
    publish(broker)
    publish(broker, topic="elsewhere")
    first, kept, again, denied, *_ = hall.used
    [(request, verdict)] = first["decided"]
    assert (first["broker"], request.topic) == (hall.id, "north/pump-1/up/t")
    assert isinstance(verdict, Allow)
    assert isinstance(denied["decided"][0][1], Deny)
    assert first["decided"] == kept["decided"]
    assert again["decided"] is kept["decided"]  # which is counted the quicker


def test_the_same_octets_are_another_question_at_another_path_hook_secret_or_broker(hall: Hall) -> None:
    hall.fleet.enroll("pump-1")
    shown, believed = hall.broker(), hall.broker(Identity.CERTIFICATE)
    members: dict[str, Any] = {
        "username": "pump-1",
        "clientid": "pump-1",
        "topic": "north/pump-1/up/t",
        "acc": 2,
    }
    assert often(believed, "goauth/aclcheck", **members)["ok"]
    assert not often(shown, "goauth/aclcheck", **members)["ok"]
    assert often(believed, "emqx/authz", **members) == {"result": "deny"}
    wanted = {"username": "pump-1", "client_id": "pump-1", "topic": "north/pump-1/up/t", "qos": 0, "retain": False}
    assert often(shown, "vernemq", hook="auth_on_publish", **wanted) == {"result": "ok"}
    assert often(shown, "vernemq", hook="auth_on_subscribe", **wanted)["result"] == REFUSED
    other = devices.create_domain(slug="south", name="South", actor=ADA, now=utc_now())
    models.Broker.objects.create(
        id=uuid4(), domain_id=other.id, name="roof", kind="nats", connection=b"", created_at=utc_now()
    )
    roof = BrokerId(models.Broker.objects.get(name="roof").id)
    made = services.mint_decision_secret(broker=roof, identity=Identity.SHOWN, actor=ADA, now=utc_now())
    hall.pass_time()
    elsewhere = Broker(id=str(roof), secret=made.secret)
    assert often(elsewhere, "vernemq", hook="auth_on_publish", **wanted)["result"] == REFUSED


def test_a_refused_login_is_written_down_with_its_reason(hall: Hall) -> None:
    broker, pump = hall.broker(), hall.fleet.enroll("pump-1")
    register(broker, pump)
    register(broker, pump, certificate=b"another")
    register(broker, pump, name="x" * 5_000)
    publish(broker, topic="elsewhere")  # no login
    told = [(str(asked.client_id), refusal.auth_id, refusal.reason) for _, asked, refusal in hall.refused]
    assert told == [("pump-1", "pump-1", "bad-certificate"), ("x" * 255, "x" * 255, "unknown")]
    assert {noted[0] for noted in hall.refused} == {hall.id}


def test_a_refused_login_is_written_down_with_where_it_came_from_if_the_broker_says(hall: Hall) -> None:
    broker, who = hall.broker(), {"username": "thief", "password": ""}
    broker.ask_json("vernemq", hook="auth_on_register", client_id="thief", peer_addr="192.0.2.7", **who)
    broker.ask_json("vernemq", hook="auth_on_register", client_id="thief", **who)
    broker.ask_json("emqx/authn", clientid="thief", peerhost="2001:db8::7", **who)
    assert [asked.address for _, asked, _ in hall.refused] == ["192.0.2.7", "", "2001:db8::7"]


def test_without_the_database_what_is_known_holds_for_a_minute(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, pump = hall.broker(), hall.fleet.enroll("pump-1")
    register(broker, pump)
    hall.fleet.enroll("pump-2")

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as patched:
        for name in ("kernel.queries.journal_end", "devices.queries.find_principal_id"):
            patched.setattr(name, away)
        hall.pass_time(30)
        assert (register(broker, pump), publish(broker)) == ("ok", "ok")
        assert publish(broker, "pump-2", "north/pump-2/up/t") == REFUSED  # never asked about before
        hall.pass_time(31)
        assert (register(broker, pump), publish(broker)) == (REFUSED, REFUSED)
    hall.pass_time()
    assert publish(broker) == "ok"


def test_a_journal_that_is_shorter_than_it_was_makes_everything_stale(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = hall.broker()
    hall.fleet.enroll("pump-1")
    assert publish(broker) == "ok"
    models.DecisionSecret.objects.all().delete()  # a restored backup has never heard of it
    monkeypatch.setattr("kernel.queries.journal_end", lambda: 1)
    hall.pass_time()
    assert publish(broker) == REFUSED


def test_two_secrets_are_good_beside_each_other_until_one_is_revoked(hall: Hall) -> None:
    hall.fleet.enroll("pump-1")
    old, new = hall.broker(), hall.broker()
    assert (publish(old), publish(new)) == ("ok", "ok")
    first = models.DecisionSecret.objects.order_by("id").values_list("id", flat=True)[0]
    services.revoke_decision_secret(broker=hall.id, secret=DecisionSecretId(first), actor=ADA, now=utc_now())
    hall.pass_time()
    assert (publish(old), publish(new)) == (REFUSED, "ok")


def test_a_secret_hashed_under_an_older_master_key_is_good_and_is_hashed_anew(hall: Hall, settings: Settings) -> None:
    hall.fleet.enroll("pump-1")
    broker = hall.broker()
    old = settings.GATEHOUSE_MASTER_KEY
    settings.GATEHOUSE_MASTER_KEY, settings.GATEHOUSE_MASTER_KEY_PREVIOUS = MasterKey.generate(), (old,)
    assert publish(broker) == "ok"
    [kept] = models.DecisionSecret.objects.values_list("secret_hash", flat=True)
    assert master_key().current.made(bytes(kept))
    assert MasterKeys(settings.GATEHOUSE_MASTER_KEY).is_hash_of(
        bytes(kept), f"{hall.id}.{broker.secret}", purpose=decision_secrets.PURPOSE
    )


def test_a_wrong_secret_and_a_broker_that_there_is_not_are_answered_alike(hall: Hall) -> None:
    hall.fleet.enroll("pump-1")
    good = hall.broker()
    others = [
        Broker(id=good.id, secret="x" * 32),
        Broker(id=good.id, secret=""),
        Broker(id=str(uuid4()), secret=good.secret),
        Broker(id="none", secret=good.secret),
        Broker(id=good.id, secret="x" * 5_000),
    ]
    assert publish(good) == "ok"
    asked = {"username": "pump-1", "client_id": "pump-1", "topic": "a", "qos": 0, "retain": False}
    answers = [each.ask_json("vernemq", hook="auth_on_publish", **asked) for each in others]
    assert {(each.status, each.body) for each in answers} == {("200 OK", b'{"result":{"error":"not_allowed"}}')}


DENIALS = {
    "emqx/authn": ("200 OK", b'{"result":"deny"}'),
    "emqx/authz": ("200 OK", b'{"result":"deny"}'),
    "goauth/aclcheck": ("403 Forbidden", b'{"ok":false,"error":"not allowed"}'),
    "goauth/getuser": ("403 Forbidden", b'{"ok":false,"error":"not allowed"}'),
    "goauth/superuser": ("403 Forbidden", b'{"ok":false,"error":"not allowed"}'),
    "nanomq/acl": ("403 Forbidden", b""),
    "nanomq/auth": ("403 Forbidden", b""),
    "rabbitmq/resource": ("200 OK", b"deny"),
    "rabbitmq/topic": ("200 OK", b"deny"),
    "rabbitmq/user": ("200 OK", b"deny"),
    "rabbitmq/vhost": ("200 OK", b"deny"),
    "vernemq": ("200 OK", b'{"result":{"error":"not_allowed"}}'),
}


def test_whatever_goes_wrong_is_a_refusal_that_the_broker_understands(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = hall.broker(Identity.CERTIFICATE)
    decider = decide_wsgi.decider
    for path, denial in DENIALS.items():
        where = f"/decide/{broker.id}/{path}"
        monkeypatch.setattr(decide_wsgi, "decider", decider)
        wrong: list[Reply] = [
            ask(where, b"{}"),
            ask(where, b"", secret=broker.secret),
            ask(where, b"{", secret=broker.secret),
            ask(where, b"{}", secret=broker.secret, method="GET"),
            ask(where, b" " * 300_000, secret=broker.secret),
            ask(where, b"{}", secret=broker.secret, CONTENT_LENGTH="many"),
        ]
        monkeypatch.setattr(decide_wsgi, "decider", None)  # a fault of our own
        wrong.append(ask(where, b"{}", secret=broker.secret))
        for answer in wrong:
            assert (answer.status, answer.body) == denial
            assert set(answer.headers) == {"Content-Type", "Content-Length"}  # nothing that would be kept


def test_other_paths_are_refused_by_their_status(hall: Hall) -> None:
    broker = hall.broker()
    for path in ("", "emqx", "emqx/other", "rabbitmq/user/", "hivemq/auth"):
        assert ask(f"/decide/{broker.id}/{path}", b"{}", secret=broker.secret).status == "403 Forbidden"
    assert ask("/decide/", b"{}").status == "403 Forbidden"


def test_the_secret_is_never_logged(
    hall: Hall, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = hall.broker()
    monkeypatch.setattr(decide_wsgi.log, "filters", [])  # what another test let happen shall not keep a line back
    with caplog.at_level("DEBUG"):
        broker.ask_form("rabbitmq/user", "no form")
        broker.ask_form("rabbitmq/user", "username=pump-1")
        ask(f"/decide/{broker.id}/emqx/authn", b"{", secret=broker.secret)
        hall.clock.now += 1_000  # what is known is too old, and the journal can not be read
        monkeypatch.setattr("kernel.queries.journal_end", lambda: 1 / 0)
        ask(f"/decide/{broker.secret}/emqx/authn", b"{}", secret=broker.secret)
    assert broker.secret not in caplog.text
    assert broker.id in caplog.text
    assert "(no id) failed" in caplog.text


def test_a_changed_chain_counts_at_the_next_look_and_is_about_what_follows_a_login_too(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, pump = hall.broker(), hall.fleet.enroll("pump-1")
    processes = (decide_wsgi.decider, hall.other)
    steps = [
        {"do": "regex", "field": "username", "value": "CN=(?P<username>[^,]+),O=.*"},
        {"do": "copy", "field": "client_id", "value": "username"},
    ]
    chain = read_chain({"steps": steps, "methods": EVERY_METHOD})
    for process in processes:
        monkeypatch.setattr(decide_wsgi, "decider", process)
        assert (register(broker, pump), publish(broker)) == ("ok", "ok")
    services.change_auth_chain(broker=hall.id, chain=chain, actor=ADA, now=utc_now())
    hall.pass_time()
    for process in processes:
        monkeypatch.setattr(decide_wsgi, "decider", process)
        assert (register(broker, pump), publish(broker)) == (REFUSED, REFUSED)
        assert (register(broker, pump, name="CN=pump-1,O=x"), publish(broker, "CN=pump-1,O=x")) == ("ok", "ok")
        assert publish(broker, "CN=pump-2,O=x") == REFUSED
    assert hall.refused[0][2].why == "Step 1 of the authentication chain: username does not match."


def test_a_chain_that_can_not_be_read_lets_nobody_in(hall: Hall) -> None:
    broker, pump = hall.broker(), hall.fleet.enroll("pump-1")
    models.Broker.objects.update(auth_chain={"steps": [{"do": "of tomorrow"}], "methods": ["certificate"]})
    assert (register(broker, pump), publish(broker)) == (REFUSED, REFUSED)


def test_only_what_the_chain_takes_for_a_proof_counts(hall: Hall) -> None:
    broker, pump = hall.broker(), hall.fleet.enroll("pump-1")
    chain = read_chain({"steps": [], "methods": ["password"]})
    services.change_auth_chain(broker=hall.id, chain=chain, actor=ADA, now=utc_now())
    hall.pass_time()
    assert (register(broker, pump), publish(broker)) == (REFUSED, "ok")
