"""The adapter against a stand-in of EMQX's management API, made from the source of 5.8.9, since EMQX is not in Debian.

As 6.2.1 it is closed as it comes, and has a node's caches, which is what of 6 matters here.

It answers in EMQX's shapes: paged lists, rules with `qos` and `retain` filled in, and its error codes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from email.policy import HTTP
from threading import Event
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from acl.core.values import Publish
from brokers.adapters.emqx import EmqxAdapter, RulesNotAsked
from brokers.adapters.emqx_passwords import PasswordsNotAsked
from brokers.adapters.json_api import RequestRefused
from brokers.core.emqx.version import OldEmqx
from brokers.core.ports import AppliedState, BrokerAdapter, BrokerUnreachable, EffectLine, RenderSubject, Standing
from brokers.core.taken_names import due
from brokers.core.values import AccessKind, AdapterKind
from devices.core.password_verifier import PasswordVerifier
from tests.brokers.bringing import all_of, bring_to, only
from tests.brokers.links import broker_link
from tests.brokers.stand_in import JsonAnswers, stand_in
from tests.brokers.subjects import ALL, DOWN, PUBLISH, UP, rule, subject

KEY = base64.b64encode(b"key:secret").decode()
VERSIONS = ("5.8.9", "6.2.1")
DATABASE = "authorization/sources/built_in_database/rules"


@dataclass
class Emqx:
    """What the stand-in holds, and what it was asked to close."""

    settings: dict[str, Any] = field(default_factory=lambda: {"no_match": "allow", "deny_action": "ignore"})
    sources: list[Any] = field(default_factory=lambda: [{"type": "built_in_database", "enable": True}])
    everyone: list[Any] = field(default_factory=list)
    users: dict[str, list[Any]] = field(default_factory=dict)
    client_rules: dict[str, list[Any]] = field(default_factory=dict)
    authenticator: dict[str, Any] | None = None
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    bans: list[dict[str, str]] = field(default_factory=list)
    clients: dict[str, str] = field(default_factory=dict)
    closed: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    asked: int = 0
    broken: bool = False
    breaks_after: int | None = None
    max_rules: int = 100
    version: str = VERSIONS[0]
    mute_after_import: bool = False
    failing: int = 0
    port: int = 0

    @property
    def is_5_8(self) -> bool:
        """Whether it lets pass what no rule is about as it comes, and has no cache of its own for a node (5.9)."""
        return self.version == VERSIONS[0]

    def answer(self, method: str, where: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        self.asked += 1
        return (self._at_once(method, where) if method != "GET" else None) or self._answer(method, where, query, body)

    def _at_once(self, method: str, where: list[str]) -> tuple[int, Any] | None:
        if len(self.changed) == self.breaks_after:
            return 500, {"code": "INTERNAL_ERROR"}
        self.changed.append(f"{method} {'/'.join(where)}".replace(f"{DATABASE}/", ""))
        return (204, None) if where[1:] == ["node_cache", "reset"] and not self.is_5_8 else None

    def _answer(self, method: str, where: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        match method, where:
            case "GET", (["nodes"] | ["authorization", "sources"]) as asked:
                stopped = {"node": "emqx@127.0.0.2", "node_status": "stopped"}
                nodes = [stopped, {"node": "emqx@127.0.0.1", "version": self.version}]
                return 200, nodes if asked == ["nodes"] else {"sources": self.sources}
            case _, ["authorization", "settings"]:
                self.settings = body or self.settings
                return 200, self.settings
            case _, ["authorization", "sources", "built_in_database", "rules", *rest]:
                return self._rules(method, rest, query, body)
            case _, ["clients", *rest]:
                return self._clients(method, rest, query, body)
            case _, ["authentication" | "banned" as what, *rest]:
                return (self._authentication if what == "authentication" else self._banned)(method, rest, query, body)
        return 404, {"code": "NOT_FOUND"}

    def _rules(self, method: str, rest: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        match method, rest:
            case "GET", ["all"]:
                return 200, {"rules": self.everyone}
            case "POST", ["all"]:
                self.everyone = filled(body["rules"])
                return 204, None
            case _, ["users" | "clients" as what, *names]:
                key, held = ("username", self.users) if what == "users" else ("clientid", self.client_rules)
                return self._rules_of(key, held, method, names, query, body)
        return 404, {"code": "NOT_FOUND"}

    def _rules_of(
        self,
        key: str,
        held: dict[str, list[Any]],
        method: str,
        names: list[str],
        query: dict[str, list[str]],
        body: Any,
    ) -> tuple[int, Any]:
        if not names:
            return 200, page([{key: name, "rules": rules} for name, rules in held.items()], query)
        [name] = names
        if method == "GET":
            return (200, {key: name, "rules": held[name]}) if name in held else (404, {"code": "NOT_FOUND"})
        if method == "DELETE":
            held.pop(name, None)
        else:
            assert body[key] == name
            if len(body["rules"]) > self.max_rules:
                return 400, {"code": "BAD_REQUEST", "message": "too many rules"}
            held[name] = filled(body["rules"])
        return 204, None

    def _authentication(self, method: str, rest: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        told = [{"user_id": name, "is_superuser": each["is_superuser"]} for name, each in self.accounts.items()]
        if self.authenticator is None or rest.pop(0) != "password_based:built_in_database":
            return 404, {"code": "NOT_FOUND"}
        match method, rest:
            case "GET", []:
                return 200, self.authenticator
            case "POST", ["import_users"]:
                assert query == {"type": ["hash"]}
                done = {"total": len(body), "success": len(body), "override": 0, "skipped": 0, "failed": self.failing}
                self.accounts |= {each.pop("user_id"): each for each in body[self.failing :]}
                return (500, {"code": "INTERNAL_ERROR"}) if self.mute_after_import else (200, done)
            case "GET", ["users"]:
                return 200, page(told, query)
        row = next((row for row in told if row["user_id"] == rest[1]), None)
        if row is not None and method == "DELETE":
            del self.accounts[rest[1]]
        return (404, {"code": "NOT_FOUND"}) if row is None else (200, row)

    def lets_in(self, name: str, password: str) -> bool:
        """As emqx_authn_mnesia does with sha256 and the salt as prefix."""
        account = self.accounts.get(name)
        if account is None or any((ban["as"], ban["who"]) == ("username", name) for ban in self.bans):
            return False
        return bool(hashlib.sha256(f"{account['salt']}{password}".encode()).hexdigest() == account["password_hash"])

    def _banned(self, method: str, rest: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if method == "GET":
            named = query.get("username")
            found = [ban for ban in self.bans if named is None or ["username", *named] == [ban["as"], ban["who"]]]
            return 200, page(found, query)
        if method == "POST":
            if any((ban["as"], ban["who"]) == (body["as"], body["who"]) for ban in self.bans):
                return 400, {"code": "ALREADY_EXISTS", "message": "it is banned"}
            self.bans.append(body)
            return 200, body
        self.bans = [ban for ban in self.bans if [ban["as"], ban["who"]] != rest]
        return 204, None

    def _clients(self, method: str, rest: list[str], query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if method == "GET" and not rest:
            names = query.get("username")
            rows = [self._client(id) for id, name in self.clients.items() if names is None or name in names]
            return 200, page(rows, query)
        if (method, rest) == ("POST", ["kickout", "bulk"]):
            for id in [] if self.broken else body:
                self.closed += [id] if self.clients.pop(id, None) is not None else []
            return (500, {"code": "INTERNAL_ERROR"}) if self.broken else (204, None)
        if rest[0] not in self.clients:
            return 404, {"code": "CLIENTID_NOT_FOUND"}
        if method == "GET":
            return 200, self._client(rest[0])
        if rest[1:] == ["authorization", "cache"]:
            self.forgotten.append(rest[0])
        elif self.broken:
            return 500, {"code": "INTERNAL_ERROR"}
        else:
            del self.clients[rest[0]]
            self.closed.append(rest[0])
        return 204, None

    def _client(self, id: str) -> dict[str, Any]:
        at = {"connected_at": "2026-11-21T10:00:00.123+00:00", "node": "emqx@127.0.0.1"}
        return {"clientid": id, "username": self.clients[id], "ip_address": "192.0.2.7", "port": 40_000, **at}


def filled(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As EMQX gives rules back."""
    return [
        {"qos": [0, 1, 2], "retain": "all", **rule} if rule["action"] != "subscribe" else {"qos": [0, 1, 2], **rule}
        for rule in rules
    ]


