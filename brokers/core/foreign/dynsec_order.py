"""In which order Mosquitto's dynamic security asks, and which denies are without effect by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from acl.core.topics import intersects
from brokers.core.foreign.dynsec_file import DynsecFile, FileAcl
from brokers.core.foreign.filters import meets_blindly
from brokers.core.foreign.meeting import Effort, Losers
from brokers.core.foreign.outcome import Loss, Notes
from brokers.core.mosquitto.dynsec_emulator import contains
from brokers.core.mosquitto.dynsec_state import AclType

_CHECKS: tuple[tuple[str, frozenset[AclType], Callable[[str, str], bool]], ...] = (
    ("publishClientSend", frozenset({AclType.SEND}), intersects),
    ("publishClientReceive", frozenset({AclType.RECEIVE}), intersects),
    ("subscribe", frozenset({AclType.SUBSCRIBE, AclType.SUBSCRIBE_LITERAL}), meets_blindly),
)
_STEPS_OF_AN_ACL, _STEPS_OF_A_PAIR = 4, 4  # as much as so many steps in an index
_Place = tuple[int, bool, int]


@dataclass(frozen=True, slots=True)
class _Placed:
    place: _Place
    acl: FileAcl


def needless_denies(file: DynsecFile, notes: Notes) -> frozenset[str]:
    """The places of denies that no allow which they meet stands behind, for any client; they are noted.

    Of a literal one that is so even if no allow meets it, since its equivalent here takes more than that one spelling.

    Noted as well are allows that stand before a deny which they meet. Raises ImportTooEntangled.
    """
    effort = Effort()
    needed: set[str] = set()
    losing: dict[str, dict[str, FileAcl]] = {}
    denies = {acl.place: acl for acls in file.roles.values() for acl in acls if not acl.allow}
    for sequence in _sequences(file):
        for default, kinds, meet in _CHECKS:
            ordered = [each for each in _ordered(file, sequence) if each.acl.kind in kinds]
            allows = [each for each in ordered if each.acl.allow]
            effort.spend(len(ordered) * _STEPS_OF_AN_ACL)
            for deny in (each for each in ordered if not each.acl.allow):
                effort.spend(len(allows) * _STEPS_OF_A_PAIR)
                met = [each for each in allows if _met(each.acl, deny.acl, meet)]
                before = [each.acl for each in met if each.place <= deny.place]
                if file.defaults[default] or any(each.place >= deny.place for each in met):
                    needed.add(deny.acl.place)
                if before or deny.acl.kind is AclType.SUBSCRIBE_LITERAL:
                    losing.setdefault(deny.acl.place, {}).update((acl.place, acl) for acl in before)
    losers = Losers("can stand")
    for place, allows_before in losing.items():
        source = f"{denies[place].kind} {denies[place].topic} deny"
        if place not in needed:
            why = "Nothing that it could take away is asked behind it, and what no rule allows is denied anyway."
            notes.add(place, Loss.SAME, source, why)
            continue
        for allow in allows_before.values():
            losers.add((allow.place, f"{allow.kind} {allow.topic} allow"), (place, source))
    losers.tell(notes)
    return frozenset(losing) - needed


def _sequences(file: DynsecFile) -> list[tuple[frozenset[str], ...]]:
    """Every order in which roles are asked, and each role alone."""
    alone = [(frozenset({name}),) for name in file.roles]
    return list(dict.fromkeys([*alone, *(client.roles for client in file.clients)]))


def _ordered(file: DynsecFile, sequence: tuple[frozenset[str], ...]) -> Iterator[_Placed]:
    for rank, names in enumerate(sequence):
        for name in sorted(names):
            for acl in file.roles[name]:
                pattern = acl.kind not in {AclType.SUBSCRIBE_LITERAL, AclType.UNSUBSCRIBE_LITERAL}
                within = (pattern, -acl.priority) if len(names) == 1 else (False, 0)
                yield _Placed((rank, *within), acl)


def _met(allow: FileAcl, deny: FileAcl, meet: Callable[[str, str], bool]) -> bool:
    """Whether the deny can take something of the allow; one of a single spelling takes that alone."""
    if deny.kind is AclType.SUBSCRIBE_LITERAL:
        one = allow.kind is AclType.SUBSCRIBE_LITERAL
        return allow.topic == deny.topic if one else contains(_widest(allow.topic), deny.topic)
    return meet(_widest(allow.topic), _widest(deny.topic))


def _widest(topic: str) -> str:
    """The filter with `+` for %u and %c, which are placeholders to 2.1."""
    return "/".join("+" if level in {"%u", "%c"} else level for level in topic.split("/"))
