"""Keys in a hardware security module (PKCS#11): made there, used there, and never outside."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.types import PublicKey, Session
from pkcs11.util import rsa as rsa_coding
from pkcs11.util.ec import encode_named_curve_parameters

from pki.adapters.token_keys import TokenEcKey, TokenEd25519Key, TokenRsaKey
from pki.adapters.token_link import token_link
from pki.core import der
from pki.core.keys import SigningKey, subject_public_key
from pki.core.ports import AlgorithmNotKept, KeptKey, KeyGone
from pki.core.values import Custody, KeyAlgorithm, KeyId

_CURVES = {
    KeyAlgorithm.ECDSA_P256: (ec.SECP256R1(), "1.2.840.10045.3.1.7"),
    KeyAlgorithm.ECDSA_P384: (ec.SECP384R1(), "1.3.132.0.34"),
}
_RSA_BITS = {KeyAlgorithm.RSA_3072: 3072, KeyAlgorithm.RSA_4096: 4096}
_OURS = "gatehouse "
_ED25519_OID = "1.3.101.112"
_MECHANISMS = {
    KeyAlgorithm.ECDSA_P256: (Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA),
    KeyAlgorithm.ECDSA_P384: (Mechanism.EC_KEY_PAIR_GEN, Mechanism.ECDSA),
    KeyAlgorithm.RSA_3072: (Mechanism.RSA_PKCS_KEY_PAIR_GEN, Mechanism.RSA_PKCS),
    KeyAlgorithm.RSA_4096: (Mechanism.RSA_PKCS_KEY_PAIR_GEN, Mechanism.RSA_PKCS),
    KeyAlgorithm.ED25519: (Mechanism.EC_EDWARDS_KEY_PAIR_GEN, Mechanism.EDDSA),
}
_SIGNS = MechanismFlag.SIGN | MechanismFlag.VERIFY
_GUARDED: dict[Attribute, Any] = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
}


class TokenKeys:
    """The custody whose keys never leave."""

    def generate(self, id: KeyId, algorithm: KeyAlgorithm) -> tuple[KeptKey, SigningKey]:
        """A key that the token makes: sensitive and not extractable. Raises AlgorithmNotKept, TokenAway, NoToken."""
        _check_mechanisms(algorithm)
        token_link().run(lambda session: _make(session, id, algorithm))
        kept = _kept(id, algorithm)
        return kept, self.open(kept)

    def adopt(self, id: KeyId, key: SigningKey, algorithm: KeyAlgorithm) -> KeptKey:
        """A copy of the key in the token, not extractable from now on. Raises as `generate`, and KeyStays."""
        _check_mechanisms(algorithm)
        objects = _objects_of(id, key)
        token_link().run(lambda session: _put(session, id, objects))
        return _kept(id, algorithm)

    def open(self, kept: KeptKey) -> SigningKey:
        """What signs in the token. Raises KeyGone, TokenAway, NoToken."""
        link = token_link()
        if kept.locator != _locator(kept.id):
            raise KeyGone(f"The key is at {kept.locator}, and the token that is set is {link.settings.label}.")
        public_key = load_der_public_key(link.run(lambda session: _public_key(session, kept.id)))
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            return TokenEcKey(kept.id.bytes, public_key, link.sign)
        if isinstance(public_key, rsa.RSAPublicKey):
            return TokenRsaKey(kept.id.bytes, public_key, link.sign)
        return TokenEd25519Key(kept.id.bytes, public_key, link.sign)

    def envelope(self, kept: KeptKey) -> bytes | None:
        """None: it hangs on no master key."""
        del kept
        return None

    def rewrap(self, kept: KeptKey) -> KeptKey | None:
        """None: there is nothing to wrap."""
        del kept
        return None

    def destroy(self, kept: KeptKey) -> None:
        """Both objects of the pair are deleted. Raises TokenAway, NoToken."""
        token_link().run(lambda session: _clear(session, kept.id))

    def held(self) -> dict[KeyId, str]:
        """The keys in the token that bear our label; none if no token is set. Raises TokenAway, NoToken."""
        link = token_link()
        if not link.settings.module:
            return {}
        return {id: _locator(id) for id in link.run(_ids)}


def _ids(session: Session) -> list[KeyId]:
    labels = [str(each[Attribute.LABEL]) for each in session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})]
    return [KeyId(UUID(label.removeprefix(_OURS))) for label in labels if label.startswith(_OURS)]


def _check_mechanisms(algorithm: KeyAlgorithm) -> None:
    wanted = _MECHANISMS.get(algorithm)
    if wanted is None or not token_link().can(*wanted):
        raise AlgorithmNotKept(f"The token has no {algorithm} keys: choose ecdsa-p256 or rsa-3072, or another custody.")


def _clear(session: Session, id: KeyId) -> None:
    for each in [*session.get_objects(_of(id))]:
        each.destroy()


def _put(session: Session, id: KeyId, objects: list[dict[Attribute, Any]]) -> None:
    _clear(session, id)  # what an attempt left whose connection was lost
    for attributes in objects:
        session.create_object(attributes)


def _make(session: Session, id: KeyId, algorithm: KeyAlgorithm) -> None:
    _clear(session, id)
    words: dict[str, Any] = {"id": id.bytes, "label": _label(id), "store": True, "capabilities": _SIGNS}
    words |= {"private_template": _GUARDED, "mechanism": _MECHANISMS[algorithm][0]}
    if algorithm in _RSA_BITS:
        _, private = session.generate_keypair(KeyType.RSA, _RSA_BITS[algorithm], **words)
    else:
        is_ed = algorithm is KeyAlgorithm.ED25519
        curve = encode_named_curve_parameters(_ED25519_OID if is_ed else _CURVES[algorithm][1])
        kind = KeyType.EC_EDWARDS if is_ed else KeyType.EC
        parameters = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: curve}, local=True)
        _, private = parameters.generate_keypair(**words)
    if private[Attribute.EXTRACTABLE] or not private[Attribute.SENSITIVE]:
        _clear(session, id)
        raise AlgorithmNotKept("The token made a key that it would let out: look at its policy of key extraction.")


def _public_key(session: Session, id: KeyId) -> bytes:
    """The SubjectPublicKeyInfo out of the public object of the pair."""
    found = [*session.get_objects(_of(id) | {Attribute.CLASS: ObjectClass.PUBLIC_KEY})]
    if len(found) != 1 or not isinstance(found[0], PublicKey):
        raise KeyGone(f"The token {token_link().settings.label} has no key {id.hex}: was it replaced, or cleared?")
    key = found[0]
    if key.key_type is KeyType.RSA:
        modulus, exponent = (int.from_bytes(key[name]) for name in (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT))
        return _spki(rsa.RSAPublicNumbers(exponent, modulus).public_key())
    point = _point(key[Attribute.EC_POINT])
    if key.key_type is KeyType.EC_EDWARDS:
        return _spki(ed25519.Ed25519PublicKey.from_public_bytes(point))
    curve = next(curve for curve, oid in _CURVES.values() if der.oid(oid) == key[Attribute.EC_PARAMS])
    return _spki(ec.EllipticCurvePublicKey.from_encoded_point(curve, point))


def _point(value: bytes) -> bytes:
    """CKA_EC_POINT: an OCTET STRING by the standard, bare octets by some tokens."""
    try:
        element = der.read_only(value)
    except der.MalformedDerError:
        return value
    return element.body if element.tag == der.OCTET_STRING else value


def _spki(public_key: Any) -> bytes:
    octets: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return octets


def _objects_of(id: KeyId, key: SigningKey) -> list[dict[Attribute, Any]]:
    """The private and the public object of a key that comes from elsewhere."""
    shared: dict[Attribute, Any] = {Attribute.TOKEN: True, Attribute.ID: id.bytes, Attribute.LABEL: _label(id)}
    private, public = _values_of(key)
    private |= shared | _GUARDED | {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.SIGN: True}
    public |= shared | {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.VERIFY: True}
    return [private, public]


def _values_of(key: SigningKey) -> tuple[dict[Attribute, Any], dict[Attribute, Any]]:
    """What makes the private and the public key. Raises KeyStays."""
    if isinstance(key, rsa.RSAPrivateKey):
        octets = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
        return rsa_coding.decode_rsa_private_key(octets, _SIGNS), rsa_coding.decode_rsa_public_key(public, _SIGNS)
    point = der.tlv(der.OCTET_STRING, subject_public_key(key.public_key()))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        oid = next(oid for curve, oid in _CURVES.values() if curve.key_size == key.key_size)
        kind = KeyType.EC
        value = key.private_numbers().private_value.to_bytes(key.key_size // 8)
    else:
        assert isinstance(key, ed25519.Ed25519PrivateKey)
        oid, kind, value = _ED25519_OID, KeyType.EC_EDWARDS, key.private_bytes_raw()
    shared = {Attribute.KEY_TYPE: kind, Attribute.EC_PARAMS: der.oid(oid)}
    return shared | {Attribute.VALUE: value}, shared | {Attribute.EC_POINT: point}


def _of(id: KeyId) -> dict[Attribute, Any]:
    return {Attribute.ID: id.bytes}


def _label(id: KeyId) -> str:
    return f"{_OURS}{id}"


def _kept(id: KeyId, algorithm: KeyAlgorithm) -> KeptKey:
    return KeptKey(id=id, algorithm=algorithm, custody=Custody.PKCS11, locator=_locator(id))


def _locator(id: KeyId) -> str:
    """Where the key is, as a PKCS#11 URI (RFC 7512)."""
    octets = "".join(f"%{octet:02x}" for octet in id.bytes)
    return f"pkcs11:token={quote(token_link().settings.label, safe='')};id={octets};type=private"
