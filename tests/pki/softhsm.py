"""A hardware token without hardware: SoftHSM 2 in a folder of the test run, and what p11tool of GnuTLS says of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kernel.core.ids import new_id

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN, SO_PIN = "pin-4711-of-a-token", "15081947"


def make_token(folder: Path) -> str:
    """The label of a fresh token. The first call decides on the folder of this process."""
    if "SOFTHSM2_CONF" not in os.environ:
        (folder / "tokens").mkdir()
        (folder / "softhsm2.conf").write_text(
            f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    label = f"t{new_id().hex[-12:]}"
    words = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN]
    subprocess.run(words, capture_output=True, check=True, timeout=60)
    return label


def tokens_folder() -> Path:
    """Where SoftHSM keeps the tokens of this process."""
    return Path(os.environ["SOFTHSM2_CONF"]).parent / "tokens"


def private_keys(place: str) -> str:
    """What p11tool lists of the private keys there, with their flags; `place` is a label or a PKCS#11 URI."""
    url = place if place.startswith("pkcs11:") else f"pkcs11:token={place}"
    return _p11tool("--login", "--list-privkeys", url)


def public_keys(label: str) -> str:
    """The public keys in the token as PEM, read one by one."""
    listed = _p11tool("--login", "--list-all", f"pkcs11:token={label};type=public")
    urls = [line.split("URL:")[1].strip() for line in listed.splitlines() if "URL:" in line]
    return "".join(_p11tool("--login", "--export-pubkey", url) for url in urls)


def _p11tool(*options: str) -> str:
    words = ["p11tool", f"--provider={MODULE}", *options]
    said = subprocess.run(words, env={**os.environ, "GNUTLS_PIN": PIN}, capture_output=True, check=False, timeout=60)
    assert said.returncode == 0 or b"No matching objects" in said.stderr, said.stderr
    return said.stdout.decode()
