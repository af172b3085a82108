"""What is written again is what was made."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import transaction

from tests.console.views.conftest import furnished
from tests.console.views.scene import Scene
from tests.made_once import made_once

pytestmark = pytest.mark.django_db


class Making:
    """Makes a scene, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Scene:
        self.times += 1
        return furnished()

    def rows(self, *words: str) -> list[Any]:
        """All that stands in the database with it; it is taken back."""
        with transaction.atomic():
            made_once(self, *words)
            found = [list(model._default_manager.order_by("pk").values()) for model in apps.get_models()]
            transaction.set_rollback(True)
        return found


def test_every_row_is_the_same_the_second_time() -> None:
    making = Making()
    first = making.rows("same")
    assert sum(map(len, first)) > 100
    assert making.rows("same") == first
    assert making.times == 1


def test_it_is_made_anew_under_another_word_or_after_other_writes(settings: Any) -> None:
    making = Making()
    making.rows("one")
    making.rows("another")
    assert making.times == 2
    settings.GATEHOUSE_BASE_URL = "https://elsewhere.example"
    making.rows("one")
    assert making.times == 3
