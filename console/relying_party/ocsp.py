"""Asking OCSP as a client does, and believing the answer only if a client would (RFC 6960 3.2, 4.2.2.2)."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from console.relying_party.fetching import NotFetchedError, fetch
from console.relying_party.in_time import SKEW, check_times
from console.relying_party.sightings import Listed, Sighting, Sort
from pki.core.ocsp_request import build_request
from pki.core.values import SerialNumber


def ask_ocsp(*, leaf: x509.Certificate, issuer: x509.Certificate, base_url: str, now: datetime) -> Sighting:
    """What the responder that the certificate names says of it now."""
    url = _url_of(leaf)
    if not url:
        return Sighting(sort=Sort.OCSP, fault="The certificate names no OCSP responder.", asked=False)
    request = build_request(issuer=issuer, serial=SerialNumber(leaf.serial_number))
    try:
        fetched = fetch(url, base_url=base_url, body=request, content_type="application/ocsp-request")
        answer = ocsp.load_der_ocsp_response(fetched.body)
        if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise NotFetchedError(f"The responder answers {answer.response_status.name.lower()}.")
        _check(answer, leaf=leaf, issuer=issuer, now=now)
    except NotFetchedError as error:
        return Sighting(sort=Sort.OCSP, url=url, fault=str(error))
    except (ValueError, UnsupportedAlgorithm) as error:
        return Sighting(sort=Sort.OCSP, url=url, fault=f"The answer can not be read: {error}.")
    return Sighting(
        sort=Sort.OCSP,
        url=url,
        listed=_LISTED[answer.certificate_status],
        reason=answer.revocation_reason.value if answer.revocation_reason else "",
        revoked_at=answer.revocation_time_utc,
        this_update=answer.this_update_utc,
        next_update=answer.next_update_utc,
        elapsed_ms=fetched.elapsed_ms,
    )


_LISTED = {
    ocsp.OCSPCertStatus.GOOD: Listed.GOOD,
    ocsp.OCSPCertStatus.REVOKED: Listed.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN: Listed.UNKNOWN,
}


def _url_of(leaf: x509.Certificate) -> str:
    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return ""
    found = (each for each in access if each.access_method == AuthorityInformationAccessOID.OCSP)
    return next((str(each.access_location.value) for each in found), "")


def _check(answer: ocsp.OCSPResponse, *, leaf: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
    """Raises NotFetchedError if a client would not believe the answer."""
    if answer.serial_number != leaf.serial_number:
        raise NotFetchedError("The answer is about another certificate.")
    signer = answer.certificates[0] if answer.certificates else issuer
    try:
        if signer != issuer:
            signer.verify_directly_issued_by(issuer)
            usages = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            if ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
                raise NotFetchedError("The answer is signed by a certificate that is not for OCSP.")
            if not signer.not_valid_before_utc - SKEW <= now <= signer.not_valid_after_utc:
                raise NotFetchedError("The answer is signed by a certificate that has ended.")
        _verify_signature(answer, signer)
    except (InvalidSignature, TypeError, x509.ExtensionNotFound) as error:
        raise NotFetchedError("The answer's signature does not verify up to the issuer.") from error
    check_times("The answer", this_update=answer.this_update_utc, next_update=answer.next_update_utc, now=now)


def _verify_signature(answer: ocsp.OCSPResponse, signer: x509.Certificate) -> None:
    key, octets, signature = signer.public_key(), answer.tbs_response_bytes, answer.signature
    match key:
        case ec.EllipticCurvePublicKey():
            assert answer.signature_hash_algorithm is not None
            key.verify(signature, octets, ec.ECDSA(answer.signature_hash_algorithm))
        case rsa.RSAPublicKey():
            assert answer.signature_hash_algorithm is not None
            key.verify(signature, octets, padding.PKCS1v15(), answer.signature_hash_algorithm)
        case _:
            key.verify(signature, octets)  # type: ignore[union-attr,call-arg]
