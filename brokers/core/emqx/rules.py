"""Policy as the rules of EMQX's built-in database: by username or client id, and for all.

The same rules serve 5.8 and 6: nothing of 5.9's filters or 6.3's placeholders is needed, and 6.1's namespaces are not
looked into (NAMESPACES). What differs is what happens where no rule matches: before 6.0 `no_match` is `allow` as it
comes, so the artifact has the setting.
The artifact grows with the devices: rules for all would hold for whoever else connects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from brokers.core.emqx.compiler import BEHIND, CLOSING, LIMITS, compile_policy
from brokers.core.emqx.identity import Identity, Scope, identified, note_nothing, warnings_about
from brokers.core.emqx.rule import EmqxRule, NotEmqxRules, rules_line, rules_of
from brokers.core.ports import Capabilities, DeviationKind, Rendering, RenderSubject, Standing
from brokers.core.rendering import Deviations, Limit

MOST_RULES = 98  # max_rules of an entity is 100 as it comes, and two are marks of ours
WHOLE = (
    "Of devices these rules are all that there may be, and a write replaces those of one name alone: delete the others "
    "(DELETE /api/v5/authorization/sources/built_in_database/rules/users/<name>, .../rules/clients/<client id>), which "
    "go on allowing."
)
NAMESPACES = Limit(
    kind=DeviationKind.WIDER,
    why=(
        "Since 6.1 whoever is of a namespace (client attribute tns) is bound by its rules and users alone, if it has "
        "any: let nothing set tns, or write none there."
    ),
)

CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    qos_conditions=True,
    retain_conditions=True,
    shared_subscriptions=True,
    version="5.8.9",
    limits=tuple((limit.kind, limit.why) for limit in (*LIMITS, BEHIND, NAMESPACES)),
    certificate_lag=timedelta(minutes=16),  # crl_cache.refresh_interval is 15 minutes as it comes
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmqxRules:
    """The rules of the database. Those of a client id are asked first, then those of a username, then those for all."""

    no_match: str = "deny"
    everyone: tuple[EmqxRule, ...] = ()
    clients: Mapping[str, tuple[EmqxRule, ...]] = field(default_factory=dict)
    users: Mapping[str, tuple[EmqxRule, ...]] = field(default_factory=dict)


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """What the database should hold, as text, and what it can not express."""
    deviations = Deviations()
    found = identified(subjects, deviations)
    rules = {identity: _own(subject, deviations) for identity, subject in found.items()}
    state = EmqxRules(everyone=CLOSING, clients=_of(rules, Scope.CLIENTID), users=_of(rules, Scope.USERNAME))
    return Rendering(artifact=write(state), deviations=deviations.all(), warnings=(WHOLE, *warnings_about(found)))


def write(state: EmqxRules) -> str:
    """The state as JSON, a line for each username and client id, sorted."""
    parts = [
        f'{{"settings": {json.dumps({"no_match": state.no_match})},',
        f'"all": {rules_line(state.everyone)},',
        f'"clients": {_table(state.clients)},',
        f'"users": {_table(state.users)}}}',
    ]
    return "\n".join(parts) + "\n"


def parse(artifact: str) -> EmqxRules:
    """The state that `write` wrote. Raises NotEmqxRules."""
    try:
        document = json.loads(artifact)
    except (ValueError, RecursionError) as error:
        raise NotEmqxRules(f"This is no JSON: {error}.") from error
    if not isinstance(document, dict) or set(document) != {"settings", "all", "clients", "users"}:
        raise NotEmqxRules("The rules of the database are a JSON object with settings, all, clients and users.")
    settings = document["settings"]
    return EmqxRules(
        no_match="deny" if isinstance(settings, dict) and settings.get("no_match") == "deny" else "allow",
        everyone=rules_of(document["all"]),
        clients=_by_name(document["clients"]),
        users=_by_name(document["users"]),
    )


def _own(subject: RenderSubject, deviations: Deviations) -> tuple[EmqxRule, ...]:
    """The principal's own rules. What is closed for all needs no closing; who is barred is refused by name besides."""
    if subject.state is not Standing.ADMITTED:
        return CLOSING
    rules = compile_policy(subject, deviations).open
    if len(rules) <= MOST_RULES:
        return rules
    why = f"The principal needs more than {MOST_RULES} rules, which EMQX does not take: it gets nothing."
    note_nothing(subject, deviations, why)
    return CLOSING


def _of(rules: Mapping[Identity, tuple[EmqxRule, ...]], scope: Scope) -> Mapping[str, tuple[EmqxRule, ...]]:
    return {identity.name: found for identity, found in rules.items() if identity.scope is scope}


def _table(rules: Mapping[str, tuple[EmqxRule, ...]]) -> str:
    lines = (f"{json.dumps(name, ensure_ascii=False)}: {rules_line(rules[name])}" for name in sorted(rules))
    return "{\n" + ",\n".join(lines) + "\n}"


def _by_name(document: object) -> Mapping[str, tuple[EmqxRule, ...]]:
    if not isinstance(document, dict):
        raise NotEmqxRules("The rules of clients and users are JSON objects with a member for each name.")
    return {name: rules_of(rules) for name, rules in document.items()}
