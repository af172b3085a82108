"""Starting, reviving and ending children, with real processes that do nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[2]

PARENT = """
    import sys
    from pathlib import Path
    from console.supervisor import Program, Supervisor

    folder = Path(sys.argv[1])
    SLEEPER = "import sys, time, pathlib; pathlib.Path(sys.argv[1]).write_text('up'); time.sleep(600)"
    FAMILY = "import os, sys, time; os.fork(); time.sleep(600)"
    DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    BROKEN = "import sys; sys.exit('no such port')"
    programs = {
        "sleeper": Program(name="sleeper", words=[sys.executable, "-c", SLEEPER, str(folder / "ready")]),
        "family": Program(name="family", words=[sys.executable, "-c", FAMILY, str(folder)]),
        "deaf": Program(name="deaf", words=[sys.executable, "-c", DEAF, str(folder)]),
        "broken": Program(name="broken", words=[sys.executable, "-c", BROKEN, str(folder)]),
    }
    chosen = [programs[name] for name in sys.argv[2:]]
    supervisor = Supervisor(chosen, logs=folder / "logs", say=lambda line: print(line, flush=True))
    supervisor.run(when_ready=(folder / "ready").exists, grace_seconds=1.0)
    print("ended", flush=True)
"""


class Family:
    """A supervisor in a process of its own, and what it started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"

    def start(self, *names: str) -> None:
        with self.output.open("wb") as output:
            self.parent = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(PARENT), str(self.folder), *names],
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def children(self) -> list[int]:
        """Process ids of everything below the supervisor: their command lines name the folder."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self.parent.pid:
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if str(self.folder).encode() in words:
                    found.append(int(entry.name))
        return sorted(found)

    def wait_children(self, count: int, *, other_than: list[int] | None = None) -> list[int]:
        """Exactly so many, none of `other_than`, all seen in one look, since between two looks one may have died."""
        found: list[int] = []

        def are_there() -> bool:
            found[:] = self.children()
            return len(found) == count and not set(found) & set(other_than or [])

        wait_until(are_there, what=f"{count} children")
        return found

    def wait_said(self, words: str, *, times: int = 1) -> None:
        wait_until(lambda: self.said().count(words) >= times, what=words)

    def said(self) -> str:
        return self.output.read_text()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    family = Family(tmp_path)
    yield family
    for process in [family.parent.pid, *family.children()]:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
    family.parent.wait(60)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_everything(family: Family, by: signal.Signals) -> None:
    hang_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as on a terminal, even if the tests run under nohup
    try:
        family.start("sleeper", "family")
    finally:
        signal.signal(signal.SIGHUP, hang_up)
    family.wait_children(3)
    os.killpg(family.parent.pid, by)
    assert family.parent.wait(60) == 0
    assert family.children() == []
    assert family.said() == "ended\n"


def test_hang_up_is_nothing_under_nohup(family: Family) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what nohup does; children inherit it
    try:
        family.start("sleeper")
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    family.wait_children(1)
    os.kill(family.parent.pid, signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        family.parent.wait(0.5)
    os.kill(family.parent.pid, signal.SIGTERM)
    assert family.parent.wait(60) == 0


def test_killed_child_comes_back(family: Family) -> None:
    family.start("sleeper")
    [child] = family.wait_children(1)
    os.kill(child, signal.SIGKILL)
    family.wait_children(1, other_than=[child])
    family.wait_said("sleeper ended (killed by SIGKILL) and starts again")


def test_grandchild_of_a_killed_child_is_not_left(family: Family) -> None:
    family.start("family")
    before = family.wait_children(2)
    os.kill(before[0], signal.SIGKILL)
    family.wait_children(2, other_than=before)


def test_child_that_can_not_start_is_tried_ever_more_slowly_and_says_why(family: Family) -> None:
    family.start("broken")
    family.wait_said("broken ended (exit code 1) and starts again", times=3)
    family.wait_said("  broken: no such port", times=3)


def test_child_that_does_not_listen_is_killed(family: Family) -> None:
    family.start("deaf")
    family.wait_children(1)
    os.kill(family.parent.pid, signal.SIGTERM)
    assert family.parent.wait(60) == 0
    assert family.children() == []


def test_second_interrupt_does_not_wait(family: Family) -> None:
    family.start("deaf", "family", "sleeper")
    family.wait_children(4)
    for _ in range(2):
        os.kill(family.parent.pid, signal.SIGINT)
    assert family.parent.wait(60) == 0
    assert family.children() == []


def test_nothing_survives_a_killed_parent(family: Family) -> None:
    family.start("sleeper", "sleeper")
    family.wait_children(2)
    os.kill(family.parent.pid, signal.SIGKILL)
    family.parent.wait(60)
    wait_until(lambda: family.children() == [], what="no child is left")
