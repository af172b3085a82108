"""`manage.py policy export`, `import` and `diff`."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from brokers.core.foreign.outcome import Loss
from brokers.services.importing import FORMATS
from devices.queries.policy import policy_document
from devices.queries.policy_changes import list_changes
from kernel.core.clock import utc_now
from tests.cast import NORTH, SOUTH
from tests.devices.bare import Bare

pytestmark = pytest.mark.django_db

POLICY = """\
gatehouse_policy: 1
domain: north
quarantine_role: null
groups: []
roles:
- name: pumps
  rules:
  - {effect: allow, actions: [publish], topic: "${domain}/${client_id}/up/#"}
bindings:
- {role: pumps, device_type: pump}
"""


def run(*words: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    said, complained = io.StringIO(), io.StringIO()
    try:
        call_command("policy", *words, stdout=said, stderr=complained)
    except SystemExit as ended:
        return int(ended.code or 0), said.getvalue(), complained.getvalue()
    except CommandError as error:
        return error.returncode, said.getvalue(), f"{complained.getvalue()}{error}\n"
    return 0, said.getvalue(), complained.getvalue()


@pytest.fixture
def north(db: None) -> Bare:
    return Bare(NORTH, "north", utc_now())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "north.yaml"
    path.write_text(POLICY)
    return path


def test_policy_that_is_imported_is_exported_with_the_same_octets(north: Bare, file: Path, tmp_path: Path) -> None:
    code, said, _ = run("import", str(file), "--apply")
    assert (code, "is applied" in said) == (0, True)
    assert run("export", "--domain", "north") == (0, POLICY, "")
    assert run("export", "--domain", "north", "--output", str(tmp_path / "again.yaml"))[0] == 0
    assert (tmp_path / "again.yaml").read_text() == POLICY
    assert json.loads(run("export", "--domain", "north", "--json")[1])["roles"][0]["name"] == "pumps"


def test_diff_tells_and_its_exit_code_too(north: Bare, file: Path) -> None:
    code, said, _ = run("diff", str(file))
    assert code == 1
    assert "+ role pumps" in said.splitlines()
    assert run("import", str(file), "--apply")[0] == 0
    assert run("diff", str(file)) == (0, "Nothing differs.\n", "")


def test_two_files_are_compared_without_a_database_row(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("up/#", "down/#"))
    code, said, _ = run("diff", str(file), str(other), "--json")
    changed = json.loads(said)["difference"]["roles"]["changed"]
    assert (code, [role["name"] for role in changed]) == (1, ["pumps"])


def test_dry_run_changes_nothing(north: Bare, file: Path) -> None:
    code, said, _ = run("import", str(file), "--dry-run")
    assert (code, "+ role pumps" in said) == (0, True)
    assert policy_document(domain=north.domain).roles == ()
    assert list_changes(domains=[north.domain]) == []


def test_import_leaves_a_draft_for_others_to_look_at(north: Bare, file: Path) -> None:
    made = json.loads(run("import", str(file), "--json", "--title", "From Git")[1])
    [change] = list_changes(domains=[north.domain])
    assert made["change"] == {"id": str(change.id), "number": 1, "state": "draft"}
    assert change.title == "From Git"
    assert change.authors[0].label.endswith("(command line)")
    assert policy_document(domain=north.domain).roles == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("retain", "retain", "There is no domain"),
        ("domain: north\nq", "domain: North\nq", "Line 2"),
        ("effect: allow", "efect: allow", "Line 8"),
        ("up/#", "up#", "Line 8"),
        ("device_type: pump", "device_type: valve", "Line 10"),
        ("bindings:", "bindings: &a", "Line 9"),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_exit_code_2(
    north: Bare, file: Path, old: str, new: str, says: str
) -> None:
    words: Any = ["--domain", "nowhere"] if old == new else []
    file.write_text(POLICY.replace(old, new))
    code, _, complained = run("import", str(file), *words)
    assert (code, says in complained) == (2, True), complained
    assert list_changes(domains=[north.domain]) == []


def test_file_that_is_not_there_is_one_sentence(north: Bare) -> None:
    code, _, complained = run("diff", "/nowhere")
    assert code == 2
    assert complained.startswith("The file can not be read")


def test_policies_of_two_domains_are_not_compared(north: Bare, file: Path, tmp_path: Path) -> None:
    Bare(SOUTH, "south", north.now)
    other = tmp_path / "south.yaml"
    other.write_text(POLICY.replace("north", "south"))
    for words in ((str(file), str(other)), (str(file), "--domain", "south")):
        code, _, complained = run("diff", *words)
        assert (code, "one domain" in complained) == (2, True)


def test_nothing_of_a_file_moves_the_cursor(north: Bare, file: Path, tmp_path: Path) -> None:
    file.write_text(POLICY + '"\\e[2J": 1\n')
    acl = tmp_path / "acl"
    acl.write_text("topic read \x1b[2J\nuser a\ntopic a\n")
    for words in ((str(file),), (str(acl), "--from", "mosquitto-acl", "--domain", "north", "--dry-run")):
        _, said, complained = run("import", *words)
        assert "[2J" in complained
        assert "\x1b" not in said + complained


def test_acl_file_of_mosquitto_becomes_a_draft_beside_what_there_is(north: Bare, tmp_path: Path) -> None:
    north.role("kept")
    north.register("pump-1")
    acl = tmp_path / "acl"
    acl.write_text(
        "topic read anyone\nuser pump-1\ntopic write up/#\nuser gone\ntopic read a\npattern read down/%u/#\n"
    )
    code, _, complained = run("import", str(acl), "--from", "mosquitto-acl", "--domain", "north", "--apply")
    assert code == 0
    assert run("export", "--domain", "north")[1].endswith(
        "bindings:\n- {role: mosquitto-patterns, domain: north}\n- {role: pump-1, device: pump-1}\n"
    )
    assert [role.name for role in policy_document(domain=north.domain).roles] == [
        "gone",
        "kept",
        "mosquitto-patterns",
        "pump-1",
    ]
    told = [line.split(": ")[:3] for line in complained.splitlines()]
    assert told == [["line 1", "left-out", "topic read anyone"], ["line 5", "left-out", "gone"]]
    assert "Nothing differs." in run("import", str(acl), "--from", "mosquitto-acl", "--domain", "north")[1]


def test_reference_page_lists_every_format() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/policy-document.md").read_text()
    listed = re.findall(r"^\| `([a-z0-9.-]+)` \|", page.partition("## Policy of other programs")[2], re.MULTILINE)
    assert set(listed) == {*FORMATS, *Loss}


def test_role_of_the_same_name_is_never_replaced_by_a_foreign_one(north: Bare, tmp_path: Path) -> None:
    north.role("pump-1")
    acl = tmp_path / "acl"
    acl.write_text("user pump-1\ntopic write up/#\n")
    words = ("import", str(acl), "--from", "mosquitto-acl", "--domain", "north", "--dry-run")
    code, _, complained = run(*words)
    assert (code, "--prefix" in complained) == (2, True)
    assert "+ role old-pump-1" in run(*words, "--prefix", "old-")[1]
