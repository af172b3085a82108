"""EMQX's acl.conf, and the rules of its built-in database, as roles: one for each name, and one for everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from acl.core.rules import RuleSpec
from acl.core.topics import covers
from acl.core.values import Action, Effect, Retain
from brokers.core.emqx.emulator import words_match
from brokers.core.emqx.file_reading import read_rules
from brokers.core.emqx.file_rules import FileRule, FileTopic, Who, WhoKind, write_rule
from brokers.core.emqx.rule import EmqxAction
from brokers.core.emqx.terms import Fault
from brokers.core.foreign.filters import first_levels, unhidden
from brokers.core.foreign.meeting import Effort, Sourced
from brokers.core.foreign.order import note_overlaps, settled, widest
from brokers.core.foreign.outcome import ForeignBinding, ForeignPolicy, Loss, Notes, RoleNames, roles_holding, usable
from kernel.core.errors import FieldError, Invalid

EVERYBODY = "emqx-everybody"
_ACTIONS = {
    EmqxAction.PUBLISH: frozenset({Action.PUBLISH}),
    EmqxAction.SUBSCRIBE: frozenset({Action.SUBSCRIBE}),
    EmqxAction.ALL: frozenset(Action),
}
_RETAIN = {None: Retain.ANY, True: Retain.ONLY, False: Retain.NEVER}
_NAMES = {"clientid": "client_id", "username": "username"}
_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_STEPS_OF_A_TOPIC = 6  # to compare two topics costs as much as so many steps in an index
_TAKEN_OFF = ("$queue/", "$exclusive/", "$share/")
_EXACT = {WhoKind.USERNAME: "auth_id", WhoKind.CLIENTID: "client_id"}

Scope = tuple[str, str] | None


def _as_text(level: str) -> str | None:
    """The level, unless it would be a placeholder here."""
    return None if "${" in level else level


class InvalidAclConf(Invalid):
    """Something in the file can not be read, and it could be a deny; `errors` has every fault with its line."""

    code = "invalid-emqx-acl-conf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A rule of EMQX, where it stands, and that place's text. A `conditional` one holds for some of whom it names."""

    rule: FileRule
    place: str
    source: str
    conditional: bool = False


def read_emqx_acl_conf(text: str) -> ForeignPolicy:
    """The roles that the file comes to. Raises InvalidAclConf if a part of it is not understood."""
    rules, faults = read_rules(text)
    if faults:
        errors = tuple(_fault(fault) for fault in faults[:100])
        raise InvalidAclConf(f"The file has {len(faults)} fault(s); the first: {errors[0].detail}", errors=errors)
    placed = [Placed(rule=rule, place=f"line {rule.line}", source=write_rule(rule)) for rule in rules]
    return policy_of(placed, certificates=True)


def _fault(fault: Fault) -> FieldError:
    place, detail = f"/lines/{fault.line}", f"Line {fault.line}: {fault.why}"
    return FieldError(pointer=place, code=InvalidAclConf.code, detail=detail)


def policy_of(rules: Sequence[Placed], *, certificates: bool) -> ForeignPolicy:
    """The roles that rules, of which the first that matches wins, come to.

    With `certificates` there is a placeholder for the common name.
    """
    notes = Notes()
    names = {**_NAMES, **({"cert_common_name": "cert.cn"} if certificates else {})}
    reader = _Reader(rules, names, notes)
    kept = settled((each for number in range(len(rules)) for each in reader.read(number)), notes)
    note_overlaps(kept, notes)
    by_scope: dict[Scope, list[Sourced]] = {}
    for each in kept:
        by_scope.setdefault(each.who, []).append(each)
    roles, bindings, taken = [], [], RoleNames()
    for scope in sorted(by_scope, key=lambda scope: scope or ("", "")):
        kind, name = scope or ("", EVERYBODY)
        said = f"for {kind.replace('_', ' ')} {name}" if scope else "for everybody"
        found = [each.rule for each in by_scope[scope]]
        for role in roles_holding(found, name=name, description=f"The rules of EMQX {said}.", names=taken):
            roles.append(role)
            bindings.append(
                ForeignBinding(
                    role=role.name,
                    place=by_scope[scope][0].place,
                    auth_id=name if kind == "auth_id" else None,
                    client_id=name if kind == "client_id" else None,
                )
            )
    return ForeignPolicy(roles=tuple(roles), bindings=tuple(bindings), notes=notes.all())