def file_in(type: str, body: bytes) -> bytes:
    """The file in a form, or what is no form."""
    if type == "application/json":
        return body
    form = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {type}\r\n\r\n".encode() + body)
    [part] = form.iter_parts()
    assert part["content-disposition"].params["name"] == "filename"
    assert str(part.get_filename()).endswith(".json")  # by which EMQX tells what it is
    return bytes(part.get_payload(decode=True))


def page(rows: list[Any], query: dict[str, list[str]]) -> dict[str, Any]:
    number, limit = int(query["page"][0]), int(query["limit"][0])
    data = rows[(number - 1) * limit : number * limit]
    return {"data": data, "meta": {"page": number, "limit": limit, "count": len(rows)}}


@pytest.fixture(params=VERSIONS)
def emqx(request: pytest.FixtureRequest) -> Iterator[Emqx]:
    state = Emqx(version=request.param)
    state.settings["no_match"] = "allow" if state.is_5_8 else "deny"

    class Answers(JsonAnswers):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _act(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            split = urlsplit(self.path)
            where = list(map(unquote, split.path.removeprefix("/api/v5/").split("/")))
            status, found = 401, {"code": "BAD_API_KEY_OR_SECRET"}
            if self.headers["Authorization"] == f"Basic {KEY}":
                given = json.loads(file_in(self.headers["Content-Type"], body)) if body else None
                status, found = state.answer(self.command, where, parse_qs(split.query), given)
            self.answer(status, found)

        do_GET = do_PUT = do_POST = do_DELETE = _act  # noqa: N815 - the library's names

    with stand_in(Answers) as state.port:
        yield state


def adapter_of(emqx: Emqx, *, takes_passwords: bool | None = None, **changed: object) -> EmqxAdapter:
    members = {"host": "127.0.0.1", "port": emqx.port, "api_key": "key", "api_secret": "secret", **changed}
    assert not EmqxAdapter.connection_errors(members)
    return EmqxAdapter(link=broker_link(AdapterKind.EMQX, members, takes_passwords=takes_passwords))


@pytest.fixture
def adapter(emqx: Emqx) -> EmqxAdapter:
    return adapter_of(emqx)


def test_adapter_has_all_that_the_port_asks_for(emqx: Emqx) -> None:
    adapter: BrokerAdapter = adapter_of(emqx)  # the type checker compares
    assert adapter.read().version == emqx.version


def test_old_emqx_is_given_no_policy_and_throws_out_all_the_same(adapter: EmqxAdapter, emqx: Emqx) -> None:
    bring_to(adapter, all_of(subject("alpha", UP)))
    emqx.version, emqx.clients["alpha"] = "5.7.2", "alpha"
    with pytest.raises(OldEmqx, match=r"5\.7\.2"):
        adapter.plan(all_of(subject("alpha", UP, DOWN)), adapter.read())
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert (emqx.closed, [ban["who"] for ban in emqx.bans]) == (["alpha"], ["alpha"])
    emqx.version = "7.0.0"
    assert adapter.effect(all_of(), adapter.read()).warnings[-1].startswith("Gatehouse speaks to EMQX 7.0.0 as to 6")


def test_fresh_emqx_is_closed_and_devices_get_their_rules(adapter: EmqxAdapter, emqx: Emqx) -> None:
    emqx.settings["deny_action"] = "disconnect"
    desired = all_of(subject("alpha", UP, DOWN))
    closing = [("set-no-match", "deny")] if emqx.is_5_8 else []
    ending = [("end-all", "all")] if emqx.is_5_8 else []  # where nobody could do anything before, nobody has anything
    assert bring_to(adapter, desired) == [("set-all", "all"), *closing, ("set-rules", "alpha"), *ending]
    assert emqx.settings == {"no_match": "deny", "deny_action": "disconnect"}
    assert {"permission": "deny", "action": "all", "topic": "#"}.items() <= emqx.everyone[-1].items()
    assert [(rule["permission"], rule["action"], rule["topic"]) for rule in emqx.users["alpha"]] == [
        ("allow", "subscribe", "north/alpha/down/#"),
        ("allow", "publish", "north/alpha/up/#"),
    ]
    alpha = desired.subjects[0].principal
    assert adapter.enforces(adapter.render(desired), alpha, Publish(topic="north/alpha/up/t"))


def test_more_devices_than_a_page_are_read_back(adapter: EmqxAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brokers.adapters.emqx_lists._PAGE", 7)
    bring_to(adapter, all_of(*(subject(f"p-{number}", UP) for number in range(21))))


def test_who_loses_something_is_disconnected_and_who_gains_forgets_old_verdicts(
    adapter: EmqxAdapter, emqx: Emqx
) -> None:
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP)))
    emqx.clients |= {"alpha": "alpha", "beta": "beta"}
    bring_to(adapter, all_of(subject("alpha", UP), subject("beta", UP, ALL)))
    assert (emqx.closed, emqx.clients) == (["alpha"], {"beta": "beta"})
    assert emqx.forgotten == ["alpha", "beta"]


