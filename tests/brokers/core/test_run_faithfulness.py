from __future__ import annotations

from pathlib import Path

import pytest

from tests.brokers.core.real_fleets import MOSQUITTO, NATS, RealBroker, compare
from tests.brokers.core.run_faithfulness import main


def test_a_target_is_tried_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--emulated", "--pairs", "400", "--seed", "one", "nats"]) == 0
    told = capsys.readouterr().out
    assert "nats: 400 pairs" in told
    assert "0 unexplained" in told
    assert "SEED=one" in told


def test_a_target_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["carrier-pigeon"])
    assert "choose among mosquitto-dynsec" in capsys.readouterr().err


@pytest.mark.e2e
@pytest.mark.parametrize("real", [MOSQUITTO, NATS], ids=["mosquitto", "nats"])
def test_a_real_broker_does_with_hostile_names_what_its_emulator_says(real: RealBroker, tmp_path: Path) -> None:
    found = compare(real, tmp_path, seed="suite", users=6)
    assert found.differences == []
    assert found.pairs > 2_000
