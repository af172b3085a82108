"""Mosquitto's dynamic security as roles: one for each of its roles, given to its clients, also by way of groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Shared
from brokers.core.foreign.dynsec_file import DynsecFile, FileAcl, read_file
from brokers.core.foreign.dynsec_order import needless_denies
from brokers.core.foreign.filters import first_levels, meet, unhidden
from brokers.core.foreign.meeting import Effort, Sourced
from brokers.core.foreign.order import note_overlaps
from brokers.core.foreign.outcome import (
    ForeignBinding,
    ForeignPolicy,
    Loss,
    Notes,
    RoleNames,
    literally,
    roles_holding,
    usable,
)
from brokers.core.mosquitto.dynsec_emulator import contains
from brokers.core.mosquitto.dynsec_state import AclType

_MARKS = {"%u": "${username}", "%c": "${client_id}"}
_LITERAL = frozenset({AclType.SUBSCRIBE_LITERAL, AclType.UNSUBSCRIBE_LITERAL})
_SUBSCRIBE = frozenset({AclType.SUBSCRIBE, AclType.SUBSCRIBE_LITERAL})
_STEPS_OF_A_PAIR = 10  # as much as so many steps in an index
_PUBLISHES, _SUBSCRIBES = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})
_BY_DEFAULT = {"publishClientSend": "publish", "publishClientReceive": "receive", "subscribe": "subscribe"}


def read_dynsec(text: str, *, placeholders: bool = False) -> ForeignPolicy:
    """The roles that the plugin's file comes to; with `placeholders` %u and %c stand for names, as from 2.1 on.

    Raises InvalidDynsec, ImportTooEntangled.
    """
    file, notes = read_file(text), Notes()
    _note_defaults(file, notes)
    needless = needless_denies(file, notes)
    names, made, roles, whole = RoleNames(), {}, [], _Whole.of(file)
    for name, acls in file.roles.items():
        reader = _Role(acls, whole=whole, needless=needless, placeholders=placeholders, notes=notes)
        rules = list(reader.rules())
        note_overlaps(rules, notes)
        what = f"The role {name} of Mosquitto's dynamic security."
        found = roles_holding([each.rule for each in rules], name=name, description=what, names=names)
        made[name] = [role.name for role in found]
        roles += found
    return ForeignPolicy(roles=tuple(roles), bindings=tuple(_bindings(file, made, notes)), notes=notes.all())


def read_dynsec_21(text: str) -> ForeignPolicy:
    """The same of a file of 2.1, where %u and %c are placeholders."""
    return read_dynsec(text, placeholders=True)


def _note_defaults(file: DynsecFile, notes: Notes) -> None:
    for name, what in _BY_DEFAULT.items():
        if file.defaults[name] and name != AclType.RECEIVE:
            why = f"What no ACL says is allowed there, and denied here: write a rule if devices need to {what} more."
            notes.add(f"/defaultACLAccess/{name}", Loss.LEFT_OUT, f"{name}: true", why)
    if file.anonymous:
        why = "Clients without a username are no devices: nobody gets its roles."
        notes.add("/anonymousGroup", Loss.LEFT_OUT, "anonymousGroup", why)


def _bindings(file: DynsecFile, made: Mapping[str, list[str]], notes: Notes) -> Iterator[ForeignBinding]:
    for client in file.clients:
        if client.disabled:
            why = "The client is disabled: its roles are given to nobody for it."
            notes.add(client.place, Loss.LEFT_OUT, client.username, why)
            continue
        if client.client_id not in {"", client.username}:
            why = "It may connect with this client id only; a device here has its own."
            notes.add(f"{client.place}/clientid", Loss.LEFT_OUT, client.client_id, why)
        for name in sorted(name for names in client.roles for name in names):
            for role in made[name]:
                yield ForeignBinding(role=role, place=client.place, auth_id=client.username)


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a subscribe ACL is about: filters under `topic`, shared or not."""

    topic: str
    shared: Shared
    group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """What a role has to know of the whole file, and what comparing may still cost."""

    receives_all: bool
    hidden: frozenset[str]
    denied_patterns: frozenset[str]
    effort: Effort

    @classmethod
    def of(cls, file: DynsecFile) -> _Whole:
        every = [acl for acls in file.roles.values() for acl in acls]
        denied = (acl.topic.split("/") for acl in every if acl.kind in _SUBSCRIBE and not acl.allow)
        return cls(
            receives_all=file.defaults[AclType.RECEIVE],
            hidden=first_levels(acl.topic for acl in every if acl.allow),
            denied_patterns=frozenset("/".join("+" if level in _MARKS else level for level in each) for each in denied),
            effort=Effort(),
        )