def test_new_deny_ends_sessions_too(adapter: EmqxAdapter, emqx: Emqx) -> None:
    bring_to(adapter, all_of(subject("alpha", UP)))
    emqx.clients["alpha"] = "alpha"
    bring_to(adapter, all_of(subject("alpha", UP, rule("deny", PUBLISH, "north/alpha/up/secret"))))
    assert emqx.closed == ["alpha"]


@pytest.mark.parametrize("requests", range(40))
def test_nobody_gains_before_all_have_lost(emqx: Emqx, requests: int) -> None:
    emqx.authenticator = AS_IT_COMES
    adapter = adapter_of(emqx, takes_passwords=True)
    losing = ("y-gone", "y-loses", "z-barred", "z-client")
    bring_to(
        adapter,
        all_of(
            subject("a-gains", UP),
            subject("a-waits", standing=Standing.BARRED),
            with_password("b-password", "k"),
            *(subject(name, UP, DOWN) for name in losing),
        ),
    )
    emqx.clients |= {name: name for name in losing}
    emqx.client_rules["z-client"] = filled([EVERYTHING])
    emqx.changed.clear()
    desired = all_of(
        subject("a-gains", UP, DOWN),
        subject("a-waits", UP),
        subject("b-password", UP, DOWN),
        subject("y-gone", standing=Standing.ABSENT),
        subject("y-loses", UP),
        subject("z-barred", standing=Standing.BARRED),
        subject("z-client", UP, DOWN),
    )
    emqx.breaks_after = requests
    with suppress(BrokerUnreachable):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)

    gained = [name for name in ("a-gains", "b-password") if may_hear(emqx, name)]
    gained += [] if {"as": "username", "who": "a-waits"}.items() <= emqx.bans[0].items() else ["a-waits"]
    if gained:
        assert sorted(emqx.closed) == sorted(losing)
        assert "z-barred" in [ban["who"] for ban in emqx.bans]
        assert "b-password" not in emqx.accounts
        assert ("y-gone" in emqx.users, emqx.client_rules) == (False, {})
        assert not any(may_hear(emqx, name) for name in ("y-loses", "z-barred"))

    emqx.breaks_after = None
    bring_to(adapter, desired)
    assert sorted(emqx.closed) == sorted(losing), "who was not yet closed is now, and nobody else"


