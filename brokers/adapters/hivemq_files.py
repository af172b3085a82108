"""HiveMQ by its files: file RBAC of the Community Edition, and the file realm of the Enterprise Security Extension.

HiveMQ reads a file again after a while, takes permissions when somebody connects and judges no delivery again. So what
is taken away is gone at the next connect behind the next reading; with Enterprise's REST API sessions are ended.
Passwords that stand in the file stay there, but for those of who is barred; unless they are kept here, for file RBAC.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import ClassVar

from acl.core.values import Principal, Request
from brokers.adapters.hivemq_access_log import watch_log
from brokers.adapters.hivemq_rest import close, session_ends
from brokers.adapters.policy_alone import PolicyAlone
from brokers.adapters.shared_folder import DatedFolder
from brokers.adapters.writing import Latest, Refusals, paced
from brokers.conf import files_root
from brokers.core.api_path import has_path
from brokers.core.hivemq import ce_file as hivemq_ce_file
from brokers.core.hivemq import ese_file as hivemq_ese_file
from brokers.core.hivemq.ce_file import as_taken, without_nobody
from brokers.core.hivemq.changes import ENDING_ROLE, RealmChange, changes, effect, ending
from brokers.core.hivemq.connection import file_connection_errors, rest_of
from brokers.core.hivemq.emulator import emulate_ese, emulate_rbac
from brokers.core.hivemq.permissions import NOTHING, Account, Permission, Realm
from brokers.core.hivemq.policy import NOTHING_ROLE
from brokers.core.hivemq.xml import InvalidXml
from brokers.core.password_steps import SET, TAKE, password_steps
from brokers.core.password_texts import fingerprints, hivemq_rbac, texts_in
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, PasswordRoom, Rendering, Standing, Step
from brokers.core.values import BrokerEvent, BrokerLink
from kernel.core.errors import FieldError

_CHANGED = "<!-- Something in it is none of what Gatehouse writes. -->\n"
_BATCH = 20
_READ_SECONDS = 30.0  # HiveMQ has surely read the file by then, if it was just reading
_HIDDEN = "***"  # in place of a password that stands in the file


@dataclass(slots=True, kw_only=True)
class _File:
    """What is to be written, and by account the client ids whose sessions end."""

    users: dict[str, Account]
    roles: dict[str, frozenset[Permission]]
    ends: dict[str, str] = field(default_factory=dict)

    def with_marks(self) -> Realm:
        """The same, with a mark on each account whose session is still to end; one that goes stays for that long."""
        marked = {name: ending(self.users.get(name)) for name in self.ends}
        marks = {NOTHING_ROLE: frozenset({NOTHING}), ENDING_ROLE: frozenset({NOTHING})}
        return Realm(users=self.users | marked, roles=self.roles | marks)


class HivemqCeFileAdapter(PolicyAlone):
    """Writes `credentials.xml`; nobody can close a client from outside."""

    capabilities: ClassVar[Capabilities] = replace(hivemq_ce_file.CAPABILITIES, passwords=PasswordRoom.ONE)
    file_name: ClassVar[str] = "credentials.xml"
    is_enterprise: ClassVar[bool] = False
    _render = staticmethod(hivemq_ce_file.render)
    _parse = staticmethod(hivemq_ce_file.parse)
    _read = staticmethod(hivemq_ce_file.read)
    _to_text = staticmethod(hivemq_ce_file.to_artifact)

    def __init__(self, *, link: BrokerLink) -> None:
        self._link = link
        self._name: str = link.connection["files"]["directory"]
        self._rest = rest_of(link.connection)
        room = self.capabilities.passwords is not PasswordRoom.NONE
        self._keeps_passwords = room and link.broker.takes_passwords is not None
        self._compile = Latest(self._compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return file_connection_errors(connection, more=cls.is_enterprise)

    def _closes_sessions(self) -> bool:
        return self._rest is not None

    def render(self, desired: DesiredState) -> Rendering:
        """The file, without passwords."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """What stands in the file, without passwords. Who wrote it does not matter: all of it is ours.

        What we wrote a while ago is dated anew, once: HiveMQ may have missed it.
        """
        self._folder().date_anew(self.file_name, after=_READ_SECONDS)
        realm, understood = self._realm()
        users = {
            name: replace(account, password=account.password and _HIDDEN)
            for name, account in realm.users.items()
            if only is None or name in only
        }
        known = "" if understood else _CHANGED
        texts = {name: realm.users[name].password for name in users} if self._keeps_passwords else {}
        passwords = fingerprints({name: text for name, text in texts.items() if text})
        artifact = known + self._to_text(replace(realm, users=users))
        return AppliedState(artifact=artifact, only=only, passwords=passwords)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """Accounts and roles that differ."""
        found = changes(self._compile(desired)[0], self._held(applied), whole=desired.only is None)
        clients = {subject.principal.auth_id: subject.principal.client_id for subject in desired.subjects}
        steps = [self._step(change, client_id=clients.get(change.name, change.name)) for change in found]
        steps += password_steps(self._passwords(desired), applied.passwords)
        if not applied.artifact or applied.artifact.startswith(_CHANGED):
            summary = "Take out what Gatehouse does not write."
            steps.append(Step(kind="write-file", target=self.file_name, summary=summary))
        return tuple(steps)

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters."""
        return effect(self._held(applied), self._compile(desired)[0])

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Writes the file once; with the REST API once more, when the sessions of who loses something have ended.

        Raises SessionNotClosed; the mark of that account stays in the file.
        """
        between()
        if not steps:
            return
        realm, _ = self._realm()
        file = _File(users=dict(realm.users), roles={**realm.roles})
        for step in steps:
            self._take(step, file)
        file.roles.pop(ENDING_ROLE, None)
        ends = session_ends(self._rest)
        if ends is None or not file.ends:
            self._write(Realm(users=file.users, roles=file.roles))
            return
        self._write(file.with_marks())
        with Refusals() as refusals:
            for name, client_id in paced(sorted(file.ends.items()), between, every=_BATCH):
                with refusals.aside():
                    ends.end(client_id)
                    del file.ends[name]
            between()  # whoever wrote meanwhile knew of the marks
            self._write(file.with_marks() if file.ends else Realm(users=file.users, roles=file.roles))

    def disconnect(self, principal: Principal) -> int | None:
        """Ends the session of the client id, without its will; None without a REST API."""
        return close(self._rest, principal.client_id)

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether HiveMQ would let it pass."""
        return emulate_rbac(self._parse(rendering.artifact), principal, request)

    def watch(self, stop: Event) -> Iterator[BrokerEvent | None]:
        """What the nodes write into their access logs, where those are shared with us."""
        return watch_log(self._link, stop)

    def _compiled(self, desired: DesiredState) -> tuple[Realm, Rendering]:
        rendering = self._render(desired.subjects)
        realm = without_nobody(self._parse(rendering.artifact))
        barred = {subject.principal.auth_id for subject in desired.subjects if subject.state is Standing.BARRED}
        users = {name: replace(account, barred=name in barred) for name, account in realm.users.items()}
        return replace(realm, users=users), replace(rendering, passwords=fingerprints(self._passwords(desired)))

    def _passwords(self, desired: DesiredState) -> Mapping[str, str]:
        return texts_in(desired, hivemq_rbac) if self._keeps_passwords else {}

    def _held(self, applied: AppliedState) -> Realm:
        """What is there; who has no password may as well be barred."""
        text = applied.artifact.removeprefix(_CHANGED)
        realm = without_nobody(self._read(text).realm if text else Realm())
        users = {name: replace(account, barred=account.password is None) for name, account in realm.users.items()}
        return replace(realm, users=users)

    def _step(self, change: RealmChange, *, client_id: str) -> Step:
        roles = {} if change.role is None else {change.name: change.role}
        users = {} if change.account is None else {change.name: change.account}
        payload = {
            "realm": self._to_text(Realm(users=users, roles=roles)),
            "barred": change.account is not None and change.account.barred,
            "ends": client_id if change.ends and change.role is None else "",
        }
        return Step(kind=change.kind, target=change.name, summary=change.summary, payload=json.dumps(payload))

    def _take(self, step: Step, file: _File) -> None:
        """Makes one change in what is to be written. A password that is there stays, unless the account is barred."""
        if step.kind == "write-file":
            return
        if step.kind in (SET, TAKE):
            if step.target in file.users:
                text = step.payload if step.kind == SET else None
                file.users[step.target] = replace(file.users[step.target], password=text)
            return
        kept = json.loads(step.payload)
        realm = self._parse(kept["realm"])
        if step.target in realm.users:
            before = file.users.get(step.target, Account())
            password = None if kept["barred"] else before.password
            file.users[step.target] = replace(realm.users[step.target], password=password)
        elif step.kind == "delete-user":
            file.users.pop(step.target, None)
        elif step.kind == "delete-role":
            file.roles.pop(step.target, None)
        for role, held in realm.roles.items():
            if file.roles.get(role, frozenset()) - held:  # whoever has it loses something, named by the plan or not
                having = (name for name, account in file.users.items() if role in account.roles)
                file.ends.update({name: file.ends.get(name, name) for name in having})
            file.roles[role] = held
        if has_path(kept["ends"]):
            file.ends[step.target] = kept["ends"]

    def _realm(self) -> tuple[Realm, bool]:
        """What stands in the file as far as it is understood, and whether all of it is."""
        try:
            reading = self._read(self._folder().text(self.file_name))
        except InvalidXml:
            return Realm(), False
        return reading.realm, not reading.remarks

    def _write(self, realm: Realm) -> None:
        folder = self._folder()
        folder.replace(self.file_name, self._to_text(self._taken(realm)))
        folder.note_written(self.file_name)

    def _folder(self) -> DatedFolder:
        return DatedFolder(root=files_root(), name=self._name)

    @staticmethod
    def _taken(realm: Realm) -> Realm:
        """The realm as HiveMQ takes it."""
        return as_taken(realm)


class HivemqEseFileAdapter(HivemqCeFileAdapter):
    """Writes `ese-file-realm.xml`, and ends sessions where the REST API is."""

    capabilities: ClassVar[Capabilities] = hivemq_ese_file.CAPABILITIES
    file_name: ClassVar[str] = "ese-file-realm.xml"
    is_enterprise: ClassVar[bool] = True
    _render = staticmethod(hivemq_ese_file.render)
    _parse = staticmethod(hivemq_ese_file.parse)
    _read = staticmethod(hivemq_ese_file.read)
    _to_text = staticmethod(hivemq_ese_file.to_artifact)

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether HiveMQ would let it pass."""
        return emulate_ese(self._parse(rendering.artifact), principal, request)

    @staticmethod
    def _taken(realm: Realm) -> Realm:
        return realm
