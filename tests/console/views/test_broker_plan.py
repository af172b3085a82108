"""A plan on the console, as it was stored."""

from __future__ import annotations

import html

from django.test import Client

from brokers import models
from tests.console.views.scene import Scene


def test_plan_shows_what_no_step_tells(north: Scene, at_ada: Client) -> None:
    plan = models.Plan.objects.create(
        broker_id=north.broker.id,
        steps=[],
        deviations=[],
        effect={"gain": [], "lose": [], "bounded": False},
        warnings=["It holds everything, <b>and</b> is not kept so."],
        in_sync=True,
        desired_digest="0" * 64,
        created_at=north.now,
        created_by="ada",
    )
    page = at_ada.get(f"/brokers/{north.broker.name}/plans/{plan.id}/").content.decode()
    assert html.escape(plan.warnings[0]) in page
    assert "Apply, and keep it so from now on" in page