def may_hear(emqx: Emqx, name: str) -> bool:
    return any(rule["topic"].endswith("down/#") for rule in emqx.users[name])


def test_device_with_more_rules_than_emqx_takes_loses_what_it_should_and_keeps_no_other(
    adapter: EmqxAdapter, emqx: Emqx
) -> None:
    bring_to(adapter, all_of(subject("alpha", UP, DOWN), subject("beta", UP), subject("zeta", UP)))
    emqx.clients |= {"alpha": "alpha", "zeta": "zeta"}
    many = subject("alpha", UP, *(rule("allow", PUBLISH, f"north/more/{number}") for number in range(9)))
    emqx.max_rules = len(many.policy) - 1
    desired = all_of(many, subject("beta", UP, ALL), subject("zeta", standing=Standing.BARRED))
    with pytest.raises(RequestRefused, match="too many rules"):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
    assert (sorted(emqx.closed), [ban["who"] for ban in emqx.bans]) == (["alpha", "zeta"], ["zeta"])
    assert (len(emqx.users["alpha"]), len(emqx.users["beta"])) == (1, 2), "the mark, and what it gained"
    assert [step.target for step in adapter.plan(desired, adapter.read())] == ["alpha"]
    emqx.max_rules += 1  # there is no room for the mark
    bring_to(adapter, desired)
    assert len(emqx.users["alpha"]) == len(many.policy)


def test_session_that_could_not_be_ended_is_ended_the_next_time(adapter: EmqxAdapter, emqx: Emqx) -> None:
    bring_to(adapter, all_of(subject("alpha", UP, DOWN)))
    emqx.clients["alpha"], emqx.broken = "alpha", True
    desired = all_of(subject("alpha", UP))
    with pytest.raises(Exception, match="fails at DELETE clients"):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
    emqx.broken = False
    assert bring_to(adapter, desired) == [("set-rules", "alpha")]
    assert emqx.closed == ["alpha"]


def test_barred_device_has_no_rights_no_session_and_can_not_log_in_until_it_is_admitted(
    adapter: EmqxAdapter, emqx: Emqx
) -> None:
    bring_to(adapter, all_of(subject("alpha", UP)))
    emqx.clients["its own id"] = "alpha"
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert [(ban["as"], ban["who"]) for ban in emqx.bans] == [("username", "alpha")]
    assert emqx.closed == ["its own id"]
    assert {rule["permission"] for rule in emqx.users["alpha"]} == {"deny"}
    bring_to(adapter, only(subject("alpha", UP)))
    assert emqx.bans == []


def test_barred_device_is_denied_then_forgotten_then_closed_then_banned_and_closed_again(
    adapter: EmqxAdapter, emqx: Emqx
) -> None:
    """A closed client comes straight back: so what it may goes first, and what EMQX remembers of it."""
    bring_to(adapter, all_of(subject("alpha", UP)))
    emqx.clients["alpha"] = "alpha"
    emqx.changed.clear()
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    forgets = ["POST authorization/node_cache/reset", "POST authentication/node_cache/reset"]
    closes = ["DELETE clients/alpha/authorization/cache", "DELETE clients/alpha"]
    denies = "PUT users/alpha"
    assert emqx.changed == [denies, *forgets, *closes, denies, "POST banned", *forgets]


