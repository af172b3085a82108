"""Answers put together around a kept signature are to the octet those that are built at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pki.core import der
from pki.core.ocsp_edition import Imprint, Standing
from pki.core.ocsp_plain import PlainAnswers, status_of
from pki.core.ocsp_request import PlainQuestion, issuer_hashes, parse_request
from pki.core.ocsp_response import SingleAnswer, assemble, to_be_signed
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
