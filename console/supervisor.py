"""One parent for several processes: starts them, starts them again when they end, and leaves none behind.

Each child leads a process group of its own and gets SIGTERM from the kernel when its parent dies, however that dies.
What a child prints goes to a file. This module knows nothing of what the children do.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
_FIRST_BACK_OFF, _LONGEST_BACK_OFF = 0.2, 10.0
_STEADY_SECONDS = 30.0
_LOG_OCTETS = 20_000_000
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a child runs. `environment` is added to our own."""

    name: str
    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


class _Child:
    """A program and the process that runs it now, if any."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self.start_at = 0.0
        self.back_off = _FIRST_BACK_OFF

    def start(self) -> None:
        parent = os.getpid()

        def die_with_parent() -> None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # ours would only note it, and the program start all the same
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                list(self.program.words),
                env={**os.environ, **self.program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - there is only one thread
            )
        self.started_at = time.monotonic()

    def kill_group(self, by: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, by)

    def is_gone(self) -> bool:
        """Whether it and all that it started have ended."""
        if self.process is None:
            return True
        return self.process.poll() is not None and _is_group_gone(self.process.pid)

    def last_lines(self, count: int = 3) -> list[str]:
        """The end of its log."""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 4096))
            return log.read().decode(errors="replace").splitlines()[-count:]


class Supervisor:
    """Runs programs until SIGINT, SIGTERM or SIGHUP. `say` gets one line for people at a time."""

    def __init__(self, programs: Sequence[Program], *, logs: Path, say: Callable[[str], None]) -> None:
        logs.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._children = [_Child(program, logs / f"{program.name}.log") for program in programs]
        self._say = say
        self._signals = 0
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def run(self, *, when_ready: Callable[[], bool], grace_seconds: float = 7.0) -> None:
        """Returns when it was asked to end and nothing is left. `when_ready` is asked until it says True once."""
        previous = self._catch_signals()
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)  # grandchildren whose parent was killed become ours to bury
        ready = False
        try:
            self._each_log(self._shorten)
            for child in self._children:
                child.start()
            while not self._signals:
                self._revive()
                ready = ready or when_ready()
                self._wait(1.0 if ready else 0.1)
        finally:
            self._stop(grace_seconds)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _catch_signals(self) -> dict[signal.Signals, Any]:
        def note(_number: int, _frame: FrameType | None) -> None:
            self._signals += 1

        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        caught = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
            caught.append(signal.SIGHUP)
        return {number: signal.signal(number, note) for number in caught}

    def _wait(self, seconds: float) -> None:
        """Sleeps until a signal comes or the next start is due, at most `seconds`."""
        dues = [child.start_at - time.monotonic() for child in self._children if child.process is None]
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            if selector.select(max(0.0, min([seconds, *dues]))):
                os.read(self._reader, 4096)

    def _revive(self) -> None:
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._bury(child, child.process)
            if child.process is None and time.monotonic() >= child.start_at:
                child.start()
            if child.log.stat().st_size > _LOG_OCTETS:
                self._shorten(child.log)

    def _bury(self, child: _Child, process: subprocess.Popen[bytes]) -> None:
        child.kill_group(signal.SIGKILL)
        while not child.is_gone():
            time.sleep(0.01)
        child.process = None
        if time.monotonic() - child.started_at > _STEADY_SECONDS:
            child.back_off = _FIRST_BACK_OFF
        child.start_at = time.monotonic() + child.back_off
        child.back_off = min(child.back_off * 2, _LONGEST_BACK_OFF)
        self._say(f"{child.program.name} ended ({_how(process.returncode)}) and starts again; see {child.log}")
        if process.returncode > 0:
            for line in child.last_lines():
                self._say(f"  {child.program.name}: {line}")

    def _stop(self, grace_seconds: float) -> None:
        asked = self._signals
        for child in self._children:
            child.kill_group(signal.SIGTERM)
        end = time.monotonic() + grace_seconds
        while not all(child.is_gone() for child in self._children):
            if time.monotonic() > end or self._signals > asked + 1:
                for child in self._children:
                    child.kill_group(signal.SIGKILL)
            self._wait(0.05)

    def _each_log(self, act: Callable[[Path], None]) -> None:
        for child in self._children:
            if child.log.exists() and child.log.stat().st_size > _LOG_OCTETS:
                act(child.log)

    @staticmethod
    def _shorten(log: Path) -> None:
        """Keeps one older file; children append, so that they go on at the new end."""
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)


def _is_group_gone(group: int) -> bool:
    """Whether no process of the group is left, ours that have ended buried. Its leader has to be buried already."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
