"""The master key is replaced: what hung on the old one opens under the new one, and nothing was forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.db.models import BinaryField
from oauth2_provider.models import AccessToken

from brokers import queries as brokers
from brokers import services as broker_services
from brokers.core.values import AdapterKind, Broker
from brokers.services.changing import BrokerChange, change_broker
from brokers.services.rewrapping import rewrap_connections
from brokers.services.token_keys import open_signing_key
from console.models import Application, IdempotentCall, Operator, SetupLink
from console.oauth.validator import find_token, token_hash
from console.services import idempotent_calls
from console.services.idempotent_calls import Answer, CallInProgress, KeyReused, begin_call, drop_call, finish_call
from console.services.operators import make_setup_link, open_setup_link
from console.services.replace_master_key import Replacement, rewrap_everything
from devices import services as devices
from devices.core.tokens import TokenRefused
from devices.models import Domain
from devices.services.enrolment_tokens import create_enrolment_profile, mint_enrolment_token, open_token
from kernel import queries as journal
from kernel.core.clock import utc_now
from kernel.core.journal import Break
from kernel.core.secrets import MasterKey, WrongKey
from kernel.models import JournalHead
from kernel.services.rewrap_envelopes import rewrap_envelopes
from kernel.services.seal_journal import SealBroken
from pki import services as pki
from pki.core.keys import key_to_der
from pki.core.values import Custody, KeyAlgorithm, KeyId
from pki.models import Key
from pki.services.kept_keys import KeptKeys
from tests.cast import ADA, NORTH
from tests.servers import wait_until

pytestmark = pytest.mark.django_db

OLD, NEW = MasterKey(bytes(range(32))), MasterKey(bytes(range(32, 64)))
CONNECTION = {"host": "127.0.0.1", "port": 9, "username": "u", "password": "p"}


@pytest.fixture(autouse=True)
def _under_the_old_key(settings: Any, tmp_path: Path) -> None:
    settings.GATEHOUSE_MASTER_KEY, settings.GATEHOUSE_MASTER_KEY_PREVIOUS = OLD, ()
    settings.GATEHOUSE_HOME = tmp_path
    settings.GATEHOUSE_ROUTER = "tests.pki.routing.router"
    Domain.objects.create(id=NORTH, slug="north", name="North")


def with_both(settings: Any) -> None:
    settings.GATEHOUSE_MASTER_KEY, settings.GATEHOUSE_MASTER_KEY_PREVIOUS = NEW, (OLD,)


def with_the_new_one_alone(settings: Any) -> None:
    settings.GATEHOUSE_MASTER_KEY, settings.GATEHOUSE_MASTER_KEY_PREVIOUS = NEW, ()


def rewrap() -> Replacement:
    return rewrap_everything(actor=ADA, now=utc_now())


@pytest.fixture
def keys() -> dict[KeyId, bytes]:
    """Keys in both custodies that hang on the master key, as PKCS#8."""
    pki.create_root(domain=NORTH, slug="r", common_name="R", actor=ADA, now=utc_now())
    pki.create_root(domain=NORTH, slug="f", common_name="F", custody=Custody.FILE, actor=ADA, now=utc_now())
    return {KeyId(row.id): key_to_der(KeptKeys().open(KeyId(row.id))) for row in Key.objects.all()}


@pytest.fixture
def broker() -> Broker:
    return broker_services.register_broker(
        domain=NORTH, name="hall", kind=AdapterKind("mosquitto-dynsec"), connection=CONNECTION, actor=ADA, now=utc_now()
    )


@pytest.fixture
def answered() -> Answer:
    answer = Answer(status=201, headers={}, body='{"token": "once"}')
    assert begin_call(key="k", body=b"b", now=utc_now()) is None
    finish_call(key="k", answer=answer)
    return answer


def hanging_on(key: MasterKey) -> set[str]:
    """Every binary column of every table with an envelope under this key."""
    found = set()
    for model in apps.get_models():
        for column in model._meta.get_fields():
            if isinstance(column, BinaryField):
                values = model._default_manager.exclude(**{column.name: None}).values_list(column.name, flat=True)
                if any(len(bytes(value)) != 32 and key.made(bytes(value)) for value in values):
                    found.add(f"{model._meta.label}.{column.name}")
    return found


