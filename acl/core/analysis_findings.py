"""What is wrong with policy, seen in roles and in what they are bound to; no device is looked at.

It must not know where roles are stored. What was never used is for the access log to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from acl.core.analysis_filters import common_part, template_covers, templates_cover
from acl.core.outside import OutsideRules
from acl.core.templates import parse
from acl.core.values import Action, Effect, Retain, Role, Rule, Shared
from kernel.core.findings import Severity

CODES = {
    "rule-allows-everything": Severity.ERROR,
    "rule-allows-sys": Severity.WARNING,
    "rule-reaches-other-domain": Severity.ERROR,
    "rule-may-reach-other-domain": Severity.WARNING,
    "rule-shadowed": Severity.WARNING,
    "rule-placeholder-never-resolves": Severity.WARNING,
    "rule-deny-hits-other-domains": Severity.INFO,
    "rule-same-for-many": Severity.INFO,
    "role-unbound": Severity.INFO,
}
"""A code has one severity, for ever: alerts are written against codes."""

_REMEDIES = {
    "rule-allows-everything": "Name the topics that are needed, or bind the role to those few devices that need all.",
    "rule-allows-sys": "Leave $SYS to those who watch the broker: it tells who is connected and what is sent.",
    "rule-reaches-other-domain": "Begin the filter with ${domain}, unless the domains are meant to hear each other.",
    "rule-may-reach-other-domain": "Put ${domain}/ before the filter, unless the domains are meant to hear each other.",
    "rule-shadowed": "Take the allow rule out, or narrow the deny.",
    "rule-placeholder-never-resolves": "Declare the attribute in the device type, or use another placeholder.",
    "rule-deny-hits-other-domains": "Begin the filter with ${domain}, if only this domain's topics are meant.",
    "rule-same-for-many": "Put ${client_id} or an attribute into the filter: then each device has its own topics.",
    "role-unbound": "Bind the role to a device, group, type or domain, or delete it.",
}
_SHARED_BY_ALL = frozenset({"domain", "device_type"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleInUse:
    """A role with what its bindings say. `to_many`: it is bound to something else than single devices.

    `attributes` are those that devices under it may have. `denied` are rules that all who have the role have as well.
    """

    role: Role
    domain: str
    bound: bool
    to_many: bool = False
    attributes: frozenset[str] = frozenset()
    denied: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something wrong with a role; `rules` are those concerned. `detail` is a sentence, `remedy` says what to do."""

    code: str
    role: Role
    rules: tuple[Rule, ...]
    detail: str

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return CODES[self.code]

    @property
    def remedy(self) -> str:
        """What to do."""
        return _REMEDIES[self.code]


def find_flaws(
    use: RoleInUse, *, other_domains: Collection[str], outside: OutsideRules | None = None
) -> Iterator[Flaw]:
    """What is wrong with the role. `outside` are the allow rules, of every domain, that do not keep to its topics."""
    if not use.bound:
        yield _flaw("role-unbound", use, (), "no device has it, so none of its rules is ever used")
        return
    everything = [rule for rule in use.role.rules if _is_allow(rule) and _all_of_it(rule)]
    yield from _told("rule-allows-everything", use, everything, "reaches every topic there is")
    system = [rule for rule in use.role.rules if _is_allow(rule) and _names_a_system_topic(rule)]
    yield from _told("rule-allows-sys", use, system, "reaches topics that the broker keeps about itself")
    others = [rule for rule in use.role.rules if rule not in everything and rule not in system]
    yield from _across_domains(use, filter(_is_allow, others), other_domains, outside or OutsideRules())
    yield from _told("rule-shadowed", use, _shadowed(use), "allows nothing, since a deny covers it")
    void = [rule for rule in use.role.rules if _never_resolves(rule, use.attributes)]
    yield from _told("rule-placeholder-never-resolves", use, void, "has a placeholder without a value on any device")
    wide = [rule for rule in others if rule.effect is Effect.DENY and _hits_several(rule, use.domain, other_domains)]
    yield from _told("rule-deny-hits-other-domains", use, wide, "denies topics of several domains at once")
    same = [rule for rule in others if use.to_many and _is_same_for_all(rule)]
    yield from _told("rule-same-for-many", use, same, "lets every device publish in the name of all the others")


