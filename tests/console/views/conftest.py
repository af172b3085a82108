"""A domain with a few devices, one without, and the cast at their browsers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import Client

from console.core.roles import ConsoleRole
from console.models import Operator
from kernel.core.clock import utc_now
from tests.console.views.scene import PASSWORD, Scene, build_scene, furnish, make_operator
from tests.made_once import made_once


@pytest.fixture
def north(db: None) -> Scene:
    made = made_once(furnished, "console", "north")
    return replace(made, devices=dict(made.devices))


def furnished() -> Scene:
    scene = build_scene(slug="north", now=utc_now())
    furnish(scene, pumps=5)
    return scene


@pytest.fixture
def south(db: None) -> Scene:
    made = made_once(lambda: build_scene(slug="south", now=utc_now()), "console", "south")
    return replace(made, devices={})


@pytest.fixture
def ada(north: Scene) -> Operator:
    """The owner of north."""
    return make_operator("ada", ConsoleRole.OWNER, north.domain, now=north.now, password=PASSWORD)


@pytest.fixture
def at_ada(ada: Operator) -> Client:
    return browser_of(ada)


@pytest.fixture
def at_bo(north: Scene) -> Client:
    """The auditor of north, who may change nothing."""
    return browser_of(make_operator("bo", ConsoleRole.AUDITOR, north.domain, now=north.now))


@pytest.fixture
def at_cy(south: Scene) -> Client:
    """The owner of south, who must see nothing of north."""
    return browser_of(make_operator("cy", ConsoleRole.OWNER, south.domain, now=south.now))


def browser_of(operator: Operator) -> Client:
    """The operator's browser, signed in."""
    client = Client()
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    return client
