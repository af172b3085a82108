"""RabbitMQ's definitions as roles: one for each user that has topic permissions, as far as they are simple ones.

Topics in which a level has a dot or an asterisk do not exist to RabbitMQ: nothing is compared that rules say of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from acl.core.rules import RuleSpec
from acl.core.values import Action, Effect, Shared
from brokers.core.foreign.outcome import ForeignBinding, ForeignPolicy, Loss, Notes, RoleNames, roles_holding, usable
from brokers.core.foreign.regex import Piece, Simple, Way, admits, simple
from brokers.core.rabbitmq.definitions import PermissionEntry, TopicEntry, read_definitions
from brokers.core.rabbitmq.state import EXCHANGE, VHOST

_NOT_SIMPLE = (
    "It is none of the simple, anchored expressions that topic filters can stand for: write the rules by hand."
)
_TEXTS = {Piece.USERNAME: "${username}", Piece.CLIENT_ID: "${client_id}"}
_SUBSCRIBES, _PUBLISHES = frozenset({Action.SUBSCRIBE}), frozenset({Action.PUBLISH})


def read_rabbitmq(text: str) -> ForeignPolicy:
    """The roles that the definitions come to, of the virtual host `/`. Raises InvalidDefinitions."""
    found, notes = read_definitions(text), Notes()
    for unread in found.unread:
        notes.add(unread.pointer, Loss.LEFT_OUT, unread.pointer, unread.why)
    rights = {entry.user: entry for entry in found.permissions if entry.vhost == VHOST}
    ours = {}
    for entry in found.topic_permissions:
        if (entry.vhost, entry.exchange) == (VHOST, EXCHANGE):
            ours[entry.user] = entry
        else:
            why = f"It is not about the exchange {EXCHANGE} of the virtual host {VHOST}, which MQTT uses."
            notes.add(entry.pointer, Loss.LEFT_OUT, f"{entry.vhost} {entry.exchange}", why)
    for user in found.users:
        if user.name in rights and user.name not in ours:
            why = f"Without a topic permission for {EXCHANGE} it may do everything there; here it gets nothing."
            notes.add(user.pointer, Loss.LEFT_OUT, user.name, why)
    return _policy(ours, rights, notes)


def _policy(ours: Mapping[str, TopicEntry], rights: Mapping[str, PermissionEntry], notes: Notes) -> ForeignPolicy:
    roles, bindings, names = [], [], RoleNames()
    for user, entry in ours.items():
        rules = list(_rules(entry, rights.get(user), notes))
        for role in roles_holding(rules, name=user, description=f"RabbitMQ's user {user}.", names=names):
            roles.append(role)
            bindings.append(ForeignBinding(role=role.name, place=entry.pointer, auth_id=user))
    return ForeignPolicy(roles=tuple(roles), bindings=tuple(bindings), notes=notes.all())


def _rules(entry: TopicEntry, rights: PermissionEntry | None, notes: Notes) -> Iterator[RuleSpec]:
    queues = [f"mqtt-subscription-{entry.user}qos{qos}" for qos in (0, 1)]
    may_write = rights is not None and _admit(rights.write, [EXCHANGE])
    may_read = rights is not None and _admit(rights.read, [EXCHANGE, *queues])
    may_read = may_read and rights is not None and _admit(rights.configure, queues) and _admit(rights.write, queues)
    for member, pattern, allowed in (("write", entry.write, may_write), ("read", entry.read, may_read)):
        place, parts = f"{entry.pointer}/{member}", simple(pattern)
        if parts is None:
            notes.add(place, Loss.LEFT_OUT, pattern, _NOT_SIMPLE)
            continue
        if parts and not allowed:
            why = (
                f"Its permissions for {EXCHANGE} and its queues do not let it, or not in a way that is understood here."
            )
            notes.add(place, Loss.LEFT_OUT, pattern, why)
            continue
        for part in parts:
            for way in part.ways:
                for rule in _of_way(part, way, reads=member == "read", place=place, notes=notes):
                    yield from usable(rule, place=place, source=pattern, notes=notes)


def _admit(pattern: str, texts: Sequence[str]) -> bool:
    parts = simple(pattern)
    return parts is not None and all(admits(parts, text) for text in texts)


def _of_way(part: Simple, way: Way, *, reads: bool, place: str, notes: Notes) -> Iterator[RuleSpec]:
    """Rules for one way: they allow no more than it, topic for topic."""
    *before, last = way or ("",)
    open_ended = last in {Piece.REST, Piece.SOME_REST}
    levels = _levels(before if open_ended else way)
    if not part.begins or not (part.ends or open_ended) or levels is None:
        notes.add(place, Loss.LEFT_OUT, _shown(way), _NOT_SIMPLE)
        return
    # a name is what levels stand for; a filter is compared as text, and a rest admits #
    rest = open_ended and levels[-1] != ""
    if open_ended and not rest:
        levels[-1:] = ["#"] if reads or levels == [""] else ["+", "#"]
    elif rest:
        levels += ["#"] if last is Piece.REST else ["+", "#"]
        notes.add(place, Loss.NARROWER, _shown(way), "Only the level as it stands and what is below are taken over.")
    spelled = ["+" if level is Piece.SOME_LEVEL or level is Piece.ANY_LEVEL else str(level) for level in levels]
    actions, shared = (_SUBSCRIBES, Shared.NEVER) if reads else (_PUBLISHES, Shared.ANY)
    yield RuleSpec(effect=Effect.ALLOW, actions=actions, topic="/".join(spelled), shared=shared)
    if not reads:
        for topic in _empty_levels(levels, spelled, rest=last is Piece.SOME_REST and not rest):
            yield RuleSpec(effect=Effect.DENY, actions=actions, topic=topic)


def _empty_levels(levels: Sequence[str | Piece], spelled: list[str], *, rest: bool) -> Iterator[str]:
    """What `+` covers and a level of at least one character does not."""
    for number, level in enumerate(levels):
        if level is Piece.SOME_LEVEL:
            yield "/".join([*spelled[:number], "", *spelled[number + 1 :]])
    if rest and len(spelled) > 2:
        yield "/".join([*spelled[:-2], ""])


def _levels(way: Sequence[str | Piece]) -> list[str | Piece] | None:
    """The levels: text with our placeholders, or a piece that is any; None if one is neither."""
    levels: list[list[str | Piece]] = [[]]
    for piece in way:
        if piece is Piece.DOT:
            levels.append([])
        else:
            levels[-1].append(piece)
    found = [_level(level) for level in levels]
    return None if None in found else [level for level in found if level is not None]


def _level(pieces: Sequence[str | Piece]) -> str | Piece | None:
    if len(pieces) == 1 and pieces[0] in {Piece.ANY_LEVEL, Piece.SOME_LEVEL}:
        return pieces[0]
    texts = [_TEXTS.get(piece) if isinstance(piece, Piece) else piece for piece in pieces]
    if any(text is None or text in set("/+#*$") for text in texts):
        return None
    return "".join(text for text in texts if text is not None)


def _shown(way: Way) -> str:
    return "".join(piece if isinstance(piece, str) else f"<{piece.name.lower()}>" for piece in way)
