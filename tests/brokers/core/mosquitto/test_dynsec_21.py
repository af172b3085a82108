"""No 2.1 can be installed here: what stands here holds by its reference and its sources, not by having been seen."""

from __future__ import annotations

import random
from functools import partial

import pytest

from acl.core.values import Action, BoundRule, CertificateFields, Effect, Principal, Publish, Request, Subscribe
from brokers.core.mosquitto.dynsec_21 import CAPABILITIES, limited, render
from brokers.core.mosquitto.dynsec_21_emulator import deliverable, emulate
from brokers.core.mosquitto.dynsec_state import Acl, AclType, DynsecClient, DynsecState, parse, to_artifact
from brokers.core.ports import RenderSubject, Standing
from tests.brokers.core.faithfulness import ODD, PLAIN, PUMP, Broker, Dice, unexplained
from tests.brokers.core.nats.test_policy import admitted, bound

PUBLISH, SUBSCRIBE = frozenset({Action.PUBLISH}), frozenset({Action.SUBSCRIBE})
QUICKSTART = (
    bound("allow", "${domain}/${client_id}/up/#", actions=PUBLISH),
    bound("allow", "${domain}/${auth_id}/down/#", actions=SUBSCRIBE),
    bound("allow", "${domain}/all/#", actions=SUBSCRIBE),
)


def person(name: str, client_id: str = "", **facts: object) -> Principal:
    known: dict[str, object] = {"id": name, "auth_id": name, "client_id": client_id or name, "username": name}
    return Principal(**(known | {"domain": "north"} | facts))  # type: ignore[arg-type]


def state_of(*subjects: RenderSubject) -> DynsecState:
    return parse(render(subjects).artifact)


def topics(state: DynsecState, role: str, kind: AclType = AclType.SEND) -> set[str]:
    return {acl.topic for acl in state.roles[role] if acl.kind is kind}


def deviations(*policy: BoundRule) -> list[tuple[str, str]]:
    found = render([admitted(*policy)]).deviations
    return [(deviation.rule.rule.topic, deviation.kind.value) for deviation in found]


def test_the_rules_of_a_role_stand_once_for_all_of_its_members() -> None:
    state = state_of(*(admitted(*QUICKSTART, principal=person(f"d{number}")) for number in range(20)))
    assert set(state.roles) == {"gh.r.pump.allow", "gh.r.pump.deny"}
    assert topics(state, "gh.r.pump.allow") == {"north/%u/up/#"}
    assert topics(state, "gh.r.pump.allow", AclType.RECEIVE) == {"north/%u/down/#", "north/all/#"}
    assert topics(state, "gh.r.pump.allow", AclType.SUBSCRIBE) == {
        *("north/%u/down/#", "$share/+/north/%u/down/#", "north/all/#", "$share/+/north/all/#"),
    }
    assert emulate(state, person("d1"), Publish(topic="north/d1/up/1"))
    assert not emulate(state, person("d1"), Publish(topic="north/d2/up/1"))
    assert not emulate(state, person("d1"), Publish(topic="north/%u/up/1"))
    assert emulate(state, person("d1"), Subscribe(topic="north/d1/down/#", group="g"))
    assert deviations(*QUICKSTART) == []


def test_who_has_another_client_id_has_the_role_written_out_and_gets_no_other_ones_topics() -> None:
    other = person("e", client_id="c-e")
    state = state_of(admitted(*QUICKSTART, principal=person("d")), admitted(*QUICKSTART, principal=other))
    assert topics(state, "gh.d.e.allow") == {"north/c-e/up/#"}
    assert [name for name, _ in state.clients["e"].roles] == ["gh.d.e.allow"]
    assert emulate(state, other, Publish(topic="north/c-e/up/1"))
    assert not emulate(state, person("e", client_id="d"), Publish(topic="north/d/up/1"))
    assert not emulate(state, other, Publish(topic="north/e/up/1"))


def test_a_client_id_that_the_client_chose_gives_it_nothing() -> None:
    assert "%c" not in render([admitted(*QUICKSTART)]).artifact
    assert "client_id" not in CAPABILITIES.placeholders


def test_other_placeholders_and_parts_of_levels_are_the_principals_own() -> None:
    rules = (
        bound("allow", "${attr.site}/x", actions=PUBLISH),
        bound("allow", "d-${auth_id}/x", actions=PUBLISH),
        bound("allow", "${cert.cn}/${auth_id}", actions=PUBLISH),
        bound("allow", "${auth_id}/x", actions=PUBLISH),
    )
    who = person("d", attributes={"site": "s1"}, certificate=CertificateFields(cn="d"))
    state = state_of(admitted(*rules, principal=who))
    assert topics(state, "gh.d.d.allow") == {"s1/x", "d-d/x", "d/d"}
    assert topics(state, "gh.r.pump.allow") == {"%u/x"}


@pytest.mark.parametrize("name", ["a/b", "+", "#", "$s", "%u", "%c", "a%ub"])
def test_a_name_that_could_inject_is_never_filled_in(name: str) -> None:
    rules = (bound("allow", "${auth_id}/#"), bound("allow", "x/#"), bound("deny", "x/${auth_id}"))
    state = state_of(admitted(*rules, principal=person("d")), admitted(*rules, principal=person(name)))
    assert not any(role.startswith("gh.r.") for role, _ in state.clients[name].roles)
    assert not any("%u" in topic for topic in topics(state, f"gh.d.{name}.allow") if topic != f"{name}/#")
    for guarded in (False, True):
        for topic in ("a/b/x", "a/x", "b/x", "d/x", "$s/x"):
            assert not emulate(state, person(name), Publish(topic=topic), guarded=guarded)
        assert not emulate(state, person(name), Subscribe(topic="#"), guarded=guarded)


