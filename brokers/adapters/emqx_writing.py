"""Makes one change to an EMQX, and ends sessions there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from brokers.adapters.emqx_lists import every
from brokers.adapters.emqx_passwords import write_user
from brokers.adapters.json_api import JsonApi
from brokers.core.api_path import path
from brokers.core.emqx.changes import DATABASE, ENDING, OURS, rule_documents
from brokers.core.emqx.compiler import CLOSING
from brokers.core.password_steps import SET, TAKE
from brokers.core.ports import Step

RULES = f"authorization/sources/{DATABASE}/rules"


def make(broker: JsonApi, step: Step) -> None:
    """Does it, and ends the sessions of who loses something by it."""
    name, payload = step.target, json.loads(step.payload)
    match step.kind:
        case "set-no-match":
            settings = broker.get("authorization", "settings")
            broker.ask("PUT", "authorization/settings", {**settings, "no_match": name})
        case "set-all":
            if payload["ends"]:
                broker.ask("POST", f"{RULES}/all", {"rules": [*rule_documents([ENDING]), *payload["rules"]]})
                _end_clients(broker, [str(row["clientid"]) for row in every(broker, "clients")])
            broker.ask("POST", f"{RULES}/all", {"rules": payload["rules"]})
        case "ban":
            reason = "It is barred by Gatehouse."
            broker.ask("POST", "banned", {"as": "username", "who": name, "by": OURS, "reason": reason})
            end(broker, username=name)
        case kind if kind in {SET, TAKE}:
            _set_password(broker, step, payload["rules"], payload["note"])
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


def _set_password(broker: JsonApi, step: Step, rules: list[Any] | None, note: list[Any]) -> None:
    """What was noted of the one before goes first: it would be believed if we were stopped in between."""
    where = f"{RULES}/users/{path(step.target)}"
    if rules is not None:
        broker.ask("PUT", where, {"username": step.target, "rules": rules})
    write_user(broker, step)
    if rules is not None and note:
        broker.ask("PUT", where, {"username": step.target, "rules": [*rules, *note]})


def _set_rules(broker: JsonApi, name: str, rules: list[Any], *, ends: bool) -> None:
    """Sets the rules; what was decided by the old ones is forgotten, or ended."""
    where = f"{RULES}/users/{path(name)}"
    if ends:
        broker.ask("PUT", where, {"username": name, "rules": [*rule_documents([ENDING]), *rules]})
        end(broker, username=name)
    broker.ask("PUT", where, {"username": name, "rules": rules})
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
    for what in ("authorization", "authentication"):
        broker.ask("POST", f"{what}/node_cache/reset")  # 5.9 and newer
    for client in clients:
        broker.ask("DELETE", f"clients/{path(client)}/authorization/cache")
        broker.ask("DELETE", f"clients/{path(client)}")


def _clients(broker: JsonApi, *, username: str) -> list[str]:
    return [str(row["clientid"]) for row in every(broker, "clients", username=username)]
