"""A running Gatehouse in a folder of its own: `manage.py quickstart`, then `manage.py run`, as a user starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.mqtt import Identity, MqttDevice
from tests.e2e.user import Answer, Application, KeyPair, curl
from tests.servers import free_port

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class House:
    """One installation."""

    home: Path
    port: int = field(default_factory=free_port)
    mqtt_port: int = field(default_factory=free_port)
    servers: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    parent: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where console and API are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are started with."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return (
            kept
            | self.servers
            | {
                "GATEHOUSE_HOME": str(self.home),
                "GATEHOUSE_PORT": str(self.port),
                "GATEHOUSE_MQTT_PORT": str(self.mqtt_port),
            }
        )

    def manage(self, *words: str, check: bool = True) -> str:
        """The standard output of a command of `manage.py`."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def quickstart(self) -> dict[str, Any]:
        """What `quickstart --json` prints."""
        facts: dict[str, Any] = json.loads(self.manage("quickstart", "--json"))
        return facts

    def start(self, *, seconds: float = 300) -> None:
        """Starts everything and waits until it is ready."""
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "run.log").open("ab") as log:
            self.parent = subprocess.Popen(
                [sys.executable, "manage.py", "run"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        end = time.monotonic() + seconds
        while not self.is_ready():
            log_text = (self.home / "run.log").read_text(errors="replace")[-4000:]
            assert self.parent.poll() is None, f"run ended:\n{log_text}"
            assert time.monotonic() < end, f"not ready after {seconds} s:\n{log_text}"
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=10) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self, *, seconds: float = 90) -> None:
        """Ctrl-C, as a terminal sends it: to the whole process group."""
        if self.parent is None:
            return
        os.killpg(self.parent.pid, signal.SIGINT)
        try:
            self.parent.wait(seconds)
        finally:
            if self.parent.poll() is None:
                self.parent.kill()
            self.parent = None

    def leftovers(self) -> list[int]:
        """Process ids that still belong to this installation."""
        return self.processes()

    def processes(self, word: str = "") -> list[int]:
        """Process ids of this installation, those with `word` in their command line."""
        mark = f"GATEHOUSE_HOME={self.home}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                if word.encode() in words and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:  # it has just ended
                continue
        return found


@dataclass
class Enrolled:
    """A device with its certificate in hand."""

    identity: Identity
    id: str
    answer: dict[str, Any]
    house: House

    def connection(self, port: int, **options: Any) -> MqttDevice:
        """A connection that is not yet made."""
        return MqttDevice(self.identity, port=port, **options)


class Fleet:
    """A user with an application's credentials and a folder for keys."""

    def __init__(self, house: House, application: Application, folder: Path) -> None:
        self.house, self.application, self.folder = house, application, folder

    def enroll(self, name: str, **more: Any) -> Enrolled:
        """openssl makes the key and the CSR, curl sends it, files keep what came back."""
        pair = KeyPair(self.folder, name)
        answer = self.send_csr(pair, name=name, **more)
        assert answer.status == 201, answer.text
        return self.keep(pair, answer)

    def send_csr(self, pair: KeyPair, *, token: str = "", **body: Any) -> Answer:
        """The enrolment call."""
        bearer = token or self.application.mint_token()
        return curl(
            "POST", f"{self.house.url}/api/v1/enroll/", bearer=bearer, sent={"csr": pair.csr.read_text(), **body}
        )

    def keep(self, pair: KeyPair, answer: Answer) -> Enrolled:
        """Writes the files that a device needs to connect."""
        certificate, trust = self.folder / f"{pair.name}.pem", self.folder / f"{pair.name}.trust.pem"
        certificate.write_text(answer.body["certificate"] + answer.body["chain"])
        trust.write_text(answer.body["trust_bundle"])
        identity = Identity(pair.name, certificate, pair.key, trust)
        return Enrolled(identity, answer.body["device"], answer.body, self.house)

    def post(self, path: str, sent: Any, *, status: int) -> Any:
        """The body of a call that has to answer `status`."""
        answer = self.application.call("POST", path, sent)
        assert answer.status == status, answer.text
        return answer.body

    def wait_operation(self, operation: str, *, seconds: float = 90) -> dict[str, Any]:
        """The operation once it is done or failed, or as it stands when time is up."""
        end = time.monotonic() + seconds
        while True:
            body: dict[str, Any] = self.application.call("GET", f"operations/{operation}/").body
            if body["state"] in {"done", "failed"} or time.monotonic() > end:
                return body
            time.sleep(0.1)
