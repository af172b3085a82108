"""EMQX's built-in authenticator, as far as it keeps devices' passwords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brokers.adapters.emqx_lists import every
from brokers.adapters.json_api import JsonApi, RequestRefused
from brokers.core.api_path import path
from brokers.core.emqx.passwords import AUTHENTICATOR, IMPORT_TYPE, fault_of, import_body
from kernel.core.errors import Conflict

_USERS = path("authentication", AUTHENTICATOR, "users")


class PasswordsNotAsked(Conflict):
    """Nobody could log in at EMQX by what we write there."""

    code = "emqx-passwords-not-asked"


def users_of(broker: JsonApi, only: frozenset[str] | None, **narrowed: str) -> list[Mapping[str, Any]]:
    """The authenticator's users, of these names alone if they are given; none if there is no such authenticator.

    `narrowed` is asked of all: with names there may be others among them.
    """
    if only is not None:
        found = (broker.get(*_of(name)) for name in sorted(only))
        return [row for row in found if row is not None]
    return [] if broker.get("authentication", AUTHENTICATOR) is None else list(every(broker, _USERS, **narrowed))


def superusers_of(broker: JsonApi, only: frozenset[str] | None) -> frozenset[str]:
    """Who of all or of these logs in there and may then do everything, whatever the rules are."""
    rows = users_of(broker, only, is_superuser="true")
    return frozenset(row["user_id"] for row in rows if row["is_superuser"])


def check_authenticator(broker: JsonApi) -> None:
    """Raises PasswordsNotAsked."""
    if fault := fault_of(broker.get("authentication", AUTHENTICATOR)):
        raise PasswordsNotAsked(
            f"Passwords are not written, as {fault}: set its authentication as docs/howto/passwords.md tells, or let "
            "the broker take no passwords."
        )


def write_users(broker: JsonApi, texts: Mapping[str, str]) -> None:
    """Puts what is kept of these users' passwords in place, and touches no other user. Raises RequestRefused."""
    where = f"{path('authentication', AUTHENTICATOR, 'import_users')}?type=hash"
    done = broker.ask("POST", where, import_body(texts), of=IMPORT_TYPE)
    if done and done.get("failed"):
        raise RequestRefused(f"EMQX took {len(texts)} passwords, and could not set {done['failed']} of them.")


def delete_user(broker: JsonApi, name: str) -> None:
    """Takes the user away."""
    broker.ask("DELETE", path(*_of(name)))


def _of(name: str) -> tuple[str, ...]:
    return "authentication", AUTHENTICATOR, "users", name
