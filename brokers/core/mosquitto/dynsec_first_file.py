"""The policy in the file that Mosquitto's dynamic security plugin starts with, and when that is worth the trouble.

The plugin writes its whole file for each command, so a broker that holds next to nothing is brought to a large fleet
by a file in a fraction of the time.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from brokers.core.mosquitto.dynsec_state import OURS, DynsecState, InvalidDynsec, is_ours

_FEW = 200
_SECONDS_OF_A_WRITE = 8e-6  # for each client that the file has, with the roles of its own
# What the command sets that changes a client that is there.
_SET = frozenset({"textname", "clientid", "groups", "disabled"})
_Entry = dict[str, Any]


def merged(existing: str, artifact: str, *, control: str) -> str:
    """The file of a broker that had `existing` and was then brought to the artifact, as commands would do it.

    What is not ours stays, but for the defaults, which are the artifact's, and for accounts with a device's name: they
    become the device's, and keep their password. `control` is the account that may give commands: it stays as it is.
    Raises InvalidDynsec if `existing` is no file of the plugin, or one without that account.
    """
    ours = json.loads(artifact)
    try:
        present = json.loads(existing)
        if control in {client["username"] for client in present["clients"]}:
            document = _merged(present, ours, control)
            lines = ",\n".join(f"{_encode(name)}: {_text(member)}" for name, member in document.items())
            lines.encode()  # half a character, which JSON can name, stands in no file
            return f"{{{lines}}}\n"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        detail = "This is no file of Mosquitto's dynamic security plugin: give the one that the broker started with."
        raise InvalidDynsec(detail) from error
    raise InvalidDynsec(f"The file has no account {control!r}, so it is another broker's: give this broker's own.")


def first_file_hint(desired: DynsecState, applied: DynsecState, *, broker: str) -> str:
    """What to do in place of very many commands to a broker that holds few clients; empty if it has most of them.

    The time is that of the plugin's writes on a small machine: 80 ms each with 10,000 clients, and less with fewer.
    """
    created = len(desired.clients.keys() - applied.clients.keys())
    held = len(applied.clients) + len(applied.foreign)
    if created <= _FEW or created < held:
        return ""
    commands = created + len(desired.roles.keys() - applied.roles.keys())
    seconds = commands * (held + created / 2) * _SECONDS_OF_A_WRITE
    return (
        f"Mosquitto writes its whole file for each of {commands} commands, which takes {_spoken(seconds)} or more. "
        f"It is faster to start it with a file that has all of it: manage.py brokers first-file {broker} makes it."
    )


def _spoken(seconds: float) -> str:
    return f"{max(1, round(seconds))} seconds" if seconds < 100 else f"{round(seconds / 60)} minutes"


def _merged(present: _Entry, ours: _Entry, control: str) -> _Entry:
    wanted = {client["username"]: client for client in ours["clients"] if client["username"] != control}
    before = {client["username"]: client for client in present["clients"]}
    gone = {role["rolename"] for role in present["roles"] if role["rolename"].startswith(OURS)}
    gone -= {role["rolename"] for role in ours["roles"]}
    foreign = [each for name, each in before.items() if name == control or not (name in wanted or is_ours(each))]
    clients = [
        *(_without_roles(each, gone) for each in foreign),
        *(_taken_over(before.get(name, {}), each) for name, each in wanted.items()),
    ]
    return {
        **present,
        "defaultACLAccess": ours["defaultACLAccess"],
        "clients": sorted(clients, key=_name, reverse=True),
        "groups": [_group(each, gone, wanted) for each in present.get("groups", ())],
        "roles": [*(role for role in present["roles"] if not role["rolename"].startswith(OURS)), *ours["roles"]],
    }


def _name(client: _Entry) -> bytes:
    """By this the plugin keeps the clients of a role in order, looking for each one's place from the first on.

    So 50,000 of one role that come from the last to the first take it half a second, and 40 s the other way round.
    """
    return str(client["username"]).encode()


def _taken_over(present: _Entry, wanted: _Entry) -> _Entry:
    """The device's client, with what of an account of its name no command of ours touches."""
    return {**{name: present[name] for name in present if name not in _SET}, **wanted}


def _without_roles(entry: _Entry, gone: Collection[str]) -> _Entry:
    return {**entry, "roles": [each for each in entry.get("roles", ()) if each["rolename"] not in gone]}


def _group(group: _Entry, gone: Collection[str], wanted: Collection[str]) -> _Entry:
    """Without devices: what they may stands in their roles."""
    members = [each for each in group.get("clients", ()) if each["username"] not in wanted]
    return {**_without_roles(group, gone), "clients": members}


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _text(member: object) -> str:
    """JSON, with a line for each entry of a list."""
    return "[\n" + ",\n".join(map(_encode, member)) + "\n]" if isinstance(member, list) else _encode(member)