def test_emqx_that_restarted_empty_is_closed_and_filled_and_then_every_session_ends(emqx: Emqx) -> None:
    """Its data folder is lost: it lets pass what no rule is about, and somebody has subscribed to all there is."""
    adapter = adapter_of(emqx, takes_passwords=True)
    emqx.authenticator = AS_IT_COMES
    desired = all_of(with_password("alpha", "k"), subject("beta", standing=Standing.BARRED))
    bring_to(adapter, desired)
    held = adapter.read()
    emqx.settings, emqx.everyone = {"no_match": "allow", "deny_action": "ignore"}, []
    emqx.bans, emqx.clients = [], {"alpha": "alpha", "thief": "nobody"}
    for lost in (emqx.users, emqx.accounts, emqx.client_rules):
        lost.clear()
    assert adapter.plan(desired, adapter.read()) == adapter.plan(desired, AppliedState(artifact=""))
    emqx.broken = True
    with pytest.raises(BrokerUnreachable, match="fails at POST clients"):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
    assert (emqx.settings["no_match"], set(emqx.users)) == ("deny", {"alpha", "beta"})
    emqx.broken = False

    steps = bring_to(adapter, desired)

    assert steps == [("end-all", "all"), ("set-password", "alpha")], "what was not ended is, whenever we come back"
    assert (adapter.read(), sorted(emqx.closed)) == (held, ["alpha", "thief"])
    assert emqx.lets_in("alpha", "k")
    assert bring_to(adapter, desired) == []


def test_device_that_goes_from_an_empty_emqx_takes_nobody_along(adapter: EmqxAdapter, emqx: Emqx) -> None:
    """The others have no rules yet that they could come back to; the mark that they are to end stays."""
    emqx.settings["no_match"] = "allow"
    emqx.clients |= {"alpha": "alpha", "beta": "beta"}
    barred = subject("alpha", standing=Standing.BARRED)
    bring_to(adapter, only(barred))
    assert (emqx.settings["no_match"], emqx.closed) == ("deny", ["alpha"])
    assert bring_to(adapter, all_of(barred, subject("beta", UP))) == [("set-rules", "beta"), ("end-all", "all")]
    assert emqx.closed == ["alpha", "beta"]


def test_device_is_thrown_out_as_fast_beside_many_that_were_before(
    adapter: EmqxAdapter, emqx: Emqx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokers.adapters.emqx_lists._PAGE", 2)
    bring_to(adapter, all_of())
    took = []
    for name in ("alpha", "beta"):
        emqx.clients[name], emqx.asked = name, 0
        bring_to(adapter, only(subject(name, standing=Standing.BARRED)))
        took.append(emqx.asked)
        emqx.bans += [{"as": "username", "who": f"p-{number}", "by": "gatehouse"} for number in range(20)]
        emqx.client_rules |= {f"p-{number}": [] for number in range(20)}
    assert (took[0], emqx.closed) == (took[1], ["alpha", "beta"])
    assert "p-1" not in adapter.read(only=frozenset({"gamma"})).artifact


def test_ban_of_somebody_else_is_enough_and_stays(adapter: EmqxAdapter, emqx: Emqx) -> None:
    emqx.bans.append({"as": "username", "who": "alpha", "by": "mo", "reason": "x"})
    bring_to(adapter, all_of(subject("alpha", standing=Standing.BARRED)))
    bring_to(adapter, all_of(subject("alpha", UP)))
    assert [ban["by"] for ban in emqx.bans] == ["mo"]


@pytest.mark.parametrize("whole", [True, False])
def test_device_that_is_absent_has_no_rules_and_no_session(adapter: EmqxAdapter, emqx: Emqx, whole: bool) -> None:
    bring_to(adapter, all_of(subject("alpha", UP)))
    emqx.clients["alpha"] = "alpha"
    gone = subject("alpha", standing=Standing.ABSENT)
    assert bring_to(adapter, all_of(gone) if whole else only(gone)) == [("delete-rules", "alpha")]
    assert (emqx.users, emqx.clients) == ({}, {})


@pytest.mark.parametrize(
    ("sources", "says"),
    [
        ([("file", True), ("built_in_database", True)], "asks file before"),
        ([("built_in_database", False), ("http", True)], "asks http before"),
        ([("file", False)], "asks nothing before"),
        ([], "asks nothing before"),
        ([("file", False), ("built_in_database", True), ("http", True)], ""),
    ],
)
def test_rules_that_are_not_asked_first_are_said(
    adapter: EmqxAdapter, emqx: Emqx, sources: list[tuple[str, bool]], says: str
) -> None:
    emqx.sources = [{"type": type, "enable": enable} for type, enable in sources]
    with pytest.raises(RulesNotAsked, match=says) if says else nullcontext():
        adapter.read()


def test_device_is_thrown_out_whatever_is_asked_before_our_rules(adapter: EmqxAdapter, emqx: Emqx) -> None:
    bring_to(adapter, all_of(subject("alpha", UP)))
    emqx.sources.insert(0, {"type": "file", "enable": True})
    emqx.clients["alpha"] = "alpha"
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))
    assert (emqx.closed, [ban["who"] for ban in emqx.bans]) == (["alpha"], ["alpha"])


