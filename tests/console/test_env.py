"""Master keys out of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from console import env
from kernel.core.secrets import MasterKey

ONE, TWO = MasterKey(bytes(32)), MasterKey(bytes(range(32)))


@pytest.mark.parametrize("between", [",", ", ", "\n", "\n\n", " ,\n"])
def test_other_master_keys_stand_between_commas_or_in_lines(between: str) -> None:
    text = between.join((ONE.to_base64(), TWO.to_base64()))
    found = env.other_master_keys({"GATEHOUSE_MASTER_KEY_PREVIOUS": text})
    assert [key.id for key in found] == [ONE.id, TWO.id]


def test_other_master_keys_come_from_a_file_too(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{ONE.to_base64()}\n{TWO.to_base64()}\n")
    found = env.other_master_keys({"GATEHOUSE_MASTER_KEY_PREVIOUS_FILE": str(tmp_path / "keys")})
    assert [key.id for key in found] == [ONE.id, TWO.id]


@pytest.mark.parametrize("text", ["", " ", ","])
def test_there_may_be_none(text: str) -> None:
    assert env.other_master_keys({"GATEHOUSE_MASTER_KEY_PREVIOUS": text}) == ()


def test_a_key_that_is_none_is_named_by_its_setting_and_not_shown() -> None:
    with pytest.raises(ImproperlyConfigured, match=r"GATEHOUSE_MASTER_KEY_PREVIOUS: .*32 octets") as raised:
        env.other_master_keys({"GATEHOUSE_MASTER_KEY_PREVIOUS": "c2VjcmV0"})
    assert "c2VjcmV0" not in str(raised.value)