def test_everything_opens_without_the_old_key_afterwards(
    keys: dict[KeyId, bytes], broker: Broker, answered: Answer, settings: Any
) -> None:
    everywhere = {
        "pki.Key.wrapped", "brokers.Broker.connection", "brokers.TokenKey.private_key", "console.IdempotentCall.answer",
    }  # fmt: skip
    signing = open_signing_key(now=utc_now())
    assert hanging_on(OLD) == everywhere
    with_both(settings)
    done = rewrap()
    assert {place.place: place.done for place in done.envelopes} == {
        "private keys": 2, "key files": 2, "connections of brokers": 1, "keys that sign tokens": 1,
        "kept answers": 1,
    }  # fmt: skip
    assert (done.left, done.sealed) == ((), True)
    assert hanging_on(OLD) == set()
    assert hanging_on(NEW) == everywhere
    with_the_new_one_alone(settings)
    assert {id: key_to_der(KeptKeys().open(id)) for id in keys} == keys
    assert brokers.link_to(broker=broker.id).connection["password"] == "p"
    assert open_signing_key(now=utc_now()) == signing
    assert not [found for found in journal.verify_journal() if isinstance(found, Break)]


def test_until_it_is_wrapped_anew_everything_opens_under_both(
    keys: dict[KeyId, bytes], broker: Broker, answered: Answer, settings: Any
) -> None:
    with_both(settings)
    assert {id: key_to_der(KeptKeys().open(id)) for id in keys} == keys
    assert brokers.link_to(broker=broker.id).connection["password"] == "p"
    assert begin_call(key="k", body=b"b", now=utc_now()) == answered
    assert journal.seal_fits()
    assert not journal.seal_is_current()


def test_the_next_key_is_believed_before_it_is_used(keys: dict[KeyId, bytes], settings: Any) -> None:
    with_both(settings)
    key_id, key = KeptKeys().generate(KeyAlgorithm.ED25519)  # by a process that has changed its key already
    settings.GATEHOUSE_MASTER_KEY, settings.GATEHOUSE_MASTER_KEY_PREVIOUS = OLD, (NEW,)
    assert KeptKeys().open(key_id).public_key() == key.public_key()


def test_the_replacement_is_in_the_journal_once(keys: dict[KeyId, bytes], settings: Any) -> None:
    with_both(settings)
    rewrap()
    entry = journal.list_entries(limit=1)[0]
    assert (entry.action, entry.after, entry.subject.id) == (
        "console.master_key.rewrapped", {"envelopes": 4, "left": 0}, NEW.id.hex(),
    )  # fmt: skip
    again = rewrap()
    assert (again.done, again.sealed) == (0, False)
    assert journal.list_entries(limit=1)[0].seq == entry.seq


def test_what_does_not_open_is_left_and_named_and_the_rest_is_done(keys: dict[KeyId, bytes], settings: Any) -> None:
    damaged, *_ = Key.objects.filter(custody=Custody.ENCRYPTED).order_by("id")
    Key.objects.filter(id=damaged.id).update(wrapped=MasterKey.generate().wrap(b"x", purpose="pki.key", context="x"))
    lost = Key.objects.filter(custody=Custody.FILE).order_by("id")[0]
    (settings.GATEHOUSE_HOME / "keys" / lost.locator).unlink()
    with_both(settings)
    done = rewrap()
    assert done.done == 2
    assert len(done.left) == 2
    assert f"private keys {damaged.id}: A stored secret hangs on" in done.left[0]
    assert f"key file {lost.id}: " in done.left[1]
    assert "is not on this machine" in done.left[1]


def test_a_row_that_is_changed_at_that_moment_is_not_undone(broker: Broker, settings: Any) -> None:
    with_both(settings)
    rows = apps.get_model("brokers", "Broker").objects.all()
    changed = OLD.wrap(json.dumps(CONNECTION | {"password": "q"}).encode(), purpose="p", context=str(broker.id))
    rows.update(connection=OLD.wrap(b"{}", purpose="p", context=str(broker.id)))
    moments: Iterator[None] = iter([None])

    def context(row: Any) -> str:
        for _ in moments:  # between the reading and the writing, once
            rows.update(connection=changed)
        return str(row.id)

    assert rewrap_envelopes(place="b", rows=rows, column="connection", purpose="p", context=context).done == 1
    envelope = bytes(rows.get().connection)
    assert json.loads(NEW.unwrap(envelope, purpose="p", context=str(broker.id)))["password"] == "q"


def test_a_row_that_goes_at_that_moment_is_no_fault(broker: Broker, settings: Any) -> None:
    with_both(settings)
    rows = apps.get_model("brokers", "Broker").objects.all()

    def context(row: Any) -> str:
        rows.delete()
        return str(row.id)

    found = rewrap_envelopes(place="b", rows=rows, column="connection", purpose="brokers.connection", context=context)
    assert (found.done, found.left) == (0, ())


