"""EMQX 5.8 and 6 through its management API: rules of the built-in database, by username.

EMQX judges no delivery again, so whoever loses something has to connect anew, and finds a cache of its own verdicts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import Event
from typing import Any, ClassVar
from urllib.parse import urlencode

from acl.core.values import Principal, Request
from brokers.adapters.emqx_passwords import check_authenticator, superusers_of, users_of, write_user
from brokers.adapters.json_api import JsonApi
from brokers.adapters.writing import Latest, paced
from brokers.core import emqx_rules, emqx_rules_emulator
from brokers.core.api_path import path
from brokers.core.emqx_changes import (
    DATABASE,
    ENDING,
    OURS,
    EmqxChange,
    EmqxHeld,
    changes,
    effect,
    passing_by,
    read_held,
    rule_documents,
    write_held,
)
from brokers.core.emqx_compiler import CLOSING
from brokers.core.emqx_connection import EmqxConnection, connection_errors
from brokers.core.emqx_events import connection_id
from brokers.core.emqx_passwords import held_passwords, note_of, without_notes
from brokers.core.emqx_rule import rules_of
from brokers.core.emqx_rules import EmqxRules, parse
from brokers.core.password_steps import SET, TAKE, password_steps
from brokers.core.password_texts import emqx as spell_password
from brokers.core.password_texts import fingerprint, fingerprints, texts_in
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, PasswordRoom, Rendering, Step
from brokers.core.values import AccessKind, BrokerEvent, BrokerLink
from kernel.core.errors import Conflict, FieldError

_RIGHTS = "Give its API key the scopes access_control, connections and monitoring, or the role administrator."
_DATABASE = f"authorization/sources/{DATABASE}/rules"
_PAGE = 1_000
_BATCH = 20
_PAUSE_SECONDS = 5.0


class RulesNotAsked(Conflict):
    """EMQX decides by something else before it looks at the rules that are ours."""

    code = "emqx-rules-not-asked"


class SuperuserTaken(Conflict):
    """EMQX lets somebody do everything who logs in by a device's name."""

    code = "emqx-superuser-taken"


