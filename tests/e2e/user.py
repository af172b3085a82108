"""What a user's hands do: curl and openssl, nothing of Gatehouse's own code."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What curl got."""

    status: int
    body: Any
    text: str
    content_type: str


def run(*words: str | Path, given: bytes | None = None, check: bool = True) -> str:
    """The standard output of a program; with `check`, its failure is ours."""
    done = subprocess.run([str(word) for word in words], input=given, capture_output=True, check=False, timeout=120)
    if check and done.returncode:
        raise AssertionError(f"{words[0]} {words[1]}: exit {done.returncode}: {done.stderr.decode()[-2000:]}")
    return done.stdout.decode(errors="replace") + ("" if check else done.stderr.decode(errors="replace"))


def curl(method: str, url: str, *, bearer: str = "", sent: Any = None, options: tuple[str, ...] = ()) -> Answer:
    """One request by curl; the bearer goes through standard input, so that it stands in no process list."""
    words = ["curl", "-sS", "-X", method, "-K", "-", "-w", "\n%{http_code} %{content_type}", *options, url]
    config = f'header = "Authorization: Bearer {bearer}"\n' if bearer else ""
    if sent is not None:
        quoted = json.dumps(json.dumps(sent))
        config += f'header = "Content-Type: application/json"\ndata = {quoted}\n'
    text, _, trailer = run(*words, given=config.encode()).rpartition("\n")
    status, _, content_type = trailer.partition(" ")
    body = json.loads(text) if "json" in content_type and text else None
    return Answer(int(status), body, text, content_type)


@dataclass
class KeyPair:
    """A key and its request, made by openssl."""

    folder: Path
    name: str
    key: Path = field(init=False)
    csr: Path = field(init=False)

    def __post_init__(self) -> None:
        self.key, self.csr = self.folder / f"{self.name}.key", self.folder / f"{self.name}.csr"
        if not self.key.exists():
            curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
            run("openssl", "genpkey", *curve, "-out", self.key)
        run("openssl", "req", "-new", "-key", self.key, "-subj", f"/CN={self.name}", "-out", self.csr)


@dataclass
class Application:
    """A program with API credentials."""

    url: str
    client_id: str
    client_secret: str
    token: str = ""

    def sign_in(self) -> None:
        """Gets a token by client credentials, as interfaces.md shows."""
        credentials = f'user = "{self.client_id}:{self.client_secret}"\ndata = "grant_type=client_credentials"\n'
        text = run("curl", "-sS", "-K", "-", f"{self.url}/oauth/token/", given=credentials.encode())
        self.token = json.loads(text)["access_token"]

    def call(self, method: str, path: str, sent: Any = None) -> Answer:
        """One call of the API."""
        if not self.token:
            self.sign_in()
        return curl(method, f"{self.url}/api/v1/{path}", bearer=self.token, sent=sent)

    def mint_token(self, **limits: Any) -> str:
        """A fresh enrolment token."""
        answer = self.call(
            "POST", "enrolment-tokens/", {"profile": "default", "max_uses": 50, "expires_in": 600, **limits}
        )
        assert answer.status == 201, answer.text
        token: str = answer.body["token"]
        return token
