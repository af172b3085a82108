from __future__ import annotations

import pytest

from brokers.core.emqx.version import OldEmqx, has_scopes, oldest, refuse_old, version_note


@pytest.mark.parametrize(
    "version", ["", "5.8.0", "5.8.9", "v5.10.1", "6.0.0", "6.3.0-beta.2", "6.2.1-g1a2b3c4d", "7.0.0"]
)
def test_these_are_written_to(version: str) -> None:
    refuse_old(version)
    assert bool(version_note(version)) is version.startswith("7")


@pytest.mark.parametrize("version", ["5.7.2", "5.0.26", "4.4.19", "5.8", "new", "\N{ARABIC-INDIC DIGIT FIVE}x"])
def test_these_are_refused(version: str) -> None:
    with pytest.raises(OldEmqx, match="upgrade it"):
        refuse_old(version)


def test_cluster_is_as_old_as_the_oldest_of_its_nodes_that_run() -> None:
    stopped = {"node": "emqx@c", "node_status": "stopped"}
    assert oldest([stopped, {"version": "6.0.0"}, {"version": "5.10.0"}, {"version": "5.8.9"}]) == "5.8.9"
    assert oldest([{"version": "5.8.9"}, {"version": "strange"}]) == "strange"
    assert oldest([stopped]) == ""


def test_keys_have_scopes_from_6_2_1() -> None:
    told = {version: has_scopes(version) for version in ("", "5.8.9", "6.2.0", "6.2.1", "6.10.0", "7.0.0")}
    assert told == {"": False, "5.8.9": False, "6.2.0": False, "6.2.1": True, "6.10.0": True, "7.0.0": True}
