"""Policy for HiveMQ Enterprise with the Enterprise Security Extension, as rows of its SQL realm.

The artifact is JSON, a list of rows for each table, sorted. Rows of `permissions` have no id in it but a key that is
made of what they say, since ids are the database's own; the password columns are left out but where an account is
barred, whose password has to be null. Columns that are not named stay as they are.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from acl.core.values import Effect
from brokers.core.hivemq import policy
from brokers.core.hivemq.dialect import Dialect
from brokers.core.hivemq.emulator import CLIENT_ID
from brokers.core.hivemq.permissions import (
    ANY_GROUP,
    Account,
    Activity,
    Permission,
    Realm,
    Retained,
    Sharing,
    in_order,
)
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import Deviations
from kernel.core.errors import Invalid

_ONE_NAME = (
    "Where the database takes Pump and pump for one name (MySQL and SQL Server do, PostgreSQL does not), who proves to "
    "be PUMP is let in as pump: of names alike none gets an account, but let nobody else have such names."
)
_ALIKE = "Another account has the same name but for case, accents or blanks at its end: neither gets an account."
FOLDS = (
    "The database may take one account name for another (case, accents, blanks at the end), also when ESE looks "
    "somebody up: who shows a certificate for PUMP-1 of a CA that the listener trusts is let in as pump-1. Have those "
    "CAs issue no such names, or give users.username a collation that compares octets: utf8mb4_0900_bin in MySQL, "
    "utf8mb4_nopad_bin in MariaDB."
)
WHOLE = (
    "Of devices these rows are all that there may be: replace them in one transaction, and delete what is not in them, "
    "references first. A row that stays goes on allowing."
)
CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    placeholders=frozenset({"client_id"}),
    qos_conditions=True,
    retain_conditions=False,
    version="4.54",
    limits=(
        *((limit.kind, limit.why) for limit in policy.ESE_LIMITS),
        (DeviationKind.WIDER, _ONE_NAME),
    ),
    closes_by_client_id=True,
    policy_lag=timedelta(seconds=2),
)
TABLES = ("permissions", "role_permissions", "roles", "user_permissions", "user_roles", "users")


class NoSqlRealm(Invalid):
    """The text does not tell the rows of an ESE SQL realm."""

    code = "invalid-hivemq-rows"


def render(subjects: Iterable[RenderSubject], *, client_id_proved: bool = False) -> Rendering:
    """The rows of these subjects, and what they can not express.

    `client_id_proved`: the pipeline takes the client id for the name of the account, so that nobody can choose it.
    Then what says the account's name is shared by all. It must not be said where a certificate or the username names
    the account: whoever connects chooses the client id.
    """
    variable = CLIENT_ID if client_id_proved else ""
    dialect = Dialect(conditions=False, variable=variable, by_client_id=True, trims=False)
    deviations = Deviations()
    realm = policy.realm_of(_told_apart(subjects, deviations), dialect, deviations)
    return Rendering(artifact=to_artifact(realm), deviations=deviations.all(), warnings=(WHOLE,))


def to_artifact(realm: Realm) -> str:
    """The rows of the realm, a line for each: same realm, same octets."""
    rows = _rows(realm)
    return "{" + ",\n".join(f'"{table}": {_lines(rows[table])}' for table in TABLES) + "}\n"


def parse(artifact: str) -> Realm:
    """The realm that the rows tell. Raises NoSqlRealm."""
    try:
        return _realm(json.loads(artifact))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NoSqlRealm(f"These are not the rows of an ESE SQL realm: read them anew ({error!r:.200}).") from error


def _told_apart(subjects: Iterable[RenderSubject], deviations: Deviations) -> Iterator[RenderSubject]:
    """Those that are not absent and whose names no database takes for another's; of the others the loss is noted."""
    present = [subject for subject in subjects if subject.state is not Standing.ABSENT]
    counts = Counter(folded(subject.principal.auth_id) for subject in present)
    for subject in present:
        name = subject.principal.auth_id
        if counts[folded(name)] == 1:
            yield subject
            continue
        for bound in subject.policy:
            if bound.rule.effect is Effect.ALLOW:
                deviations.note(bound, name, DeviationKind.NARROWER, _ALIKE)


