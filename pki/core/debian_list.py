"""Lists of Debian's weak keys as text: blocks of Debian's openssl-blacklist, each under a heading."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pki.core.debian_openssl import MACHINES, Seeding, make_modulus
from pki.core.weak_keys import debian_modulus_mark

_SIZE = 128
_LINE_CHARACTERS = 21
_HEADING = re.compile(r"^# (\d+) (\S+) (\S+) (\d+)-(\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Keys of one sort, of the processes `first` to `last`."""

    bits: int
    machine: str
    seeding: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"# {self.bits} {self.machine} {self.seeding} {self.first}-{self.last}"


def blocks_of(
    *, bits: Collection[int], machines: Collection[str], seedings: Collection[Seeding], pids: range
) -> Iterator[Block]:
    """The blocks that such a list has."""
    sorts = [(size, machine, seeding) for size in bits for machine in machines for seeding in seedings]
    for size, machine, seeding in sorts:
        for first in range(pids.start, pids.stop, _SIZE):
            last = min(first + _SIZE, pids.stop) - 1
            yield Block(bits=size, machine=machine, seeding=seeding.value, first=first, last=last)


def whole_blocks(text: str) -> dict[Block, str]:
    """The blocks that a list has whole, with their lines; one that was broken off is left out."""
    found = {}
    for match in _HEADING.finditer(text):
        bits, machine, seeding, first, last = match.groups()
        block = Block(bits=int(bits), machine=machine, seeding=seeding, first=int(first), last=int(last))
        lines = text[match.end() + 1 :].split("#", 1)[0]
        if len(lines) == _LINE_CHARACTERS * (block.last - block.first + 1):
            found[block] = lines
    return found


def lines_of(block: Block) -> str:
    """The block's lines, a key each; made anew, which takes 0.15 s for a key of 2048 bits."""
    machine, seeding = MACHINES[block.machine], Seeding(block.seeding)
    moduli = (
        make_modulus(bits=block.bits, machine=machine, seeding=seeding, pid=pid)
        for pid in range(block.first, block.last + 1)
    )
    return "".join(f"{debian_modulus_mark(modulus).hex()}\n" for modulus in moduli)
