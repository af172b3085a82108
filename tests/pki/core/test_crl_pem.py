"""The PEM of a CRL, made piece by piece: any piece is that of the whole."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from pki.core.pem import PemText, encode_pem


@given(st.binary(max_size=300), st.integers(0, 500), st.integers(0, 500))
@example(b"", 0, 500)
@example(bytes(48), 0, 500)
@example(bytes(49), 26, 92)
def test_every_piece_is_that_of_the_whole(octets: bytes, one: int, other: int) -> None:
    whole, text = encode_pem("X509 CRL", octets).encode(), PemText("X509 CRL", octets)
    assert len(text) == len(whole)
    first, end = sorted((min(one, len(whole)), min(other, len(whole))))
    assert text.read(first, end) == whole[first:end]
    assert text.read(0, len(text)) == whole
