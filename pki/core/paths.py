"""Whether a CA's certificate leads to a root: names, signatures, times, path lengths and usages (RFC 5280 6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from kernel.core.errors import Invalid
from pki.core.ca_files import der_of
from pki.core.csr import WeakKey, check_key

_MAX_DEPTH = 10


class NotACa(Invalid):
    """The certificate is none that a CA signs with."""

    code = "certificate-not-ca"


class BrokenChain(Invalid):
    """The certificate does not lead to a root."""

    code = "certificate-chain"


class NotInTime(Invalid):
    """A certificate of the chain has ended, or has not begun."""

    code = "certificate-not-in-time"


def order_chain(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The certificate and those above it, up to a self-signed root, whatever the order of `others` is.

    What leads nowhere is left out. Raises BrokenChain.
    """
    chain = [certificate]
    while not is_self_signed(chain[-1]):
        above = next((each for each in others if each not in chain and _is_signed_by(chain[-1], each)), None)
        if above is None or len(chain) == _MAX_DEPTH:
            raise BrokenChain(
                f"The certificate of {_name(chain[-1])} is not signed by any that was sent or is known: "
                "send every CA above it, the root too."
            )
        chain.append(above)
    return chain


def check_path(chain: Sequence[x509.Certificate], *, now: datetime) -> None:
    """Checks a chain that `order_chain` made: CAs, in time, path lengths, signed in a way that holds, no weak key.

    Raises NotACa, NotInTime, BrokenChain, WeakKey.
    """
    below = 0  # CAs under the one that is looked at, without those that certify themselves (6.1.4 l)
    for certificate in chain:
        check_ca(certificate, now=now)
        allowed = path_length_of(certificate)
        if allowed is not None and below > allowed:
            raise BrokenChain(f"{_name(certificate)} allows {allowed} CAs below it, and there are {below}.")
        if certificate.subject != certificate.issuer:
            below += 1
            _check_signature_hash(certificate)


def check_ca(certificate: x509.Certificate, *, now: datetime) -> None:
    """Checks one CA's certificate. Raises NotACa, NotInTime, WeakKey."""
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as error:
        raise NotACa(f"{_name(certificate)} is no CA: its certificate has no basic constraints.") from error
    if not basic.ca:
        raise NotACa(f"{_name(certificate)} is no CA: its basic constraints say CA:FALSE.")
    usage = _key_usage(certificate)
    if usage is not None and not usage.key_cert_sign:
        raise NotACa(f"The certificate of {_name(certificate)} may not sign certificates: keyCertSign is not set.")
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        raise NotInTime(f"The certificate of {_name(certificate)} is valid from {begins} to {ends}: take a newer one.")
    check_key(certificate.public_key())


def check_signs_crls(certificate: x509.Certificate) -> None:
    """That the CA may sign certificates and CRLs, as its key usage says. Raises NotACa."""
    usage = _key_usage(certificate)
    if usage is None or not (usage.key_cert_sign and usage.crl_sign):
        raise NotACa(f"The key usage of {_name(certificate)} has to have keyCertSign and cRLSign (RFC 5280 4.2.1.3).")


def path_length_of(certificate: x509.Certificate) -> int | None:
    """How many CAs may stand below it; None if there is no limit."""
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length


def path_length_below(chain: Sequence[x509.Certificate]) -> int | None:
    """How many CAs may stand below `chain[0]`, as it and all above it say; None if there is no limit."""
    left = [allowed - depth for depth, each in enumerate(chain) if (allowed := path_length_of(each)) is not None]
    return min(left) if left else None


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it is a root's: signed by its own key."""
    return certificate.subject == certificate.issuer and _is_signed_by(certificate, certificate)


def is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` is named in it as its issuer, and its key verifies the signature."""
    return _is_signed_by(certificate, issuer)


def is_same_key(one: PublicKeyTypes, other: PublicKeyTypes) -> bool:
    """Whether two public keys are one."""
    return type(one) is type(other) and one == other


def _is_signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _check_signature_hash(certificate: x509.Certificate) -> None:
    try:
        weak = isinstance(certificate.signature_hash_algorithm, hashes.SHA1 | hashes.MD5)
    except UnsupportedAlgorithm:
        weak = False  # it verified, so it is one that is known
    if weak:
        raise WeakKey(f"The certificate of {_name(certificate)} is signed with a broken hash: have it signed anew.")


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()[:100] or der_of(certificate).hex()[:16]
