"""Keys and requests that openssl makes, and what openssl says of certificates."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from kernel.core.ids import new_id

P256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
P384 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384")
RSA2048 = ("-newkey", "rsa:2048")
RSA1024 = ("-newkey", "rsa:1024")
ED25519 = ("-newkey", "ed25519")


def openssl(*words: str | Path, given: bytes | None = None) -> str:
    """What openssl says."""
    done = subprocess.run(["openssl", *map(str, words)], input=given, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@dataclass(frozen=True)
class Key:
    """A private key in a file."""

    path: Path

    def csr(self, name: str = "pump") -> str:
        """A request for this key with that common name; none if it is empty."""
        return openssl("req", "-new", "-key", self.path, "-subj", f"/CN={name}" if name else "/")

    @property
    def public(self) -> str:
        return openssl("pkey", "-in", self.path, "-pubout")


class Workshop:
    """Makes keys in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, kind: tuple[str, ...] = P256) -> Key:
        """A fresh key."""
        path = self.folder / f"{new_id()}.key"
        openssl("req", "-new", *kind, "-nodes", "-keyout", path, "-subj", "/CN=x", "-out", self.folder / "unused.csr")
        return Key(path)

    def csr(self, name: str = "pump", kind: tuple[str, ...] = P256) -> str:
        """A request for a fresh key."""
        return self.key(kind).csr(name)


def broken(csr: str) -> str:
    """The request with one octet of its signature changed."""
    lines = csr.strip().splitlines()
    last = lines[-2]
    at = len(last) // 2
    lines[-2] = last[:at] + ("A" if last[at] != "A" else "B") + last[at + 1 :]
    return "\n".join(lines) + "\n"
