"""Making a list of Debian's weak keys (CVE-2008-0166), since neither Debian nor a package has one any more.

Blocks are appended as they are done, so that hours of work can be broken off and gone on with.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from pki.core.debian_list import blocks_of, lines_of, whole_blocks
from pki.core.debian_openssl import PIDS, Seeding
from pki.core.shared_factors import Progress, untold


def list_debian_keys(
    *,
    out: Path,
    bits: Collection[int],
    machines: Collection[str],
    seedings: Collection[Seeding],
    pids: range = PIDS,
    jobs: int = 0,
    progress: Progress = untold,
) -> int:
    """Adds the marks of those keys to the file, but for the blocks that stand there; how many blocks were made.

    `jobs` is the number of processes, 0 for one a processor. `progress` is told blocks. Raises OSError.
    """
    there = whole_blocks(out.read_text(encoding="ascii")) if out.exists() else {}
    out.write_text("".join(f"{block}\n{lines}" for block, lines in there.items()), encoding="ascii")
    every = blocks_of(bits=bits, machines=machines, seedings=seedings, pids=pids)
    blocks = [block for block in every if block not in there]
    with (
        out.open("a", encoding="ascii") as file,
        ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=get_context("spawn")) as pool,
    ):
        for number, (block, lines) in enumerate(zip(blocks, pool.map(lines_of, blocks), strict=True), 1):
            file.write(f"{block}\n{lines}")
            file.flush()
            progress(number, len(blocks))
    return len(blocks)
