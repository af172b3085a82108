"""What `manage.py policy export|import|diff` do: policy as a file, out and in."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from brokers.core.foreign.outcome import printable
from brokers.services.importing import (
    FORMATS,
    WantedPolicy,
    foreign_policy,
    import_wanted,
    plan_wanted,
    wanted_policy,
)
from devices import queries
from devices.core.policy_document import PolicyDifference, PolicyDocument, differences
from devices.core.policy_json import policy_json
from devices.core.policy_plan import difference_json, plan_lines, summary
from devices.core.policy_yaml import PolicyFile, from_yaml, to_yaml
from devices.core.values import Domain
from devices.core.yaml_tree import MAX_OCTETS
from devices.management.operator import shell_operator
from devices.queries.policy import policy_document
from devices.services.import_policy import PolicyImport
from devices.services.policy_changes.drafting import MOST_TITLE
from kernel.core.clock import utc_now
from kernel.core.errors import DomainError

VERBS = ("export", "import", "diff")
_DIFFERS, _TROUBLE = 1, 2


def add_verbs(verbs: Any) -> None:
    """The subcommands, added to the command's own."""
    export = verbs.add_parser("export", help="print the policy of a domain as YAML")
    export.add_argument("--output", default="-", help="write it to this file")
    importing = verbs.add_parser("import", help="make a draft of a policy file, or apply it")
    importing.add_argument("file", help="the file; - for standard input")
    importing.add_argument("--title", default="", help="title of the change (Import of <file>)")
    importing.add_argument("--from", dest="foreign", choices=sorted(FORMATS), help="the file is of another program")
    importing.add_argument("--prefix", default="", help="with --from: begin the names of roles with this")
    how = importing.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only say what it would change")
    how.add_argument("--apply", action="store_true", help="approve and apply it at once")
    diff = verbs.add_parser(
        "diff", help="compare files, or a file with the policy in force; exit code 1 if they differ"
    )
    diff.add_argument("file", help="the file; - for standard input")
    diff.add_argument("other", nargs="?", help="a second, later file instead of the policy in force")
    for command in (export, importing, diff):
        told = (
            "slug of the domain (default)" if command is export else "slug of the domain (that of the file, or default)"
        )
        command.add_argument("--domain", default="default" if command is export else "", help=told)
        command.add_argument("--json", action="store_true", help="print JSON")


def run(command: BaseCommand, verb: str, **options: Any) -> None:
    """One of them. Exits with 2 if it can not be done."""
    work: Mapping[str, Callable[..., None]] = {"export": _export, "import": _import, "diff": _diff}
    try:
        work[verb](command, **options)
    except DomainError as error:
        for fault in error.errors:
            command.stderr.write(printable(f"{fault.pointer or '/'}: {fault.detail}"))
        raise CommandError(printable(error.detail), returncode=_TROUBLE) from error


def _export(command: BaseCommand, *, domain: str, output: str, json: bool, **_: Any) -> None:
    found = policy_document(domain=queries.get_domain(slug=domain).id)
    text = _as_json(policy_json(found)) + "\n" if json else to_yaml(found)
    if len(text.encode()) > MAX_OCTETS:
        command.stderr.write(f"This is more than {MAX_OCTETS} octets, so it can not be imported as a whole.")
    if output == "-":
        command.stdout.write(text, ending="")
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"The file can not be written: {error}.", returncode=_TROUBLE) from error


def _diff(command: BaseCommand, *, domain: str, file: str, other: str | None, json: bool, **_: Any) -> None:
    """Of the policy in force (before) and a file (after), or of two files."""
    after = _read(other or file).document
    before = _read(file).document if other else policy_document(domain=_own(after, domain).id)
    if before.domain != after.domain:
        said = f"One is the policy of {before.domain}, the other of {after.domain}: compare policies of one domain."
        raise CommandError(said, returncode=_TROUBLE)
    difference = differences(before, after)
    _tell(command, difference, json=json)
    if not difference.is_empty:
        sys.exit(_DIFFERS)


def _import(command: BaseCommand, *, file: str, domain: str, foreign: str, prefix: str, **options: Any) -> None:
    if foreign:
        target = queries.get_domain(slug=domain or "default")
        wanted = foreign_policy(domain=target.id, format=foreign, text=_text(file), prefix=prefix)
    else:
        wanted = wanted_policy(text=_octets(file))
        target = _own(wanted.document, domain)
    planned = _planned(wanted, target, file=file, **options)
    if options["json"]:
        more = {"change": _change(planned), "not_imported": [note.as_json() for note in wanted.notes]}
        _tell(command, planned.difference, json=True, more=more)
        return
    _tell(command, planned.difference, json=False)
    for note in wanted.notes:
        command.stderr.write(f"{note.place}: {note.loss}: {note.source}: {note.why}")
    if planned.change:
        command.stdout.write(_outcome(planned))


def _planned(
    wanted: WantedPolicy, target: Domain, *, file: str, dry_run: bool, apply: bool, title: str, **_: Any
) -> PolicyImport:
    if dry_run:
        return plan_wanted(domain=target.id, wanted=wanted)
    named = Path(file).name if file != "-" else "standard input"
    return import_wanted(
        domain=target.id,
        wanted=wanted,
        title=title or f"Import of {named}"[:MOST_TITLE],
        apply=apply,
        actor=shell_operator(),
        now=utc_now(),
    )


def _own(document: PolicyDocument, domain: str) -> Domain:
    """The domain that is named on the command line, or else in the document."""
    return queries.get_domain(slug=domain or document.domain)


def _read(file: str) -> PolicyFile:
    return from_yaml(_octets(file))


def _text(file: str) -> str:
    try:
        return _octets(file).decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not in UTF-8: save it as UTF-8.", returncode=_TROUBLE) from error


def _octets(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(MAX_OCTETS + 1)
        with Path(file).open("rb") as opened:
            return opened.read(MAX_OCTETS + 1)
    except OSError as error:
        raise CommandError(f"The file can not be read: {error}.", returncode=_TROUBLE) from error


def _tell(
    command: BaseCommand, difference: PolicyDifference, *, json: bool, more: Mapping[str, Any] | None = None
) -> None:
    if json:
        command.stdout.write(_as_json({"difference": difference_json(difference), **(more or {})}))
        return
    for line in plan_lines(difference):
        command.stdout.write(line)
    command.stdout.write(summary(difference))


def _outcome(planned: PolicyImport) -> str:
    assert planned.change is not None
    number = planned.change.number
    if planned.applied:
        return f"Change {number} is applied; operation {planned.applied.operation}."
    return f"Change {number} is a draft: approve and apply it under Changes, or withdraw it."


def _change(planned: PolicyImport) -> dict[str, Any] | None:
    if planned.change is None:
        return None
    return {"id": str(planned.change.id), "number": planned.change.number, "state": planned.change.state.value}


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
