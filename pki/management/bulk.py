"""`manage.py issue --bulk`: a file of requests is ordered, watched, and its results are written."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import CommandError, OutputWrapper

from kernel.core.clock import utc_now
from kernel.core.errors import DomainError
from kernel.core.journal import StepState
from pki.core.issuance_rows import read_rows
from pki.management.operator import shell_operator
from pki.queries import IssuanceProgress, find_issuer, issuance_progress, issuance_results
from pki.services import BulkIssuance, order_issuance

_BETWEEN_LOOKS = 0.5


def issue_bulk(options: dict[str, Any], *, out: OutputWrapper, err: OutputWrapper) -> None:
    """Orders, waits while workers issue, and writes a line of JSON for each row. Raises CommandError."""
    try:
        ordered = _order(Path(options["bulk"]), options)
    except (DomainError, OSError, UnicodeDecodeError) as error:
        raise CommandError(error.detail if isinstance(error, DomainError) else f"{options['bulk']}: {error}") from error
    err.write(f"{ordered.rows} certificates in {ordered.parts} parts, operation {ordered.operation}")
    progress = _watch(ordered, err)
    issued, refused = _write(ordered, options["result"], out)
    if options["json"]:
        said = {"operation": str(ordered.operation), "rows": ordered.rows, "issued": issued, "refused": refused}
        (out if options["result"] else err).write(json.dumps(said))
    else:
        err.write(f"{issued} issued, {refused} refused")
    if progress.faults:
        raise CommandError("; ".join(progress.faults))


def _order(path: Path, options: dict[str, Any]) -> BulkIssuance:
    with path.open(encoding="utf-8", newline="") as file:
        return order_issuance(
            issuer=find_issuer(slug=options["issuer"]).id,
            profile=options["profile"],
            rows=read_rows(file, is_csv=path.suffix.lower() == ".csv"),
            actor=shell_operator(),
            now=utc_now(),
        )


def _watch(ordered: BulkIssuance, err: OutputWrapper) -> IssuanceProgress:
    """A bar on a terminal, else a line for each tenth."""
    is_terminal, told = sys.stderr.isatty(), 0
    while True:
        progress = issuance_progress(operation=ordered.operation)
        tenth = 10 * progress.done // max(1, progress.parts)
        if is_terminal:
            err.write(f"\r[{'#' * tenth:10}] {progress.done} of {progress.parts} parts", ending="")
        elif tenth > told:
            err.write(f"{progress.done} of {progress.parts} parts")
        told = tenth
        if progress.state in {StepState.DONE, StepState.FAILED}:
            err.write("") if is_terminal else None
            return progress
        time.sleep(_BETWEEN_LOOKS)


def _write(ordered: BulkIssuance, result: str | None, out: OutputWrapper) -> tuple[int, int]:
    """How many were issued and refused."""
    if result is None:
        return _copy(ordered, out)
    with Path(result).open("w", encoding="utf-8") as file:
        return _copy(ordered, file)


def _copy(ordered: BulkIssuance, out: TextIO | OutputWrapper) -> tuple[int, int]:
    issued = refused = 0
    for line in issuance_results(id=ordered.id, parts=ordered.parts):
        out.write(line)
        if "certificate" in json.loads(line):
            issued += 1
        else:
            refused += 1
    return issued, refused
