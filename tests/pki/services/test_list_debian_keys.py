"""A list of Debian's weak keys."""

from __future__ import annotations

from pathlib import Path

from django.core.management import call_command

from pki.adapters.weak_key_lists import read_key_list
from pki.core.debian_openssl import Seeding
from pki.services.list_debian_keys import list_debian_keys
from tests.pki.core.debian_key import DEBIAN_KEY


def test_list_has_the_published_key_and_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    out = tmp_path / "blacklist.RSA-2048"
    call_command(
        "weak_keys", "list-debian", str(out), "--machines", "be32", "--seedings", "rnd", "--pids", "4241", "4242",
        "--jobs", "1",
    )  # fmt: skip
    found = read_key_list(out)
    assert len(found) == 2
    weakness = found.weakness_of(DEBIAN_KEY)
    assert weakness is not None
    assert weakness.code == "debian"
    whole = out.read_text()
    out.write_text(whole[:-15])
    again = {"out": out, "bits": [2048], "machines": ["be32"], "seedings": [Seeding.RND], "pids": range(4241, 4243)}
    assert list_debian_keys(jobs=1, **again) == 1  # type: ignore[arg-type]
    assert out.read_text() == whole
    assert list_debian_keys(jobs=1, **again) == 0  # type: ignore[arg-type]
    assert out.read_text() == whole
