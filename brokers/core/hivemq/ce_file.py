"""Policy for HiveMQ's Community Edition with the file RBAC extension, as its `credentials.xml`.

The account proves itself by a password alone, whatever certificate it has; its client id is its own choice, so topics
take the username and never the client id. `render` writes a password that nobody has for each account: an adapter puts
the hashes in with `with_passwords`. An account that is barred is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from brokers.core.hivemq import file, policy
from brokers.core.hivemq.dialect import Dialect
from brokers.core.hivemq.file import Reading
from brokers.core.hivemq.file_writing import Layout, write
from brokers.core.hivemq.permissions import Account, Realm
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject
from brokers.core.rendering import Deviations

USERNAME = "${{username}}"
NO_PASSWORD = "bm9uZQ==:1:bm9uZQ=="  # noqa: S105 - a hash of 4 octets, which no password has
NOBODY = f"{policy.OURS}nobody"
_KEPT = (
    "Who loses a permission, or is barred, keeps all of it for as long as it stays connected, and what it subscribed "
    "to for as long as its session is kept: nobody can close a client from outside. At the next connect the loss holds "
    "if the file was read by then (each 60 s, credentials-reload-interval); results of hashing are kept 30 s."
)
_ELSEWHERE = (
    "With next-extension-instead-of-fail a login that is refused here is left to the next extension, and listeners "
    "that listener-names leaves out are not judged: keep the first false, and let the other name none or all of them."
)
_LIMITS = (
    *((limit.kind, limit.why) for limit in policy.LIMITS),
    (DeviationKind.WIDER, _KEPT),
    (DeviationKind.WIDER, _ELSEWHERE),
    (DeviationKind.NARROWER, "Accounts and client ids with + or # are refused at connect."),
)
CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    placeholders=frozenset({"auth_id", "username"}),
    qos_conditions=True,
    retain_conditions=True,
    version="2026.5",
    limits=_LIMITS,
)
_LAYOUT = Layout(
    root="file-rbac",
    head="<file-rbac>",
    section="",
    reference="id",
    personal=False,
    no_password=NO_PASSWORD,
)
_DIALECT = Dialect(variable=USERNAME, in_parts=True, personal=False, keeps_barred=False, wildcard_names=False)


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The file for these subjects, and what it can not express."""
    deviations = Deviations()
    realm = as_taken(policy.realm_of(subjects, _DIALECT, deviations))
    return Rendering(artifact=to_artifact(realm), deviations=deviations.all())


def as_taken(realm: Realm) -> Realm:
    """The realm with an account for nobody if it has none, and without passwords that are no hash.

    The extension would refuse the whole file, and go on with the old one.
    """
    users = {
        name: account if _is_hash(account.password or NO_PASSWORD) else replace(account, password=None)
        for name, account in without_nobody(realm).users.items()
    }
    return replace(realm, users=users or {NOBODY: Account(roles=(policy.NOTHING_ROLE,))})


def without_nobody(realm: Realm) -> Realm:
    """The realm of somebody's accounts alone."""
    return replace(realm, users={name: account for name, account in realm.users.items() if name != NOBODY})


def to_artifact(realm: Realm) -> str:
    """The file: same realm, same octets."""
    return write(realm, _LAYOUT)


def parse(artifact: str) -> Realm:
    """What the file says. Raises InvalidXml, or InvalidRealmFile for anything in it that is not understood."""
    return file.parse(artifact, _LAYOUT)


def read(text: str) -> Reading:
    """What a file says as far as it is understood, with lines. Raises InvalidXml, InvalidRealmFile."""
    return file.read(text, _LAYOUT)


def faults_of(realm: Realm) -> Iterator[str]:
    """Why the extension would refuse the file and go on with the one before (its `ConfigCredentialsValidator`)."""
    if not realm.users or not realm.roles:
        yield "There is no account, or no role."
    for role in sorted(realm.roles):
        if not realm.roles[role]:
            yield f"The role {role:.64} has no permission."
    for name, account in sorted(realm.users.items()):
        if not account.roles:
            yield f"The account {name:.64} has no role."
        if unknown := [role for role in account.roles if role not in realm.roles]:
            yield f"The account {name:.64} has the role {unknown[0]:.64}, which is not there."
        if not _is_hash(account.password or NO_PASSWORD):
            yield f"The account {name:.64} has a password that is no hash."


def _is_hash(password: str) -> bool:
    """Salt, iterations and hash, none of them empty."""
    parts = password.split(":")
    return len(parts) == 3 and all(parts)
