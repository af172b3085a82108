"""HiveMQ's two files of accounts, roles and permissions (ESE file realm, file RBAC), read with lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from brokers.core.hivemq.dialect import is_text
from brokers.core.hivemq.file_writing import Layout
from brokers.core.hivemq.permissions import (
    ANY_GROUP,
    QOS_BY_NAME,
    Account,
    Activity,
    Permission,
    Realm,
    Retained,
    Sharing,
)
from brokers.core.hivemq.xml import Element, InvalidXml, read_xml

_DEFAULTS = {
    "topic": "",
    "qos": "ALL",
    "activity": "ALL",
    "retain": "ALL",
    "shared-subscription": "ALL",
    "shared-group": ANY_GROUP,
}


class InvalidRealmFile(InvalidXml):
    """The file is not one of HiveMQ's, or has something in it that is not understood."""

    code = "invalid-hivemq-file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something in the file that has no meaning here: its line, where it is among the elements, and what it is."""

    line: int
    path: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPermission:
    """A permission with its line. `owner` is `role` or `user`, `name` which one."""

    owner: str
    name: str
    line: int
    permission: Permission


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a file says, in its order, and what in it is not understood."""

    realm: Realm
    permissions: tuple[PlacedPermission, ...] = ()
    remarks: tuple[Remark, ...] = ()


def parse(artifact: str, layout: Layout) -> Realm:
    """What the file says. Raises InvalidXml, or InvalidRealmFile for anything in it that is not understood."""
    reading = read(artifact, layout)
    if reading.remarks:
        first = reading.remarks[0]
        raise InvalidRealmFile(f"Line {first.line}, {first.path}: {first.what}")
    return reading.realm


def read(text: str, layout: Layout) -> Reading:
    """What the file says as far as it is understood. Raises InvalidXml, InvalidRealmFile if it is another file."""
    root = read_xml(text)
    if root.name != layout.root:
        raise InvalidRealmFile(f"The file begins with <{root.name:.64}>, not with <{layout.root}>: choose another one.")
    return _Reader(layout).read(root)


@dataclass(slots=True)
class _Reader:
    """Goes through the elements, and remarks on what it does not know."""

    _layout: Layout
    _remarks: list[Remark] = field(default_factory=list)
    _permissions: list[PlacedPermission] = field(default_factory=list)

    def read(self, root: Element) -> Reading:
        section = root
        if self._layout.section:
            known = self._known(root, root.name, [self._layout.section])
            section = known.get(self._layout.section) or Element(name="", line=root.line)
        path = f"{root.name}/{section.name}".rstrip("/") if self._layout.section else root.name
        lists = self._known(section, path, ["users", "roles"])
        users = dict(self._users(lists["users"], f"{path}/users")) if "users" in lists else {}
        roles = dict(self._roles(lists["roles"], f"{path}/roles")) if "roles" in lists else {}
        return Reading(
            realm=Realm(users=users, roles=roles),
            permissions=tuple(self._permissions),
            remarks=tuple(sorted(self._remarks, key=lambda remark: remark.line)),
        )

    def _users(self, users: Element, path: str) -> Iterator[tuple[str, Account]]:
        wanted = ["name", "password", "roles", *(["permissions"] if self._layout.personal else [])]
        for name, parts, within_path in self._named(users, path, "user", wanted):
            roles = self._all(parts.get("roles"), f"{within_path}/roles", self._layout.reference)
            password = parts["password"].text if "password" in parts else None
            yield (
                name,
                Account(
                    roles=tuple(sorted(role.text for role in roles)),
                    permissions=self._held(parts.get("permissions"), "user", name, within_path),
                    password=None if password == self._layout.no_password else password,
                ),
            )

    def _roles(self, roles: Element, path: str) -> Iterator[tuple[str, frozenset[Permission]]]:
        for name, parts, within_path in self._named(roles, path, "role", ["id", "permissions"]):
            yield name, self._held(parts.get("permissions"), "role", name, within_path)

    def _named(
        self, parent: Element, path: str, kind: str, wanted: list[str]
    ) -> Iterator[tuple[str, dict[str, Element], str]]:
        """Each child of that kind with its name (the first of `wanted`), its parts and its path."""
        seen: set[str] = set()
        for child in self._all(parent, path, kind):
            parts = self._known(child, f"{path}/{kind}", wanted)
            name = parts[wanted[0]].text if wanted[0] in parts else ""
            if not name or name in seen:
                self._remark(child, f"{path}/{kind}", "It has no name." if not name else f"{name:.64} is there twice.")
                continue
            seen.add(name)
            yield name, parts, f"{path}/{kind} {name:.64}"

    def _held(self, parent: Element | None, owner: str, name: str, path: str) -> frozenset[Permission]:
        found = set()
        for child in self._all(parent, f"{path}/permissions", "permission"):
            permission = self._permission(child, f"{path}/permissions/permission")
            if permission:
                found.add(permission)
                placed = PlacedPermission(owner=owner, name=name, line=child.line, permission=permission)
                self._permissions.append(placed)
        return frozenset(found)

    def _permission(self, element: Element, path: str) -> Permission | None:
        before = len(self._remarks)
        known = self._known(element, path, list(_DEFAULTS))
        if len(self._remarks) > before:
            return None  # what is not understood may take away what the rest allows
        values = {name: known[name].text if name in known else default for name, default in _DEFAULTS.items()}
        try:
            permission = Permission(
                topic=values["topic"],
                qos=QOS_BY_NAME[values["qos"].strip()],
                activity=Activity(values["activity"].strip()),
                retain=Retained(values["retain"].strip()),
                shared=Sharing(values["shared-subscription"].strip()),
                group=values["shared-group"],
            )
        except (KeyError, ValueError) as error:
            self._remark(element, path, f"It has a value that HiveMQ does not know: {error!s:.64}.")
            return None
        if not permission.topic or not permission.group:
            self._remark(element, path, "It has no topic, or an empty shared group.")
            return None
        return permission

    def _all(self, parent: Element | None, path: str, kind: str) -> list[Element]:
        """The children of that kind; others are remarked on."""
        for child in parent.children if parent else ():
            if child.name != kind:
                self._remark(child, f"{path}/{child.name}", "It is not known here.")
        return [child for child in parent.children if child.name == kind] if parent else []

    def _known(self, element: Element, path: str, names: list[str]) -> dict[str, Element]:
        """The children of these names, the first of each; others are remarked on."""
        found: dict[str, Element] = {}
        for child in element.children:
            if child.name not in names:
                self._remark(child, f"{path}/{child.name}", "It has no meaning in a policy.")
            elif child.name in found:
                self._remark(child, f"{path}/{child.name}", "It is there twice.")
            else:
                found[child.name] = child
        return found

    def _remark(self, element: Element, path: str, what: str) -> None:
        self._remarks.append(Remark(line=element.line, path=path, what=what))


def with_passwords(realm: Realm, passwords: Mapping[str, str]) -> Realm:
    """The realm with these passwords by account, as the file holds them; the others stay as they are.

    Raises InvalidRealmFile for one that XML can not hold: the broker would refuse the whole file.
    """
    if not all(map(is_text, passwords.values())):
        raise InvalidRealmFile("A password has control characters, which XML can not hold: choose another one.")
    users = {
        name: replace(account, password=passwords.get(name, account.password)) for name, account in realm.users.items()
    }
    return replace(realm, users=users)
