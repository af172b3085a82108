"""Generated policies and requests over the small alphabet of reference.py."""

from __future__ import annotations

from uuid import UUID

from hypothesis import strategies as st

from acl.core.values import (
    Action,
    BoundRule,
    Effect,
    Principal,
    Publish,
    Receive,
    Retain,
    Rule,
    RuleId,
    Shared,
    Subscribe,
)
from tests.acl.core.reference import all_filters, all_names

ANYBODY = Principal(id="1", auth_id="pump", client_id="pump", username="pump", domain="north")

filters = st.sampled_from(all_filters())
names = st.sampled_from([name for name in all_names() if name.count("/") < 3])
actions = st.sampled_from(
    [frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE}), frozenset({Action.PUBLISH, Action.SUBSCRIBE})]
)
some_qos = st.sampled_from([frozenset({0, 1, 2})] * 3 + [frozenset({0}), frozenset({0, 1}), frozenset({2})])
sharing = st.sampled_from(
    [(Shared.ANY, None)] * 3 + [(Shared.NEVER, None), (Shared.ONLY, None), (Shared.ONLY, "g"), (Shared.ONLY, "h")]
)


@st.composite
def rules(draw: st.DrawFn, topics: st.SearchStrategy[str] = filters) -> BoundRule:
    """A rule that is valid, bound to nobody in particular."""
    wanted = draw(actions)
    publishes, subscribes = Action.PUBLISH in wanted, Action.SUBSCRIBE in wanted
    shared, group = draw(sharing) if subscribes else (Shared.ANY, None)
    rule = Rule(
        id=RuleId(UUID(int=draw(st.integers(1, 2**64)))),
        effect=draw(st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY])),
        actions=wanted,
        topic=draw(topics),
        qos=draw(some_qos),
        retain=draw(st.sampled_from([Retain.ANY, Retain.ANY, Retain.ONLY, Retain.NEVER])) if publishes else Retain.ANY,
        shared=shared,
        shared_group=group,
    )
    return BoundRule(rule=rule, role_name=draw(st.sampled_from(["pump", "valve"])))


policies = st.lists(rules(), max_size=6).map(tuple)
requests = st.one_of(
    st.builds(Publish, topic=names, qos=st.integers(0, 2), retain=st.booleans()),
    st.builds(Subscribe, topic=filters, qos=st.integers(0, 2), group=st.sampled_from([None, None, "g", "h"])),
    st.builds(Receive, topic=names),
)