class _Reader:
    """Turns the rules of EMQX into ours, one after another."""

    def __init__(self, rules: Sequence[Placed], names: dict[str, str], notes: Notes) -> None:
        self._rules, self._names, self._notes = rules, names, notes
        topics = [topic.topic for each in rules if each.rule.allow for topic in each.rule.topics or ()]
        self._hidden = first_levels(topics)
        self._effort = Effort()

    def read(self, number: int) -> Iterator[Sourced]:
        """What the rule of that number comes to."""
        each = self._rules[number]
        if not each.rule.qos:
            self._note(each, Loss.SAME, "It is about no quality of service, so it never matches.")
            return
        scopes = self._scopes(each)
        for filter, actions in self._filters(each, number) if scopes else ():
            rule = RuleSpec(
                effect=Effect.ALLOW if each.rule.allow else Effect.DENY,
                actions=actions,
                topic=filter,
                qos=each.rule.qos,
                retain=_RETAIN[each.rule.retain] if Action.PUBLISH in actions else Retain.ANY,
            )
            for sound in usable(rule, place=each.place, source=each.source, notes=self._notes):
                for scope in scopes:
                    yield Sourced(rule=sound, place=each.place, source=each.source, who=scope)

    def _scopes(self, each: Placed) -> list[Scope]:
        """Whom the rule is about here: of an allow those who are named exactly, of a deny at least all."""
        exact, rest = _scopes_of(each.rule.who)
        if each.conditional and each.rule.allow:
            exact, rest = [], True
        elif each.conditional:
            self._note(each, Loss.NARROWER, "It depends on more than the name there: here it always holds.")
        if rest and each.rule.allow:
            self._note(each, Loss.LEFT_OUT, "It depends on more than a username or client id.")
        elif rest:
            self._note(each, Loss.NARROWER, "It depends on more than a name there: here it holds for everybody.")
            return [None]
        return exact

    def _filters(self, each: Placed, number: int) -> Iterator[tuple[str, frozenset[Action]]]:
        actions = _ACTIONS[each.rule.action]
        if each.rule.topics is None:
            if each.rule.allow:
                self._note(each, Loss.NARROWER, "There it is about topics that begin with $ as well.")
            for filter in ["#"] if each.rule.allow else unhidden("#", self._hidden):
                yield filter, actions
            return
        for topic in each.rule.topics:
            for filter in self._spelled(each, topic):
                about = self._asked(each, filter, actions)
                if topic.literal and ("+" in topic.topic or "#" in topic.topic):
                    about = self._of_one_filter(each, number, topic, about)
                if about:
                    yield filter, about

    def _spelled(self, each: Placed, topic: FileTopic) -> list[str]:
        """The topic with our placeholders: none if an allow can not be written, several if a deny has to be widened."""
        levels = [_as_text(level) if topic.literal else self._level(level) for level in topic.topic.split("/")]
        unknown = [own for own, level in zip(topic.topic.split("/"), levels, strict=True) if level is None]
        filter = "/".join("+" if level is None else level for level in levels)
        if not unknown:
            return [filter]
        if each.rule.allow:
            self._note(each, Loss.LEFT_OUT, f"{unknown[0][:64]} can not be written here.")
            return []
        self._note(each, Loss.NARROWER, f"{unknown[0][:64]} can not be written here: it is about every level instead.")
        return unhidden(filter, self._hidden)

    def _level(self, level: str) -> str | None:
        """The level with our placeholders; None if it has others, or text that would look like one."""
        if "$" in _PLACEHOLDER.sub(lambda found: "" if found[1] in self._names else found[0], level):
            return _as_text(level)
        return _PLACEHOLDER.sub(lambda found: f"${{{self._names[found[1]]}}}", level)

    def _asked(self, each: Placed, filter: str, actions: frozenset[Action]) -> frozenset[Action]:
        """Without subscribing to what EMQX takes off a filter before it asks."""
        if each.rule.allow and filter.startswith(_TAKEN_OFF):
            self._note(each, Loss.SAME, f"EMQX never asks about a subscription to {filter[:200]}.")
            return actions - {Action.SUBSCRIBE}
        return actions

    def _of_one_filter(
        self, each: Placed, number: int, topic: FileTopic, actions: frozenset[Action]
    ) -> frozenset[Action]:
        """Literal topics with wildcards are no names, and one filter alone."""
        actions &= {Action.SUBSCRIBE}
        if not actions:
            return actions
        if each.rule.allow:
            if self._is_asked(topic.topic, self._rules[:number], allow=False):
                self._note(
                    each, Loss.LEFT_OUT, f"A deny before it is about {topic.topic[:200]} too, for some at least."
                )
                return frozenset()
            return actions
        if not self._is_asked(topic.topic, self._rules[number + 1 :], allow=True):
            self._note(each, Loss.SAME, f"No rule behind it allows a subscription to {topic.topic[:200]}.")
            return frozenset()
        self._note(each, Loss.NARROWER, f"There only {topic.topic[:200]} itself is denied, here whatever meets it.")
        return actions

    def _is_asked(self, filter: str, rules: Sequence[Placed], *, allow: bool) -> bool:
        """Whether one of the rules could allow, or deny, a subscription to just that filter."""
        for other in rules:
            self._effort.spend(1 + _STEPS_OF_A_TOPIC * len(other.rule.topics or ()))
            if _asks(other.rule, filter, allow=allow):
                return True
        return False

    def _note(self, each: Placed, loss: Loss, why: str) -> None:
        self._notes.add(each.place, loss, each.source, why)


def _asks(rule: FileRule, filter: str, *, allow: bool) -> bool:
    """Whether the rule could allow, or deny, a subscription to just that filter."""
    if rule.allow is not allow or rule.action is EmqxAction.PUBLISH:
        return False
    if rule.topics is None:
        return True
    return any(
        topic.topic == filter if topic.literal else words_match(filter, own) or covers(own, filter)
        for topic in rule.topics
        for own in [widest(topic.topic)]
    )


def _scopes_of(who: Who) -> tuple[list[Scope], bool]:
    """Who is named exactly, and whether others are meant besides."""
    if who.kind is WhoKind.ALL:
        return [None], False
    if who.kind in _EXACT and not who.regex:
        return [(_EXACT[who.kind], who.value)], False
    if who.kind is WhoKind.OR:
        found = [_scopes_of(part) for part in who.parts]
        return [scope for scopes, _ in found for scope in scopes], any(rest for _, rest in found)
    return [], True
