"""The adapter on a real Redis, asked as the plugin asks (`redis.go`): SMEMBERS of a user's sets, GET of its `:su`."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from acl.core.values import Publish
from brokers.adapters.goauth_redis import GoAuthRedisAdapter
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, EffectLine, RenderSubject, Standing
from brokers.core.values import AdapterKind
from devices.core.password_verifier import PasswordVerifier
from tests.brokers.bringing import all_of, bring_to, only
from tests.brokers.links import broker_link
from tests.brokers.subjects import ALL, DOWN, PUBLISH, UP, rule, subject
from tests.servers import free_port

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Database:
    """The plugin's Redis."""

    redis: Redis
    port: int

    def topics(self, name: str, last: str) -> set[str]:
        """What the plugin is told."""
        return set(map(str, self.redis.smembers(f"{name}:{last}")))

    def allow(self, *commands: str) -> None:
        """Lets the account `gatehouse` use these (`+get`), or not (`-get`)."""
        self.redis.acl_setuser("gatehouse", enabled=True, nopass=True, keys=["*"], commands=commands)

    def adapter(self, *, takes_passwords: bool | None = None, **changed: object) -> GoAuthRedisAdapter:
        members: dict[str, object] = {"host": "127.0.0.1", "port": self.port, **changed}
        assert not GoAuthRedisAdapter.connection_errors(members)
        link = broker_link(AdapterKind.GOAUTH_REDIS, members, takes_passwords=takes_passwords)
        return GoAuthRedisAdapter(link=link)


@pytest.fixture
def database(redis_url: str) -> Iterator[Database]:
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield Database(redis, urlsplit(redis_url).port or 0)


def test_plugin_is_told_what_policy_gives_and_passwords_stay(database: Database) -> None:
    adapter, desired = database.adapter(), all_of(subject("alpha", UP, DOWN), subject("beta", UP, ALL))
    database.redis.set("alpha", "PBKDF2$sha512$…")
    bring_to(adapter, desired)
    assert database.topics("alpha", "wacls") == {"north/alpha/up/#"}
    assert database.topics("alpha", "racls") == {"north/alpha/down/#"}
    assert database.topics("beta", "sacls") == {"north/all/#", "$share/+/north/all/#"}
    assert adapter.enforces(adapter.render(desired), desired.subjects[0].principal, Publish(topic="north/alpha/up/t"))
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert database.topics("alpha", "wacls") == set()
    assert database.topics("beta", "wacls") == {"north/beta/up/#"}
    bring_to(adapter, all_of())
    assert database.redis.keys() == ["alpha"]
    port: BrokerAdapter = adapter  # the type checker compares
    assert port.disconnect(subject("alpha").principal) is None


def test_what_was_changed_by_hand_is_seen_and_put_right(database: Database) -> None:
    adapter, desired = database.adapter(), all_of(subject("alpha", UP))
    bring_to(adapter, desired)
    database.redis.sadd("common:racls", "#")  # for everybody
    database.redis.sadd("alpha:rwacls", "secret/#")
    database.redis.sadd("guest:wacls", b"\xff/#")
    database.redis.sadd("guest:racls", "")
    database.redis.set("racls", "the password of a user of that name")
    database.redis.set("alpha:sacls", "no set")
    database.redis.set("guest:su", "true")
    database.redis.set("alpha:su", "true")
    lost = adapter.effect(desired, adapter.read()).lose
    assert EffectLine(auth_id="alpha", action="publish", filter="secret/#") in lost
    assert EffectLine(auth_id="common", action="subscribe", filter="#") in lost
    alone = adapter.plan(only(subject("alpha", UP)), adapter.read(only=frozenset({"alpha"})))
    assert [(step.kind, step.target) for step in alone] == [("delete-superuser", "alpha"), ("set-user", "alpha")]
    kinds = bring_to(adapter, desired)
    assert kinds[:2] == [("delete-superuser", "alpha"), ("delete-superuser", "guest")]
    assert set(kinds[2:]) == {("set-user", "common"), ("set-user", "guest"), ("set-user", "alpha")}
    assert kinds[-1] == ("set-user", "alpha")  # what goes altogether goes first
    assert set(map(str, database.redis.keys())) == {"alpha:wacls", "racls"}


def test_cache_beside_the_rules_is_told_of_since_its_keys_are_passwords(database: Database) -> None:
    adapter, desired = database.adapter(), all_of(subject("alpha", UP))
    assert adapter.effect(desired, adapter.read()).warnings == ()
    database.redis.set("YXV0aC1wdW1wLTctc2VjcmV02jmj7l5rSw0yVb/vlWAYkK/YBwk=", "true")  # auth-pump-7-secret
    [told] = adapter.effect(desired, adapter.read()).warnings
    assert "auth_opt_cache_type go-cache" in told
    bring_to(adapter, desired)
    assert len(database.redis.keys()) == 2, "it is not ours to delete"


