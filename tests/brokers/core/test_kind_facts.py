"""The facts on each kind of broker are the same on the console and in the documentation."""

from __future__ import annotations

import re
from dataclasses import astuple
from pathlib import Path

from brokers.core.kind_facts import FACTS
from brokers.core.values import AdapterKind

PAGE = Path(__file__).parents[3] / "docs/reference/brokers.md"


def test_docs_tell_what_the_console_shows() -> None:
    table = PAGE.read_text().partition("\n\n|")[2].partition("\n\n")[0]
    told = {}
    for line in table.splitlines()[2:]:
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", line).replace("`", "")
        kind, *cells = [cell.strip() for cell in plain.strip("|").split("|")]
        told[kind] = tuple(cells)

    assert told == {kind.value: astuple(facts) for kind, facts in FACTS.items()}


def test_every_kind_has_facts() -> None:
    assert set(FACTS) == set(AdapterKind)