def test_a_seal_that_fits_no_key_is_not_replaced(keys: dict[KeyId, bytes], settings: Any) -> None:
    JournalHead.objects.update(seal=b"\0" * 32)
    with_both(settings)
    with pytest.raises(SealBroken, match="journal verify"):
        rewrap()
    assert bytes(JournalHead.objects.get().seal) == b"\0" * 32


@pytest.fixture
def tokens(settings: Any) -> dict[str, str]:
    """One of each sort, known by a hash under the old key."""
    devices.create_device_type(domain=NORTH, name="t", schema={}, actor=ADA, now=utc_now())
    create_enrolment_profile(domain=NORTH, name="p", device_type="t", needs_approval=False, actor=ADA, now=utc_now())
    minted = mint_enrolment_token(
        domain=NORTH, profile="p", max_uses=9, expires_in_seconds=86_400, allowed_networks=(), actor=ADA, now=utc_now()
    )
    application = Application.objects.create(
        client_id="c",
        client_secret="!",
        hash_client_secret=False,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )
    ends = utc_now() + timedelta(hours=1)
    AccessToken.objects.create(application=application, expires=ends, token="", token_checksum=token_hash("access"))
    operator = Operator.objects.create(username="olga", created_at=utc_now())
    link = make_setup_link(operator=operator, actor=ADA, now=utc_now())
    return {"enrolment": minted.token, "access": "access", "setup": link.rstrip("/").rpartition("/")[2]}


def test_tokens_are_good_while_the_old_key_is_set(tokens: dict[str, str], settings: Any) -> None:
    with_both(settings)
    assert find_token(tokens["access"], now=utc_now())
    assert open_setup_link(token=tokens["setup"], now=utc_now()).username == "olga"
    assert {(each.kind, each.count) for each in rewrap().hashes} == {
        ("enrolment tokens", 1), ("access tokens", 1), ("setup links", 1),
    }  # fmt: skip


def test_an_enrolment_token_moves_to_the_new_key_when_it_is_used(tokens: dict[str, str], settings: Any) -> None:
    with_both(settings)
    open_token(token=tokens["enrolment"], address="127.0.0.1")
    assert "enrolment tokens" not in {each.kind for each in rewrap().hashes}
    with_the_new_one_alone(settings)
    open_token(token=tokens["enrolment"], address="127.0.0.1")


def test_tokens_end_with_the_key_that_they_hang_on(tokens: dict[str, str], settings: Any) -> None:
    with_the_new_one_alone(settings)
    assert find_token(tokens["access"], now=utc_now()) is None
    with pytest.raises(TokenRefused):
        open_token(token=tokens["enrolment"], address="127.0.0.1")


def test_a_call_that_was_begun_under_the_old_key_is_ended_under_the_new_one(settings: Any) -> None:
    assert begin_call(key="k", body=b"b", now=utc_now()) is None
    with_both(settings)
    with pytest.raises(CallInProgress):
        begin_call(key="k", body=b"b", now=utc_now())
    with pytest.raises(KeyReused):
        begin_call(key="k", body=b"another", now=utc_now())
    answer = Answer(status=200, headers={}, body="{}")
    finish_call(key="k", answer=answer)
    assert begin_call(key="k", body=b"b", now=utc_now()) == answer
    settings.GATEHOUSE_MASTER_KEY, settings.GATEHOUSE_MASTER_KEY_PREVIOUS = OLD, (NEW,)
    assert begin_call(key="k", body=b"b", now=utc_now()) == answer
    assert IdempotentCall.objects.count() == 1


def test_a_call_under_the_old_key_that_came_to_nothing_is_forgotten(settings: Any) -> None:
    assert begin_call(key="k", body=b"b", now=utc_now()) is None
    with_both(settings)
    drop_call(key="k")
    assert not IdempotentCall.objects.exists()


def test_a_call_that_is_begun_under_both_keys_at_once_is_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_both(settings)
    look = idempotent_calls._under_older_key
    seen: list[object] = []

    def look_and_be_overtaken(key: str) -> IdempotentCall | None:
        found = look(key)
        if not seen:
            [_, older] = idempotent_calls._hashes(key)
            IdempotentCall.objects.create(key_hash=older, body_hash=b"", started_at=utc_now())
        seen.append(found)
        return found

    monkeypatch.setattr(idempotent_calls, "_under_older_key", look_and_be_overtaken)
    with pytest.raises(CallInProgress):
        begin_call(key="k", body=b"b", now=utc_now())
    assert [OLD.made(bytes(row.key_hash)) for row in IdempotentCall.objects.all()] == [True]