def test_devices_passwords_are_kept_where_the_plugin_looks_and_others_stay(database: Database) -> None:
    def secret(name: str) -> RenderSubject:
        return replace(subject(name, UP), password=PasswordVerifier.of("device-secret", salt=b"0123456789ab"))

    adapter, other = database.adapter(takes_passwords=True), "PBKDF2$sha512$100000$c2FsdA==$aGFzaA=="
    database.redis.set("service", other)
    database.redis.hset("alien", "a", "b")
    steps = bring_to(adapter, all_of(secret("alpha"), secret("beta"), secret("alpha:wacls"), secret("common")))
    assert steps[-2:] == [("set-password", "alpha"), ("set-password", "beta")]
    hashed = hashlib.pbkdf2_hmac("sha512", b"device-secret", b"0123456789ab", 1000, 64)
    assert database.redis.get("alpha") == f"PBKDF2$sha512$1000$MDEyMzQ1Njc4OWFi${base64.b64encode(hashed).decode()}"
    assert database.topics("alpha", "wacls") == {"north/alpha/up/#"}
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert database.redis.get("alpha") is None
    bring_to(database.adapter(takes_passwords=False), all_of(subject("beta", UP)))
    assert set(map(str, database.redis.keys())) == {"service", "alien", "beta:wacls"}
    assert database.redis.get("service") == other


def test_redis_that_restarted_empty_is_filled_again(database: Database) -> None:
    adapter, verifier = database.adapter(takes_passwords=True), PasswordVerifier.of("secret", salt=b"0123456789ab")
    desired = all_of(replace(subject("alpha", UP, DOWN), password=verifier), subject("b", standing=Standing.BARRED))
    bring_to(adapter, desired)
    before, keys = adapter.read(), set(map(str, database.redis.keys()))
    database.redis.flushdb()
    assert adapter.plan(desired, adapter.read()) == adapter.plan(desired, AppliedState(artifact=""))
    assert bring_to(adapter, desired) == [("set-user", "alpha"), ("set-password", "alpha")]
    assert (adapter.read(), set(map(str, database.redis.keys()))) == (before, keys)
    assert keys == {"alpha", "alpha:racls", "alpha:sacls", "alpha:wacls"}


def test_names_that_look_like_something_else_are_names(database: Database) -> None:
    adapter, own = database.adapter(), rule("allow", PUBLISH, "north/${auth_id}/up/#")
    names = ["*", "a:b", "[a]", "a b", "ä泵", "x" * 255, "su"]
    bring_to(adapter, all_of(subject("alpha", UP), *(subject(name, own) for name in names)))
    for name in names:
        assert database.topics(name, "wacls") == {f"north/{name}/up/#"}
        bring_to(adapter, only(subject(name, standing=Standing.BARRED)))
        assert database.topics(name, "wacls") == set()
    assert database.topics("alpha", "wacls") == {"north/alpha/up/#"}
    bring_to(adapter, all_of(subject("alpha:su", UP), subject("alpha:racls", UP), subject("common", UP)))
    assert database.redis.keys() == []  # their keys would be those of others


def test_redis_that_is_another_or_away_is_said_without_the_password(database: Database) -> None:
    with pytest.raises(BrokerUnreachable, match="does not answer as it should") as told:
        database.adapter(username="nobody", password="not-to-be-seen").read()
    assert "not-to-be-seen" not in str(told.value)
    steps = database.adapter().plan(all_of(subject("alpha", UP)), database.adapter().read())
    with pytest.raises(BrokerUnreachable, match="does not answer as it should"):
        database.adapter(port=1).apply(steps, between=lambda: None)
    account = {"host": "::1", "port": 1}
    for wrong in ({"database": -1}, {"database": True}, {"password": 7}, {"db": 1}, {"host": "mq.example"}):
        assert GoAuthRedisAdapter.connection_errors(account | wrong)


def test_redis_that_says_nothing_any_more_is_not_waited_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokers.adapters.goauth_redis._ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", free_port())) as silent:  # takes what comes, and answers nobody
        adapter = database.adapter(port=silent.getsockname()[1])
        with pytest.raises(BrokerUnreachable, match="does not answer as it should"):
            adapter.read()


def test_rights_that_the_documentation_names_are_enough_and_one_fewer_is_said(database: Database) -> None:
    """Whoever may not read a password would take it for one that is not there, and leave it when it is revoked."""
    page = (Path(__file__).parents[3] / "docs/howto/mosquitto.md").read_text()
    rights = re.findall(r"\+\w+", page.partition("ACL SETUSER gatehouse ")[2].partition("\n")[0])
    database.allow(*rights)
    adapter = database.adapter(takes_passwords=True, username="gatehouse", password="any", database=1)
    known = PasswordVerifier.of("device-secret", salt=b"0123456789ab", iterations=1000)
    with_password = all_of(replace(subject("alpha", UP), password=known), subject("beta", UP, ALL))
    for desired in (with_password, all_of(subject("alpha", DOWN)), all_of(), with_password):
        bring_to(adapter, desired)
    for right in rights:
        with Redis(port=database.port, db=1) as beside:
            beside.set("eve:su", "true")
        database.allow(right.replace("+", "-"))
        with pytest.raises(BrokerUnreachable, match=f"(?i){right[1:]}"):
            bring_to(adapter, all_of(subject("alpha", DOWN), replace(subject("beta", UP), password=known)))
        database.allow(right)
        bring_to(adapter, with_password)
    database.redis.acl_deluser("gatehouse")
