"""Finding the processes whose CPU time is counted."""

from __future__ import annotations

from pathlib import Path

import psycopg


def postmaster_of(url: str) -> int:
    """The process above the sessions of a PostgreSQL of this machine."""
    with psycopg.connect(url) as session:
        [pid] = session.execute("SELECT pg_backend_pid()").fetchone() or [0]
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
