"""Policy of elsewhere as roles of ours: what it came to, and what of it has no equivalent.

An import is never wider than its source: what can not be said exactly is left out if it allows, and said more broadly
if it denies. Whatever is so is listed with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from acl.core.rules import MOST_RULES, InvalidRole, RuleSpec, check_role
from acl.core.values import Effect
from devices.core.policy_document import BindingSpec, BindingVia, PolicyDocument, RoleSpec
from devices.core.windows import ALWAYS
from kernel.core.errors import Conflict, FieldError

MOST_NOTES = 1_000
_UNNAMED = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LENGTH = 60  # leaves room for a number behind it


class RoleDiffers(Conflict):
    """The domain has a role of that name which says something else."""

    code = "role-name-taken"


class Loss(StrEnum):
    """What became of a part: its equivalent allows less, there is none, or it is left out and nothing changes by it."""

    NARROWER = "narrower"
    LEFT_OUT = "left-out"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A part of the source that has no exact equivalent. `place` is `line 7` or a JSON pointer."""

    place: str
    loss: Loss
    source: str
    why: str

    def as_json(self) -> dict[str, str]:
        """The note as JSON."""
        return {"place": self.place, "loss": self.loss.value, "source": self.source, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignBinding:
    """A role for the device with that auth id, or that client id; with neither, for every device of the domain."""

    role: str
    place: str
    auth_id: str | None = None
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPolicy:
    """What a foreign policy came to. Of more than 1,000 notes the last says how many there are besides."""

    roles: tuple[RoleSpec, ...] = ()
    bindings: tuple[ForeignBinding, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicesById:
    """Names of devices that there are, by auth id and by client id; those among them that are applications'."""

    auth: Mapping[str, str]
    client: Mapping[str, str]
    applications: frozenset[str] = frozenset()


def printable(text: str) -> str:
    """The text with U+FFFD for what can not be seen."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


class Notes:
    """Collects notes, each once, up to the bound; beyond it they are counted."""

    def __init__(self) -> None:
        self._found: dict[Note, None] = {}
        self._more = 0

    def add(self, place: str, loss: Loss, source: str, why: str) -> None:
        """Adds one; `source` is shortened, and what could move a terminal's cursor is replaced."""
        shown = source if len(source) <= 200 else f"{source[:197]}..."
        note = Note(place=printable(place), loss=loss, source=printable(shown), why=printable(why[:1_000]))
        if note not in self._found:
            if len(self._found) < MOST_NOTES:
                self._found[note] = None
            else:
                self._more += 1

    def all(self) -> tuple[Note, ...]:
        """All of them, in the order in which they came; the last says how many more there are."""
        if not self._more:
            return tuple(self._found)
        why = f"Of more than {MOST_NOTES} parts the first are listed: import a part of the file to see the others."
        return (*self._found, Note(place="more", loss=Loss.NARROWER, source=f"{self._more} more", why=why))


class RoleNames:
    """Names for roles: what a source calls them, with hyphens for what a name can not hold, each once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def of(self, wanted: str) -> str:
        """A name that was not given yet."""
        base = _UNNAMED.sub("-", wanted).strip("._-")[:_NAME_LENGTH] or "role"
        name, number = base, self._numbers.get(base, 1)
        while name in self._taken:
            number += 1
            name = f"{base}-{number}"
        self._numbers[base] = number
        self._taken.add(name)
        return name


def roles_holding(rules: Iterable[RuleSpec], *, name: str, description: str, names: RoleNames) -> list[RoleSpec]:
    """Roles that hold these rules, each rule once: one role, or several if they are more than a role can hold."""
    each = list(dict.fromkeys(rules))
    parts: Sequence[Sequence[RuleSpec]] = [each[at : at + MOST_RULES] for at in range(0, len(each), MOST_RULES)] or [()]
    return [RoleSpec(name=names.of(name), description=description, rules=tuple(part)) for part in parts]


def merged(
    present: PolicyDocument, foreign: ForeignPolicy, devices: DevicesById
) -> tuple[PolicyDocument, tuple[Note, ...]]:
    """The policy in force with the foreign one beside it, and a note for each binding that it leaves out.

    Those are of devices that are not there, and of roles that are given for a time already. Raises RoleDiffers if a
    role of the same name says something else: to replace it could give others more.
    """
    known = {role.name: role for role in present.roles}
    faults = [
        FieldError(
            pointer=f"/roles/{role.name}",
            code=RoleDiffers.code,
            detail=f"There is a role {role.name} that says something else: rename or remove it, or take a --prefix.",
        )
        for role in foreign.roles
        if role.name in known and known[role.name] != role
    ]
    if faults:
        raise RoleDiffers(faults[0].detail, errors=tuple(faults[:100]))
    notes = Notes()
    given = {binding.place: binding for binding in present.bindings}
    for each in foreign.bindings:
        found = _bound(each, present.domain, devices, notes)
        if found and given.setdefault(found.place, found).window != ALWAYS:
            why = f"{found.role} is given to it for a time already, and stays so: change that window if need be."
            notes.add(each.place, Loss.LEFT_OUT, found.target, why)
    document = PolicyDocument.of(
        domain=present.domain,
        quarantine_role=present.quarantine_role,
        roles=[*present.roles, *(role for role in foreign.roles if role.name not in known)],
        bindings=given.values(),
        groups=present.groups,
    )
    return document, notes.all()


def prefixed(foreign: ForeignPolicy, prefix: str) -> ForeignPolicy:
    """The same with `prefix` before the names of roles."""
    return replace(
        foreign,
        roles=tuple(replace(role, name=prefix + role.name) for role in foreign.roles),
        bindings=tuple(replace(binding, role=prefix + binding.role) for binding in foreign.bindings),
    )


def _bound(binding: ForeignBinding, domain: str, devices: DevicesById, notes: Notes) -> BindingSpec | None:
    if binding.auth_id is None and binding.client_id is None:
        return BindingSpec(role=binding.role, via=BindingVia.DOMAIN, target=domain)
    by_auth = binding.auth_id is not None
    wanted = (binding.auth_id if by_auth else binding.client_id) or ""
    found = (devices.auth if by_auth else devices.client).get(wanted)
    if found is not None:
        via = BindingVia.APPLICATION if found in devices.applications else BindingVia.DEVICE
        return BindingSpec(role=binding.role, via=via, target=found)
    kind = "auth id" if by_auth else "client id"
    why = f"There is no device with this {kind}: the role {binding.role} is made, and given to nobody for it."
    notes.add(binding.place, Loss.LEFT_OUT, wanted, why)
    return None


def usable(rule: RuleSpec, *, place: str, source: str, notes: Notes) -> Iterator[RuleSpec]:
    """The rule, if it is one that a role can have; else nothing, and a note.

    No name falls under a topic that is malformed, nobody is in a group that is, and nothing of ours can allow what
    begins with `$share`: so a deny of that is not missed.
    """
    try:
        check_role(name="role", rules=[rule])
    except InvalidRole as error:
        loss = Loss.SAME if rule.effect is Effect.DENY else Loss.LEFT_OUT
        notes.add(place, loss, source, error.errors[0].detail)
        return
    yield rule


def literally(topic: str, effect: Effect) -> str | None:
    """A filter of a source to which `${` is text, so that it says the same here, or less of an allow, more of a deny.

    None if there is none: for an allow, and for a deny of what nothing here can allow.
    """
    if "${" not in topic:
        return topic
    if effect is Effect.ALLOW or topic.startswith("${"):
        return None
    return "/".join("+" if "${" in level else level for level in topic.split("/"))
