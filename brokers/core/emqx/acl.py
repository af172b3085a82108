"""Policy as the `acl` list of EMQX's HTTP authentication answers and of JWT claims: one list for each principal.

What is not matched falls through to the authorisers, so each list closes itself, but for first levels that begin with
`$` (see BEHIND). The same for 5.8 and 6.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from brokers.core.emqx import rules as emqx_rules
from brokers.core.emqx.compiler import compile_policy
from brokers.core.emqx.rule import EmqxRule, NotEmqxRules, rules_line, rules_of
from brokers.core.ports import Rendering, RenderSubject, Standing
from brokers.core.rendering import Deviations

CAPABILITIES = replace(emqx_rules.CAPABILITIES, stores_policy=False)


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """The lists of all that are not absent as JSON, by auth id, and what they can not express."""
    deviations = Deviations()
    lists = {
        subject.principal.auth_id: compile_policy(subject, deviations).closed
        for subject in subjects
        if subject.state is not Standing.ABSENT
    }
    return Rendering(artifact=write(lists), deviations=deviations.all())


def write(lists: Mapping[str, tuple[EmqxRule, ...]]) -> str:
    """The lists as text, a line for each principal."""
    lines = (f"{json.dumps(name, ensure_ascii=False)}: {rules_line(lists[name])}" for name in sorted(lists))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def parse(artifact: str) -> Mapping[str, tuple[EmqxRule, ...]]:
    """What `render` wrote, by auth id. Raises NotEmqxRules."""
    try:
        document = json.loads(artifact)
    except (ValueError, RecursionError) as error:
        raise NotEmqxRules(f"This is no JSON: {error}.") from error
    if not isinstance(document, dict):
        raise NotEmqxRules("The lists are a JSON object with a member for each principal.")
    return {name: rules_of(rules) for name, rules in document.items()}