@pytest.mark.parametrize(
    "name", ["a/b", "..x", "%2F", "a'b\"c", "\u00e4\u6cf5", "x" * 255, "all", "${username}", "a b"]
)
def test_names_that_look_like_something_else_are_names(adapter: EmqxAdapter, emqx: Emqx, name: str) -> None:
    for only_one in (False, True):
        odd = subject(name, UP)
        bring_to(adapter, only(odd) if only_one else all_of(subject("alpha", UP), odd))
        barred = subject(name, standing=Standing.BARRED)
        bring_to(adapter, only(barred))
        assert adapter.disconnect(barred.principal) == 0
        assert [ban["who"] for ban in emqx.bans] == [name]


def test_rules_of_names_that_no_device_has_stay(adapter: EmqxAdapter, emqx: Emqx) -> None:
    emqx.users["bridge"] = filled([{"permission": "allow", "action": "all", "topic": "#"}])
    bring_to(adapter, all_of(subject("alpha", UP)))
    assert "bridge" in emqx.users


def test_what_was_changed_by_hand_is_seen_and_put_right(adapter: EmqxAdapter, emqx: Emqx) -> None:
    desired = all_of(subject("alpha", UP))
    bring_to(adapter, desired)
    emqx.settings["no_match"] = "allow"
    emqx.users["alpha"].append({"permission": "allow", "action": "all", "topic": "#"})
    found = adapter.effect(desired, adapter.read())
    assert found.lose == (
        EffectLine(auth_id="alpha", action="publish", filter="#"),
        EffectLine(auth_id="alpha", action="subscribe", filter="#"),
    )
    assert bring_to(adapter, desired) == [("set-no-match", "deny"), ("set-rules", "alpha")]


EVERYTHING = {"permission": "allow", "action": "all", "topic": "#"}


@pytest.mark.parametrize("whole", [True, False])
def test_rules_of_a_devices_client_id_which_would_win_go_with_the_session(
    adapter: EmqxAdapter, emqx: Emqx, whole: bool
) -> None:
    desired = all_of(subject("alpha", UP)) if whole else only(subject("alpha", UP))
    bring_to(adapter, desired)
    emqx.client_rules |= {"alpha": filled([EVERYTHING]), "bridge": filled([EVERYTHING])}
    emqx.clients |= {"alpha": "alpha", "bridge": "bridge"}
    applied = adapter.read(only=desired.only)
    assert EffectLine(auth_id="alpha", action="subscribe", filter="#") in adapter.effect(desired, applied).lose
    emqx.broken = True
    with pytest.raises(BrokerUnreachable, match="fails at DELETE clients"):
        adapter.apply(adapter.plan(desired, applied), between=lambda: None)
    assert {rule["permission"] for rule in emqx.client_rules["alpha"]} == {"deny"}  # nothing to come back to
    emqx.broken = False
    assert bring_to(adapter, desired) == [("delete-client-rules", "alpha")]
    assert (emqx.closed, list(emqx.client_rules)) == (["alpha"], ["bridge"])


def test_what_was_allowed_to_all_by_hand_goes_with_every_session(adapter: EmqxAdapter, emqx: Emqx) -> None:
    desired = all_of(subject("alpha", UP), subject("beta", UP))
    bring_to(adapter, desired)
    emqx.everyone.insert(0, filled([EVERYTHING])[0])
    emqx.clients |= {"alpha": "alpha", "beta": "beta"}
    emqx.broken = True
    with pytest.raises(BrokerUnreachable, match="fails at POST clients"):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
    assert {rule["permission"] for rule in emqx.everyone} == {"deny"}
    emqx.broken = False
    assert bring_to(adapter, desired) == [("end-all", "all")]
    assert (sorted(emqx.closed), emqx.clients) == (["alpha", "beta"], {})


