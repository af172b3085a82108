"""What is vendored is what VERSIONS.toml says, and the pages use nothing that is not there."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
VENDORED = tomllib.loads((ROOT / "static/vendor/VERSIONS.toml").read_text())["vendored"]
TEMPLATES = [*ROOT.glob("templates/**/*.html")]


@pytest.mark.parametrize("row", VENDORED, ids=lambda row: row["name"])
def test_file_has_its_checksum_and_the_pinned_version(row: dict[str, str]) -> None:
    assert hashlib.sha256((ROOT / row["file"]).read_bytes()).hexdigest() == row["sha256"]
    assert json.loads((ROOT / "package.json").read_text())["dependencies"][row["name"]] == row["version"]
    assert row["licence"]


def test_every_vendored_file_is_listed() -> None:
    listed = {row["file"] for row in VENDORED}
    present = {path.relative_to(ROOT).as_posix() for path in (ROOT / "static/vendor").iterdir()}
    assert present - listed == {"static/vendor/VERSIONS.toml"}


def test_every_icon_that_is_written_is_in_the_sprite() -> None:
    sprite = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static/vendor/icons.svg").read_text()))
    sources = "".join(path.read_text() for path in TEMPLATES)
    assert set(re.findall(r'{% icon "([^"]+)"', sources)) <= sprite
    states = (ROOT / "console/templatetags/gatehouse.py").read_text()
    assert set(re.findall(r'\("(?:ok|idle|info|warn|bad)", "([a-z-]+)"\)', states)) <= sprite


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_template_has_no_inline_style_nor_script(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\sstyle=|\son[a-z]+=|javascript:|hx-on", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))


def test_lock_names_no_registry() -> None:
    assert "http" not in re.sub(r'"url": "[^"]+"', "", (ROOT / "package-lock.json").read_text())
