from __future__ import annotations

from dataclasses import replace
from time import process_time

import pytest

from acl.core.analysis_reach import Flow, find_flows
from acl.core.values import Action, Role
from tests.acl.core.test_analysis_who_can import VALVE, role
from tests.cast import SOUTH

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})


def flows(publisher: Role, subscriber: Role, *, south: bool = False) -> list[tuple[str, tuple[str, ...]]]:
    return [(flow.filter, flow.without) for flow in _flows(publisher, subscriber, south=south)]


def _flows(publisher: Role, subscriber: Role, *, south: bool = False) -> tuple[Flow, ...]:
    hearing = replace(subscriber, domain=SOUTH) if south else subscriber
    there = "south" if south else "north"
    found, are_all = find_flows([publisher], [hearing], publisher_domain="north", subscriber_domain=there, most=9)
    assert are_all
    return found


def test_more_pairs_of_rules_than_are_looked_at_are_told() -> None:
    five = mouth("a", "b", "c", "d", "e")
    found, are_all = find_flows([five], [ear("#")], publisher_domain="north", subscriber_domain="north", most=4)
    assert (len(found), are_all) == (4, False)


def mouth(*topics: str) -> Role:
    return role(*topics, actions=PUBLISH)


def ear(*topics: str) -> Role:
    return role(*topics, id=VALVE, actions=SUBSCRIBE)


def test_a_flow_is_what_both_rules_have_in_common() -> None:
    assert flows(mouth("${domain}/${client_id}/up/#"), ear("north/+/up/alarm")) == [("north/${client_id}/up/alarm", ())]
    assert flows(mouth("a/b"), ear("a/c")) == []


def test_denies_of_either_role_are_taken_out() -> None:
    assert flows(mouth("a/#", "!a/x/#"), ear("+/#", "!a/y")) == [("a/#", ("a/x/#", "a/y"))]
    assert flows(mouth("a/#"), ear("#", "!+/#")) == []


def test_of_flows_in_each_other_the_widest_is_told() -> None:
    assert flows(mouth("a/b", "a/#"), ear("#", "a/b")) == [("a/#", ())]
    assert flows(mouth("a/b", "a/#", "!a/b"), ear("a/b")) == []


def test_a_domain_of_its_own_is_out_of_reach() -> None:
    assert flows(mouth("${domain}/#"), ear("${domain}/#"), south=True) == []
    assert flows(mouth("${domain}/#"), ear("+/alarm"), south=True) == [("north/alarm", ())]


def test_the_same_placeholder_is_another_value_on_another_device() -> None:
    [own] = _flows(mouth("${client_id}/x"), ear("${client_id}/x"))
    assert own.to_itself
    [same_site] = _flows(mouth("${attr.site}/x"), ear("${attr.site}/x"))
    assert not same_site.to_itself
    assert [(pair.left, pair.right) for pair in same_site.where] == [("${attr.site}", "${subscriber.attr.site}")]
    assert same_site.plain_filter == "+/x"


def test_a_serial_number_is_another_name_space_than_names() -> None:
    """A device may be named like the serial number of another's certificate."""
    [flow] = _flows(mouth("x/${client_id}"), ear("x/${cert.serial}"))
    assert not flow.to_itself
    [flow] = _flows(mouth("x/${cert.san_uri}"), ear("x/${cert.serial}"))
    assert not flow.to_itself
    [flow] = _flows(mouth("x/${cert.serial}"), ear("x/${cert.serial}"))
    assert flow.to_itself


@pytest.mark.parametrize("name", ["cert.cn", "cert.o", "cert.san_uri", "cert.san_dns"])
def test_a_name_in_a_certificate_may_be_that_of_many(name: str) -> None:
    """A profile may give the same to all, or to one what another is called."""
    [flow] = _flows(mouth(f"x/${{{name}}}"), ear(f"x/${{{name}}}"))
    assert not flow.to_itself
    [flow] = _flows(mouth(f"x/${{{name}}}"), ear("x/${auth_id}"))
    assert not flow.to_itself


def test_flows_beyond_a_bound_of_work_are_not_looked_for() -> None:
    speaking = mouth(*(f"+/a{n}/+/+" for n in range(160)), *(f"!+/+/b{n}/+" for n in range(160)))
    started = process_time()
    _, are_all = find_flows(
        [speaking],
        [ear(*(f"+/+/+/c{n}" for n in range(160)))],
        publisher_domain="north",
        subscriber_domain="north",
        most=2_000,
    )
    assert not are_all
    assert process_time() - started < 5
