"""Policy as EMQX's acl.conf: one list that every publish and subscribe walks, so for small fleets.

The order is that of `compiler`, for all principals at once: who is barred, denies, guards, allows, and nothing
else. The same file serves 5.8 and 6: 5.9's `zone` and `listener` and 6.3's `security_profile` are not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from brokers.core.emqx.compiler import LIMITS, ROOTS, compile_policy
from brokers.core.emqx.file_reading import NotAclConf, read_rules
from brokers.core.emqx.file_rules import EVERYBODY, FileRule, FileTopic, Who, WhoKind, write_rule
from brokers.core.emqx.identity import Identity, Scope, identified, warnings_about
from brokers.core.emqx.rule import EmqxAction, EmqxRule, levels_of
from brokers.core.emqx.sharing import shared, templated
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import Deviations

_OLDER = (
    f"Before 5.8.9 the deny of all at the end does not reach first levels that begin with $, other than "
    f"{', '.join(ROOTS)}: keep no_match at deny."
)

CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    placeholders=frozenset({"client_id", "username", "auth_id"}),
    qos_conditions=True,
    retain_conditions=True,
    shared_subscriptions=True,
    version="5.8.9",
    limits=(*((limit.kind, limit.why) for limit in LIMITS), (DeviationKind.WIDER, _OLDER)),
)

HEADER = "%% -*- coding: utf-8 -*-\n%% Written by Gatehouse: the first rule that matches decides.\n"
_ROOTS = tuple(FileTopic(topic=f"{root}/#") for root in ROOTS)
_ROOTS_DENIED = FileRule(allow=False, who=EVERYBODY, topics=_ROOTS)
_CLOSING = FileRule(allow=False, who=EVERYBODY)
_DENY, _GUARD, _ALLOW, _WILD = range(4)


class _Kind(NamedTuple):
    """What rules of one line have alike. `retain` is 0, 1, or 2 for either."""

    section: int
    action: EmqxAction
    qos: tuple[int, ...]
    retain: int


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The file, and what it can not express."""
    deviations = Deviations()
    found = identified(subjects, deviations)
    barred = sorted(identity for identity, subject in found.items() if subject.state is Standing.BARRED)
    entries = (
        (_kind(section, rule.action, rule.qos, retain=rule.retain), identity, _topic(rule, identity, subject))
        for identity, subject in found.items()
        for section, rule in _sections(subject, deviations)
    )
    people = {identity: _who(identity) for identity in found}
    lines = [(kind, _line(kind, [people[each] for each in who], topics)) for kind, who, topics in shared(entries)]
    spelled = [line for kind, line in lines if kind.section != _WILD]
    wild = [line for kind, line in lines if kind.section == _WILD]
    rules = [*_refusing([people[each] for each in barred]), *spelled, _ROOTS_DENIED, *wild, _CLOSING]
    return Rendering(artifact=write(rules), deviations=deviations.all(), warnings=tuple(warnings_about(found)))


def write(rules: Sequence[FileRule]) -> str:
    """The rules as the text of the file."""
    return HEADER + "".join(f"{write_rule(rule)}\n" for rule in rules)


def parse(artifact: str) -> tuple[FileRule, ...]:
    """The rules of the file. Raises NotAclConf, which names the first line that is not understood."""
    rules, faults = read_rules(artifact)
    if faults:
        raise NotAclConf(f"Line {faults[0].line}: {faults[0].why}")
    return rules


def _sections(subject: RenderSubject, deviations: Deviations) -> Iterator[tuple[int, EmqxRule]]:
    policy = compile_policy(subject, deviations)
    lists = ((_DENY, policy.denies), (_GUARD, policy.guards), (_ALLOW, policy.allows), (_WILD, policy.wild))
    for section, rules in lists:
        for rule in rules:
            yield section, rule


@cache
def _kind(section: int, action: EmqxAction, qos: frozenset[int], *, retain: bool | None) -> _Kind:
    return _Kind(section, action, levels_of(qos), 2 if retain is None else int(retain))


def _topic(rule: EmqxRule, identity: Identity, subject: RenderSubject) -> FileTopic:
    """Literal topics know no placeholders."""
    if rule.literal:
        return FileTopic(rule.topic, literal=True)
    return FileTopic(templated(rule.topic, identity, subject))


def _line(kind: _Kind, who: Sequence[Who], topics: tuple[FileTopic, ...]) -> FileRule:
    return FileRule(
        allow=kind.section >= _ALLOW,
        who=_one_of(who),
        action=kind.action,
        topics=topics,
        qos=frozenset(kind.qos),
        retain=None if kind.retain == 2 else bool(kind.retain),
    )


def _refusing(barred: Sequence[Who]) -> Iterator[FileRule]:
    if barred:
        yield FileRule(allow=False, who=_one_of(barred), topics=(FileTopic(topic="#"), *_ROOTS))


def _one_of(people: Sequence[Who]) -> Who:
    return people[0] if len(people) == 1 else Who(kind=WhoKind.OR, parts=tuple(people))


def _who(identity: Identity) -> Who:
    kind = WhoKind.USERNAME if identity.scope is Scope.USERNAME else WhoKind.CLIENTID
    return Who(kind=kind, value=identity.name)
