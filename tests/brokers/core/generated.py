"""Whole fleets at random: several principals with hostile names, roles that they share, and requests near both."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from acl.core.templates import parse, substitute
from acl.core.topics import InvalidTopic, valid_filter, valid_name
from acl.core.values import (
    EVERY_QOS,
    Action,
    BindingRef,
    BoundRule,
    CertificateFields,
    Effect,
    Principal,
    Publish,
    Receive,
    Request,
    Retain,
    Rule,
    RuleId,
    Shared,
    Subscribe,
)
from brokers.core.ports import RenderSubject, Standing

# What a device may be called (devices/core/names.py), and a broker may take for something else.
NAMES: tuple[str, ...] = (
    "pump",
    "Pump",
    "valve-1",
    "a",
    "b",
    "*",
    ">",
    "%u",
    "%c",
    "${clientid}",
    "{client_id}",
    "a.b",
    "a.*",
    "^a|b$",
)
NAMES += ('q"uo"te', "it's", "back\\slash", "a b", "caf\u00e9", "cafe\u0301", "\U0001f680", "a;b,c", "[a]")
NAMES += ("*x", "x>", "a\u00a0b", "*.15")
# What it may not be called, and an attribute or another source of principals may hold all the same.
UNSAFE = ("+", "#", "a#b", "a/b", "/", "", "$SYS", "$s", "a\nuser b", "a\r\ntopic readwrite #", "tab\t", "\x01", "+/+")
PLAIN = ("", "a", "a", "a", "b", "b", "c")
ODD: tuple[str, ...] = (
    "$SYS",
    "$s",
    "$queue",
    "*",
    ">",
    "x.y",
    "a b",
    "\u00e9",
    "%u",
    "%c",
    "{client_id}",
    '"',
    "'",
    "\\",
    "(a|b)",
)
ODD += ("a\nb", "\u2028", "[ab]", "^", "!", "*x", "x\u3000")
WHOLE = ("client_id", "username", "auth_id", "domain", "device_type", "attr.x", "attr.n", "cert.cn")
PARTS = ("x-${client_id}", "${attr.x}-${attr.y}", "${auth_id}.${attr.n}", "p${cert.cn}", "${attr.none}", "${domain}-a")
ROLES = ("pump", "valve", "quarantine", "r.1", "pump.deny", "barred", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A principal, what it is to the broker, and which roles it has, by binding or as quarantined."""

    principal: Principal
    roles: tuple[str, ...]
    state: Standing = Standing.ADMITTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What one broker is told: the rules of each role, which are the same for everybody who has it, and members."""

    roles: tuple[tuple[str, tuple[Rule, ...]], ...]
    members: tuple[Member, ...]

    def subjects(self) -> tuple[RenderSubject, ...]:
        """As a compiler gets them. Only who is admitted has a policy."""
        return tuple(
            RenderSubject(
                principal=member.principal,
                policy=self._policy(member) if member.state is Standing.ADMITTED else (),
                state=member.state,
            )
            for member in self.members
        )

    def _policy(self, member: Member) -> tuple[BoundRule, ...]:
        rules = dict(self.roles)
        return tuple(
            BoundRule(rule=rule, role_name=name, binding=_binding(number, name))
            for number, name in enumerate(member.roles)
            for rule in rules.get(name, ())
        )


def _binding(number: int, role: str) -> BindingRef | None:
    if role == "quarantine":
        return None
    return BindingRef(id=UUID(int=number + 1), via="group", target=f"group {number}")


def fleet(roll: random.Random, *, hostile: bool = True) -> Fleet:
    """One to four members of one domain, with one to three roles among them; without hostile values if not wanted."""
    names = roll.sample(ROLES, roll.randint(1, 3))
    roles = tuple((name, tuple(rule(roll, hostile=hostile) for _ in range(roll.randint(1, 4)))) for name in names)
    count = roll.choice((1, 1, 2, 3, 4))
    auth_ids = roll.sample(NAMES, count)
    if hostile and roll.random() < 0.1:
        auth_ids[-1] = roll.choice([name for name in UNSAFE if name])
    client_ids = roll.sample((*NAMES, *UNSAFE), count) if hostile and roll.random() < 0.5 else auth_ids
    members = tuple(
        Member(
            principal=_principal(roll, number, auth_id, client_id),
            roles=tuple(roll.choice(names) for _ in range(roll.choice((0, 1, 1, 2, 2)))),
            state=roll.choice((*[Standing.ADMITTED] * 8, Standing.BARRED, Standing.ABSENT)),
        )
        for number, (auth_id, client_id) in enumerate(zip(auth_ids, client_ids, strict=True))
    )
    return Fleet(roles=roles, members=members)


def _principal(roll: random.Random, number: int, auth_id: str, client_id: str) -> Principal:
    values: tuple[str | int | float | bool, ...] = (*PLAIN, *NAMES, *UNSAFE, 7, -1, True, 0.5)
    named = CertificateFields(cn=roll.choice((auth_id, *UNSAFE)), serial="0a1b", o="Acme")
    return Principal(
        id=f"id-{number}",
        auth_id=auth_id,
        client_id=client_id,
        username=auth_id,
        domain="north",
        device_type=roll.choice(("pump", "valve", "")),
        groups=("hall",),
        attributes={name: roll.choice(values) for name in ("x", "y", "n") if roll.random() < 0.8},
        certificate=roll.choice((None, named, named)),
    )


def rule(roll: random.Random, *, hostile: bool = True) -> Rule:
    """A rule that a role may have: a third with placeholders, a quarter with conditions."""
    actions = frozenset(roll.sample([Action.PUBLISH, Action.SUBSCRIBE], roll.randint(1, 2)))
    sharing: tuple[tuple[Shared, str | None], ...] = ((Shared.ANY, None),)
    if Action.SUBSCRIBE in actions and roll.random() < 0.2:
        sharing = ((Shared.NEVER, None), (Shared.ONLY, None), (Shared.ONLY, "g"))
    shared, group = roll.choice(sharing)
    retained = Action.PUBLISH in actions and roll.random() < 0.1
    return Rule(
        id=RuleId(UUID(int=roll.getrandbits(128))),
        effect=roll.choice((Effect.ALLOW, Effect.ALLOW, Effect.ALLOW, Effect.DENY)),
        actions=actions,
        topic=_template(roll, hostile=hostile),
        qos=frozenset(roll.sample((0, 1, 2), roll.randint(1, 2))) if roll.random() < 0.1 else EVERY_QOS,
        retain=roll.choice((Retain.ONLY, Retain.NEVER)) if retained else Retain.ANY,
        shared=shared,
        shared_group=group,
    )


def _template(roll: random.Random, *, hostile: bool) -> str:
    while True:
        levels = [_level(roll, hostile=hostile) for _ in range(roll.randint(1, 4))]
        if roll.random() < 0.35:
            levels[-1] = "#"
        text = "/".join(levels)
        try:
            parse(text)
        except InvalidTopic:
            continue
        return text


def _level(roll: random.Random, *, hostile: bool) -> str:
    number = roll.random()
    if number < 0.15:
        return "+"
    if number < 0.35:
        return f"${{{roll.choice(WHOLE)}}}" if number < 0.29 else roll.choice(PARTS)
    if hostile and number < 0.43:
        return roll.choice(ODD)
    return roll.choice(PLAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """A source of requests that have something to do with a fleet."""

    roll: random.Random
    fleet: Fleet

    def request(self, member: Member) -> Request:
        """A request of the member, more often than not near a rule of its own, sometimes near what another may do."""
        while True:
            try:
                return self._request(self._near(member))
            except InvalidTopic:
                continue

    def names(self, near: str, *, count: int = 12) -> list[str]:
        """Topic names at and around a filter."""
        found: dict[str, None] = {}
        for _ in range(count):
            levels = self._filled(near)
            if self.roll.random() < 0.2:
                levels = [*levels, "a"] if self.roll.random() < 0.5 else levels[:-1] or levels
            found["/".join(levels)] = None
        return [name for name in found if name]

    def _request(self, near: str) -> Request:
        kind = self.roll.randrange(3)
        if kind == 0:
            group = self.roll.choice(("g", "h")) if self.roll.random() < 0.25 else None
            return Subscribe(topic=valid_filter(self._changed(near)), qos=self.roll.randint(0, 2), group=group)
        name = valid_name("/".join(self._filled(near)))
        if kind == 1:
            return Publish(topic=name, qos=self.roll.randint(0, 2), retain=self.roll.random() < 0.3)
        return Receive(topic=name)

    def _near(self, member: Member) -> str:
        """The filter of a rule, filled for this member or for another one, or anything."""
        rules = dict(self.fleet.roles)
        whose = member if self.roll.random() < 0.8 else self.roll.choice(self.fleet.members)
        its = [each for name in whose.roles for each in rules.get(name, ())]
        if not its or self.roll.random() < 0.15:
            its = [each for found in rules.values() for each in found] or [rule(self.roll)]
        template = self.roll.choice(its).topic
        filled = substitute(parse(template), whose.principal, Effect.DENY).filter or "a"
        return _raw(template, whose.principal) if self.roll.random() < 0.15 else filled

    def _filled(self, near: str) -> list[str]:
        levels = []
        for level in near.split("/"):
            if level == "#":
                levels += [self._any() for _ in range(self.roll.randint(0, 2))]
            else:
                levels.append(self._any() if level == "+" or self.roll.random() < 0.05 else level)
        return levels

    def _any(self) -> str:
        return self.roll.choice(PLAIN if self.roll.random() < 0.8 else (*ODD, *NAMES))

    def _changed(self, filter: str) -> str:
        levels = filter.split("/")
        if self.roll.random() < 0.3:
            levels[-1] = "#"
        if self.roll.random() < 0.3:
            levels[self.roll.randrange(len(levels))] = self.roll.choice((self._any(), "+"))
        if self.roll.random() < 0.1:
            levels = [*levels, self.roll.choice(("+", "#", "a"))]
        return "/".join(levels)


def _raw(template: str, principal: Principal) -> str:
    """The template as a careless program would fill it: whatever the values hold."""
    for name in parse(template).placeholders:
        kind, _, member = name.partition(".")
        holder = {"attr": principal.attributes.get(member, ""), "cert": getattr(principal.certificate, member, "")}
        value = holder[kind] if member else getattr(principal, name)
        template = template.replace(f"${{{name}}}", str(value))
    return template


def told(fleet: Fleet) -> Sequence[str]:
    """The fleet in a few lines, for whoever has to find out what is wrong."""
    lines = []
    for name, rules in fleet.roles:
        for each in rules:
            conditions = f"qos={sorted(each.qos)} retain={each.retain} shared={each.shared}:{each.shared_group}"
            lines.append(f"role {name}: {each.effect} {'+'.join(sorted(each.actions))} {each.topic!r} {conditions}")
    return [*lines, *(f"member {member.state} {member.roles}: {member.principal}" for member in fleet.members)]