def test_the_command_says_what_it_did_and_what_ends_by_itself(
    keys: dict[KeyId, bytes], tokens: dict[str, str], settings: Any
) -> None:
    with_both(settings)
    said = StringIO()
    call_command("keys", "rewrap", stdout=said)
    assert "private keys: 2 wrapped anew\n" in said.getvalue()
    assert "journal: sealed anew\n" in said.getvalue()
    assert "1 enrolment tokens (to " in said.getvalue()
    SetupLink.objects.all().delete()
    AccessToken.objects.all().delete()
    open_token(token=tokens["enrolment"], address="127.0.0.1")
    said = StringIO()
    call_command("keys", "rewrap", stdout=said)
    assert said.getvalue().splitlines()[-1] == (
        "Nothing hangs on an older master key: GATEHOUSE_MASTER_KEY_PREVIOUS can be emptied."
    )


def test_the_command_fails_if_something_is_left(keys: dict[KeyId, bytes], settings: Any) -> None:
    for file in (settings.GATEHOUSE_HOME / "keys").iterdir():
        file.unlink()
    with_both(settings)
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("keys", "rewrap", "--json", stdout=said)
    found = json.loads(said.getvalue())
    assert (found["key"], len(found["envelopes"][1]["left"])) == (NEW.id.hex(), 2)
    with pytest.raises(SystemExit):
        call_command("keys", "check", stdout=StringIO())


def test_keys_are_listed_and_never_shown(keys: dict[KeyId, bytes], settings: Any) -> None:
    said = StringIO()
    call_command("keys", "list", stdout=said)
    assert said.getvalue().splitlines()[-1] == f"4 keys; the master key is {OLD.id.hex()}."
    assert f"under {OLD.id.hex()}" in said.getvalue()
    said = StringIO()
    call_command("keys", "check", "--json", stdout=said)
    listed = json.loads(said.getvalue())["keys"]
    assert [(each["fault"], each["master_key"]) for each in listed] == [("", OLD.id.hex())] * 4


@pytest.mark.parametrize("command", ["web", "worker", "listen"])
def test_a_process_with_a_wrong_key_alone_says_so_and_does_not_start(
    command: str, keys: dict[KeyId, bytes], broker: Broker, settings: Any
) -> None:
    with_the_new_one_alone(settings)
    with pytest.raises(CommandError) as raised:
        call_command(command)
    said = str(raised.value)
    assert OLD.id.hex() in said
    assert said.endswith(": start with it as GATEHOUSE_MASTER_KEY, or among GATEHOUSE_MASTER_KEY_PREVIOUS.")
    assert "\n" not in said


def test_a_wrong_key_opens_nothing(keys: dict[KeyId, bytes], settings: Any) -> None:
    with_the_new_one_alone(settings)
    for id in keys:
        with pytest.raises(WrongKey, match=OLD.id.hex()):
            KeptKeys().open(id)


@pytest.mark.several_writers
@pytest.mark.django_db(transaction=True)
def test_keys_change_to_and_fro_while_connections_are_changed(broker: Broker, settings: Any) -> None:
    """Each flip believes both keys first, as on several machines; whoever changes a row at that moment wins."""
    written: list[int] = []
    stop = Event()

    def change() -> None:
        try:
            while not stop.is_set():
                number = len(written)
                connection = CONNECTION | {"password": str(number)}
                change_broker(broker=broker.id, change=BrokerChange(connection=connection), actor=ADA, now=utc_now())
                written.append(number)
        finally:
            connections.close_all()

    writer = Thread(target=change)
    writer.start()
    for turn in range(12):
        wanted, former = (NEW, OLD) if turn % 2 == 0 else (OLD, NEW)
        settings.GATEHOUSE_MASTER_KEY_PREVIOUS = (OLD, NEW)
        settings.GATEHOUSE_MASTER_KEY = wanted
        settings.GATEHOUSE_MASTER_KEY_PREVIOUS = (former,)
        found = rewrap_connections()
        assert found.left == ()
    wait_until(lambda: len(written) > 1, what="connections are changed")
    stop.set()
    writer.join(90)
    assert rewrap_connections().left == ()  # what the writer had in hand at the last flip
    settings.GATEHOUSE_MASTER_KEY, settings.GATEHOUSE_MASTER_KEY_PREVIOUS = OLD, ()
    assert brokers.link_to(broker=broker.id).connection["password"] == str(written[-1])
