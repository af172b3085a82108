"""How a key's weakness is written down beside it, and told."""

from __future__ import annotations

from dataclasses import dataclass

_WORDS = {
    "roca": "its maker's chip chose primes that can be found (ROCA, CVE-2017-15361)",
    "debian": "Debian's OpenSSL of 2006 to 2008 made it, which knew 32,767 keys of a kind (CVE-2008-0166)",
    "published": "its private key has been published",
    "refused": "it would be refused today",
}
SHARED_FACTOR = "shared-factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """Why a key is weak. `group` names the keys that share factors with one another, else it is empty."""

    code: str
    group: str = ""

    @classmethod
    def parse(cls, text: str) -> Weakness:
        """What `str` made."""
        code, _, group = text.partition(":")
        return cls(code=code, group=group)

    def __str__(self) -> str:
        return f"{self.code}:{self.group}" if self.group else self.code

    @property
    def words(self) -> str:
        """The same in words, as the end of a sentence."""
        return "it shares a prime with another key" if self.code == SHARED_FACTOR else _WORDS.get(self.code, self.code)
