"""Mosquitto through its dynamic security plugin.

Devices prove themselves by certificate there, so `disableClient` alone shuts nobody out: a barred device has a role of
top priority that denies everything, and its certificate is in the CRL file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Event
from typing import ClassVar

from acl.core.values import Principal, Request
from brokers.adapters.mosquitto_control import control
from brokers.adapters.mosquitto_dynsec_reading import asking, needed, notes_on, read_part, read_whole
from brokers.adapters.mosquitto_files import MosquittoFolder
from brokers.adapters.mosquitto_passwords import MosquittoPasswords
from brokers.adapters.mosquitto_reload import seen_reading
from brokers.adapters.mosquitto_watch import watch
from brokers.conf import files_root
from brokers.core.mosquitto.connection import MosquittoConnection, connection_errors
from brokers.core.mosquitto.dynsec import LIMITS, desired_state
from brokers.core.mosquitto.dynsec_changes import Command, changes
from brokers.core.mosquitto.dynsec_effect import effect
from brokers.core.mosquitto.dynsec_emulator import emulate
from brokers.core.mosquitto.dynsec_first_file import first_file_hint
from brokers.core.mosquitto.dynsec_state import (
    OURS,
    DynsecState,
    parse,
    to_artifact,
)
from brokers.core.mosquitto.version import version_note
from brokers.core.password_texts import fingerprints
from brokers.core.ports import (
    AppliedState,
    BrokerUnreachable,
    Capabilities,
    DesiredState,
    Effect,
    PasswordRoom,
    Rendering,
    Step,
)
from brokers.core.rendering import Deviations
from brokers.core.values import BrokerLink, FeedItem
from kernel.core.errors import Conflict, FieldError
from kernel.core.garbage import collection_paused

_BATCH_SECONDS = 0.05  # a batch of writes holds the broker's only thread
_MOST_AT_ONCE = 20
_NO_GROUP = f"{OURS}nobody"


class ControlAccountTaken(Conflict):
    """A device is called like the account that Gatehouse controls the broker with."""

    code = "control-account-taken"


class PasswordsNotInForce(Conflict):
    """The plugin has done its part, and the password file is not written, or Mosquitto was not told to read it."""

    code = "passwords-not-in-force"


class MosquittoDynsecAdapter:
    """Speaks to one Mosquitto 2.0.x or newer."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        stores_policy=True,
        protocol_versions=("3.1.1", "5"),
        limits=tuple((limit.kind, limit.why) for limit in LIMITS),
        passwords=PasswordRoom.ONE,
        certificate_lag=timedelta(seconds=100),  # after 95 s it hangs up on who has shaken hands and said nothing
    )

    def __init__(self, *, link: BrokerLink) -> None:
        self._name = link.broker.name
        self._connection = MosquittoConnection.of(link.connection)
        directory = self._connection.directory
        self._passwords = MosquittoPasswords(
            None if link.broker.takes_passwords is None else directory, control=self._connection.username
        )
        self._lacks_folder = bool(link.broker.takes_passwords) and directory is None
        self._compiled: tuple[DesiredState, DynsecState, Rendering] | None = None
        self._read: tuple[str, DynsecState] | None = None  # what was read last, as text and as values

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def capabilities_here(self) -> Capabilities:
        """Those of its kind; without a folder that it shares it has its CRLs from elsewhere."""
        here = self.capabilities
        return here if self._connection.directory is not None else replace(here, certificate_lag=None)

    def render(self, desired: DesiredState) -> Rendering:
        """Roles and clients in the grammar of the plugin's file."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """Our roles and clients there; with `only` those clients, and the roles that they have or may have."""
        with control(self._connection) as broker:
            state = read_whole(broker) if only is None else read_part(broker, only - {self._connection.username})
            version = broker.await_version() if only is None else broker.version
            notes = notes_on(broker) if only is None else ()
        passwords = self._passwords.read(only=only)
        self._read = to_artifact(state), state
        return AppliedState(
            artifact=self._read[0],
            version=version,
            only=only,
            foreign=state.foreign,
            passwords=passwords,
            notes=notes,
        )

    @collection_paused()
    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """The plugin's commands."""
        wanted, present = self._compile(desired)[0], self._parsed(applied)
        commands = changes(wanted, present, only=desired.only)
        passwords = self._passwords.plan(desired, applied.passwords)
        if all(command.name == "deleteRole" for command in commands):
            used = {name for client in present.clients.values() for name, _ in client.roles}
            if used.isdisjoint(command.target for command in commands):
                return tuple(passwords)  # roles that nobody has any more do no harm: they go with the next change
        return (*(_step(self._taking_over(command, applied)) for command in commands), *passwords)

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters; with what is odd or unsafe of it, and when a file would be faster."""
        present, wanted = self._parsed(applied), self._compile(desired)[0]
        notes = version_note(applied.version), first_file_hint(wanted, present, broker=self._name), *applied.notes
        return replace(effect(present, wanted), warnings=tuple(filter(None, notes)))

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Sends the commands, one and then as many at once as the broker does in 50 ms: it writes all for each.

        A role that the plan did not know of is left alone if it is as it should be.
        Raises what `ask` raises, and, of the password file, UnsafeFolder, FileNotReadable and PasswordsNotInForce.
        """
        if others := self._passwords.take(steps):
            self._send(others, between)
        try:
            self._passwords.give(steps)
        except BrokerUnreachable as error:  # the broker answers: sessions are still to be ended
            raise PasswordsNotInForce(error.detail) from error

    def _send(self, steps: Sequence[Step], between: Callable[[], None]) -> None:
        done, at_once = 0, 1  # with ten thousand devices one takes longer than that
        with control(self._connection) as broker:
            while done < len(steps):
                between()
                batch = [_command(step) for step in steps[done : done + at_once]]
                done += len(batch)
                batch = needed(broker, batch)
                began = time.monotonic()
                written = sum("error" not in answer for answer in broker.ask(batch))
                took = max(time.monotonic() - began, 0.001)
                if done < len(steps):
                    time.sleep(took / 10)  # whoever else waits is served first
                if written:  # what fails is not
                    at_once = max(1, min(_MOST_AT_ONCE, int(written * _BATCH_SECONDS / took)))

    def disconnect(self, principal: Principal) -> int:
        """Closes every session of that username, known to the plugin or not; the broker does not say how many (-1).

        To take a client out of a group closes them even if there is no such group, and then its file is not written.
        Raises ControlAccountTaken.
        """
        name = principal.auth_id
        if name == self._connection.username:
            raise ControlAccountTaken(_warning(name))
        members = {"username": name, "groupname": _NO_GROUP}
        tolerated = ("Client not found", "Group not found")
        with control(self._connection) as broker:
            broker.ask([asking("removeGroupClient", name, members, tolerates=tolerated)])
        return -1

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether the plugin would let it pass."""
        return emulate(parse(rendering.artifact), principal.auth_id, request)

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Writes CRL and CA file of the shared folder, if there is one, and has Mosquitto read the CRLs.

        Raises CrlNotLoaded.
        """
        if self._connection.directory is None:
            return ""
        return seen_reading(self._connection, partial(self._folder().publish_crl, pem, trust=trust))

    def present(self) -> None:
        """None: 2.0.x lists no connections. `watch` says when the broker started, so what is older has ended."""

    def watch(self, stop: Event) -> Iterator[FeedItem]:
        """Connections, their ends, and subscriptions, from the broker's log."""
        return watch(self._connection, stop)

    def _compile(self, desired: DesiredState) -> tuple[DynsecState, Rendering]:
        if self._compiled is None or self._compiled[0] is not desired:
            deviations = Deviations()
            subjects = [s for s in desired.subjects if s.principal.auth_id != self._connection.username]
            state = desired_state(subjects, deviations)
            warnings = [_warning(self._connection.username)] if len(subjects) < len(desired.subjects) else []
            if self._lacks_folder:
                warnings.append("It takes no password: the folder that it shares with Gatehouse is missing.")
            rendering = Rendering(
                artifact=to_artifact(state),
                deviations=deviations.all(),
                warnings=tuple(warnings),
                passwords=fingerprints(self._passwords.wanted(desired)),
            )
            self._compiled = (desired, state, rendering)
        return self._compiled[1:]

    def _parsed(self, applied: AppliedState) -> DynsecState:
        if self._read is not None and self._read[0] is applied.artifact:
            return self._read[1]
        return parse(applied.artifact) if applied.artifact else DynsecState()

    def _folder(self) -> MosquittoFolder:
        return MosquittoFolder(root=files_root(), name=self._connection.directory or "")

    def _taking_over(self, command: Command, applied: AppliedState) -> Command:
        """The same for a client of ours that somebody made or renamed by hand."""
        if command.name != "createClient" or command.target not in applied.foreign:
            return command
        members = {"textname": "", "clientid": "", "groups": [], **command.members}
        summary = f"Take over the client {command.target}, which was not made by Gatehouse."
        return replace(command, name="modifyClient", members=members, summary=summary)


@collection_paused()
def _step(command: Command) -> Step:
    payload = json.dumps({"members": dict(command.members), "tolerates": list(command.tolerates)})
    return Step(kind=command.name, target=command.target, summary=command.summary, payload=payload)


def _command(step: Step) -> Command:
    payload = json.loads(step.payload)
    return Command(
        name=step.kind,
        target=step.target,
        summary=step.summary,
        members=payload["members"],
        tolerates=tuple(payload["tolerates"]),
    )


def _warning(name: str) -> str:
    return (
        f"The device {name!r} is called like the broker's control account, so its certificate controls the broker: "
        "decommission it, and give the account a name with a slash, which no device can have."
    )
