"""Profiles: what a certificate of a kind contains. Values only; `certificates.py` builds from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from string import Template

from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID

from kernel.core.errors import Invalid, NotFound


class UnknownProfile(NotFound):
    """There is no profile of that name."""

    code = "profile-unknown"


class MissingVariable(Invalid):
    """The profile's template asks for something that was not given."""

    code = "profile-variable"


KEY_USAGES = frozenset(
    {
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    }
)  # fmt: skip
"""RFC 5280 4.2.1.3, as the library names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of certificate. `path_length` is None for no limit; templates have `${…}` placeholders."""

    name: str
    validity: timedelta
    common_name: str
    san_uris: tuple[str, ...] = ()
    takes_names: bool = False
    key_usage: frozenset[str]
    extended_key_usage: tuple[ObjectIdentifier, ...] = ()
    is_ca: bool = False
    path_length: int | None = None
    ocsp_no_check: bool = False

    def __post_init__(self) -> None:
        if self.validity <= timedelta(0) or not self.name or not self.common_name:
            raise ValueError(f"the profile {self.name!r} needs a name, a common name and a validity above zero")
        if not self.key_usage <= KEY_USAGES or not self.key_usage:
            raise ValueError(f"the profile {self.name} has a key usage that RFC 5280 4.2.1.3 does not know")
        if self.is_ca != ("key_cert_sign" in self.key_usage):
            raise ValueError(f"the profile {self.name}: who signs certificates is a CA, and no other (4.2.1.9)")
        if self.path_length is not None and (not self.is_ca or self.path_length < 0):
            raise ValueError(f"the profile {self.name} has a path length, which only CAs have (4.2.1.9)")
        if not (self.is_ca or self.extended_key_usage):
            raise ValueError(f"the profile {self.name} does not say what its certificates are for")

    def subject(self, variables: Mapping[str, str]) -> str:
        """The common name for these variables. Raises MissingVariable."""
        return self._fill(self.common_name, variables)

    def uris(self, variables: Mapping[str, str]) -> list[str]:
        """The URIs of the subject alternative name."""
        return [self._fill(template, variables) for template in self.san_uris]

    def _fill(self, template: str, variables: Mapping[str, str]) -> str:
        try:
            return Template(template).substitute(variables)
        except KeyError as error:
            raise MissingVariable(f"The profile {self.name} needs a value for ${{{error.args[0]}}}.") from error


_LEAF = frozenset({"digital_signature"})
_CA = frozenset({"key_cert_sign", "crl_sign", "digital_signature"})

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="root",
            validity=timedelta(days=3653),
            common_name="${common_name}",
            key_usage=_CA,
            is_ca=True,
        ),
        Profile(
            name="issuing-ca",
            validity=timedelta(days=1826),
            common_name="${common_name}",
            key_usage=_CA,
            is_ca=True,
            path_length=0,
        ),
        Profile(
            name="device",
            validity=timedelta(days=365),
            common_name="${auth_id}",
            san_uris=("urn:gatehouse:${domain}:device:${id}",),
            key_usage=_LEAF,
            extended_key_usage=(ExtendedKeyUsageOID.CLIENT_AUTH,),
        ),
        Profile(
            name="application",
            validity=timedelta(days=365),
            common_name="${auth_id}",
            san_uris=("urn:gatehouse:${domain}:application:${id}",),
            key_usage=_LEAF,
            extended_key_usage=(ExtendedKeyUsageOID.CLIENT_AUTH,),
        ),
        Profile(
            name="broker-server",
            validity=timedelta(days=90),
            common_name="${common_name}",
            takes_names=True,
            key_usage=_LEAF,
            extended_key_usage=(ExtendedKeyUsageOID.SERVER_AUTH,),
        ),
        Profile(
            name="ocsp-signer",
            validity=timedelta(days=14),
            common_name="${common_name}",
            key_usage=_LEAF,
            extended_key_usage=(ExtendedKeyUsageOID.OCSP_SIGNING,),
            ocsp_no_check=True,
        ),
    )
}


def get_profile(name: str) -> Profile:
    """The profile of that name. Raises UnknownProfile."""
    try:
        return PROFILES[name]
    except KeyError as error:
        raise UnknownProfile(f"There is no profile {name!r}: use one of {', '.join(sorted(PROFILES))}.") from error
