"""HiveMQ Enterprise through the SQL realm of its security extension, in PostgreSQL or MySQL.

HiveMQ reads permissions when somebody connects and judges no delivery again, so whoever loses something has to connect
anew: with the broker's REST API the session is ended, without it that is left to the device.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from threading import Event
from typing import ClassVar

from acl.core.values import Principal, Request
from brokers.adapters.hivemq_access_log import watch_log
from brokers.adapters.hivemq_realm import Tables, tables, why_taken
from brokers.adapters.hivemq_rest import close, session_ends
from brokers.adapters.policy_alone import PolicyAlone
from brokers.adapters.session_ends import SessionEnds
from brokers.adapters.writing import Latest, Refusals, paced
from brokers.core.api_path import has_path
from brokers.core.hivemq import ese_sql as hivemq_ese_sql
from brokers.core.hivemq.changes import RealmChange, changes, effect, emptied, ending
from brokers.core.hivemq.connection import HivemqConnection, SqlDialect, connection_errors
from brokers.core.hivemq.emulator import emulate_ese
from brokers.core.hivemq.ese_sql import FOLDS, folded, parse, to_artifact
from brokers.core.hivemq.permissions import Realm
from brokers.core.password_steps import SET, TAKE, password_steps
from brokers.core.password_texts import ese_text, fingerprints, texts_in
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, PasswordRoom, Rendering, Step
from brokers.core.taken_names import taken
from brokers.core.values import BrokerEvent, BrokerLink
from kernel.core.errors import Conflict, FieldError

_BATCH = 20


class HivemqEseAdapter(PolicyAlone):
    """Speaks to one cluster whose security extension reads one database.

    HiveMQ fetches CRLs from where its own configuration says; a page of its list of clients may miss who comes
    meanwhile, and each node tells who was let in and who was not in a log file of its own.
    """

    capabilities: ClassVar[Capabilities] = replace(hivemq_ese_sql.CAPABILITIES, passwords=PasswordRoom.ONE)

    def __init__(self, *, link: BrokerLink) -> None:
        self._link = link
        self._connection = HivemqConnection.of(link.connection)
        self._has_passwords = link.broker.takes_passwords is not None
        self._compile = Latest(_compiled)
        self._folds = self._connection.dialect is SqlDialect.MYSQL

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def _closes_sessions(self) -> bool:
        return self._connection.rest is not None

    def render(self, desired: DesiredState) -> Rendering:
        """The rows of the realm."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """Our accounts and roles there. The database does not say which version reads it."""
        with tables(self._connection) as realm:
            found, foreign = realm.realm(only=only)
            if self._connection.dialect is SqlDialect.MYSQL:
                self._folds = realm.folds()
            passwords = fingerprints(realm.passwords(found.users) if self._has_passwords else {})
        return AppliedState(artifact=to_artifact(found), only=only, foreign=foreign, passwords=passwords)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """Accounts and roles that differ. A device whose name is taken gets no account; one of ours goes."""
        wanted, present = self._compile(desired)[0], _parsed(applied)
        refused = self._taken(wanted, present, applied.foreign, whole=desired.only is None)
        users = {name: account for name, account in wanted.users.items() if name not in refused}
        clients = {subject.principal.auth_id: subject.principal.client_id for subject in desired.subjects}
        found = changes(replace(wanted, users=users), present, whole=desired.only is None)
        passwords = {name: text for name, text in texts_in(desired, ese_text).items() if name in users}
        held = {name: text for name, text in applied.passwords.items() if name in users}
        steps = [_step(change, client_id=clients.get(change.name, change.name)) for change in found]
        steps += password_steps(passwords, held)
        steps.sort(key=lambda step: step.kind != TAKE)
        return (*steps, *(taken(name, why_taken(name, by)) for name, by in sorted(refused.items())))

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters; a warning where the database takes one name for another."""
        found = effect(_parsed(applied), self._compile(desired)[0])
        return replace(found, warnings=(*found.warnings, FOLDS)) if self._folds else found

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Each in a transaction of its own; the session of who loses something ends behind it.

        What can not be made of one keeps no other from being made. Raises AccountTaken, TextNotKept, SessionNotClosed.
        """
        ends = session_ends(self._connection.rest)
        with tables(self._connection) as realm, Refusals() as refusals:
            for step in paced(steps, between, every=_BATCH):
                with refusals.aside():
                    if step.kind in {SET, TAKE}:
                        realm.set_password(step.target, step.payload)
                    else:
                        _make(realm, *_change(step), ends)

    def disconnect(self, principal: Principal) -> int | None:
        """Ends the session of the client id, without its will; None without a REST API."""
        return close(self._connection.rest, principal.client_id)

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether HiveMQ would let it pass."""
        return emulate_ese(parse(rendering.artifact), principal, request)

    def watch(self, stop: Event) -> Iterator[BrokerEvent | None]:
        """What the nodes write into their access logs, where those are shared with us."""
        return watch_log(self._link, stop)

    def _taken(self, wanted: Realm, present: Realm, foreign: frozenset[str], *, whole: bool) -> dict[str, str]:
        """By wanted name the account that has it, or one that the database takes for it, and stays."""
        found = {name: name for name in foreign & wanted.users.keys()}
        if not self._folds:
            return found
        staying = foreign | (present.users.keys() & wanted.users.keys() if whole else present.users.keys())
        names = {folded(each): each for each in sorted(staying)}
        new = wanted.users.keys() - staying  # who has an account is told apart from all others
        return found | {name: names[folded(name)] for name in new if folded(name) in names}


def _make(realm: Tables, change: RealmChange, client_id: str, ends: SessionEnds | None) -> None:
    """Makes the change; the session of an account that loses something ends before the account is as it stays."""
    with Refusals() as refusals:
        if ends is not None and change.ends and change.role is None and has_path(client_id):
            with refusals.aside():
                _write(realm, replace(change, account=ending(change.account)), ends)
            ends.end(client_id)
        _write(realm, change, ends)


def _write(realm: Tables, change: RealmChange, ends: SessionEnds | None) -> None:
    """Writes it. What should be lost is lost, though what should be held can not be written."""
    try:
        realm.make(change, marks=ends is not None)
    except Conflict:
        if change.ends:
            realm.make(emptied(change), marks=ends is not None)
        raise


def _compiled(desired: DesiredState) -> tuple[Realm, Rendering]:
    rendering = hivemq_ese_sql.render(desired.subjects)
    return parse(rendering.artifact), replace(rendering, passwords=fingerprints(texts_in(desired, ese_text)))


def _parsed(applied: AppliedState) -> Realm:
    return parse(applied.artifact) if applied.artifact else Realm()


def _step(change: RealmChange, *, client_id: str) -> Step:
    users = {} if change.account is None else {change.name: change.account}
    roles = {change.name: change.role} if change.role is not None else {}
    document = to_artifact(Realm(users=users, roles=roles))
    payload = json.dumps({"realm": document, "ends": change.ends, "client_id": client_id})
    return Step(kind=change.kind, target=change.name, summary=change.summary, payload=payload)


def _change(step: Step) -> tuple[RealmChange, str]:
    """The change, and the client id whose session ends with it."""
    kept = json.loads(step.payload)
    realm = parse(kept["realm"])
    change = RealmChange(
        kind=step.kind,
        name=step.target,
        summary=step.summary,
        account=realm.users.get(step.target),
        role=realm.roles.get(step.target),
        ends=kept["ends"],
    )
    return change, kept["client_id"]
