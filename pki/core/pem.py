"""PEM (RFC 7468), fast enough for a CRL of a million entries."""

from __future__ import annotations

from binascii import b2a_base64

_OCTETS_A_LINE = 48  # 64 characters and a newline
_CHARACTERS_A_LINE = 65


def encode_pem(label: str, der: bytes) -> str:
    """`der` between its BEGIN and END lines, with a newline at the end."""
    return f"{_begin(label)}{_lines(der, 0, len(der)).decode()}{_end(label)}"


class PemText:
    """The same as octets, made piece by piece as they are asked for: only `der` is kept."""

    __slots__ = ("_begin", "_body_size", "_der", "_end")

    def __init__(self, label: str, der: bytes) -> None:
        self._der, self._begin, self._end = der, _begin(label).encode(), _end(label).encode()
        full, rest = divmod(len(der), _OCTETS_A_LINE)
        self._body_size = full * _CHARACTERS_A_LINE + (4 * -(-rest // 3) + 1 if rest else 0)

    def __len__(self) -> int:
        return len(self._begin) + self._body_size + len(self._end)

    def read(self, first: int, end: int) -> bytes:
        """The octets from `first` up to, and without, `end`, both within the text."""
        head, tail = len(self._begin), len(self._begin) + self._body_size
        body = self._read_body(max(first - head, 0), min(end, tail) - head) if first < tail and end > head else b""
        return self._begin[first:end] + body + self._end[max(first - tail, 0) : max(end - tail, 0)]

    def _read_body(self, first: int, end: int) -> bytes:
        line = first // _CHARACTERS_A_LINE
        stop = min(-(-end // _CHARACTERS_A_LINE) * _OCTETS_A_LINE, len(self._der))
        skipped = line * _CHARACTERS_A_LINE
        return _lines(self._der, line * _OCTETS_A_LINE, stop)[first - skipped : end - skipped]


def _lines(der: bytes, first: int, end: int) -> bytes:
    return b"".join(
        b2a_base64(der[start : min(start + _OCTETS_A_LINE, end)]) for start in range(first, end, _OCTETS_A_LINE)
    )


def _begin(label: str) -> str:
    return f"-----BEGIN {label}-----\n"


def _end(label: str) -> str:
    return f"-----END {label}-----\n"