def test_a_level_that_the_broker_would_fill_in_is_left_out_of_allows_and_widened_in_denies() -> None:
    rules = (bound("allow", "a/%u"), bound("allow", "b/#"), bound("deny", "b/%c"), bound("allow", "a/x%u"))
    state = state_of(admitted(*rules))
    assert topics(state, "gh.r.pump.allow") == {"b/#", "a/x%u"}
    assert topics(state, "gh.r.pump.deny") == {"b/+"}
    assert not emulate(state, PUMP, Publish(topic="a/pump"))
    assert not emulate(state, PUMP, Publish(topic="b/%c"))
    assert emulate(state, PUMP, Publish(topic="a/x%u"))
    assert [topic for topic, kind in deviations(*rules) if kind == "narrower"] == ["a/%u", "b/#", "b/%c"]


def test_a_deny_with_a_placeholder_wins_over_an_allow_of_any_role() -> None:
    other = BoundRule(rule=bound("allow", "a/#").rule, role_name="valve")
    state = state_of(admitted(bound("deny", "a/${auth_id}/secret"), other))
    assert topics(state, "gh.r.pump.deny") == {"a/%u/secret"}
    assert not emulate(state, PUMP, Publish(topic="a/pump/secret"))
    assert emulate(state, PUMP, Publish(topic="a/valve/secret"))


def test_who_is_barred_or_absent_is_as_in_2_0() -> None:
    barred = RenderSubject(principal=PUMP, policy=(), state=Standing.BARRED)
    absent = RenderSubject(principal=person("x"), policy=(), state=Standing.ABSENT)
    state = state_of(barred, absent)
    assert set(state.clients) == {"pump"}
    assert state.clients["pump"].roles == (("gh.barred", 1000),)


def _holding(*acls: tuple[AclType, str]) -> DynsecState:
    role = frozenset(Acl(kind=kind, topic=topic, allow=True) for kind, topic in acls)
    names = ("u", "a/b", "+", "$s", "")
    clients = {name: DynsecClient(username=name, mark="gh.1", roles=(("gh.x", 1),)) for name in names}
    return DynsecState(roles={"gh.x": role}, clients=clients)


@pytest.mark.parametrize(
    ("pattern", "who", "topic", "expected"),
    [
        ("%u/x", person("u"), "u/x", True),
        ("%u/x", person("u"), "v/x", False),
        ("c/%c", person("u", "k"), "c/k", True),
        ("x%u/y", person("u"), "xu/y", False),
        ("x%u/y", person("u"), "x%u/y", True),
        ("%u/x", person("a/b"), "a/b/x", True),
        ("%u/x", person("+"), "a/x", False),
        ("%u/x", person("$s"), "$s/x", False),
        ("a/%u", person("$s"), "a/$s", True),
        ("%c/x", person("u", "#"), "a/x", False),
    ],
)
def test_whole_levels_are_filled_in(pattern: str, who: Principal, topic: str, *, expected: bool) -> None:
    state = _holding((AclType.SEND, pattern))
    assert emulate(state, who, Publish(topic=topic)) is expected


def test_literal_acls_are_not_filled_in() -> None:
    state = _holding((AclType.SUBSCRIBE_LITERAL, "%u/x"))
    assert emulate(state, person("u"), Subscribe(topic="%u/x"))
    assert not emulate(state, person("u"), Subscribe(topic="u/x"))


def test_what_is_rendered_reads_back_whatever_the_order() -> None:
    subjects = [admitted(*QUICKSTART, principal=person(name)) for name in ("b", "a", "\u00e9", "%u")]
    artifact = render(subjects).artifact
    assert artifact == render(reversed(subjects)).artifact
    assert to_artifact(parse(artifact)) == artifact


@pytest.mark.parametrize(
    ("levels", "seed", "guarded"), [(PLAIN, 41, False), (ODD, 42, False), ((*ODD, "%u", "%c"), 43, True)]
)
def test_engine_and_broker_agree_or_the_deviation_is_declared(
    levels: tuple[str, ...], seed: int, *, guarded: bool
) -> None:
    dice = Dice(roll=random.Random(seed), levels=levels)
    for _ in range(60):
        policy = dice.policy()
        rendering = render([admitted(*policy)])
        state = parse(rendering.artifact)
        broker = Broker(
            allows=partial(emulate, state, PUMP, guarded=guarded),
            delivers=partial(deliverable, state, PUMP, guarded=guarded),
            deviations=rendering.deviations,
            excuses=partial(_excuses, policy),
        )
        for _ in range(8):
            request = dice.request(policy)
            assert unexplained(policy, request, broker) == "", (policy, state)


def _excuses(policy: tuple[BoundRule, ...], request: Request) -> bool:
    """The limits; and what a deny that begins with a wildcard hits without meeting it, as declared."""
    if limited(request):
        return True
    hit = isinstance(request, Subscribe) and (request.group is not None or request.topic.startswith("$"))
    return hit and any(rule.rule.effect is Effect.DENY and rule.rule.topic[0] in "+#%" for rule in policy)
