"""Answers put together around a kept signature are to the octet those that are built at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pki.core import der
from pki.core.ocsp_edition import Imprint, Standing
from pki.core.ocsp_live import LiveAnswers
from pki.core.ocsp_plain import Frames, PlainAnswers, status_of
from pki.core.ocsp_request import PlainQuestion, issuer_hashes, parse_request
from pki.core.ocsp_response import Good, SingleAnswer, assemble, to_be_signed
from tests.pki.core.making import make_ca

CA = make_ca()
QUESTION = PlainQuestion.of(issuer_hashes(CA.certificate))
AT = datetime(2027, 3, 1, tzinfo=UTC)

standings = st.builds(Standing, st.just(9), st.just(0) | st.integers(1, 4_000_000_000), st.sampled_from([0, 1, 5, 6]))


@given(
    serial=st.integers(1 << 152, (1 << 159) - 1), standing=standings, signature=st.binary(min_size=60, max_size=104),
    certificate=st.binary(min_size=300, max_size=900),
)  # fmt: skip
def test_they_are_the_same(serial: int, standing: Standing, signature: bytes, certificate: bytes) -> None:
    algorithm = der.sequence(der.oid("1.2.840.10045.4.3.2"))
    imprint = Imprint(
        revision=1,
        newest="",
        this_update=int(AT.timestamp()),
        next_update=int(AT.timestamp()) + 3_600,
        signer=der.octet_string(certificate),
        algorithm=algorithm,
        signature_octets=104,
    )
    octets = serial.to_bytes(20, "big")
    prepared = PlainAnswers(imprint, QUESTION.cert_id_head, b"h" * 20)
    single = SingleAnswer(
        cert_id=QUESTION.cert_id_head + octets,
        status=status_of(standing),
        this_update=AT,
        next_update=AT + timedelta(hours=1),
    )
    tbs = to_be_signed(answers=[single], produced_at=AT, nonce=None, key_hash=b"h" * 20)
    assert prepared.to_be_signed(octets, standing) == tbs
    whole = assemble(tbs, algorithm=algorithm, signature=signature, certificate=imprint.signer)
    assert prepared.signed(tbs, signature) == whole


@given(st.integers(1, (1 << 160) - 1))
def test_a_plain_question_is_what_the_parser_reads(serial: int) -> None:
    octets = QUESTION.head + serial.to_bytes(20, "big")
    found = QUESTION.serial_in(octets)
    if 1 << 152 <= serial < 1 << 159:
        [asked] = parse_request(octets).cert_ids
        assert int.from_bytes(found, "big") == asked.serial == serial
        assert asked.encoded == QUESTION.cert_id_head + found
    else:
        assert found == b""
    assert QUESTION.serial_in(octets + b"\x00") == QUESTION.serial_in(octets[:-1]) == b""


@given(serial=st.integers(1 << 152, (1 << 159) - 1), nonce=st.binary(min_size=1, max_size=128))
def test_a_question_with_a_nonce_is_what_the_parser_reads_and_is_answered_the_same(serial: int, nonce: bytes) -> None:
    octets = asked_with(nonce, serial)
    assert QUESTION.with_nonce(octets) == (serial.to_bytes(20, "big"), nonce)
    parsed = parse_request(octets)
    assert (parsed.nonce, [each.serial for each in parsed.cert_ids]) == (nonce, [serial])
    frames = Frames(b"\x30\x03\x06\x01\x05", b"\x30\x82\x01\x00" + bytes(256))
    later = AT + timedelta(hours=1)
    live = LiveAnswers(QUESTION.cert_id_head, b"h" * 20, AT, later, AT, lambda tbs: tbs[:70], frames)
    single = SingleAnswer(cert_id=parsed.cert_ids[0].encoded, status=Good(), this_update=AT, next_update=later)
    tbs = to_be_signed(answers=[single], produced_at=AT, nonce=nonce, key_hash=b"h" * 20)
    whole = assemble(tbs, algorithm=frames.algorithm, signature=tbs[:70], certificate=frames.certificate)
    assert live.good(serial.to_bytes(20, "big"), nonce) == whole


def asked_with(nonce: bytes, serial: int) -> bytes:
    one = der.read_only(der.read_only(QUESTION.head + serial.to_bytes(20, "big")).body).body
    extension = der.extension("1.3.6.1.5.5.7.48.1.2", der.octet_string(nonce))
    return der.sequence(der.sequence(one, der.explicit(2, der.sequence(extension))))


@given(
    changes=st.lists(st.tuples(st.integers(0, 140), st.integers(0, 255)), min_size=1, max_size=3),
    size=st.integers(0, 150),
)
def test_what_is_quickly_understood_is_so_by_the_parser_too(changes: list[tuple[int, int]], size: int) -> None:
    damaged = bytearray(asked_with(b"nonce", 1 << 158))
    for place, octet in changes:
        if place < len(damaged):
            damaged[place] = octet
    octets = bytes(damaged[:size])
    serial, nonce = QUESTION.with_nonce(octets)
    if serial:
        parsed = parse_request(octets)
        assert (parsed.nonce, parsed.cert_ids[0].serial) == (nonce, int.from_bytes(serial, "big"))
        assert parsed.cert_ids[0].encoded == QUESTION.cert_id_head + serial
