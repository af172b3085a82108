"""A real Mosquitto with the recommended configuration, in a folder and on ports of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from brokers.core.mosquitto.conf import (
    CLIENT_CA_FILE,
    CONFIGURATION_FILE,
    CRL_FILE,
    DYNSEC_FILE,
    LOG_FILE,
    SERVER_CERTIFICATE_FILE,
    SERVER_KEY_FILE,
    MosquittoSettings,
    mosquitto_conf,
)
from tests.servers import free_port, is_open, wait_until

PROGRAM = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
ADMIN, PASSWORD = "gatehouse", "a-password-of-the-tests"


@dataclass
class LiveMosquitto:
    """One broker. Its folder holds what the recommended configuration names."""

    folder: Path
    control_port: int = field(default_factory=free_port)
    device_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def connection(self) -> dict[str, object]:
        """What a broker is registered with."""
        return {"host": "127.0.0.1", "port": self.control_port, "username": ADMIN, "password": PASSWORD}

    def prepare(self, *, client_ca: str, crl: str, server_chain: str, server_key: str) -> None:
        """Writes the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.forget_all()
        for name, text in {
            CLIENT_CA_FILE: client_ca,
            CRL_FILE: crl,
            SERVER_CERTIFICATE_FILE: server_chain,
            SERVER_KEY_FILE: server_key,
            CONFIGURATION_FILE: mosquitto_conf(self._settings()),
        }.items():
            (self.folder / name).write_text(text)

    def forget_all(self) -> None:
        """What the plugin knows at its next start is its administrator."""
        dynsec = self.folder / DYNSEC_FILE
        dynsec.unlink(missing_ok=True)
        init = ["mosquitto_ctrl", "dynsec", "init", str(dynsec), ADMIN, PASSWORD]
        subprocess.run(init, check=True, capture_output=True, timeout=120)

    def _settings(self) -> MosquittoSettings:
        return MosquittoSettings(
            directory=PurePosixPath(self.folder),
            device_port=self.device_port,
            control_port=self.control_port,
            device_address="127.0.0.1",
            # temporary folders belong to whoever runs the tests, so the broker stays that one
            user="root" if os.getuid() == 0 else "",
        )

    def start(self) -> None:
        """Starts it and waits until both ports answer."""
        self.process = process = subprocess.Popen(
            [PROGRAM, "-c", str(self.folder / CONFIGURATION_FILE)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **self.environment},
        )

        def listens() -> bool:
            return is_open(self.control_port) and is_open(self.device_port)

        wait_until(lambda: process.poll() is not None or listens(), what="Mosquitto listens")
        assert process.poll() is None, self.log()

    def stop(self, sign: int = signal.SIGTERM) -> None:
        """Ends it."""
        if self.process is not None:
            self.process.send_signal(sign)
            self.process.wait(60)
            self.process = None

    def pause(self) -> None:
        """It keeps its sockets and answers nobody."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """The end of `pause`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """What it wrote so far."""
        path = self.folder / LOG_FILE
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def ctrl(self, *words: str) -> str:
        """What an administrator's own `mosquitto_ctrl dynsec …` says."""
        command = ["mosquitto_ctrl", "-h", "127.0.0.1", "-p", str(self.control_port), "-u", ADMIN, "-P", PASSWORD]
        done = subprocess.run([*command, "dynsec", *words], capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr
