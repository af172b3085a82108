"""In which order tests run, and which of them a worker gets in one piece."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

IN_ONE_HOUSE = (
    "tests/e2e/test_first_journey.py",
    "tests/e2e/test_contract.py",
    "tests/e2e/test_crl_contract.py",
    "tests/e2e/test_secrets.py",
    "tests/e2e/browser/test_journey.py",
    "tests/e2e/browser/test_trust.py",
)
"""Modules that talk to the same running installation (tests/e2e/conftest.py); the last changes its CA."""


class ByModule(LoadFileScheduling):  # type: ignore[misc]
    """Gives out module by module in the order of the collection, those in one house as one.

    The groups of `--dist loadgroup` would say the same, but pytest 9 does not see them: xdist 3.8 names them in vain.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        module: str = super()._split_scope(nodeid)
        return "house" if module in IN_ONE_HOUSE else module


def turn(item: pytest.Item) -> tuple[bool, int]:
    """What tests are sorted by: those with servers are first, so that at the end workers have short ones to share."""
    module = item.nodeid.partition("::")[0]
    return not item.get_closest_marker("e2e"), IN_ONE_HOUSE.index(module) + 1 if module in IN_ONE_HOUSE else 0
