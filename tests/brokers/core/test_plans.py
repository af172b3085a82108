"""What a plan may be applied with."""

from __future__ import annotations

import pytest

from brokers.core.plans import DeviationNotAccepted, planned_deviation, rendering_digest, require_acceptance
from brokers.core.ports import Deviation, DeviationKind, Rendering
from tests.brokers.subjects import ALL, UP


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


def test_shown_principals_are_bounded_and_counted() -> None:
    many = Deviation(
        rule=ALL, principals=tuple(f"p-{n}" for n in range(50)), kind=DeviationKind.NARROWER, why="x", principal_count=9
    )
    shown = planned_deviation(many)
    assert (len(shown.principals), shown.principal_count) == (20, 9)