class _Role:
    """Turns the ACLs of one role into rules."""

    def __init__(
        self,
        acls: tuple[FileAcl, ...],
        *,
        whole: _Whole,
        needless: frozenset[str],
        placeholders: bool,
        notes: Notes,
    ) -> None:
        self._acls = [acl for acl in acls if acl.place not in needless]
        self._whole = whole
        self._placeholders, self._notes = placeholders, notes
        self._guarded = placeholders  # 2.1's sources compare what begins with $ only with ACLs that do

    def rules(self) -> Iterator[Sourced]:
        """The rules, in the order of the ACLs."""
        for acl in self._acls:
            if acl.kind in {AclType.UNSUBSCRIBE, AclType.UNSUBSCRIBE_LITERAL}:
                if not acl.allow:
                    self._note(acl, Loss.LEFT_OUT, "Here everybody may unsubscribe.")
                continue
            topic = self._topic(acl)
            if topic is None:
                continue
            found = self._denied(acl, topic) if not acl.allow else self._allowed(acl, topic)
            for rule in found:
                for sound in usable(rule, place=acl.place, source=_source(acl), notes=self._notes):
                    yield Sourced(rule=sound, place=acl.place, source=_source(acl))

    def _topic(self, acl: FileAcl) -> str | None:
        """The ACL's topic in our spelling; None if there is none."""
        if acl.allow and acl.topic.startswith("$CONTROL"):
            self._note(acl, Loss.LEFT_OUT, "It governs the broker itself, which is not for devices.")
            return None
        found = literally(acl.topic, Effect.ALLOW if acl.allow else Effect.DENY)
        if found is None:
            loss = Loss.LEFT_OUT if acl.allow else Loss.SAME
            self._note(acl, loss, "Here ${ begins a placeholder, and can not be written as it stands.")
            return None
        levels = found.split("/")
        if not acl.allow and "#" in levels:  # the plugin looks no further than the first one
            levels = levels[: levels.index("#") + 1]
        if self._placeholders and acl.kind not in _LITERAL:
            levels = [_MARKS.get(level, level) for level in levels]
        return "/".join(levels)

    def _denied(self, acl: FileAcl, topic: str) -> Iterator[RuleSpec]:
        if acl.kind is AclType.SEND:
            yield RuleSpec(effect=Effect.DENY, actions=_PUBLISHES, topic=topic)
        elif acl.kind is AclType.RECEIVE:
            yield RuleSpec(effect=Effect.DENY, actions=_SUBSCRIBES, topic=topic)
        else:
            if acl.kind is AclType.SUBSCRIBE_LITERAL:
                self._note(acl, Loss.NARROWER, "It denies this one spelling there, and here whatever meets the filter.")
            for wish in self._wishes(acl, topic):
                for filter in unhidden(wish.topic, self._whole.hidden):
                    yield _about(Effect.DENY, filter, wish)

    def _allowed(self, acl: FileAcl, topic: str) -> Iterator[RuleSpec]:
        if acl.kind is AclType.RECEIVE:
            if not self._whole.receives_all and not any(each.allow and each.kind in _SUBSCRIBE for each in self._acls):
                self._note(acl, Loss.LEFT_OUT, "The role lets nobody subscribe, so it lets nobody receive.")
        elif acl.kind is AclType.SEND:
            if topic.startswith("$SYS"):
                self._note(acl, Loss.SAME, "Mosquitto lets nobody publish there.")
            else:
                yield RuleSpec(effect=Effect.ALLOW, actions=_PUBLISHES, topic=topic)
        elif acl.kind in _SUBSCRIBE:
            if acl.kind is AclType.SUBSCRIBE_LITERAL and self._may_be_denied(acl.topic):
                self._note(acl, Loss.LEFT_OUT, "Some deny is about this filter too, so it may never be granted.")
                return
            for wish in self._wishes(acl, topic):
                for filter in self._received(acl, wish.topic):
                    yield _about(Effect.ALLOW, filter, wish)

    def _may_be_denied(self, filter: str) -> bool:
        """Whether a deny of any role is about just this filter, which has wildcards."""
        if "+" not in filter and "#" not in filter:
            return False
        self._whole.effort.spend(len(self._whole.denied_patterns) * _STEPS_OF_A_PAIR)
        return any(contains(deny, filter) for deny in self._whole.denied_patterns)

    def _wishes(self, acl: FileAcl, topic: str) -> Iterator[_Wish]:
        """What filters the ACL covers, of which it compares the text: `$share` is a level to it, as any other."""
        first, _, rest = topic.partition("/")
        if first == "$share":
            yield from self._shared(acl, rest)
        elif topic == "#" and acl.kind not in _LITERAL:
            self._note_hidden(acl)
            yield _Wish(topic, Shared.NEVER if acl.allow and self._guarded else Shared.ANY)
        else:
            self._note_hidden(acl)
            yield _Wish(topic, Shared.NEVER)
            if first == "+" and not acl.allow and (rest == "#" or "/" in rest):
                yield from self._shared(acl, rest)

    def _shared(self, acl: FileAcl, rest: str) -> Iterator[_Wish]:
        group, _, inner = rest.partition("/")
        if group == "#":
            group, inner = "+", "#"
        if not inner or (acl.kind in _LITERAL and group == "+"):
            self._note(acl, Loss.LEFT_OUT if acl.allow else Loss.SAME, "No shared subscription can be spelled so.")
            return
        yield _Wish(inner, Shared.ONLY, None if group == "+" else group)

    def _note_hidden(self, acl: FileAcl) -> None:
        if acl.allow and acl.topic[0] in "+#" and acl.kind not in _LITERAL:
            self._note(acl, Loss.NARROWER, "There it also covers filters that begin with $.")

    def _received(self, acl: FileAcl, topic: str) -> Iterator[str]:
        """What of the filter the role lets its clients receive."""
        if self._whole.receives_all:
            yield topic
            return
        self._whole.effort.spend(len(self._acls) * _STEPS_OF_A_PAIR)
        allowed = [each for each in self._acls if each.kind is AclType.RECEIVE and each.allow]
        spelled = [each for acl in allowed if (each := self._topic(acl)) is not None]
        found = dict.fromkeys(both for each in spelled if (both := meet(topic, each)) is not None)
        # one filter stands for no $-topic when messages are matched, and 2.1 may not take one for contained in it
        if topic[0] in "+#" and (self._guarded or acl.kind in _LITERAL):
            found = {filter: None for filter in found if not filter.startswith("$")}
        if topic not in found:
            self._note(acl, Loss.NARROWER, "Only what its own role lets a client receive is taken over.")
        yield from found

    def _note(self, acl: FileAcl, loss: Loss, why: str) -> None:
        self._notes.add(acl.place, loss, _source(acl), why)


def _about(effect: Effect, filter: str, wish: _Wish) -> RuleSpec:
    return RuleSpec(effect=effect, actions=_SUBSCRIBES, topic=filter, shared=wish.shared, shared_group=wish.group)


def _source(acl: FileAcl) -> str:
    return f"{acl.kind} {acl.topic} {'allow' if acl.allow else 'deny'}"
