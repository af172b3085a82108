"""From what EMQX holds to what it should hold: rules of a username, rules for all, what holds without one, and bans.

A ban keeps a barred device from logging in, where the listener asks for nothing but a certificate. Rules of names that
no device has are somebody else's and stay. Those of a client id are asked before those of its username, so that a
device's go: Gatehouse writes none.

Who loses something comes before who gains, and who is shut out before all others: work may end at any change.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from acl.core.values import Action
from brokers.core import effects
from brokers.core.effects import Flow
from brokers.core.emqx.rule import EmqxAction, EmqxRule, document_of
from brokers.core.emqx.rules import EmqxRules, parse, write
from brokers.core.ports import Effect, RenderSubject, Standing

DATABASE = "built_in_database"
OURS = "gatehouse"
"""Who EMQX is told a ban is by."""
ENDING = EmqxRule(allow=False, action=EmqxAction.PUBLISH, topic="$gatehouse/ending")
"""Whoever has it lost something, and its session is still to be ended: a mark that survives whatever happens to us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmqxHeld:
    """What EMQX holds: its rules, the usernames that are banned, by whomever and by us, and those of superusers."""

    rules: EmqxRules
    banned: frozenset[str] = frozenset()
    banned_by_us: frozenset[str] = frozenset()
    superusers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmqxChange:
    """One change. `rules` are those of the username, or for all, as a whole; `ends`: its sessions have to."""

    kind: str
    name: str
    summary: str
    rules: tuple[EmqxRule, ...] = ()
    ends: bool = False


def write_held(held: EmqxHeld) -> str:
    """What EMQX holds as text; `read_held` takes it."""
    names = {"banned": held.banned, "banned_by_us": held.banned_by_us, "superusers": held.superusers}
    return json.dumps({"rules": write(held.rules), **{kind: sorted(those) for kind, those in names.items()}})


def read_held(artifact: str) -> EmqxHeld:
    """What `write_held` or, without bans, `emqx_rules.write` wrote; of nothing, what an EMQX holds as it comes."""
    if not artifact:
        return EmqxHeld(rules=EmqxRules(no_match="allow"))
    found: Mapping[str, Any] = json.loads(artifact)
    if "rules" not in found:
        return EmqxHeld(rules=parse(artifact))
    return EmqxHeld(
        rules=parse(found["rules"]),
        banned=frozenset(found["banned"]),
        banned_by_us=frozenset(found["banned_by_us"]),
        superusers=frozenset(found["superusers"]),
    )


def changes(
    wanted: EmqxRules, present: EmqxHeld, subjects: Collection[RenderSubject], *, whole: bool
) -> tuple[list[EmqxChange], list[EmqxChange]]:
    """What to change: first what takes away, then all else. `present` is about the names of `subjects`, and all.

    Unless they are the `whole`, nobody else's session is ended: they may have no rules yet to come back to.
    """
    for_all, at_last = _for_all(wanted, present.rules)
    beside = {each.principal.client_id for each in subjects} & present.rules.clients.keys() - wanted.clients.keys()
    summary = "Delete the rules of the client id {}."
    found = [
        EmqxChange(kind="delete-client-rules", name=name, summary=summary.format(name), ends=True)
        for name in sorted(beside)
    ]
    for name, rules in sorted(wanted.users.items()):
        held = present.rules.users.get(name, ())
        if rules != held:
            ends = _loses(held, rules)
            found.append(
                EmqxChange(kind="set-rules", name=name, summary=f"The rules of {name}.", rules=rules, ends=ends)
            )
    named = {each.principal.username for each in subjects}
    found += [
        EmqxChange(kind="delete-rules", name=name, summary=f"Delete the rules of {name}, which may nothing.", ends=True)
        for name in sorted(named & present.rules.users.keys() - wanted.users.keys())
    ]
    barred = {each.principal.username for each in subjects if each.state is Standing.BARRED}
    found += [
        EmqxChange(kind="ban", name=name, summary=f"Let {name} not log in.", ends=True)
        for name in sorted(barred - present.banned)
    ]
    shut_out = {each.principal.username for each in subjects if each.state is not Standing.ADMITTED}
    taking = [change for change in found if change.ends or change.name in shut_out]
    taking.sort(key=lambda change: change.name not in shut_out)
    giving = [change for change in found if not change.ends and change.name not in shut_out]
    giving += [
        EmqxChange(kind="unban", name=name, summary=f"Let {name} log in again.")
        for name in sorted((named - barred) & present.banned_by_us)
    ]
    return for_all + taking, giving + (at_last if whole else [])


def effect(before: EmqxRules, after: EmqxRules) -> Effect:
    """What changes for those whom `after` is about."""
    return effects.effect(after.users, partial(_flow, before), partial(_flow, after))


def passing_by(sources: Iterable[Mapping[str, Any]]) -> str | None:
    """What is asked before the built-in database, or instead of it; None if that comes first."""
    types = [str(source["type"]) for source in sources if source.get("enable", True)]
    return None if types[:1] == [DATABASE] else (types or ["nothing"])[0]


def rule_documents(rules: Iterable[EmqxRule]) -> list[dict[str, Any]]:
    """The rules as EMQX takes them."""
    return [document_of(rule) for rule in rules]


def _for_all(wanted: EmqxRules, present: EmqxRules) -> tuple[list[EmqxChange], list[EmqxChange]]:
    """What to change for all: at once, and when everybody has rules of its own again.

    Whoever was let do what no rule is about goes on with it until its session ends, so every one is ended.
    """
    found, at_last = [], []
    if present.everyone != wanted.everyone:
        was_open = present.no_match == "allow" or any(rule.allow for rule in present.everyone)
        ends = was_open or ENDING in present.everyone
        rules = (ENDING, *wanted.everyone) if ends else wanted.everyone
        if present.everyone != rules:
            summary = "Deny what no rule of a device allows."
            found.append(EmqxChange(kind="set-all", name="all", summary=summary, rules=rules))
        if ends:
            summary = "End every session: until now more was let pass."
            at_last.append(EmqxChange(kind="end-all", name="all", summary=summary, rules=wanted.everyone))
    if present.no_match != wanted.no_match:
        found.append(EmqxChange(kind="set-no-match", name=wanted.no_match, summary="Deny what no rule is about."))
    return found, at_last


def _loses(old: Iterable[EmqxRule], new: Iterable[EmqxRule]) -> bool:
    """Whether something may be lost: an allow is gone, or a deny is new."""
    before, after = set(old), set(new)
    if not before:
        return False
    return (
        ENDING in before or any(rule.allow for rule in before - after) or any(not rule.allow for rule in after - before)
    )


def _flow(rules: EmqxRules, name: str, action: Action) -> Flow:
    about = (EmqxAction.ALL, EmqxAction(action.value))
    held = (*rules.clients.get(name, ()), *rules.users.get(name, ()))  # a device's client id is its name
    found = [rule for rule in held if rule.action in about and not rule.literal]
    return Flow(
        allows=frozenset(rule.topic for rule in found if rule.allow),
        denies=frozenset(rule.topic for rule in found if not rule.allow),
    )
