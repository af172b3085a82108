from __future__ import annotations

from acl.core.analysis_reach import find_flows
from acl.core.values import Action, Role
from brokers.core.answers import ReachLine
from console.views.reach_drawing import Drawing, draw
from tests.acl.core.test_analysis_who_can import VALVE, role


def drawn(publisher: Role, subscriber: Role) -> Drawing:
    flows, _ = find_flows([publisher], [subscriber], publisher_domain="north", subscriber_domain="north", most=100)
    return draw([ReachLine(flow=flow) for flow in flows])


def test_roles_and_filters_stand_once_and_lines_join_them() -> None:
    drawing = drawn(
        role("a", "b", actions=frozenset({Action.PUBLISH})), role("#", id=VALVE, actions=frozenset({Action.SUBSCRIBE}))
    )
    assert [(box.text, box.kind) for box in drawing.boxes] == [
        ("r1", "role"),
        ("a", "filter"),
        ("b", "filter"),
        ("r2", "role"),
    ]
    assert len(drawing.curves) == 4
    left, filters, _, right = drawing.boxes
    assert left.x + left.width < filters.x < right.x
    assert max(box.x + box.width for box in drawing.boxes) <= drawing.width
    assert max(box.y + box.height for box in drawing.boxes) <= drawing.height


def test_many_flows_are_drawn_in_part_and_long_filters_cut() -> None:
    topics = [f"{number}/{'x' * 80}" for number in range(30)]
    drawing = drawn(
        role(*topics, actions=frozenset({Action.PUBLISH})),
        role("#", id=VALVE, actions=frozenset({Action.SUBSCRIBE})),
    )
    assert drawing.more == 6
    assert all(len(box.text) <= 46 for box in drawing.boxes)
    assert {box.title for box in drawing.boxes if box.kind == "filter"} == set(topics[:24])


def test_nothing_is_an_empty_drawing() -> None:
    assert (draw([]).boxes, draw([]).curves, draw([]).more) == ((), (), 0)
