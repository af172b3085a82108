"""A file that a broker reads is there whole, or as it was."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from brokers.adapters.shared_folder import SharedFolder
from brokers.core.ports import BrokerUnreachable


def full(_descriptor: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_leaves_the_file_as_it_was_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hall").mkdir()
    folder = SharedFolder(root=tmp_path, name="hall")
    folder.replace("acl.conf", "old")
    folder.told("acl.conf", folder.written("acl.conf"))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(BrokerUnreachable, match=r"acl\.conf .* can not be written: No space left"):
            folder.replace("acl.conf", "new")
    assert (folder.text("acl.conf"), folder.is_told("acl.conf")) == ("old", True)
    folder.replace("acl.conf", "new")  # what was left of the first attempt is in nobody's way
    assert (folder.text("acl.conf"), folder.is_told("acl.conf")) == ("new", False)
    assert sorted(path.name for path in (tmp_path / "hall").iterdir()) == ["acl.conf", "acl.conf.told"]