def test_superuser_of_a_devices_name_is_told_whom_no_rule_binds(adapter: EmqxAdapter, emqx: Emqx) -> None:
    bring_to(adapter, all_of(subject("alpha", UP)))
    emqx.authenticator = AS_IT_COMES
    emqx.accounts |= {name: {"password_hash": "x", "salt": "", "is_superuser": True} for name in ("alpha", "root")}
    emqx.accounts["plain"] = {"password_hash": "x", "salt": "", "is_superuser": False}
    emqx.users["by-hand"] = [{"permission": "allow", "action": "all", "topic": "#"}]
    applied = adapter.read()
    assert applied.foreign == {"alpha", "by-hand", "root"}  # plain may nothing
    emqx.clients["alpha"] = "alpha"
    for desired in (all_of(subject("alpha", UP), subject("beta", UP)), only(subject("alpha", UP))):
        steps = adapter.plan(desired, adapter.read(only=desired.only))
        assert (steps[-1].kind, "'alpha'" in steps[-1].summary) == ("account-taken", True)
        adapter.apply(due(steps), between=lambda: None)
        assert [step.target for step in adapter.plan(desired, adapter.read(only=desired.only))] == ["alpha"]
    assert (emqx.closed, emqx.bans, "alpha" in emqx.users, len(emqx.users["beta"])) == (["alpha"], [], False, 1)
    bring_to(adapter, only(subject("alpha", standing=Standing.BARRED)))  # who goes goes
    ours = adapter_of(emqx, takes_passwords=True)
    assert ("take-password", "alpha") in bring_to(ours, all_of(subject("alpha", UP)))  # there they are ours
    assert adapter.plan(all_of(subject("alpha", UP)), ours.read()) == ()


def test_disconnecting_closes_all_of_the_username_and_who_has_the_client_id(adapter: EmqxAdapter, emqx: Emqx) -> None:
    emqx.clients |= {"one": "alpha", "two": "alpha", "alpha": "thief", "beta": "beta"}
    assert adapter.disconnect(subject("alpha").principal) == 3
    assert set(emqx.clients) == {"beta"}
    assert adapter.disconnect(subject("alpha").principal) == 0


def test_present_are_those_who_are_connected(adapter: EmqxAdapter, emqx: Emqx) -> None:
    emqx.clients["alpha"] = "alpha"
    [event] = adapter.present()
    assert (event.kind, event.auth_id, event.client_id) == (AccessKind.CONNECTED, "alpha", "alpha")
    assert event.address == "192.0.2.7:40000"
    stop = Event()
    heard = adapter.watch(stop)
    assert next(heard) is None
    stop.set()
    assert list(heard) == []


AS_IT_COMES = {
    "mechanism": "password_based",
    "backend": "built_in_database",
    "enable": True,
    "user_id_type": "username",
    "password_hash_algorithm": {"name": "sha256", "salt_position": "prefix"},
}


def with_password(name: str, text: str) -> RenderSubject:
    return replace(subject(name, UP), password=PasswordVerifier.of(text, salt=b"abcdefghijkm"))


def test_who_has_a_password_logs_in_with_it_until_it_is_taken(emqx: Emqx) -> None:
    emqx.authenticator = AS_IT_COMES
    emqx.accounts["bridge"] = {"password_hash": "x", "salt": "", "is_superuser": True}
    adapter, desired = adapter_of(emqx, takes_passwords=True), all_of(with_password("p\u00fcmp/1", "k7mw-ace2"))
    assert bring_to(adapter, desired)[-1] == ("set-password", "p\u00fcmp/1")
    assert emqx.lets_in("p\u00fcmp/1", "k7mw-ace2")
    assert not emqx.lets_in("p\u00fcmp/1", "k7mw-ace3")
    assert bring_to(adapter, all_of(with_password("p\u00fcmp/1", "next-one"))) == [("set-password", "p\u00fcmp/1")]
    assert emqx.lets_in("p\u00fcmp/1", "next-one")
    hashed = emqx.accounts["p\u00fcmp/1"]["password_hash"]
    assert hashed not in f"{adapter.render(desired)}{adapter.read()}{emqx.users}"
    no_more = adapter_of(emqx, takes_passwords=False)
    assert bring_to(no_more, all_of(subject("p\u00fcmp/1", UP))) == [("take-password", "p\u00fcmp/1")]
    assert emqx.accounts.keys() == {"bridge"}
    assert emqx.users == {"p\u00fcmp/1": []}


def test_many_passwords_are_imported_at_once_and_others_stay_as_they_are(emqx: Emqx) -> None:
    emqx.authenticator = AS_IT_COMES
    emqx.accounts["bridge"] = {"password_hash": "x", "salt": "", "is_superuser": True}
    adapter, leased = adapter_of(emqx, takes_passwords=True), []
    desired = all_of(*(with_password(f"p-{number:02}", f"secret-{number}") for number in range(41)))
    adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: leased.append(len(emqx.accounts)))
    assert sum(each.endswith("import_users") for each in emqx.changed) == 3
    assert leased[-3:] == [1, 21, 41], "somebody else may have their turn between them"
    assert adapter.plan(desired, adapter.read()) == ()
    assert all(emqx.lets_in(f"p-{number:02}", f"secret-{number}") for number in range(41))
    assert emqx.accounts["bridge"] == {"password_hash": "x", "salt": "", "is_superuser": True}


