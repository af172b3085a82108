"""A NATS server that has its users in its own configuration: a file that it includes, and a reload over $SYS.

Whoever is no user any more is closed by the reload, and who loses a permission is not brought any more what it
subscribed to; nobody has to connect anew. One server, no cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Event
from typing import ClassVar

from acl.core.values import Action, Principal, Request
from brokers.adapters.nats_feed import hear, present_event
from brokers.adapters.nats_system import (
    Connections,
    close_connections,
    configuration_digest,
    in_time,
    list_connections,
    reload,
    system,
)
from brokers.adapters.shared_folder import SharedFolder
from brokers.adapters.writing import Latest
from brokers.conf import files_root
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.nats import emulator as nats_emulator
from brokers.core.nats import policy as nats
from brokers.core.nats import users as nats_users
from brokers.core.nats.files_connection import NatsFilesConnection, connection_errors
from brokers.core.nats.policy import NatsPermissions
from brokers.core.nats.version import refuse_leaky
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, Rendering, Step
from brokers.core.values import BrokerEvent, BrokerLink, FeedItem
from kernel.core.errors import Conflict, FieldError

FILE = "users.conf"
_TOLD = f"{FILE}.told"  # which writing of the file the server read, and the digest of its configuration then
_UNREAD = "# Somebody changed this or the server's own configuration, or it was not yet told to read it.\n"
_NOBODY = "-"

Users = Mapping[str, NatsPermissions]


class ConfigurationRefused(Conflict):
    """The server would not read its configuration, and goes on with the old one; or our file is no part of it."""

    code = "nats-configuration-refused"


class NatsFilesAdapter:
    """Writes one file, in the folder that it shares with one server."""

    capabilities: ClassVar[Capabilities] = nats_users.CAPABILITIES

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = NatsFilesConnection.of(link.connection)
        self._compile = Latest(_compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def capabilities_here(self) -> Capabilities:
        """Those of its kind."""
        return self.capabilities

    def render(self, desired: DesiredState) -> Rendering:
        """The users' permissions."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """What stands in the file. Who wrote it does not matter: all of it is ours.

        Devices that are connected as users of other files are foreign. Without the file the server would not start:
        one that is gone is made anew, with nobody in it.
        """
        folder = self._folder()
        if not folder.written(FILE):
            folder.replace(FILE, self._text({}))
        listed, digest = in_time(self._look(user="" if only is None else _NOBODY))
        users = self._users(folder.text(FILE))
        found = {name: granted for name, granted in users.items() if only is None or name in only}
        return AppliedState(
            artifact=("" if self._is_read(digest) else _UNREAD) + nats.to_artifact(found),
            version=listed.version,
            only=only,
            foreign=frozenset(map(self._auth_id, _names(listed))).difference(users),
        )

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """Users that differ. Raises LeakyNats."""
        if desired.only is None:  # whoever is thrown out is so whatever the server is
            refuse_leaky(applied.version)
        wanted, present = self._compile(desired)[0], _held(applied)
        steps = [
            _step(name, wanted.get(name))
            for name in sorted(wanted.keys() | present.keys())
            if wanted.get(name) != present.get(name)
        ]
        if not applied.artifact or applied.artifact.startswith(_UNREAD):
            summary = "The file or the server's configuration was changed: have it read the file, as it should be."
            steps.append(Step(kind="read-file", target=FILE, summary=summary))
        return tuple(steps)

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters."""
        after, before = self._compile(desired)[0], _held(applied)
        return effects.effect({*after, *before}, partial(_flow, before), partial(_flow, after))

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Writes the file, and has the server read it. Raises ConfigurationRefused.

        Whoever goes may nothing before that, since the reload that closes it publishes its will.
        """
        between()
        users = dict(self._users(self._folder().text(FILE)))
        for step in steps:
            if step.kind == "set-user":
                users |= nats.parse(step.payload)
        gone = {step.target for step in steps if step.kind == "delete-user"} & users.keys()
        if gone:
            self._put(users | dict.fromkeys(gone, nats.NOTHING))
        self._put({name: granted for name, granted in users.items() if name not in gone})

    def _put(self, users: Users) -> None:
        """If it is not known what the server reads, the file is spelled otherwise first: that has to be noticed."""
        folder, text = self._folder(), self._text(users)
        _, before = in_time(self._look(user=_NOBODY))
        if not self._is_read(before):
            _, before = self._write(nats_users.respelled(text))
        differs = folder.text(FILE) != text
        written, after = self._write(text)
        if differs and after and after == before:
            folder.replace(_TOLD, "")
            account = self._connection.system.account
            raise ConfigurationRefused(f"The NATS server does not read {FILE}: include it in its account {account}.")
        folder.replace(_TOLD, _mark(written, after))

    def _write(self, text: str) -> tuple[str, str]:
        """Which writing of the file the server was told to read, and the digest of all that it read."""
        folder = self._folder()
        folder.replace(FILE, text)
        written = folder.written(FILE)
        fault, digest = in_time(self._reload())
        if fault:
            raise ConfigurationRefused(f"The NATS server refuses its configuration: {fault[:300]} Put that right.")
        return written, digest

    def _is_read(self, digest: str) -> bool:
        """Whether the file is as we wrote it, and the server's configuration as when it was told to read it."""
        folder = self._folder()
        text = folder.text(FILE)
        return folder.text(_TOLD) == _mark(folder.written(FILE), digest) and text == self._text(self._users(text))

    def disconnect(self, principal: Principal) -> int:
        """Closes what is left of the user; -1 if that was nothing, since the reload may have closed it before."""
        user = self._connection.subject.replace(nats_users.NAME, principal.auth_id)
        return close_connections(self._connection.system, user=user)

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether the server would allow the request."""
        granted = nats.parse(rendering.artifact.removeprefix(_UNREAD)).get(principal.auth_id, nats.NOTHING)
        return nats_emulator.emulate(granted, request)

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Nothing: NATS takes no CRLs."""
        del pem, trust
        return ""

    def present(self) -> Sequence[BrokerEvent]:
        """Every connection there is now."""
        listed, _ = in_time(self._look())
        return [self._named(present_event(each)) for each in listed.connections]

    def watch(self, stop: Event) -> Iterator[FeedItem]:
        """Connects, ends and refusals; None when nothing happens."""
        for event in hear(self._connection.system, stop):
            yield self._named(event) if isinstance(event, BrokerEvent) else event

    def _named(self, event: BrokerEvent) -> BrokerEvent:
        return replace(event, auth_id=self._auth_id(event.auth_id))

    def _auth_id(self, user: str) -> str:
        return nats_users.auth_id_of(user, subject=self._connection.subject)

    async def _look(self, *, user: str = "") -> tuple[Connections, str]:
        """Who is connected, and the digest of what the server has read."""
        async with system(self._connection.system) as client:
            listed = await list_connections(client, account=self._connection.system.account, user=user)
            return listed, await configuration_digest(client)

    async def _reload(self) -> tuple[str, str]:
        """Why the server would not read its configuration anew, and the digest of what it has read."""
        async with system(self._connection.system) as client:
            listed = await list_connections(client, account=self._connection.system.account, user=_NOBODY)
            fault = await reload(client, server=listed.server)
            return fault, await configuration_digest(client)

    def _text(self, users: Users) -> str:
        return nats_users.to_conf(users, subject=self._connection.subject)

    def _users(self, text: str) -> Users:
        return nats_users.parse_conf(text, subject=self._connection.subject)

    def _folder(self) -> SharedFolder:
        return SharedFolder(root=files_root(), name=self._connection.directory)


def _compiled(desired: DesiredState) -> tuple[Users, Rendering]:
    rendering = nats_users.render(desired.subjects)
    return nats.parse(rendering.artifact), rendering


def _mark(written: str, digest: str) -> str:
    return f"{written} {digest}"


def _names(listed: Connections) -> Iterator[str]:
    return (str(each.get("authorized_user", "")) for each in listed.connections)


def _held(applied: AppliedState) -> Users:
    """A comment is no JSON."""
    text = applied.artifact.removeprefix(_UNREAD)
    return nats.parse(text) if text else {}


def _flow(users: Users, name: str, action: Action) -> Flow:
    return nats_users.flow(users[name], action) if name in users else Flow()


def _step(name: str, granted: NatsPermissions | None) -> Step:
    if granted is None:
        return Step(kind="delete-user", target=name, summary=f"Take out {name}.")
    return Step(kind="set-user", target=name, summary=f"What {name} may do.", payload=nats.to_artifact({name: granted}))