class EmqxAdapter:
    """Speaks to one cluster."""

    capabilities: ClassVar[Capabilities] = replace(emqx_rules.CAPABILITIES, passwords=PasswordRoom.ONE)

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = EmqxConnection.of(link.connection)
        self._has_passwords = link.broker.takes_passwords is not None
        self._compile = Latest(_compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def render(self, desired: DesiredState) -> Rendering:
        """The rules of the database."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """The rules there, and whom we have banned. Raises RulesNotAsked, if of all: a ban holds anyway.

        Accounts that are not ours are those of superusers, whom no rule binds.
        """
        with self._api() as broker:
            version = str(broker.get("nodes")[0]["version"])
            if only is None:
                _check_sources(broker)
            users = _every(broker, f"{_DATABASE}/users") if only is None else _these(broker, only)
            state = EmqxRules(
                no_match=broker.get("authorization", "settings")["no_match"],
                everyone=rules_of((broker.ask("GET", f"{_DATABASE}/all") or {"rules": []})["rules"]),
                clients={row["clientid"]: rules_of(row["rules"]) for row in _every(broker, f"{_DATABASE}/clients")},
                users={row["username"]: rules_of(row["rules"]) for row in users},
            )
            bans = [row for row in _every(broker, "banned") if row["as"] == "username"]
            accounts = users_of(broker, only, _every) if self._has_passwords else []
            superusers = superusers_of(broker, partial(_every, is_superuser="true")) if only is None else frozenset()
        ours = {name: without_notes(rules) for name, rules in state.users.items()}
        held = EmqxHeld(
            rules=replace(state, users=ours),
            banned=frozenset(row["who"] for row in bans),
            banned_by_us=frozenset(row["who"] for row in bans if row["by"] == OURS),
        )
        passwords = held_passwords(accounts, state)
        return AppliedState(
            artifact=write_held(held), version=version, only=only, foreign=superusers, passwords=passwords
        )

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """The rules, bans and passwords that differ. Users of names that no device has are somebody else's.

        Raises SuperuserTaken.
        """
        wanted, held = self._compile(desired)[0], applied.passwords
        found = changes(wanted, read_held(applied.artifact), desired.subjects)
        named = {each.principal.username for each in desired.subjects}
        if taken := sorted(applied.foreign & named - held.keys()):
            raise SuperuserTaken(
                f"EMQX has a superuser {taken[0]!r}, whom no rule binds: whoever logs in as it with a password may do "
                "everything. Delete the user, or take is_superuser away."
            )
        present = {name: noted for name, noted in held.items() if name in named}
        passwords = password_steps(_wanted_passwords(desired, wanted), present)
        return (
            *(_step(change, held.get(change.name, "")) for change in found),
            *(_with_rules(step, wanted) for step in passwords),
        )

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters."""
        return effect(read_held(applied.artifact).rules, self._compile(desired)[0])

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Makes one change after another; the sessions of who loses something end with it."""
        with self._api() as broker:
            is_checked = False
            for step in paced(steps, between, every=_BATCH):
                if step.kind == SET and not is_checked:
                    check_authenticator(broker)
                    is_checked = True
                _make(broker, step)

    def disconnect(self, principal: Principal) -> int:
        """Closes every session of the username, and of the client id."""
        with self._api() as broker:
            return _end(broker, username=principal.username, client_id=principal.client_id)

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether EMQX would let it pass."""
        return emqx_rules_emulator.emulate(read_held(rendering.artifact).rules, principal, request)

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Nothing: EMQX fetches CRLs from where certificates say."""
        del pem, trust
        return ""

    def present(self) -> Sequence[BrokerEvent]:
        """Every connection there is now."""
        with self._api() as broker:
            return [_connected(row) for row in _every(broker, "clients", conn_state="connected")]

    def watch(self, stop: Event) -> Iterator[BrokerEvent | None]:
        """Nothing but the time to ask who is present: EMQX tells of events by webhook."""
        while not stop.is_set():
            yield None
            stop.wait(_PAUSE_SECONDS)

    def _api(self) -> JsonApi:
        return JsonApi(
            of="EMQX",
            host=self._connection.host,
            port=self._connection.port,
            root="/api/v5",
            rights=_RIGHTS,
            ca_pem=self._connection.ca_pem,
            username=self._connection.api_key,
            password=self._connection.api_secret,
        )


def _compiled(desired: DesiredState) -> tuple[EmqxRules, Rendering]:
    rendering = emqx_rules.render(desired.subjects)
    rules = parse(rendering.artifact)
    return rules, replace(rendering, passwords=fingerprints(_wanted_passwords(desired, rules)))


def _wanted_passwords(desired: DesiredState, rules: EmqxRules) -> dict[str, str]:
    """The text for each who has a password, and rules by its username."""
    return {name: text for name, text in texts_in(desired, spell_password).items() if name in rules.users}


def _check_sources(broker: JsonApi) -> None:
    """Raises RulesNotAsked."""
    if (other := passing_by(broker.get("authorization", "sources")["sources"])) is not None:
        raise RulesNotAsked(
            f"EMQX asks {other} before the rules that Gatehouse writes, and what that allows is allowed: let "
            "built_in_database be the first source of its authorization (docs/howto/emqx.md)."
        )


def _every(broker: JsonApi, where: str, **narrowed: str) -> Iterator[Any]:
    """All rows of a list."""
    page = 1
    while True:
        found = broker.ask("GET", f"{where}?{urlencode({'page': page, 'limit': _PAGE, **narrowed})}")
        yield from found["data"]
        if len(found["data"]) < _PAGE:
            return
        page += 1


def _these(broker: JsonApi, names: frozenset[str]) -> list[Any]:
    found = (broker.ask("GET", f"{_DATABASE}/users/{path(name)}") for name in sorted(names))
    return [row for row in found if row is not None]


def _make(broker: JsonApi, step: Step) -> None:
    name, payload = step.target, json.loads(step.payload)
    match step.kind:
        case "set-no-match":
            settings = broker.get("authorization", "settings")
            broker.ask("PUT", "authorization/settings", {**settings, "no_match": name})
        case "set-all":
            if payload["ends"]:
                broker.ask("POST", f"{_DATABASE}/all", {"rules": [*rule_documents([ENDING]), *payload["rules"]]})
                _end_clients(broker, [str(row["clientid"]) for row in _every(broker, "clients")])
            broker.ask("POST", f"{_DATABASE}/all", {"rules": payload["rules"]})
        case "ban":
            reason = "It is barred by Gatehouse."
            broker.ask("POST", "banned", {"as": "username", "who": name, "by": OURS, "reason": reason})
            _end(broker, username=name)
        case kind if kind in {SET, TAKE}:
            _set_password(broker, step, payload["rules"], payload["note"])
        case "unban":
            broker.ask("DELETE", f"banned/username/{path(name)}")
        case "delete-rules":
            _set_rules(broker, name, [], ends=True)
            broker.ask("DELETE", f"{_DATABASE}/users/{path(name)}")
        case "delete-client-rules":
            where = f"{_DATABASE}/clients/{path(name)}"
            broker.ask("PUT", where, {"clientid": name, "rules": rule_documents(CLOSING)})
            _end_clients(broker, [name])
            broker.ask("DELETE", where)
        case _:
            _set_rules(broker, name, payload["rules"], ends=payload["ends"])


def _set_password(broker: JsonApi, step: Step, rules: list[Any] | None, note: list[Any]) -> None:
    """What was noted of the one before goes first: it would be believed if we were stopped in between."""
    where = f"{_DATABASE}/users/{path(step.target)}"
    if rules is not None:
        broker.ask("PUT", where, {"username": step.target, "rules": rules})
    write_user(broker, step)
    if rules is not None and note:
        broker.ask("PUT", where, {"username": step.target, "rules": [*rules, *note]})


def _set_rules(broker: JsonApi, name: str, rules: list[Any], *, ends: bool) -> None:
    """Sets the rules; what was decided by the old ones is forgotten, or ended."""
    where = f"{_DATABASE}/users/{path(name)}"
    if ends:
        broker.ask("PUT", where, {"username": name, "rules": [*rule_documents([ENDING]), *rules]})
        _end(broker, username=name)
    broker.ask("PUT", where, {"username": name, "rules": rules})
    if not ends:
        for client in _clients(broker, username=name):
            broker.ask("DELETE", f"clients/{path(client)}/authorization/cache")


def _end(broker: JsonApi, *, username: str, client_id: str = "") -> int:
    """How many sessions there were; none is left, nor what EMQX remembers of their rights."""
    clients = _clients(broker, username=username)
    if client_id and client_id not in clients:
        clients += [client_id] if broker.get("clients", client_id) is not None else []
    _end_clients(broker, clients)
    return len(clients)


def _end_clients(broker: JsonApi, clients: Sequence[str]) -> None:
    for what in ("authorization", "authentication"):
        broker.ask("POST", f"{what}/node_cache/reset")  # 5.9 and newer
    for client in clients:
        broker.ask("DELETE", f"clients/{path(client)}/authorization/cache")
        broker.ask("DELETE", f"clients/{path(client)}")


def _clients(broker: JsonApi, *, username: str) -> list[str]:
    return [str(row["clientid"]) for row in _every(broker, "clients", username=username)]


def _connected(row: Mapping[str, Any]) -> BrokerEvent:
    return BrokerEvent(
        at=datetime.fromisoformat(row["connected_at"]),
        kind=AccessKind.CONNECTED,
        auth_id=str(row.get("username") or ""),
        client_id=str(row["clientid"]),
        address=f"{row['ip_address']}:{row['port']}",
        connection_id=connection_id(row["ip_address"], row["port"]),
    )


def _step(change: EmqxChange, noted: str) -> Step:
    """`noted`: the password that it has, which the rules go on telling."""
    rules = rule_documents((*change.rules, *note_of(noted)))
    payload = json.dumps({"rules": rules, "ends": change.ends})
    return Step(kind=change.kind, target=change.name, summary=change.summary, payload=payload)


def _with_rules(step: Step, wanted: EmqxRules) -> Step:
    """The step that sets or takes a password, with the name's rules, if it has any, and the one that tells of it."""
    rules = wanted.users.get(step.target)
    told = {
        "text": step.payload,
        "rules": None if rules is None else rule_documents(rules),
        "note": rule_documents(note_of(fingerprint(step.payload) if step.kind == SET else "")),
    }
    return replace(step, payload=json.dumps(told))
