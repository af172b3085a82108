"""PEM (RFC 7468), fast enough for a CRL of a million entries."""

from __future__ import annotations

from binascii import b2a_base64

_OCTETS_A_LINE = 48  # 64 characters


def encode_pem(label: str, der: bytes) -> str:
    """`der` between its BEGIN and END lines, with a newline at the end."""
    lines = b"".join(b2a_base64(der[start : start + _OCTETS_A_LINE]) for start in range(0, len(der), _OCTETS_A_LINE))
    return f"-----BEGIN {label}-----\n{lines.decode()}-----END {label}-----\n"
