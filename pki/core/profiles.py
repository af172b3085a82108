"""The built-in profiles: version 0 of their names. A domain's own versions are documents in the database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from cryptography.x509.oid import ExtendedKeyUsageOID

from kernel.core.errors import NotFound
from pki.core.profile import (
    KEY_USAGES,
    NO_EXPIRY,
    Attribute,
    BeyondIssuer,
    KeyFamily,
    NameKind,
    NamePart,
    Profile,
    Requestable,
    SubjectPart,
)
from pki.core.templates import MissingVariable

__all__ = ["KEY_USAGES", "PROFILES", "MissingVariable", "Profile", "UnknownProfile", "get_profile"]


class UnknownProfile(NotFound):
    """There is no profile of that name."""

    code = "profile-unknown"


_LEAF = frozenset({"digital_signature"})
_CA = frozenset({"key_cert_sign", "crl_sign", "digital_signature"})


def _named(template: str) -> tuple[SubjectPart, ...]:
    return (SubjectPart(attribute=Attribute.COMMON_NAME, value=template),)


def _client(name: str, description: str) -> Profile:
    return Profile(
        name=name,
        description=description,
        validity=timedelta(days=365),
        subject_parts=_named("${auth_id}"),
        alternative_names=(NamePart(kind=NameKind.URI, value=f"urn:gatehouse:${{domain}}:{name}:${{id}}"),),
        key_usage=_LEAF,
        extended_key_usage=(ExtendedKeyUsageOID.CLIENT_AUTH,),
    )


def _ca(name: str, description: str, *, days: int, path_length: int | None) -> Profile:
    return Profile(
        name=name,
        description=description,
        validity=timedelta(days=days),
        subject_parts=_named("${common_name}"),
        key_usage=_CA,
        is_ca=True,
        path_length=path_length,
        key_families=frozenset(KeyFamily),
    )


PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        _ca("root", "A root: ten years, any number of CAs below.", days=3653, path_length=None),
        _ca("issuing-ca", "A CA that issues to devices and servers: five years.", days=1826, path_length=0),
        _client("device", "A device: it proves who it is to brokers."),
        _client("application", "An application: it proves who it is to brokers."),
        Profile(
            name="broker-server",
            description="A broker's or service's own certificate, by DNS name or address: 90 days.",
            validity=timedelta(days=90),
            subject_parts=_named("${common_name}"),
            requestable=(Requestable(kind=NameKind.DNS), Requestable(kind=NameKind.IP)),
            needs_requested=True,
            key_usage=_LEAF,
            extended_key_usage=(ExtendedKeyUsageOID.SERVER_AUTH,),
        ),
        Profile(
            name="ocsp-signer",
            description="A delegated OCSP signer (RFC 6960 4.2.2.2): 14 days.",
            validity=timedelta(days=14),
            subject_parts=_named("${common_name}"),
            key_usage=_LEAF,
            extended_key_usage=(ExtendedKeyUsageOID.OCSP_SIGNING,),
            key_families=frozenset(KeyFamily),
            names_ocsp=False,
            names_crl=False,
            ocsp_no_check=True,
        ),
        Profile(
            name="idevid",
            description="An IDevID of a manufacturer (IEEE 802.1AR): no end, named by serial number.",
            validity=NO_EXPIRY,
            issuer_limits=BeyondIssuer.ALLOW,
            subject_parts=(SubjectPart(attribute=Attribute.SERIAL_NUMBER, value="${hardware_serial}"),),
            alternative_names=(
                NamePart(kind=NameKind.HARDWARE_MODULE, value="${hardware_serial}", hardware_type="${hardware_type}"),
            ),
            key_usage=_LEAF,
            extended_key_usage=(ExtendedKeyUsageOID.CLIENT_AUTH,),
        ),
    )
}


def get_profile(name: str) -> Profile:
    """The built-in profile of that name. Raises UnknownProfile."""
    try:
        return PROFILES[name]
    except KeyError as error:
        raise UnknownProfile(f"There is no profile {name!r}: use one of {', '.join(sorted(PROFILES))}.") from error
