"""Makes one change to an EMQX, and ends sessions there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from brokers.adapters.emqx_lists import every
from brokers.adapters.emqx_passwords import delete_user, write_users
from brokers.adapters.json_api import JsonApi, RequestRefused
from brokers.core.api_path import path
from brokers.core.emqx.changes import DATABASE, ENDING, OURS, rule_documents
from brokers.core.emqx.compiler import CLOSING
from brokers.core.password_steps import TAKE
from brokers.core.ports import Step

RULES = f"authorization/sources/{DATABASE}/rules"
_AT_ONCE = 500


def make(broker: JsonApi, step: Step) -> None:
    """Does it, and ends the sessions of who loses something by it."""
    name, payload = step.target, json.loads(step.payload)
    match step.kind:
        case "set-no-match":
            settings = broker.get("authorization", "settings")
            broker.ask("PUT", "authorization/settings", {**settings, "no_match": name})
        case "set-all" | "end-all":
            if step.kind == "end-all":
                _end_all(broker)
            broker.ask("POST", f"{RULES}/all", {"rules": payload["rules"]})
        case "ban":
            reason = "It is barred by Gatehouse."
            broker.ask("POST", "banned", {"as": "username", "who": name, "by": OURS, "reason": reason})
            end(broker, username=name)
        case kind if kind == TAKE:
            if payload["rules"] is not None:
                _put_rules(broker, name, payload["rules"])
            delete_user(broker, name)
        case "unban":
            broker.ask("DELETE", f"banned/username/{path(name)}")
        case "delete-rules":
            _set_rules(broker, name, [], ends=True)
            broker.ask("DELETE", f"{RULES}/users/{path(name)}")
        case "delete-client-rules":
            where = f"{RULES}/clients/{path(name)}"
            broker.ask("PUT", where, {"clientid": name, "rules": rule_documents(CLOSING)})
            _end_clients(broker, [name])
            broker.ask("DELETE", where)
        case _:
            _set_rules(broker, name, payload["rules"], ends=payload["ends"])


def set_passwords(broker: JsonApi, steps: Sequence[Step]) -> None:
    """Sets them with one import.

    What was noted of those before goes first: it would be believed if we were stopped in between.
    """
    told = {step.target: json.loads(step.payload) for step in steps}
    for name, each in told.items():
        _put_rules(broker, name, each["rules"])
    write_users(broker, {name: each["text"] for name, each in told.items()})
    for name, each in told.items():
        _put_rules(broker, name, [*each["rules"], *each["note"]])


def _put_rules(broker: JsonApi, name: str, rules: list[Any]) -> None:
    broker.ask("PUT", f"{RULES}/users/{path(name)}", {"username": name, "rules": rules})


def _set_rules(broker: JsonApi, name: str, rules: list[Any], *, ends: bool) -> None:
    """Sets the rules; what was decided by the old ones is forgotten, or ended. Nobody keeps what is lost.

    With the mark they may be more than EMQX takes, and the rules alone, too: then there is the mark alone meanwhile.
    """
    if ends:
        mark = rule_documents([ENDING])
        try:
            _put_rules(broker, name, [*mark, *rules])
        except RequestRefused:
            _put_rules(broker, name, mark)
        end(broker, username=name)
    _put_rules(broker, name, rules)
    if not ends:
        for client in _clients(broker, username=name):
            broker.ask("DELETE", f"clients/{path(client)}/authorization/cache")


def end(broker: JsonApi, *, username: str, client_id: str = "") -> int:
    """How many sessions there were; none is left, nor what EMQX remembers of their rights."""
    clients = _clients(broker, username=username)
    if client_id and client_id not in clients:
        clients += [client_id] if broker.get("clients", client_id) is not None else []
    _end_clients(broker, clients)
    return len(clients)


def _end_clients(broker: JsonApi, clients: Sequence[str]) -> None:
    _forget(broker)
    for client in clients:
        broker.ask("DELETE", f"clients/{path(client)}/authorization/cache")
        broker.ask("DELETE", f"clients/{path(client)}")


def _end_all(broker: JsonApi) -> None:
    """Many at a time: a fleet of them, one by one, would take longer than nobody else may write."""
    clients = [str(row["clientid"]) for row in every(broker, "clients")]
    _forget(broker)
    broker.ask("DELETE", "authorization/cache")
    for start in range(0, len(clients), _AT_ONCE):
        broker.ask("POST", "clients/kickout/bulk", json.dumps(clients[start : start + _AT_ONCE]))


def _forget(broker: JsonApi) -> None:
    """What the nodes remember of answers: 5.9 and newer do."""
    for what in ("authorization", "authentication"):
        broker.ask("POST", f"{what}/node_cache/reset")


def _clients(broker: JsonApi, *, username: str) -> list[str]:
    return [str(row["clientid"]) for row in every(broker, "clients", username=username)]
