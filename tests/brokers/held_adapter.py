"""A Mosquitto with dynamic security in memory: what it holds is changed by hand, and by what the real adapter plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from acl.core.values import Principal, Request
from brokers.core.mosquitto.dynsec import desired_state, render
from brokers.core.mosquitto.dynsec_changes import changes
from brokers.core.mosquitto.dynsec_effect import effect
from brokers.core.mosquitto.dynsec_emulator import emulate
from brokers.core.mosquitto.dynsec_state import Acl, AclType, DynsecState, parse, to_artifact
from brokers.core.ports import AppliedState, Capabilities, DesiredState, Effect, Rendering, Step


@dataclass
class HeldAdapter:
    """An adapter that takes every step at once."""

    capabilities: ClassVar[Capabilities] = Capabilities(stores_policy=True, protocol_versions=())
    held: DynsecState = field(default_factory=DynsecState)
    wanted: tuple[DynsecState, frozenset[str] | None] = field(default=(DynsecState(), None))
    asked: list[frozenset[str] | None] = field(default_factory=list)
    foreign: frozenset[str] = frozenset()

    def allow(self, name: str, topic: str) -> None:
        """By hand: a role of the client lets it publish there."""
        role = f"gh.hand.{name}"
        acls = self.held.roles.get(role, frozenset()) | {Acl(kind=AclType.SEND, topic=topic, allow=True, priority=1)}
        client = self.held.clients[name]
        roles = (*(each for each in client.roles if each[0] != role), (role, 9))
        self.held = replace(
            self.held,
            roles={**self.held.roles, role: acls},
            clients={**self.held.clients, name: replace(client, roles=tuple(sorted(roles)))},
        )

    def forbid(self, name: str, topic: str) -> None:
        """By hand: an ACL on the topic is gone from all roles that the client has."""
        mine = {role for role, _ in self.held.clients[name].roles}
        roles = {
            role: frozenset(acl for acl in acls if role not in mine or acl.topic != topic)
            for role, acls in self.held.roles.items()
        }
        self.held = replace(self.held, roles=roles)

    def read(self, *, only: frozenset[str] | None = None) -> AppliedState:
        held = self.held
        self.asked.append(only)
        if only is not None:
            clients = {name: client for name, client in held.clients.items() if name in only}
            used = {role for client in clients.values() for role, _ in client.roles}
            held = replace(held, clients=clients, roles={name: held.roles[name] for name in used if name in held.roles})
        return AppliedState(artifact=to_artifact(held), only=only, foreign=self.foreign)

    def render(self, desired: DesiredState) -> Rendering:
        return render(desired.subjects)

    def plan(self, desired: DesiredState, applied: AppliedState) -> tuple[Step, ...]:
        wanted = desired_state(desired.subjects)
        self.wanted = wanted, desired.only
        present = parse(applied.artifact) if applied.artifact else DynsecState()
        commands = changes(wanted, present, only=desired.only)
        return tuple(Step(kind=each.name, target=each.target, summary=each.summary) for each in commands)

    def effect(self, desired: DesiredState, applied: AppliedState) -> Effect:
        return effect(parse(applied.artifact), desired_state(desired.subjects))

    def apply(self, _steps: Sequence[Step], *, between: Callable[[], None]) -> None:
        between()
        wanted, only = self.wanted
        clients = {name: client for name, client in self.held.clients.items() if only is not None and name not in only}
        roles = dict(self.held.roles) if only is not None else {}
        self.held = replace(wanted, clients={**clients, **wanted.clients}, roles={**roles, **wanted.roles})

    def disconnect(self, _principal: Principal) -> int:
        return 0

    def enforces(self, rendering: Rendering, principal: Principal, request: Request) -> bool:
        return emulate(parse(rendering.artifact), principal.auth_id, request)
