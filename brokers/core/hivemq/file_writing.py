"""HiveMQ's two files of accounts, roles and permissions (ESE file realm, file RBAC), written."""

from __future__ import annotations

from dataclasses import dataclass

from brokers.core.hivemq.permissions import QOS_NAMES, Account, Permission, Realm, in_order
from brokers.core.hivemq.xml import tag, within


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the two files do differently. `head` opens the root; `section` is an element about MQTT alone, or none.

    `reference` names a role of an account; `personal`: accounts may have permissions of their own; `no_password` is
    written for an account whose password is not known, empty if the element is left out.
    """

    root: str
    head: str
    section: str
    reference: str
    personal: bool
    no_password: str = ""


def write(realm: Realm, layout: Layout) -> str:
    """The file: same realm, same octets."""
    depth = 2 if layout.section else 1
    users = [line for name in sorted(realm.users) for line in _user(name, realm.users[name], layout, depth + 1)]
    roles = [line for name in sorted(realm.roles) for line in _role(name, realm.roles[name], depth + 1)]
    lines = [*within("users", users, depth=depth), *within("roles", roles, depth=depth)]
    if layout.section:
        lines = within(layout.section, lines, depth=1)
    head = ['<?xml version="1.0" encoding="UTF-8"?>', layout.head]
    return "\n".join([*head, *lines, f"</{layout.root}>"]) + "\n"


def _user(name: str, account: Account, layout: Layout, depth: int) -> list[str]:
    lines = [tag("name", name, depth=depth + 1)]
    password = account.password or layout.no_password
    if password:
        lines.append(tag("password", password, depth=depth + 1))
    references = [tag(layout.reference, role, depth=depth + 2) for role in account.roles]
    own = [line for permission in in_order(account.permissions) for line in _permission(permission, depth + 2)]
    lines += within("roles", references, depth=depth + 1) + within("permissions", own, depth=depth + 1)
    return within("user", lines, depth=depth)


def _role(name: str, held: frozenset[Permission], depth: int) -> list[str]:
    permissions = [line for permission in in_order(held) for line in _permission(permission, depth + 2)]
    lines = [tag("id", name, depth=depth + 1), *within("permissions", permissions, depth=depth + 1)]
    return within("role", lines, depth=depth)


def _permission(permission: Permission, depth: int) -> list[str]:
    """All six, in the order that the ESE samples have."""
    values = {
        "topic": permission.topic,
        "qos": QOS_NAMES[permission.qos],
        "activity": permission.activity,
        "retain": permission.retain,
        "shared-subscription": permission.shared,
        "shared-group": permission.group,
    }
    return within("permission", [tag(name, text, depth=depth + 1) for name, text in values.items()], depth=depth)
