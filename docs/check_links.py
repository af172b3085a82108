"""Checks that every relative link of every Markdown page leads to a file. Exit code 1 and the list, if not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def broken_links() -> list[str]:
    """`page: link` for each link that leads nowhere."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")]
    return [
        f"{page.relative_to(ROOT)}: {link}"
        for page in sorted(pages)
        for link in LINK.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]


if __name__ == "__main__":
    found = broken_links()
    sys.stdout.write("".join(f"{line}\n" for line in found))
    sys.exit(bool(found))
