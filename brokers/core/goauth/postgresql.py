"""mosquitto-go-auth's rows in PostgreSQL: what a set of roles may do stands once, with %u for who asks.

The plugin puts %u and %c in wherever they stand, whatever the values hold. So a user has the rows of its roles only if
they are, with its name put in, among what its policy gives; %c is never written (the client chooses its client id), and
no other topic may contain either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from acl.core.values import Principal
from brokers.core.goauth import policy
from brokers.core.goauth.policy import Rights
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject
from brokers.core.rendering import Deviations
from kernel.core.errors import Invalid

SCHEMA = """\
CREATE TABLE mqtt_member (username text PRIMARY KEY, roles text NOT NULL);
CREATE TABLE mqtt_role_acl (roles text, topic text, rw integer CHECK (rw IN (1, 2, 4)), PRIMARY KEY (roles, topic, rw));
CREATE TABLE mqtt_own_acl (username text, topic text, rw integer CHECK (rw IN (1, 2, 4)),
  PRIMARY KEY (username, topic, rw));
CREATE VIEW mqtt_acl AS
  SELECT username, topic, rw FROM mqtt_own_acl
  UNION ALL SELECT mqtt_member.username, mqtt_role_acl.topic, mqtt_role_acl.rw
    FROM mqtt_member JOIN mqtt_role_acl ON mqtt_role_acl.roles = mqtt_member.roles;
"""
ACL_QUERY = "SELECT topic FROM mqtt_acl WHERE username = $1 AND rw = $2"
"""`auth_opt_pg_aclquery`: it has to be set, or everything is allowed; and with `rw = $2`, never `>=`."""
PASSWORD_SCHEMA = "CREATE TABLE mqtt_password (username text PRIMARY KEY, password_hash text NOT NULL);\n"  # noqa: S105
PASSWORD_QUERY = "SELECT password_hash FROM mqtt_password WHERE username = $1"  # noqa: S105 - a query
"""`auth_opt_pg_userquery`, where devices log in with passwords; `auth_opt_hasher pbkdf2` is the default."""
WITHOUT_QUERY = (
    "Without auth_opt_pg_aclquery the plugin allows everything, and with another one more than is meant: set it as the "
    "warnings of this artifact tell."
)
WHOLE = (
    "These rows are all that there may be: replace the tables in one transaction, and delete what is not in them. A "
    "row that stays goes on allowing; who is barred has none."
)
WARNINGS = (
    WHOLE,
    f"Set in Mosquitto: auth_opt_pg_aclquery {ACL_QUERY}",
    f"The query asks the view of these tables:\n{SCHEMA}",
)
CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    placeholders=frozenset({"auth_id", "username"}),
    version="3.0",
    limits=((DeviationKind.WIDER, WITHOUT_QUERY), *policy.LIMITS),
)

READ, WRITE, SUBSCRIBE = 1, 2, 4
_ANYBODY = "\ue000"  # a name that stands for every name; no rule spells this private character
Pair = tuple[str, int]  # a topic, and 1, 2 or 4
_TABLES = ("mqtt_member", "mqtt_role_acl", "mqtt_own_acl")


class InvalidGoAuthRows(Invalid):
    """The text is no list of the plugin's rows."""

    code = "invalid-goauth-rows"


