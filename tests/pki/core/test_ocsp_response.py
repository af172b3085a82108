"""OCSP responses as the library reads them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.core import der
from pki.core.keys import SigningKey, subject_public_key
from pki.core.ocsp_response import (
    ErrorStatus,
    Good,
    Revoked,
    SingleAnswer,
    Status,
    Unknown,
    build_error,
    build_response,
)
from pki.core.values import KeyAlgorithm, ReasonCode
from tests.pki.core.making import NOW, Ca, make_ca

SIGNERS: dict[KeyAlgorithm, Ca] = {each: make_ca(each) for each in KeyAlgorithm if each is not KeyAlgorithm.RSA_4096}
SIGNER = SIGNERS[KeyAlgorithm.ECDSA_P256]
SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))

moments = st.integers(315_532_800, 4_733_510_400).map(lambda unix: datetime.fromtimestamp(unix, UTC))  # 1980 to 2120
revoked = st.builds(
    Revoked, at=moments, reason=st.sampled_from([each for each in ReasonCode if each is not ReasonCode.REMOVE_FROM_CRL])
)
statuses: st.SearchStrategy[Status] = st.just(Good()) | st.just(Unknown()) | revoked


def built(
    questions: list[tuple[int, Status]],
    this_update: datetime = NOW,
    nonce: bytes | None = None,
    algorithm: KeyAlgorithm = KeyAlgorithm.ECDSA_P256,
) -> bytes:
    signer = SIGNERS[algorithm]
    public_key = signer.certificate.public_key()
    return build_response(
        answers=[
            SingleAnswer(
                cert_id=der.sequence(
                    SHA256, der.octet_string(b"n" * 32), der.octet_string(b"k" * 32), der.integer(serial)
                ),
                status=status,
                this_update=this_update,
                next_update=this_update + timedelta(hours=1),
            )
            for serial, status in questions
        ],
        produced_at=this_update,
        nonce=nonce,
        key=signer.key,
        key_hash=hashlib.sha1(subject_public_key(public_key)).digest(),
        certificate=signer.certificate.public_bytes(Encoding.DER),
    )


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, (1 << 159) - 1), statuses), min_size=1, max_size=5),
    moments,
    st.none() | st.binary(min_size=1, max_size=128),
)
def test_what_was_built_is_what_is_read(
    questions: list[tuple[int, Status]], this_update: datetime, nonce: bytes | None
) -> None:
    response = ocsp.load_der_ocsp_response(built(questions, this_update, nonce))
    assert response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert [(single.serial_number, status_in(single)) for single in response.responses] == questions
    for single in response.responses:
        assert isinstance(single.hash_algorithm, hashes.SHA256)
        assert (single.issuer_name_hash, single.issuer_key_hash) == (b"n" * 32, b"k" * 32)
        assert (single.this_update_utc, single.next_update_utc) == (this_update, this_update + timedelta(hours=1))
    assert response.produced_at_utc == this_update
    found = [each.value.nonce for each in response.extensions if isinstance(each.value, x509.OCSPNonce)]
    assert found == ([] if nonce is None else [nonce])
    verify(response, SIGNER.key)


def status_in(single: ocsp.OCSPSingleResponse) -> Status:
    match single.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return Good()
        case ocsp.OCSPCertStatus.UNKNOWN:
            return Unknown()
        case _:
            reason = single.revocation_reason
            at = single.revocation_time_utc
            assert at is not None
            return Revoked(at=at, reason=ReasonCode(reason.value) if reason else ReasonCode.UNSPECIFIED)


def verify(response: ocsp.OCSPResponse, key: SigningKey) -> None:
    public_key, signed = key.public_key(), response.tbs_response_bytes
    if isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        algorithm = response.signature_hash_algorithm
        assert algorithm is not None
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(response.signature, signed, ec.ECDSA(algorithm))
        else:
            public_key.verify(response.signature, signed, padding.PKCS1v15(), algorithm)
    else:  # Ed25519 and ML-DSA have their own hashes
        public_key.verify(response.signature, signed)


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_every_kind_of_key_signs(algorithm: KeyAlgorithm) -> None:
    verify(ocsp.load_der_ocsp_response(built([(1, Good())], algorithm=algorithm)), SIGNERS[algorithm].key)


def test_the_responder_is_named_by_its_key_and_shows_its_certificate() -> None:
    response = ocsp.load_der_ocsp_response(built([(1, Good())]))
    assert response.responder_name is None
    key_hash = x509.SubjectKeyIdentifier.from_public_key(SIGNER.certificate.public_key()).digest
    assert response.responder_key_hash == key_hash  # SHA-1 of the key, RFC 6960 4.2.1 as RFC 5280 4.2.1.2 (1)
    assert response.certificates == [SIGNER.certificate]


@pytest.mark.parametrize("status", ErrorStatus)
def test_an_error_is_five_octets(status: ErrorStatus) -> None:
    octets = build_error(status)
    assert octets == bytes((0x30, 3, 0x0A, 1, status))
    assert ocsp.load_der_ocsp_response(octets).response_status.value == status
