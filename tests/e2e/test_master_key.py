"""The master key is replaced as docs/howto/keys.md says, by processes of an installation that issue all the while."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernel.core.secrets import MasterKey
from tests.programs import ROOT, call
from tests.servers import wait_until

pytestmark = pytest.mark.e2e

OLD, NEW = MasterKey.generate(), MasterKey.generate()
SLUG = "default-ca"


class Site:
    """One installation on SQLite, and processes of it that issue."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, dict[str, subprocess.Popen[str]]()

    def environment(self, key: MasterKey, *others: MasterKey) -> dict[str, str]:
        """Of a process that has these keys; the others come out of a file."""
        previous = self.folder / f"previous-{key.id.hex()}-{len(others)}"
        previous.write_text("\n".join(other.to_base64() for other in others) + "\n")
        return {
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "GATEHOUSE_HOME": str(self.folder / "home"),
            "GATEHOUSE_MASTER_KEY": key.to_base64(),
            "GATEHOUSE_MASTER_KEY_PREVIOUS_FILE": str(previous),
        }

    def manage(self, keys: list[MasterKey], *words: str) -> str:
        return call(self.environment(*keys), "manage.py", *words)

    def start(self, name: str, *keys: MasterKey) -> None:
        words = [sys.executable, "-m", "tests.pki.issuing", SLUG, str(self.folder / name)]
        with (self.folder / f"{name}.log").open("w") as log:
            self.running[name] = subprocess.Popen(
                words, cwd=ROOT, env=self.environment(*keys), stdout=subprocess.PIPE, stderr=log, text=True
            )

    def let_issue(self, name: str, *, more: int = 4) -> None:
        """Returns when the process has issued some more."""
        wanted = self._issued(name) + more
        wait_until(lambda: self._issued(name) >= wanted, seconds=300, what=f"the {name} process issues")

    def stop(self, name: str) -> None:
        """Ends the process, which has to have had no fault."""
        (self.folder / name).touch()
        self.running[name].communicate(timeout=300)
        assert self.running[name].returncode == 0, (self.folder / f"{name}.log").read_text()[-3000:]

    def _issued(self, name: str) -> int:
        counted = self.folder / f"{name}.issued"
        return counted.stat().st_size if counted.exists() else 0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    for process in made.running.values():
        process.kill()
        process.communicate()


def test_the_master_key_is_replaced_while_certificates_are_issued(site: Site) -> None:
    site.manage([OLD], "migrate", "--verbosity", "0")
    site.manage([OLD], "quickstart", "--json")
    site.start("first", OLD, NEW)
    site.let_issue("first")
    site.start("second", NEW, OLD)
    site.let_issue("second")
    site.let_issue("first")
    site.stop("first")
    done = json.loads(site.manage([NEW, OLD], "keys", "rewrap", "--json"))
    assert {place["place"]: place["done"] for place in done["envelopes"]} == {
        "private keys": 4, "key files": 0, "connections of brokers": 1, "kept answers": 0, "keys that sign tokens": 0,
    }  # fmt: skip
    assert not any(place["left"] for place in done["envelopes"])
    site.let_issue("second")
    site.stop("second")
    assert '"fault": ""' in site.manage([NEW], "keys", "check", "--json")
    assert "The journal holds" in site.manage([NEW], "journal", "verify")
    site.start("third", NEW)
    site.let_issue("third")
    site.stop("third")


def test_a_worker_with_the_wrong_key_alone_ends_with_one_sentence(site: Site) -> None:
    site.manage([OLD], "migrate", "--verbosity", "0")
    site.manage([OLD], "quickstart", "--json")
    for command in ("worker", "web", "listen"):
        words = [sys.executable, "manage.py", command]
        done = subprocess.run(
            words, cwd=ROOT, env=site.environment(NEW), capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 1
        [sentence] = done.stderr.strip().splitlines()
        assert OLD.id.hex() in sentence
        assert sentence.endswith("start with it as GATEHOUSE_MASTER_KEY, or among GATEHOUSE_MASTER_KEY_PREVIOUS.")