def keeps_to_itself(rule: Rule, domain: str) -> bool:
    """Whether the rule is about topics below the slug of its own domain only."""
    return spelled_out(rule, domain).partition("/")[0] == domain


def spelled_out(rule: Rule, domain: str) -> str:
    """The rule's topic with the slug of its domain in it."""
    return rule.topic.replace("${domain}", domain)


def _told(code: str, use: RoleInUse, rules: Sequence[Rule], what: str) -> Iterator[Flaw]:
    if rules:
        shown = ", ".join(f"{rule.effect.value} {rule.topic[:80]}" for rule in rules[:3])
        more = f" and {len(rules) - 3} more" if len(rules) > 3 else ""
        which = "this" if len(rules) == 1 else "each"
        yield _flaw(code, use, tuple(rules), f"{shown}{more}: {which} {what}")


def _flaw(code: str, use: RoleInUse, rules: tuple[Rule, ...], what: str) -> Flaw:
    return Flaw(code=code, role=use.role, rules=rules, detail=f"{what[0].upper()}{what[1:]}.")


def _is_allow(rule: Rule) -> bool:
    return rule.effect is Effect.ALLOW


def _all_of_it(rule: Rule) -> bool:
    return template_covers(rule.topic, "#")


def _names_a_system_topic(rule: Rule) -> bool:
    return rule.topic.startswith("$") and not rule.topic.startswith("${")


def _across_domains(
    use: RoleInUse, allowed: Iterable[Rule], others: Collection[str], outside: OutsideRules
) -> Iterator[Flaw]:
    crossing, leading, unknown = [], [], []
    for rule in allowed:
        if not others or keeps_to_itself(rule, use.domain):
            continue
        topic = spelled_out(rule, use.domain)
        first = topic.partition("/")[0]
        meets = first == "+" or first in others or outside.meets(replace(rule, topic=topic), domain=use.domain)
        if meets:
            crossing.append(rule)
        elif "${" in first:
            leading.append(rule)
        elif meets is None:
            unknown.append(rule)
    yield from _told("rule-reaches-other-domain", use, crossing, "meets what devices of another domain publish or hear")
    named = "reaches the topics of another domain for a device that is named like it"
    yield from _told("rule-may-reach-other-domain", use, leading, named)
    bounded = "was not compared with every rule of other domains, since there are too many"
    yield from _told("rule-may-reach-other-domain", use, unknown, bounded)


def _shadowed(use: RoleInUse) -> list[Rule]:
    denies = [rule for rule in (*use.role.rules, *use.denied) if rule.effect is Effect.DENY]
    found = []
    for rule in filter(_is_allow, use.role.rules):
        denied = [deny.topic for deny in denies if _denies_all_ways(deny, rule)]
        if denied and templates_cover(denied, rule.topic):
            found.append(rule)
    return found


def _denies_all_ways(deny: Rule, allow: Rule) -> bool:
    """Whether the conditions of the deny hold wherever those of the allow do."""
    return (
        deny.actions >= allow.actions
        and deny.qos >= allow.qos
        and deny.retain in (Retain.ANY, allow.retain)
        and (deny.shared is Shared.ANY or (deny.shared, deny.shared_group) == (allow.shared, allow.shared_group))
    )


def _never_resolves(rule: Rule, attributes: Collection[str]) -> bool:
    names = parse(rule.topic).placeholders
    return any(name.startswith("attr.") and name.removeprefix("attr.") not in attributes for name in names)


def _hits_several(rule: Rule, domain: str, others: Collection[str]) -> bool:
    if keeps_to_itself(rule, domain):
        return False
    met = [slug for slug in (domain, *others) if common_part(spelled_out(rule, domain), f"{slug}/#")]
    return len(met) > 1


def _is_same_for_all(rule: Rule) -> bool:
    return (
        _is_allow(rule) and Action.PUBLISH in rule.actions and _SHARED_BY_ALL.issuperset(parse(rule.topic).placeholders)
    )
