"""Copies the pinned files that the pages use out of npm packages into static/vendor/, each with licence and checksum.

`make vendor` runs it after package.json or ICONS has changed. It needs npm; running Gatehouse does not.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "static" / "vendor"
PINS = ("package.json", "package-lock.json", ".npmrc")

# The icons of the sprite: our word for it -> Tabler's file.
ICONS = {
    "access": "shield-lock",
    "alert": "alert-triangle",
    "application": "robot",
    "back": "chevron-left",
    "broker": "broadcast",
    "certificate": "certificate",
    "check": "check",
    "close": "x",
    "copy": "copy",
    "dark": "moon",
    "decommissioned": "archive",
    "device": "cpu",
    "done": "circle-check",
    "download": "download",
    "enrolment": "ticket",
    "failed": "circle-x",
    "filter": "filter",
    "gate": "building-castle",
    "info": "info-circle",
    "issuer": "hierarchy-2",
    "journal": "history",
    "key": "key",
    "light": "sun",
    "menu": "menu-2",
    "next": "chevron-right",
    "open": "chevron-down",
    "operator": "user",
    "overview": "layout-dashboard",
    "pending": "clock",
    "plus": "plus",
    "quarantine": "biohazard",
    "question": "help-circle",
    "refresh": "refresh",
    "remove": "trash",
    "resume": "player-play",
    "revoke": "ban",
    "role": "list-check",
    "running": "loader-2",
    "search": "search",
    "session": "plug-connected",
    "sign-out": "logout",
    "suggestion": "bulb",
    "suspend": "player-pause",
    "system": "device-desktop",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One file to bring along: where it is in the package, and where it goes."""

    package: str
    source: str
    target: Path


COPIES = (
    Copy(package="@tabler/core", source="dist/css/tabler.min.css", target=VENDOR / "tabler.min.css"),
    Copy(package="htmx.org", source="dist/htmx.min.js", target=VENDOR / "htmx.min.js"),
    Copy(package="axe-core", source="axe.min.js", target=ROOT / "tests" / "data" / "axe.min.js"),
)


def main() -> None:
    """Fetches the packages, copies the files, cuts the sprite, writes VERSIONS.toml."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gatehouse-vendor-") as folder:
        packages = _fetch(Path(folder))
        rows = []
        for copy in COPIES:
            text = (packages / copy.package / copy.source).read_text(encoding="utf-8")
            text = re.sub(r"\n?/[/*]# sourceMappingURL=\S+( \*/)?\s*$", "\n", text)
            copy.target.write_text(text, encoding="utf-8")
            rows.append(_row(packages, copy.package, copy.target))
        sprite = VENDOR / "icons.svg"
        sprite.write_text(_sprite(packages / "@tabler/icons" / "icons" / "outline"), encoding="utf-8")
        rows.append(_row(packages, "@tabler/icons", sprite))
    heading = "# What is vendored, written by .ci/vendor.py. axe-core is for tests only.\n"
    (VENDOR / "VERSIONS.toml").write_text(heading + "".join(rows), encoding="utf-8")


def _fetch(folder: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("make vendor needs npm: install nodejs and npm, then try again.")
    for name in PINS:
        shutil.copy(ROOT / name, folder)
    subprocess.run([npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True)
    return folder / "node_modules"


def _sprite(folder: Path) -> str:
    symbols = []
    for name, source in sorted(ICONS.items()):
        text = (folder / f"{source}.svg").read_text(encoding="utf-8")
        paths = re.findall(r'<path(?! stroke="none")[^>]*/>', text)
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{"".join(paths)}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def _row(packages: Path, package: str, target: Path) -> str:
    facts = json.loads((packages / package / "package.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    values = {
        "file": target.relative_to(ROOT).as_posix(),
        "name": facts["name"],
        "version": facts["version"],
        "licence": facts["license"],
        "sha256": digest,
    }
    return "\n[[vendored]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


if __name__ == "__main__":
    main()
