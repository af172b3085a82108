"""Policy for Mosquitto as an ACL file in which what most users may do stands once, as patterns with %u.

Patterns hold for whoever Mosquitto lets in. So each user that Gatehouse knows and that may not do what a pattern says
has a section that denies it, and of users that it does not know the limits tell. %c is never written: the client
chooses its client id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from acl.core.topics import intersects
from acl.core.values import Action
from brokers.core.mosquitto import acl
from brokers.core.mosquitto.acl import REFUSAL, Compiled, allow_lines, compile_all, deny_lines, named
from brokers.core.mosquitto.acl_file import AclFile, AclLine, to_text, writable
from brokers.core.ports import DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import Deviations

STRANGERS = "Whoever else the broker lets in has what the patterns give, %u being its own name."
CAPABILITIES = replace(
    acl.CAPABILITIES,
    placeholders=frozenset({"auth_id", "username"}),
    limits=((DeviationKind.WIDER, STRANGERS), *acl.LIMITS),
)
MARK = "%u"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What stands once: grants as patterns, and denies."""

    grants: frozenset[tuple[Action, str]] = frozenset()
    denies: frozenset[str] = frozenset()

    @property
    def topics(self) -> tuple[str, ...]:
        """The patterns of the grants."""
        return tuple(sorted({pattern for _, pattern in self.grants}))


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The file with patterns for what most may do, a section for each user who differs, and what it can not express."""
    deviations = Deviations()
    compiled = compile_all(subjects, deviations)
    shared = _shared(compiled)
    users = {each.name: tuple(_section(each, shared)) for each in compiled}
    patterns = (*deny_lines(shared.denies), *allow_lines(shared.grants))
    artifact = to_text(AclFile(users=named(users), patterns=patterns))
    return Rendering(artifact=artifact, deviations=deviations.all(), warnings=(STRANGERS,) if patterns else ())


def _shared(compiled: list[Compiled]) -> _Shared:
    """Nothing if somebody could neither use a pattern nor be kept from it."""
    if any(_is_reached(each) and not writable(each.name) for each in compiled):
        return _Shared()
    admitted = [each for each in compiled if each.subject.state is Standing.ADMITTED]
    counted = Counter(grant for each in admitted if _uses(each) for grant in _candidates(each))
    often = sorted(grant for grant, count in counted.items() if count > 1 and count * 2 > len(admitted))
    grants = frozenset(grant for grant in often if _is_worth_it(grant, admitted))
    return _Shared(grants=grants, denies=_common_denies(admitted, grants) if grants else frozenset())


def _candidates(each: Compiled) -> Iterator[tuple[Action, str]]:
    for action, topic in each.grants:
        pattern = _pattern(topic, each.name)
        if pattern:
            yield action, pattern


def _pattern(topic: str, name: str) -> str:
    """The topic with %u for the levels that are the name; empty if Mosquitto would read more into it."""
    levels = [MARK if level == name else level for level in topic.split("/")]
    literal = any("%u" in level or "%c" in level for level in levels if level != MARK)
    hidden = levels[0] == MARK and name.startswith("$")  # 2.1 compares before it fills in
    return "" if literal or hidden else "/".join(levels)


def _filled(pattern: str, name: str) -> str:
    return "/".join(name if level == MARK else level for level in pattern.split("/"))


def _is_worth_it(grant: tuple[Action, str], admitted: list[Compiled]) -> bool:
    """Whether more users hold it than would have to be kept from it, and all of these can be."""
    action, pattern = grant
    without = [each for each in admitted if (action, _filled(pattern, each.name)) not in each.grants]
    shielded = [each for each in without if _is_reached(each)]
    return len(shielded) * 2 < len(admitted) and all(_is_free_of(pattern, each) for each in shielded)


def _is_free_of(pattern: str, each: Compiled) -> bool:
    """Whether denying it takes nothing from the user."""
    filled = _filled(pattern, each.name)
    return not any(intersects(topic, filled) for _, topic in each.grants)


def _common_denies(admitted: list[Compiled], grants: frozenset[tuple[Action, str]]) -> frozenset[str]:
    """What is denied to most, and takes nothing from the others that they have by patterns: their own lines win."""
    counted = Counter(
        pattern for each in admitted if _uses(each) for deny in each.denies if (pattern := _pattern(deny, each.name))
    )
    often = (pattern for pattern, count in counted.items() if count > 1 and count * 2 > len(admitted))
    return frozenset(pattern for pattern in often if all(_is_harmless(pattern, each, grants) for each in admitted))


def _is_harmless(pattern: str, each: Compiled, grants: frozenset[tuple[Action, str]]) -> bool:
    filled = _filled(pattern, each.name)
    return filled in each.denies or not _meets_any(filled, _given(each, grants) & each.grants)


def _given(each: Compiled, grants: frozenset[tuple[Action, str]]) -> set[tuple[Action, str]]:
    """What the patterns say for the user."""
    return {(action, _filled(pattern, each.name)) for action, pattern in grants}


def _section(each: Compiled, shared: _Shared) -> Iterator[AclLine]:
    """The lines of one user's own. They are asked before the patterns, denies first."""
    if each.subject.state is Standing.BARRED or (each.subject.state is Standing.ABSENT and shared.grants):
        roots = {_root(_filled(pattern, each.name)) for pattern in shared.topics} - {""}
        yield from deny_lines({*REFUSAL, *roots})
    if each.subject.state is not Standing.ADMITTED:
        return
    uses = _uses(each)
    given = _given(each, shared.grants)
    own = each.grants - given if uses else each.grants
    known = {_filled(pattern, each.name) for pattern in shared.denies} if uses else set()
    needed = {deny for deny in each.denies if deny not in known or _meets_any(deny, own)}
    kept_from = {topic for _, topic in given - each.grants} if _is_reached(each) else set()
    yield from deny_lines(needed | kept_from)
    yield from allow_lines(own)


def _meets_any(deny: str, grants: Iterable[tuple[Action, str]]) -> bool:
    return any(intersects(deny, topic) for _, topic in grants)


def _root(topic: str) -> str:
    """The filter for everything under a first level that begins with `$`; empty if this one does not."""
    first = topic.partition("/")[0]
    return f"{first}/#" if first.startswith("$") else ""


def _is_reached(each: Compiled) -> bool:
    """Whether patterns hold for who connects with that name: not if + or # is in it."""
    return not any(character in each.name for character in "+#")


def _uses(each: Compiled) -> bool:
    """Whether the patterns do hold for the principal as it is registered."""
    return _is_reached(each) and not any(character in each.subject.principal.client_id for character in "+#")
