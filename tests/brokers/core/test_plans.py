"""What a plan may be applied with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from acl.core.values import BoundRule
from brokers.core.plans import (
    DeviationNotAccepted,
    planned_deviation,
    policy_digest,
    rendering_digest,
    require_acceptance,
)
from brokers.core.ports import DesiredState, Deviation, DeviationKind, Rendering, Standing
from tests.brokers.subjects import ALL, PUBLISH, UP, rule, subject


def deviation(kind: DeviationKind, *, why: str = "It can not.") -> Deviation:
    return Deviation(rule=UP, principals=("p-1",), kind=kind, why=why)


def test_wider_deviation_has_to_be_accepted_by_its_id() -> None:
    wider = deviation(DeviationKind.WIDER)
    with pytest.raises(DeviationNotAccepted) as caught:
        require_acceptance([wider], [])
    assert [error.pointer for error in caught.value.errors] == ["/accept_deviations"]
    assert wider.id in caught.value.errors[0].detail
    require_acceptance([wider], [wider.id])


def test_acceptance_is_of_one_deviation_alone() -> None:
    accepted, other = deviation(DeviationKind.WIDER), deviation(DeviationKind.WIDER, why="For another reason.")
    with pytest.raises(DeviationNotAccepted):
        require_acceptance([accepted, other], [accepted.id])


def test_narrower_and_signalling_need_no_acceptance() -> None:
    require_acceptance([deviation(DeviationKind.NARROWER), deviation(DeviationKind.SIGNALLING)], [])


def test_digest_follows_the_artifact_and_the_deviations() -> None:
    plain = Rendering(artifact="a")
    assert rendering_digest(plain) == rendering_digest(Rendering(artifact="a"))
    assert rendering_digest(plain) != rendering_digest(Rendering(artifact="b"))
    assert rendering_digest(plain) != rendering_digest(
        Rendering(artifact="a", deviations=(deviation(DeviationKind.NARROWER),))
    )


def test_digest_of_the_policy_follows_what_somebody_may_do_and_nothing_else() -> None:
    def digest(*policy: BoundRule, **facts: Any) -> str:
        made = subject("p-1", *policy, standing=facts.pop("standing", Standing.ADMITTED))
        return policy_digest(DesiredState(subjects=(replace(made, principal=replace(made.principal, **facts)),)))

    known = digest(UP, ALL)
    written_out = rule("allow", PUBLISH, "north/p-1/up/#", role="other")
    assert {digest(ALL, UP), digest(ALL, written_out), digest(UP, ALL, groups=("g",), attributes={"x": 1})} == {known}
    others = [
        digest(UP),
        digest(UP, ALL, rule("deny", PUBLISH, "a")),
        digest(rule("deny", PUBLISH, UP.rule.topic), ALL),
        digest(UP, rule("allow", PUBLISH, ALL.rule.topic)),
        digest(replace(UP, rule=replace(UP.rule, qos=frozenset({0}))), ALL),
        digest(UP, ALL, client_id="p-2"),
        digest(UP, ALL, auth_id="p-2"),
        digest(UP, ALL, domain="south"),
        digest(UP, ALL, standing=Standing.BARRED),
        policy_digest(DesiredState(subjects=())),
    ]
    assert len({known, *others}) == 1 + len(others)


def test_shown_principals_are_bounded_and_counted() -> None:
    many = Deviation(
        rule=ALL, principals=tuple(f"p-{n}" for n in range(50)), kind=DeviationKind.NARROWER, why="x", principal_count=9
    )
    shown = planned_deviation(many)
    assert (len(shown.principals), shown.principal_count) == (20, 9)