def folded(name: str) -> str:
    """What is left of a name where case, accents and blanks at the end make no difference."""
    if name.isascii():
        return name.lower().rstrip()
    letters = (letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return unicodedata.normalize("NFKD", "".join(letters).casefold()).rstrip()


def _rows(realm: Realm) -> Mapping[str, Iterator[str]]:
    """Each row as JSON, by table."""
    held = frozenset().union(*realm.roles.values(), *(account.permissions for account in realm.users.values()))
    keys = {each: _key(each) for each in in_order(held)}
    place = {each: number for number, each in enumerate(keys)}
    users = sorted(realm.users.items())
    roles = sorted(realm.roles.items())

    def keys_of(permissions: Iterable[Permission]) -> Iterator[str]:
        return map(keys.__getitem__, sorted(permissions, key=place.__getitem__))

    return {
        "permissions": (f'{{"key": "{key}", {_columns(each, ascii=False)}}}' for each, key in keys.items()),
        "role_permissions": (_row(role=role, permission=key) for role, has in roles for key in keys_of(has)),
        "roles": (_row(name=role) for role, _ in roles),
        "user_permissions": (
            _row(user=name, permission=key) for name, account in users for key in keys_of(account.permissions)
        ),
        "user_roles": (_row(user=name, role=role) for name, account in users for role in account.roles),
        "users": (
            _row(username=name, password=None) if account.barred else _row(username=name) for name, account in users
        ),
    }


_as_json = json.JSONEncoder(ensure_ascii=False).encode


def _row(**columns: str | None) -> str:
    return "{" + ", ".join([f'"{name}": {_as_json(text)}' for name, text in columns.items()]) + "}"


def columns_of(permission: Permission) -> dict[str, Any]:
    """The columns of the permission's row, but for its id and times."""
    columns: dict[str, Any] = json.loads(f"{{{_columns(permission, ascii=True)}}}")
    return columns


def _columns(permission: Permission, *, ascii: bool) -> str:
    """The columns of a permission as JSON, without its braces."""
    conditions = permission.activity, permission.qos, permission.retain, permission.shared, permission.group
    topic = json.dumps(permission.topic) if ascii else _as_json(permission.topic)
    return f'"topic": {topic}, {_conditions(*conditions, ascii=ascii)}'


@lru_cache(maxsize=4096)
def _conditions(
    activity: Activity, qos: frozenset[int], retain: Retained, shared: Sharing, group: str, *, ascii: bool
) -> str:
    subscribes = activity is not Activity.PUBLISH
    publishes = activity is not Activity.SUBSCRIBE
    columns = {
        "publish_allowed": publishes,
        "subscribe_allowed": subscribes,
        **{f"qos_{level}_allowed": level in qos for level in (0, 1, 2)},
        "retained_msgs_allowed": publishes and retain is Retained.ALL,
        "shared_sub_allowed": subscribes and shared is Sharing.ALL,
        "shared_group": "" if group == ANY_GROUP else group,
    }
    return json.dumps(columns, ensure_ascii=ascii)[1:-1]


def _key(permission: Permission) -> str:
    return hashlib.sha256(f"{{{_columns(permission, ascii=True)}}}".encode()).hexdigest()[:24]


def _lines(rows: Iterable[str]) -> str:
    return "[\n" + ",\n".join(rows) + "\n]"


def _realm(document: Mapping[str, Any]) -> Realm:
    permissions = {str(row["key"]): permission_of(row) for row in document["permissions"]}
    held, of_roles, roles_of = (defaultdict[str, set[Any]](set) for _ in range(3))
    for row in document["role_permissions"]:
        of_roles[row["role"]].add(permissions[row["permission"]])
    for row in document["user_permissions"]:
        held[row["user"]].add(permissions[row["permission"]])
    for row in document["user_roles"]:
        roles_of[row["user"]].add(row["role"])
    return Realm(
        roles={row["name"]: frozenset(of_roles[row["name"]]) for row in document["roles"]},
        users={
            row["username"]: Account(
                roles=tuple(sorted(roles_of[row["username"]])),
                permissions=frozenset(held[row["username"]]),
                barred="password" in row and row["password"] is None,
            )
            for row in document["users"]
        },
    )


def permission_of(row: Mapping[str, Any]) -> Permission:
    """The permission that a row of the table tells."""
    activity = {(True, True): Activity.ALL, (True, False): Activity.PUBLISH, (False, True): Activity.SUBSCRIBE}
    subscribes = bool(row["subscribe_allowed"])
    return Permission(
        topic=str(row["topic"]),
        activity=activity[bool(row["publish_allowed"]), subscribes],
        qos=frozenset(qos for qos in (0, 1, 2) if row[f"qos_{qos}_allowed"]),
        retain=Retained.ALL if row["retained_msgs_allowed"] or not row["publish_allowed"] else Retained.NOT_RETAINED,
        shared=Sharing.ALL if row["shared_sub_allowed"] or not subscribes else Sharing.NOT_SHARED,
        group=row["shared_group"] or ANY_GROUP,
    )