def test_import_that_fails_in_part_is_told_and_made_good(emqx: Emqx) -> None:
    emqx.authenticator, emqx.failing = AS_IT_COMES, 1
    adapter, desired = adapter_of(emqx, takes_passwords=True), all_of(with_password("a", "k"), with_password("b", "k"))
    with pytest.raises(RequestRefused, match="took 2 passwords, and could not set 1"):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
    emqx.failing = 0
    assert bring_to(adapter, desired) == [("set-password", "a"), ("set-password", "b")]
    assert emqx.lets_in("a", "k")


def test_rules_that_change_keep_what_is_known_of_the_password(emqx: Emqx) -> None:
    emqx.authenticator = AS_IT_COMES
    adapter = adapter_of(emqx, takes_passwords=True)
    bring_to(adapter, all_of(with_password("alpha", "k7mw-ace2"), with_password("beta", "other")))
    known = PasswordVerifier.of("k7mw-ace2", salt=b"abcdefghijkm")
    more = replace(subject("alpha", UP, DOWN), password=known)
    for desired in (only(more), only(replace(subject("alpha"), password=known))):
        assert bring_to(adapter, desired) == [("set-rules", "alpha")]
        assert emqx.lets_in("alpha", "k7mw-ace2")
    barred = only(subject("alpha", standing=Standing.BARRED))
    assert ("take-password", "alpha") in bring_to(adapter, barred)
    assert emqx.accounts.keys() == {"beta"}


def test_account_that_is_gone_or_that_rules_do_not_bind_is_put_right(emqx: Emqx) -> None:
    emqx.authenticator = AS_IT_COMES
    adapter, desired = adapter_of(emqx, takes_passwords=True), all_of(with_password("alpha", "k"), subject("beta", UP))
    bring_to(adapter, desired)
    del emqx.accounts["alpha"]
    assert bring_to(adapter, desired) == [("set-password", "alpha")]
    emqx.accounts["alpha"]["is_superuser"] = True
    emqx.accounts["beta"] = {"password_hash": "x", "salt": "", "is_superuser": False}
    assert bring_to(adapter, desired) == [("take-password", "beta"), ("set-password", "alpha")]
    assert emqx.accounts["alpha"]["is_superuser"] is False


def test_password_that_was_written_half_is_written_again_whatever_is_wanted_then(emqx: Emqx) -> None:
    emqx.authenticator = AS_IT_COMES
    adapter, old, new = (
        adapter_of(emqx, takes_passwords=True),
        with_password("alpha", "old"),
        with_password("alpha", "new"),
    )
    bring_to(adapter, all_of(old))
    emqx.mute_after_import = True
    with pytest.raises(BrokerUnreachable):
        adapter.apply(adapter.plan(all_of(new), adapter.read()), between=lambda: None)
    emqx.mute_after_import = False
    assert emqx.lets_in("alpha", "new")
    assert bring_to(adapter, all_of(old)) == [("set-password", "alpha")]
    assert emqx.lets_in("alpha", "old")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (None, "does not ask"),
        ({"enable": False}, "does not ask"),
        ({"user_id_type": "clientid"}, "by their client id"),
        ({"password_hash_algorithm": {"name": "bcrypt"}}, "hashes otherwise"),
        ({"password_hash_algorithm": {"name": "sha256", "salt_position": "suffix"}}, "hashes otherwise"),
    ],
)
def test_rules_are_written_where_passwords_would_let_nobody_in(
    emqx: Emqx, changed: dict[str, Any] | None, says: str
) -> None:
    emqx.authenticator = None if changed is None else AS_IT_COMES | changed
    adapter, desired = adapter_of(emqx, takes_passwords=True), all_of(with_password("alpha", "k"))
    with pytest.raises(PasswordsNotAsked, match=says):
        adapter.apply(adapter.plan(desired, adapter.read()), between=lambda: None)
    assert (len(emqx.users["alpha"]), emqx.accounts) == (1, {})


def test_password_is_taken_away_though_others_can_not_be_set(emqx: Emqx) -> None:
    emqx.authenticator = AS_IT_COMES
    adapter, alpha = adapter_of(emqx, takes_passwords=True), with_password("alpha", "k")
    bring_to(adapter, all_of(subject("alpha", UP), with_password("beta", "k")))
    emqx.authenticator = AS_IT_COMES | {"user_id_type": "clientid"}
    with pytest.raises(PasswordsNotAsked):
        adapter.apply(adapter.plan(all_of(alpha, subject("beta", UP)), adapter.read()), between=lambda: None)
    assert emqx.accounts == {}


def test_wrong_key_is_said_without_the_secret(emqx: Emqx) -> None:
    with pytest.raises(BrokerUnreachable, match="refuses our account") as refusal:
        adapter_of(emqx, api_secret="guess-it").read()
    assert "guess-it" not in refusal.value.detail
