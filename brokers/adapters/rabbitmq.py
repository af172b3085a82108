"""RabbitMQ through its management API: an account for each device, without a password unless RabbitMQ takes them.

RabbitMQ does not judge deliveries again, so whatever takes a permission away also ends the subscriptions that stood on
it, those of sessions that are kept for somebody who is away included.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Event
from typing import Any, ClassVar

from acl.core.values import Principal, Request
from brokers.adapters.json_api import JsonApi, RequestRefused
from brokers.adapters.rabbitmq_management import management
from brokers.adapters.rabbitmq_watch import watch
from brokers.adapters.writing import Latest, paced
from brokers.core.api_path import has_path, path
from brokers.core.password_texts import fingerprints, texts_in
from brokers.core.password_texts import rabbitmq as spell_password
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, Rendering, Standing, Step
from brokers.core.rabbitmq.api_call import ApiCall
from brokers.core.rabbitmq.changes import changes
from brokers.core.rabbitmq.connection import RabbitConnection, connection_errors
from brokers.core.rabbitmq.document import accounts_in, held, is_ours, marked
from brokers.core.rabbitmq.emulator import emulate
from brokers.core.rabbitmq.exposure import exposures
from brokers.core.rabbitmq.filters import effect
from brokers.core.rabbitmq.names import COLONS, mistaken, taken_for
from brokers.core.rabbitmq.policy import ADAPTED, desired_state
from brokers.core.rabbitmq.state import EXCHANGE, RabbitState, parse, to_artifact
from brokers.core.rabbitmq.subscriptions import ENDINGS, queues_in, queues_of
from brokers.core.rabbitmq.version import refuse_untried, version_note
from brokers.core.rendering import Deviations
from brokers.core.taken_names import AccountTaken, taken, turned_away
from brokers.core.values import BrokerLink, FeedItem
from kernel.core.errors import FieldError, NotFound

_BATCH = 20  # of requests that take up to 5 ms each


class VhostNotFound(NotFound):
    """RabbitMQ has no such virtual host, or no exchange for MQTT in it."""

    code = "rabbitmq-vhost-not-found"


class RabbitmqAdapter:
    """Speaks to one RabbitMQ 3.10 or newer."""

    capabilities: ClassVar[Capabilities] = ADAPTED

    def __init__(self, *, link: BrokerLink) -> None:
        self._connection = RabbitConnection.of(link.connection)
        self._compile = Latest(self._compiled)

    @classmethod
    def connection_errors(cls, connection: object) -> Sequence[FieldError]:
        """What is wrong with the members of a connection."""
        return connection_errors(connection)

    def capabilities_here(self) -> Capabilities:
        """Those of its kind."""
        return self.capabilities

    def render(self, desired: DesiredState) -> Rendering:
        """The accounts and what they may do, as a definitions document."""
        return self._compile(desired)[1]

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        """Our accounts there, and what is subscribed to. Raises VhostNotFound."""
        with management(self._connection) as broker:
            overview = broker.get("overview")
            users = _users(broker, only)
            permissions = _permissions(broker, "permissions", only)
            topics = _permissions(broker, "topic-permissions", only)
            subscriptions = self._subscriptions(broker, permissions if only is not None else None)
            ours = [user for user in users if self._is_ours(user)]
            foreign = frozenset(user["name"] for user in users) - {user["name"] for user in ours}
            artifact = held(ours, permissions, topics, subscriptions)
            version = str(overview["rabbitmq_version"] or "none")
            if only is not None:
                foreign |= self._behind(broker, only)
                return AppliedState(artifact=artifact, version=version, only=only, foreign=foreign)
            notes = exposures(overview["listeners"], users, broker.get("nodes"))
        return AppliedState(artifact=artifact, version=version, foreign=foreign, notes=notes)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        """The requests. Somebody else's account is left alone, whatever it is called. Raises UntriedRabbitmq."""
        if desired.only is None:  # whoever is thrown out is so whatever the broker is
            refuse_untried(applied.version)
        state, rendering = self._compile(desired)
        if refused := self._refused(desired, applied, state):
            desired = turned_away(desired, refused, state=Standing.BARRED)
            subjects = tuple(each for each in desired.subjects if each.principal.auth_id not in applied.foreign)
            desired = replace(desired, subjects=subjects)
            state, rendering = self._compiled(desired)
        passwords = texts_in(desired, spell_password)
        calls = changes(
            rendering.artifact, applied.artifact, state=state, subjects=desired.subjects, passwords=passwords
        )
        return (*map(_step, calls), *(taken(name, why) for name, why in sorted(refused.items())))

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        """Who gains and who loses which filters. Expressions that were written by hand count as allowing nothing.

        With what is odd or unsafe of the broker itself.
        """
        found = effect(accounts_in(applied.artifact, vhost=self._connection.vhost), self._compile(desired)[0])
        return replace(found, warnings=tuple(filter(None, (version_note(applied.version), *applied.notes))))

    def apply(self, steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        """Makes the requests, one after another."""
        with management(self._connection) as broker:
            for step in paced(steps, between, every=_BATCH):
                _make(broker, step)

    def disconnect(self, principal: Principal) -> int:
        """Closes every connection of the account, and ends the session that is kept for its client id."""
        with management(self._connection) as broker:
            user = broker.get("users", principal.auth_id)
            if user is not None and not self._is_ours(user):
                raise AccountTaken(f"The account {principal.auth_id!r} of RabbitMQ was not made by Gatehouse.")
            where = path("connections", "username", principal.auth_id)
            found = broker.ask("GET", where) or []
            broker.ask("DELETE", where)
            for queue in queues_of(principal):
                with suppress(RequestRefused):  # one that ends with its connection, which alone may touch it
                    broker.ask("DELETE", path("queues", self._connection.vhost, queue))
        return len(found)

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        """Whether RabbitMQ would let it pass."""
        return emulate(parse(rendering.artifact), principal, request)

    def publish_crl(self, pem: str, *, trust: str) -> str:
        """Nothing: RabbitMQ reads CRLs from a folder of its own (docs/howto/rabbitmq.md)."""
        del pem, trust
        return ""

    def present(self) -> None:
        """None: the list of connections is some seconds late. What `watch` tells is kept for who was away."""

    def watch(self, stop: Event) -> Iterator[FeedItem]:
        """Connections, their ends, and who was refused, from the event exchange."""
        return watch(self._connection, stop)

    def _compiled(self, desired: DesiredState) -> tuple[RabbitState, Rendering]:
        deviations = Deviations()
        state = marked(desired_state(desired.subjects, deviations), vhost=self._connection.vhost)
        return state, Rendering(
            artifact=to_artifact(state),
            deviations=deviations.all(),
            warnings=(COLONS,) if any(":" in name for name in state.users) else (),
            passwords=fingerprints(texts_in(desired, spell_password)),
        )

    def _refused(self, desired: DesiredState, applied: AppliedState, state: RabbitState) -> dict[str, str]:
        """Whose name is somebody else's account, or is taken for it, and sentences that say so."""
        names = {each.principal.auth_id for each in desired.subjects if each.state is Standing.ADMITTED}
        if desired.only is None:
            names |= state.users.keys()
        found = mistaken(names, vhost=self._connection.vhost, ours=state.users.keys(), foreign=applied.foreign)
        return found | {
            name: f"RabbitMQ has the account {name!r}, which Gatehouse did not make: a device of that name is that "
            "account there. Rename or delete it, or give it the tag gatehouse, which hands it over to us."
            for name in applied.foreign & state.users.keys()
        }

    def _is_ours(self, user: Mapping[str, Any]) -> bool:
        """Whether the account is a device's; never the one that we log in with."""
        return is_ours(user) and user["name"] != self._connection.username

    def _behind(self, broker: JsonApi, only: frozenset[str]) -> frozenset[str]:
        """The accounts of others that RabbitMQ may take these names for."""
        others = {name.rpartition(":")[2] for name in only if ":" in name}
        asked = sorted(filter(has_path, others))  # no account of ours has another
        users = {user["name"]: user for name in asked if (user := broker.get("users", name)) is not None}
        ours = {name for name, user in users.items() if self._is_ours(user)}
        told = {taken_for(name, vhost=self._connection.vhost, ours=ours, foreign=users.keys() - ours) for name in only}
        return frozenset(told - {""})

    def _subscriptions(self, broker: JsonApi, permissions: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
        """What those with these permissions are subscribed to; what all are, if it can not be told whose is what."""
        vhost = self._connection.vhost
        found = [] if permissions is None else [queues_in(row) for row in permissions if row["vhost"] == vhost]
        if permissions is not None and None not in found:
            queues = [queue for queues in found for queue in queues or ()]
            return [row for queue in queues for row in broker.get("queues", vhost, queue, "bindings") or ()]
        if broker.get("exchanges", vhost, EXCHANGE) is None:
            raise VhostNotFound(f"RabbitMQ has no exchange {EXCHANGE} in the virtual host {vhost!r}: see mqtt.vhost.")
        return list(broker.get("exchanges", vhost, EXCHANGE, "bindings", "source"))


def _users(broker: JsonApi, only: frozenset[str] | None) -> list[dict[str, Any]]:
    if only is None:
        return list(broker.get("users"))
    return [user for name in sorted(only) if (user := broker.get("users", name)) is not None]


def _permissions(broker: JsonApi, what: str, only: frozenset[str] | None) -> list[dict[str, Any]]:
    if only is None:
        return list(broker.get(what))
    return [row for name in sorted(only) for row in broker.get("users", name, what) or ()]


def _make(broker: JsonApi, step: Step) -> None:
    """Makes a request. A queue that its connection alone may touch (3.12 and newer) ends with the connection."""
    try:
        broker.ask(**json.loads(step.payload))
    except RequestRefused:
        if step.kind not in ENDINGS:
            raise
        broker.ask("DELETE", path("connections", "username", step.target))


def _step(call: ApiCall) -> Step:
    payload = json.dumps({"method": call.method, "path": call.path, "body": call.body})
    return Step(kind=call.kind, target=call.target, summary=call.summary, payload=payload)
