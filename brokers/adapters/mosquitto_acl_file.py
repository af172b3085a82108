"""A Mosquitto on the same machine by its ACL file and a signal: no plugin, no account, no connection.

Everything is judged again when the file is read, deliveries too; sessions are not closed, since nothing can close them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from acl.core.values import Action, Principal, Request
from brokers.adapters.mosquitto_files import MosquittoFolder
from brokers.adapters.mosquitto_passwords import MosquittoPasswords
from brokers.adapters.mosquitto_reload import seen_in_file
from brokers.adapters.policy_alone import PolicyAlone
from brokers.adapters.writing import Latest
from brokers.conf import files_root
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.mosquitto import acl as mosquitto_acl
from brokers.core.mosquitto.acl_emulator import emulate
from brokers.core.mosquitto.acl_file import Access, AclFile, AclLine, InvalidAclFile, parse, to_text
from brokers.core.mosquitto.conf import ACL_FILE
from brokers.core.mosquitto.connection import files_errors
from brokers.core.password_texts import fingerprints
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, PasswordRoom, Rendering, Step
from brokers.core.registration import unknown_member_errors
from brokers.core.values import BrokerLink
from kernel.core.errors import FieldError

_UNREAD = "# Mosquitto was not yet told to read this.\n"
_ACCESS = {Action.PUBLISH: Access.WRITE, Action.SUBSCRIBE: Access.READ}


class MosquittoAclFileAdapter(PolicyAlone):
    """Writes one file, and one of passwords, in the folder that it shares with one Mosquitto."""

    capabilities: ClassVar[Capabilities] = replace(mosquitto_acl.CAPABILITIES, passwords=PasswordRoom.ONE)

    def __init__(self, *, link: BrokerLink) -> None:
        self._name: str = link.connection["files"]["directory"]
        self._passwords = MosquittoPasswords(None if link.broker.takes_passwords is None else self._name)
        self._compile = Latest(self._compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection: it is `{"files": {"directory"}}` and nothing else."""
        if not isinstance(connection, Mapping) or connection.get("files") is None:
            detail = 'Give {"files": {"directory": "<name>"}}: a folder in GATEHOUSE_HOME/brokers.'
            return [FieldError(pointer="/connection", code="invalid-connection", detail=detail)]
        unknown = unknown_member_errors(connection, ("files",), pointer="/connection")
        return [*unknown, *files_errors(connection["files"])]

    def render(self, desired: DesiredState) -> Rendering:
        """The file."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """What stands in the file. Who wrote it does not matter: all of it is ours."""
        found = self._file()
        if only is not None:
            found = AclFile(users={name: lines for name, lines in found.users.items() if name in only})
        known = "" if self._folder().is_told(ACL_FILE) else _UNREAD
        return AppliedState(artifact=known + to_text(found), only=only, passwords=self._passwords.read(only=only))

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """The sections that differ; what stands outside of them goes."""
        wanted, present = self._compile(desired)[0], parse(applied.artifact)
        names = {name for name in (*wanted.users, *present.users) if name is not None}
        steps = [
            _step(name, wanted.users.get(name, ()))
            for name in sorted(names)
            if set(wanted.users.get(name, ())) != set(present.users.get(name, ()))
        ]
        if desired.only is None and (present.patterns or present.users.get(None)):
            summary = "Take out what is not about a device."
            steps.append(Step(kind="delete-others", target=ACL_FILE, summary=summary))
        if applied.artifact.startswith(_UNREAD):
            steps.append(Step(kind="read-file", target=ACL_FILE, summary="Have Mosquitto read the file."))
        return (*steps, *self._passwords.plan(desired, applied.passwords))

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters."""
        after, before = self._compile(desired)[0], parse(applied.artifact)
        names = {name for name in (*after.users, *before.users) if name is not None}
        return effects.effect(names, partial(_flow, before), partial(_flow, after))

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Writes each file once, and has Mosquitto read it."""
        between()
        if others := self._passwords.take(steps):
            self._write(others)
        self._passwords.give(steps)

    def _write(self, steps: Sequence[Step]) -> None:
        file = self._file()
        users = dict(file.users)
        for step in steps:
            match step.kind:
                case "set-user":
                    users[step.target] = _lines(json.loads(step.payload))
                case "delete-user":
                    users.pop(step.target, None)
                case "delete-others":
                    users.pop(None, None)
                    file = AclFile(users=users)
        self._folder().put(ACL_FILE, to_text(AclFile(users=users, patterns=file.patterns)))

    def disconnect(self, principal: Principal) -> None:
        """None: Mosquitto without a plugin closes no session for anybody."""
        del principal

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether Mosquitto would let it pass."""
        return emulate(parse(rendering.artifact), principal, request)

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Writes CRL and CA file of the folder, and has Mosquitto read the CRLs. Raises CrlNotLoaded."""
        folder = self._folder()
        return seen_in_file(folder, partial(folder.publish_crl, pem, trust=trust))

    def _compiled(self, desired: DesiredState) -> tuple[AclFile, Rendering]:
        rendering = mosquitto_acl.render(desired.subjects)
        passwords = fingerprints(self._passwords.wanted(desired))
        return parse(rendering.artifact), replace(rendering, passwords=passwords)

    def _folder(self) -> MosquittoFolder:
        return MosquittoFolder(root=files_root(), name=self._name)

    def _file(self) -> AclFile:
        """What stands in the file; nothing if there is none, or one that Mosquitto would not read either."""
        try:
            return parse(self._folder().text(ACL_FILE))
        except InvalidAclFile:
            return AclFile()


def _flow(file: AclFile, name: str, action: Action) -> Flow:
    lines = file.users.get(name, ())
    return Flow(
        allows=frozenset(line.topic for line in lines if line.access.grants(_ACCESS[action])),
        denies=frozenset(line.topic for line in lines if line.access is Access.DENY),
    )


def _step(name: str, lines: Sequence[AclLine]) -> Step:
    kind, summary = ("set-user", f"What {name} may do.") if lines else ("delete-user", f"Take out {name}.")
    payload: list[list[str]] = [[line.access.value, line.topic] for line in lines]
    return Step(kind=kind, target=name, summary=summary, payload=json.dumps(payload))


def _lines(rows: list[Any]) -> tuple[AclLine, ...]:
    return tuple(AclLine(access=Access(access), topic=topic) for access, topic in rows)
