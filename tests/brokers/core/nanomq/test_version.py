from __future__ import annotations

import pytest

from brokers.core.nanomq.version import OldNanomq, refuse_old


@pytest.mark.parametrize("version", ["", "0.23.8", "0.23.8-3", "0.23.10-", "0.24.0-beta", "1.0.0-"])
def test_these_are_written_to(version: str) -> None:
    """`<major>.<minor>.<patch>-<id>`, as `get_version` of `rest_api.c` spells it."""
    refuse_old(version)


@pytest.mark.parametrize("version", ["0.23.7-2", "0.22.10-", "0.9.9", "0.23", "v"])
def test_these_are_refused(version: str) -> None:
    with pytest.raises(OldNanomq, match="upgrade it"):
        refuse_old(version)
