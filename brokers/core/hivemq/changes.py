"""From the rows of an ESE SQL realm that are ours to what they should be: an account or a role at a time.

Ours are the roles whose names begin with `gh.`, and the accounts that have the first of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from acl.core.values import Action
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.hivemq.ce_file import USERNAME
from brokers.core.hivemq.permissions import NOTHING, Account, Activity, Permission, Realm
from brokers.core.hivemq.policy import NOTHING_ROLE, OURS
from brokers.core.ports import Effect

_ABOUT = {Action.PUBLISH: Activity.PUBLISH, Action.SUBSCRIBE: Activity.SUBSCRIBE}


ENDING_ROLE = f"{OURS}ending"
"""Whoever has it lost something, and its session is still to be ended: a mark that survives whatever happens to us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealmChange:
    """One change of a realm, made in a transaction of its own: `account` or `role` as a whole, None if it goes.

    `ends`: the account, or whoever has the role, loses something, so that sessions have to end.
    """

    kind: str
    name: str
    summary: str
    account: Account | None = None
    role: frozenset[Permission] | None = None
    ends: bool = False


def is_ours(role: str) -> bool:
    """Whether a role is ours."""
    return role.startswith(OURS)


def changes(wanted: Realm, present: Realm, *, whole: bool) -> list[RealmChange]:
    """What to change: what takes away first, and nothing that refers to what is not there.

    `present` is about the accounts that `wanted` is about. Of the `whole`, roles that nobody has any more go with
    what else is changed.
    """
    found = [
        RealmChange(
            kind="delete-user",
            name=name,
            summary=f"Delete the account {name}, which no device has any more.",
            ends=True,
        )
        for name in sorted(present.users.keys() - wanted.users.keys())
    ]
    found += [
        RealmChange(
            kind="set-role",
            name=name,
            role=held,
            summary=f"What the role {name} permits.",
            ends=bool(present.roles.get(name, frozenset()) - held),
        )
        for name, held in sorted(wanted.roles.items())
        if present.roles.get(name) != held
    ]
    found += [
        RealmChange(
            kind="set-user",
            name=name,
            account=account,
            summary=_said(name, account),
            ends=_loses(name, wanted, present),
        )
        for name, account in sorted(wanted.users.items())
        if name not in present.users or _differs(account, present.users[name]) or _loses(name, wanted, present)
    ]
    found.sort(key=partial(_rank, wanted, present))
    if found and whole:
        found += [
            RealmChange(kind="delete-role", name=name, summary=f"Delete the role {name}, which nobody has any more.")
            for name in sorted(present.roles.keys() - wanted.roles.keys() - {ENDING_ROLE})
        ]
    return found


def ending(account: Account | None) -> Account:
    """The account, or one that goes, with the mark that its session is still to be ended."""
    held = account or Account(roles=(NOTHING_ROLE,))
    return replace(held, roles=tuple(sorted({*held.roles, ENDING_ROLE})))


def emptied(change: RealmChange) -> RealmChange:
    """What is left of the account or role where what it should hold can not be written: nothing."""
    if change.account is None:
        return change if change.role is None else replace(change, role=frozenset())
    roles = tuple(role for role in change.account.roles if role in (NOTHING_ROLE, ENDING_ROLE))
    return replace(change, account=replace(change.account, roles=roles, permissions=frozenset()))


def _rank(wanted: Realm, present: Realm, change: RealmChange) -> int:
    """A role that is new has nobody yet, and is there before an account that loses another for it."""
    if change.ends and change.account is not None:
        gains = wanted.permissions_of(change.name) - present.permissions_of(change.name)
        return 3 if gains else 2
    if change.ends:
        return 0
    return 1 if change.role is not None and change.name not in present.roles else 4


def _loses(name: str, wanted: Realm, present: Realm) -> bool:
    if name not in present.users:
        return False
    held = present.permissions_of(name)
    return bool(held - wanted.permissions_of(name)) or ENDING_ROLE in present.users[name].roles


def effect(before: Realm, after: Realm) -> Effect:
    """What changes for the accounts of either."""
    return effects.effect({*before.users, *after.users}, partial(_flow, before), partial(_flow, after))


def _said(name: str, account: Account) -> str:
    return f"The account {name}, which is barred." if account.barred else f"The account {name} with its permissions."


def _differs(wanted: Account, present: Account) -> bool:
    """Whether the account has to be written. A password is taken away of who is barred, and left to others."""
    rights = (wanted.roles, wanted.permissions) != (present.roles, present.permissions)
    return rights or (wanted.barred and not present.barred)


def _flow(realm: Realm, name: str, action: Action) -> Flow:
    held: Iterable[Permission] = realm.permissions_of(name) if name in realm.users else ()
    about = (Activity.ALL, _ABOUT[action])
    topics = (each.topic for each in held if each.activity in about and each != NOTHING)
    return Flow(allows=frozenset(topic.replace(USERNAME, name) for topic in topics))
