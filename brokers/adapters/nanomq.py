"""NanoMQ on the same machine by its ACL file, and by its HTTP API, which restarts it: it reads the file only then.

So each change disconnects everybody for some seconds, and what is taken away is gone with that. Names are what clients
say unless authentication proves them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from acl.core.values import Action, Principal, Request
from brokers.adapters.json_api import JsonApi, RequestRefused
from brokers.adapters.policy_alone import PolicyAlone
from brokers.adapters.shared_folder import SharedFolder
from brokers.adapters.writing import Latest
from brokers.conf import files_root
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.nanomq import policy as nanomq
from brokers.core.nanomq.changes import Rules, flow, rules_in, to_text
from brokers.core.nanomq.connection import NanomqConnection, connection_errors
from brokers.core.nanomq.emulator import emulate
from brokers.core.nanomq.file import parse, write
from brokers.core.nanomq.version import refuse_old
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, Rendering, Step
from brokers.core.values import BrokerLink
from kernel.core.errors import FieldError

FILE = "acl.conf"
_UNREAD = "# Somebody changed this, or NanoMQ was not yet restarted to read it.\n"
_RIGHTS = "Give the username and password of http_server in its configuration."


class NanomqAdapter(PolicyAlone):
    """Writes one file, in the folder that it shares with one NanoMQ, and restarts it.

    NanoMQ takes no CRLs, its list of clients does not say since when, and it tells of them by webhook.
    """

    capabilities: ClassVar[Capabilities] = nanomq.CAPABILITIES

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = NanomqConnection.of(link.connection)
        self._compile = Latest(_compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def render(self, desired: DesiredState) -> Rendering:
        """The file."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """What stands in the file. Who wrote it does not matter: all of it is ours."""
        with self._api() as broker:
            version = str(broker.get("brokers")["data"][0]["version"])
        folder = self._folder()
        text = folder.text(FILE)
        rules = rules_in(text)
        found = {who: about for who, about in rules.items() if only is None or who.value in only}
        known = "" if folder.is_told(FILE) and text == to_text(rules) else _UNREAD
        return AppliedState(artifact=known + to_text(found), version=version, only=only)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """Principals whose rules differ. Raises OldNanomq."""
        if desired.only is None:  # whoever is thrown out is so whatever the broker is
            refuse_old(applied.version)
        wanted, present = self._compile(desired)[0], rules_in(applied.artifact)
        steps = [
            Step(
                kind="set-rules" if who in wanted else "delete-rules",
                target=who.value,
                summary=f"What {who.value} may do." if who in wanted else f"Take out {who.value}.",
                payload=write(wanted.get(who, present.get(who, ()))),
            )
            for who in sorted(wanted.keys() | present.keys(), key=lambda who: (who.kind, who.value))
            if wanted.get(who) != present.get(who)
        ]
        if not applied.artifact or applied.artifact.startswith(_UNREAD):
            steps.append(Step(kind="read-file", target=FILE, summary="Have NanoMQ read the file, as it should be."))
        return tuple(steps)

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters."""
        after, before = self._compile(desired)[0], rules_in(applied.artifact)
        names = {who.value for who in (*after, *before)}
        return effects.effect(names, partial(_flow, before), partial(_flow, after))

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Writes the file once, and restarts NanoMQ: two seconds later it ends, and begins anew."""
        between()
        if not steps:
            return
        folder = self._folder()
        rules = dict(rules_in(folder.text(FILE)))
        for step in steps:
            about = rules_in(step.payload) if step.payload else {}
            for who in about:
                rules.pop(who, None)
            if step.kind == "set-rules":
                rules |= about
        folder.replace(FILE, to_text(rules))
        written = folder.written(FILE)
        with self._api() as broker:
            code = broker.ask("POST", "ctrl/restart", {})["code"]
        if code != 0:
            raise RequestRefused(f"NanoMQ would not restart (code {code}): restart it yourself, it reads {FILE} then.")
        folder.told(FILE, written)

    def disconnect(self, principal: Principal) -> None:
        """None: NanoMQ closes no single client; the restart closed all."""
        del principal

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether NanoMQ would let it pass."""
        return emulate(parse(rendering.artifact), principal, request)

    def _folder(self) -> SharedFolder:
        return SharedFolder(root=files_root(), name=self._connection.directory)

    def _api(self) -> JsonApi:
        return JsonApi(
            of="NanoMQ's API",
            host=self._connection.host,
            port=self._connection.port,
            root="/api/v4",
            rights=_RIGHTS,
            ca_pem=self._connection.ca_pem,
            username=self._connection.username,
            password=self._connection.password,
        )


def _compiled(desired: DesiredState) -> tuple[Rules, Rendering]:
    rendering = nanomq.render(desired.subjects)
    return rules_in(rendering.artifact), rendering


def _flow(rules: Rules, name: str, action: Action) -> Flow:
    return flow([rule for who, about in rules.items() if who.value == name for rule in about], action)
