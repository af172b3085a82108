"""Policy for Mosquitto 2.1's dynamic security plugin: as for 2.0, with %u where a rule names who the client is.

2.1 fills in %u where it is a whole level. So a role's rules stand once for all of its members whose username is what
the rule names; the others have the role's rules written out as their own. %c is never written: the client chooses its
client id, and where a certificate proves identity the plugin does not compare it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from acl.core.evaluation import EffectiveRule
from acl.core.templates import parse
from acl.core.values import Principal
from brokers.core.mosquitto.dynsec import LIMITS, Compiler, desired_state, limited, shared_name
from brokers.core.mosquitto.dynsec_state import to_artifact
from brokers.core.ports import Capabilities, Rendering, RenderSubject
from brokers.core.rendering import Deviations

CAPABILITIES = Capabilities(
    stores_policy=True,
    protocol_versions=("3.1.1", "5"),
    placeholders=frozenset({"auth_id", "username"}),
    version="2.1",
    limits=tuple((limit.kind, limit.why) for limit in LIMITS),
)
_IDENTITIES = frozenset({"auth_id", "username", "client_id"})
_SAME_FOR_ALL = frozenset({"domain"})  # of one broker

__all__ = ["CAPABILITIES", "Compiler21", "limited", "render"]


def render(subjects: Iterable[RenderSubject]) -> Rendering:
    """What the plugin should hold of ours, as text, and what it can not express."""
    deviations = Deviations()
    state = desired_state(subjects, deviations, compiler=Compiler21)
    return Rendering(artifact=to_artifact(state), deviations=deviations.all())


class Compiler21(Compiler):
    """Turns the rules of one principal into roles of 2.1."""

    def _placed(self, rules: Sequence[EffectiveRule]) -> list[tuple[str, EffectiveRule]]:
        """A role is written out for a principal for whom one of its rules would not be the same with %u."""
        principal = self._subject.principal
        expanded = {rule.bound.role_name for rule in rules if not _is_the_same(rule, principal)}
        placed = []
        for rule in rules:
            topic = rule.bound.rule.topic
            shared = rule.bound.role_name not in expanded and not _is_own(topic)
            written = self._spelled(rule, _marked(topic) if shared else (), rules)
            placed.append((shared_name(rule.bound) if shared else self._own_name(), written))
        return placed


@lru_cache(maxsize=4_096)
def _marked(topic: str) -> frozenset[int]:
    """Which levels are a placeholder for the identity and nothing else."""
    return frozenset(
        position
        for position, level in enumerate(parse(topic).levels)
        if not isinstance(level, str) and len(level) == 1 and level[0][0] in _IDENTITIES
    )


@lru_cache(maxsize=4_096)
def _is_own(topic: str) -> bool:
    """Whether the rule is another one for each principal even if %u is filled in."""
    marked = _marked(topic)
    named = {
        part[0]
        for position, level in enumerate(parse(topic).levels)
        if position not in marked and not isinstance(level, str)
        for part in level
        if isinstance(part, tuple)
    }
    return bool(named - _SAME_FOR_ALL)


def _is_the_same(rule: EffectiveRule, principal: Principal) -> bool:
    """Whether each identity that the rule names is the username, and one that can be filled in."""
    named = _IDENTITIES.intersection(parse(rule.bound.rule.topic).placeholders)
    if not named:
        return True
    alike = all(getattr(principal, name) == principal.auth_id for name in named)
    return alike and _is_plain(principal.auth_id) and not rule.void_reason


def _is_plain(name: str) -> bool:
    """Whether Mosquitto compares the name as one level, and as nothing else."""
    return bool(name) and not name.startswith("$") and not any(character in name for character in "/+#%")
