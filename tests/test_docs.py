"""What the reference pages list is what the code has."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_settings_page_lists_every_setting_that_is_read() -> None:
    source = (ROOT / "console/settings.py").read_text() + (ROOT / "console/env.py").read_text()
    read = set(re.findall(r'environ(?:\.get\(|, )"([A-Z][A-Z_]+)"', source)) - {"DJANGO_SETTINGS_MODULE"}
    listed = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs/reference/settings.md").read_text(), re.MULTILINE))
    assert read == listed


def test_commands_page_lists_every_command_of_ours() -> None:
    found = {path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py")}
    page = (ROOT / "docs/reference/commands.md").read_text()
    listed = {
        cell.split()[0]
        for row in re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
        for cell in re.findall(r"`([^`]+)`", row)
    }
    assert found == listed


def test_no_link_of_the_docs_leads_nowhere() -> None:
    broken_links = runpy.run_path(str(ROOT / "docs/check_links.py"))["broken_links"]
    assert broken_links() == []
