"""The files of a bulk issuance: what is asked for in parts, and what became of each part, growing as it is done."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from kernel.core.errors import Unavailable
from pki.conf import issuance_folder
from pki.core.issuance_rows import IssuanceRow, parse_row, write_row

PART = 500
"""Rows that one worker takes at a time."""


class PartTaken(Unavailable):
    """Another worker is at the part."""

    code = "part-taken"


class IssuanceFolder:
    """`<part>.asked`, and `<part>.partial` until it is `<part>.result`; parts count from 0."""

    def __init__(self, id: UUID) -> None:
        self._path = issuance_folder() / str(id)

    def write(self, rows: Iterable[IssuanceRow]) -> tuple[int, int, str]:
        """How many rows and parts were written, and hex of SHA-256 over all of them. Nothing is left if it raises."""
        self._path.mkdir(parents=True, mode=0o700)
        count, digest, some = 0, hashlib.sha256(), []
        try:
            for row in rows:
                some.append(f"{write_row(row)}\n".encode())
                count += 1
                if len(some) == PART:
                    digest.update(self._write_part((count - 1) // PART, some))
                    some = []
            if some:
                digest.update(self._write_part(count // PART, some))
        except BaseException:
            shutil.rmtree(self._path)
            raise
        return count, -(-count // PART), digest.hexdigest()

    def read(self, part: int) -> list[IssuanceRow]:
        """The rows of a part."""
        with self._file(part, "asked").open(encoding="utf-8") as file:
            return [parse_row(line) for line in file]

    def is_done(self, part: int) -> bool:
        """Whether all of a part has its result."""
        return self._file(part, "result").exists()

    @contextmanager
    def results(self, part: int) -> Iterator[Results]:
        """What is written of a part's results, to be added to by one worker alone. Raises PartTaken."""
        path = self._file(part, "partial")
        was_begun = path.exists()
        with path.open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PartTaken("Another worker is at this part.") from error
            yield Results(file, was_begun=was_begun)

    def finish(self, part: int) -> None:
        """All of the part has its result."""
        self._file(part, "partial").replace(self._file(part, "result"))

    def all_results(self, parts: int) -> Iterator[str]:
        """The lines of the results of those parts that are done, in the order of the rows."""
        for part in range(parts):
            if self.is_done(part):
                with self._file(part, "result").open(encoding="utf-8") as file:
                    yield from file

    def _write_part(self, part: int, lines: Sequence[bytes]) -> bytes:
        octets = b"".join(lines)
        self._file(part, "asked").write_bytes(octets)
        return octets

    def _file(self, part: int, ending: str) -> Path:
        return self._path / f"{part:06}.{ending}"


class Results:
    """The results of one part, so far. A line that a crash cut off is taken away. `was_begun`: by an earlier run."""

    def __init__(self, file: BinaryIO, *, was_begun: bool) -> None:
        self._file = file
        self.was_begun = was_begun
        file.seek(0)
        octets = file.read()
        whole = octets.rfind(b"\n") + 1
        file.truncate(whole)
        self.count = octets.count(b"\n", 0, whole)

    def add(self, lines: Sequence[str]) -> None:
        """Writes the lines so that a crash leaves them there."""
        self._file.write("".join(f"{line}\n" for line in lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.count += len(lines)
