"""Passwords in EMQX's built-in database, which tells nobody what it keeps of one: only whose it keeps.

So what was written there is noted where it can be read back: a rule of the same name denies to publish to
`$gatehouse/password/<fingerprint>`. A password that somebody changes by hand stays unseen; one that is taken away, or
makes a superuser, does not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from brokers.core.emqx.rule import EmqxAction, EmqxRule
from brokers.core.emqx.rules import EmqxRules

AUTHENTICATOR = "password_based:built_in_database"
IMPORT_TYPE = "multipart/form-data; boundary=gatehouse"
_NOTE = "$gatehouse/password/"
_ALGORITHM = {"name": "sha256", "salt_position": "prefix"}  # as it comes


def note_of(fingerprint: str) -> tuple[EmqxRule, ...]:
    """The rule that notes it; none of an empty one."""
    return (EmqxRule(allow=False, action=EmqxAction.PUBLISH, topic=f"{_NOTE}{fingerprint}"),) if fingerprint else ()


def without_notes(rules: Iterable[EmqxRule]) -> tuple[EmqxRule, ...]:
    """The other rules."""
    return tuple(rule for rule in rules if not rule.topic.startswith(_NOTE))


def held_passwords(users: Iterable[Mapping[str, Any]], rules: EmqxRules) -> dict[str, str]:
    """What was written for each user of the authenticator, as a fingerprint; empty if it has to be written anew."""
    return {row["user_id"]: "" if row["is_superuser"] else _noted(rules.users.get(row["user_id"], ())) for row in users}


def fault_of(authenticator: Mapping[str, Any] | None) -> str:
    """Why nobody could log in by what we write; empty if they can."""
    if authenticator is None or not authenticator.get("enable", True):
        return f"EMQX does not ask {AUTHENTICATOR}"
    if authenticator.get("user_id_type", "username") != "username":
        return "its built-in database knows users by their client id"
    algorithm = _ALGORITHM | authenticator.get("password_hash_algorithm", {})
    return "" if algorithm == _ALGORITHM else "its built-in database hashes otherwise"


def import_body(texts: Mapping[str, str]) -> str:
    """A file with these users alone, as EMQX takes it by `IMPORT_TYPE`: what it had of the names is replaced."""
    users = json.dumps([{"user_id": name, **json.loads(text), "is_superuser": False} for name, text in texts.items()])
    lines = (
        "--gatehouse",
        'Content-Disposition: form-data; name="filename"; filename="users.json"',
        "Content-Type: application/json",
        "",
        users,  # with no line break, so not with the boundary either
        "--gatehouse--",
        "",
    )
    return "\r\n".join(lines)


def _noted(rules: Iterable[EmqxRule]) -> str:
    return next((rule.topic.removeprefix(_NOTE) for rule in rules if rule.topic.startswith(_NOTE)), "")