class Row(NamedTuple):
    """What a user, or everybody with these roles, may do: 1 read, 2 write, 4 subscribe."""

    whose: str
    topic: str
    rw: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GoAuthRows:
    """Which roles each user has, in one name; the rows of each such name; the rows of users' own."""

    members: Mapping[str, str]
    roles: frozenset[Row]
    own: frozenset[Row]


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The rows for these subjects, and what they can not express."""
    compiler = _Compiler()
    for subject in sorted(subjects, key=lambda subject: subject.principal.auth_id):
        compiler.take(subject)
    artifact = to_artifact(compiler.rows())
    return Rendering(artifact=artifact, deviations=compiler.deviations.all(), warnings=WARNINGS)


class _Compiler:
    """Takes subject by subject. What its roles give to just any name stands once; what else it has is its own."""

    def __init__(self) -> None:
        self.deviations = Deviations()
        self._members: dict[str, str] = {}
        self._roles: dict[str, frozenset[Pair]] = {}
        self._own: set[Row] = set()

    def take(self, subject: RenderSubject) -> None:
        """One more."""
        name = subject.principal.auth_id
        found = _pairs(policy.rights(subject, self.deviations, puts_in=True))
        roles = "+".join(sorted({bound.role_name for bound in subject.policy}))
        given = {(topic.replace("%u", name), rw) for topic, rw in self._of_anybody(roles, subject)}
        if given and given <= found:  # whatever the name holds: filled in, it is what the policy gives
            self._members[name] = roles
            found -= given
        self._own |= {Row(name, topic, rw) for topic, rw in found}

    def rows(self) -> GoAuthRows:
        """All that was taken."""
        named = set(self._members.values())
        roles = {Row(name, topic, rw) for name in named for topic, rw in self._roles[name]}
        return GoAuthRows(members=self._members, roles=frozenset(roles), own=frozenset(self._own))

    def _of_anybody(self, roles: str, subject: RenderSubject) -> frozenset[Pair]:
        """What the roles give to whoever has them, with %u; attributes and certificates count as missing."""
        if roles not in self._roles:
            principal = _anybody(domain=subject.principal.domain)
            pairs = _pairs(policy.rights(replace(subject, principal=principal), Deviations(), puts_in=True))
            self._roles[roles] = frozenset((topic.replace(_ANYBODY, "%u"), rw) for topic, rw in pairs)
        return self._roles[roles]


def _anybody(*, domain: str) -> Principal:
    return Principal(id="", auth_id=_ANYBODY, client_id=_ANYBODY, username=_ANYBODY, domain=domain)


def to_artifact(rows: GoAuthRows) -> str:
    """The rows as JSON, a line for each: same rows, same octets."""
    tables: tuple[Sequence[Sequence[str | int]], ...] = (
        sorted(rows.members.items()),
        sorted(rows.roles),
        sorted(rows.own),
    )
    return "{" + ",\n".join(map(_table, _TABLES, tables)) + "}\n"


_as_json = json.JSONEncoder(ensure_ascii=False).encode


def _table(name: str, rows: Iterable[Sequence[str | int]]) -> str:
    lines = ",\n".join(map(_as_json, rows))
    return f"{json.dumps(name)}: [\n{lines}\n]"


def parse(artifact: str) -> GoAuthRows:
    """The rows that `to_artifact` wrote. Raises InvalidGoAuthRows."""
    try:
        document = json.loads(artifact)
    except ValueError as error:
        raise InvalidGoAuthRows(f"The text is not JSON: {_WANTED}") from error
    if not isinstance(document, dict) or set(document) != set(_TABLES):
        raise InvalidGoAuthRows(f"The tables are not the plugin's: {_WANTED}")
    members, roles, own = (document[name] for name in _TABLES)
    if not all(isinstance(table, list) for table in (members, roles, own)):
        raise InvalidGoAuthRows(f"A table is no list: {_WANTED}")
    return GoAuthRows(members=dict(map(_member, members)), roles=_rows(roles), own=_rows(own))


_WANTED = f"write an object with lists of rows under {', '.join(_TABLES)}."


def _member(row: object) -> tuple[str, str]:
    match row:
        case [str(username), str(roles)]:
            return username, roles
    raise InvalidGoAuthRows("A member is a username and the name of its roles.")


def _rows(table: Iterable[object]) -> frozenset[Row]:
    return frozenset(map(_row, table))


def _row(row: object) -> Row:
    match row:
        case [str(whose), str(topic), int(rw)] if topic and rw in {READ, WRITE, SUBSCRIBE}:
            return Row(whose, topic, rw)
    raise InvalidGoAuthRows("A row is whose it is, a topic, and 1 (read), 2 (write) or 4 (subscribe).")


def _pairs(found: Rights) -> set[Pair]:
    kinds = ((found.read, READ), (found.write, WRITE), (found.subscribe, SUBSCRIBE))
    return {(topic, rw) for topics, rw in kinds for topic in topics}
