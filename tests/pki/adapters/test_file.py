"""Keys in files: who may read them, what they hold, and what a missing one says."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from kernel.core.ids import new_id
from kernel.core.secrets import MasterKey, WrongKey
from pki.adapters.file import FileKeys
from pki.core.keys import key_to_der
from pki.core.ports import KeptKey, KeyGone
from pki.core.values import KeyAlgorithm, KeyId


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.GATEHOUSE_HOME = tmp_path
    return tmp_path / "keys"


@pytest.fixture
def kept(folder: Path) -> KeptKey:
    return FileKeys().generate(KeyId(new_id()), KeyAlgorithm.ECDSA_P256)[0]


def test_file_is_the_owner_s_alone(kept: KeptKey, folder: Path) -> None:
    [file] = folder.iterdir()
    assert file.name == kept.locator
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_file_holds_an_envelope_and_its_row_nothing(kept: KeptKey, folder: Path) -> None:
    key = FileKeys().open(kept)
    assert kept.wrapped is None
    assert key_to_der(key)[-40:-8] not in (folder / kept.locator).read_bytes()
    assert FileKeys().open(kept).public_key() == key.public_key()


def test_a_file_opens_under_its_own_id_alone(kept: KeptKey, folder: Path) -> None:
    other = FileKeys().generate(KeyId(new_id()), KeyAlgorithm.ECDSA_P256)[0]
    (folder / other.locator).write_bytes((folder / kept.locator).read_bytes())
    with pytest.raises(WrongKey):
        FileKeys().open(other)


def test_a_missing_file_is_named(kept: KeptKey, folder: Path) -> None:
    FileKeys().destroy(kept)
    with pytest.raises(KeyGone, match=f"{kept.locator} is not on this machine"):
        FileKeys().open(kept)
    FileKeys().destroy(kept)


def test_a_locator_never_leads_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("secret")
    out = KeptKey(id=KeyId(new_id()), algorithm=KeyAlgorithm.ED25519, custody="file", locator="../master.key")  # type: ignore[arg-type]
    FileKeys().destroy(out)
    assert (tmp_path / "master.key").exists()


def test_wrapping_anew_replaces_the_file(kept: KeptKey, folder: Path, settings: Any) -> None:
    before = FileKeys().open(kept).public_key()
    assert FileKeys().rewrap(kept) is None
    older, settings.GATEHOUSE_MASTER_KEY = settings.GATEHOUSE_MASTER_KEY, MasterKey.generate()
    settings.GATEHOUSE_MASTER_KEY_PREVIOUS = (older,)
    assert FileKeys().rewrap(kept) == kept
    settings.GATEHOUSE_MASTER_KEY_PREVIOUS = ()
    assert FileKeys().open(kept).public_key() == before
    assert [file.name for file in folder.iterdir()] == [kept.locator]
