"""A domain's own profiles: trying them, saving versions of them, retiring them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID
from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet

from kernel.core.actor import Actor
from kernel.core.errors import Conflict, FieldError, Invalid, Superseded
from kernel.core.ids import DomainId, new_id
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.certificates import BadName, KeyNotAccepted, ProfileEnded
from pki.core.lint_findings import Severity
from pki.core.profile import Profile
from pki.core.profile_documents import BadProfile, parse_profile, profile_document
from pki.core.profiles import PROFILES, UnknownProfile
from pki.core.templates import MissingVariable
from pki.models import ProfileVersion
from pki.queries import ProfileState, find_profile_state
from pki.services.preview_certificate import preview_certificate

_NAME = re.compile(r"(?=.{1,32}\Z)[a-z0-9]+(?:-[a-z0-9]+)*")


class BadProfileName(Invalid):
    """The name can not stand in URLs."""

    code = "profile-name"


class ProfileChanged(Superseded):
    """Somebody saved the profile since it was read."""

    code = "version-mismatch"


class ProfileNameTaken(Conflict):
    """There is a profile of that name, where a new one was to be made."""

    code = "profile-name-taken"


class UnsoundProfile(Invalid):
    """The profile would make certificates that the lint finds errors in."""

    code = "profile-unsound"


def save_profile(
    *,
    domain: DomainId,
    name: str,
    document: object,
    expected_version: int | None = None,
    is_new: bool = False,
    actor: Actor,
    now: datetime,
) -> ProfileState:
    """The profile as it is in use from now on; certificates that there are keep the version that they were made with.

    What changes nothing is not saved. Raises BadProfileName, BadProfile, UnsoundProfile; ProfileNameTaken if it is to
    be new and there is one; ProfileChanged if the version in use is not `expected_version` any more.
    """
    if not _NAME.fullmatch(name):
        raise BadProfileName(f"{name[:64]!r} can not name a profile: 1 to 32 of a-z, 0-9 and single hyphens.")
    profile = parse_profile(document, name=name)
    _check_purpose(profile)
    _check_sound(profile, now=now)
    with transaction.atomic():
        version = 1 + (_rows(domain, name).aggregate(latest=Max("version"))["latest"] or 0)
        before = _in_use(domain, name)
        if is_new and before:
            raise ProfileNameTaken(f"There is a profile {name} already: change that one, or choose another name.")
        _check_version(before, name, expected_version)
        if before and profile_document(before.profile) == profile_document(profile):
            return before
        _insert(domain, profile, version=version, now=now)
        after = find_profile_state(domain=domain, name=name)
        record(
            action="pki.profile.saved",
            subject=_subject(name),
            actor=actor,
            now=now,
            domain=domain,
            before=_told(before),
            after=_told(after),
        )
    return after


def retire_profile(
    *, domain: DomainId, name: str, expected_version: int | None = None, actor: Actor, now: datetime
) -> None:
    """Nothing; the domain's own versions are in use no longer, and a built-in profile of that name is again.

    Raises UnknownProfile if the domain has none of its own, and ProfileChanged.
    """
    with transaction.atomic():
        before = _in_use(domain, name)
        if before is None or before.created_at is None:
            raise UnknownProfile(f"The domain has no profile {name[:64]!r} of its own: built-in ones are not retired.")
        _check_version(before, name, expected_version)
        _rows(domain, name).filter(retired_at=None).update(retired_at=now)
        record(
            action="pki.profile.retired",
            subject=_subject(name),
            actor=actor,
            now=now,
            domain=domain,
            before=_told(before),
            after=_told(_in_use(domain, name)),
        )


_GIVEN = {
    "device": frozenset({"auth_id", "domain", "id"}),
    "broker-server": frozenset({"common_name"}),
    "ocsp-signer": frozenset({"common_name"}),
    "issuing-ca": frozenset({"common_name"}),
    "root": frozenset({"common_name"}),
}
"""The variables that those have whom Gatehouse itself asks for; a profile that wants others could make nothing."""


def _check_purpose(profile: Profile) -> None:
    """What stands above others stays what it is: a profile of another name makes no OCSP signer."""
    built_in = PROFILES.get(profile.name)
    ocsp = ExtendedKeyUsageOID.OCSP_SIGNING in profile.extended_key_usage
    if ocsp != bool(built_in and built_in.ocsp_no_check):
        raise _refused("/extended_key_usage", "The profile ocsp-signer, and no other, signs OCSP answers.")
    if ocsp and not profile.ocsp_no_check:
        raise _refused("/ocsp_no_check", "Nobody asks OCSP about who signs its answers: say true.")
    if built_in and built_in.is_ca != profile.is_ca:
        raise _refused("/is_ca", f"The profile {profile.name} makes {'CAs' if built_in.is_ca else 'no CAs'}.")
    if built_in and built_in.signs_for_issuer and not profile.key_families >= built_in.key_families:
        raise _refused("/key_families", "The sort of key is chosen with the issuer here: accept every one.")
    if unknown := profile.variables - _GIVEN.get(profile.name, profile.variables):
        have = ", ".join(f"${{{name}}}" for name in sorted(_GIVEN[profile.name]))
        raise _refused("", f"The profile {profile.name} has the variables {have}, and not ${{{min(unknown)}}}.")


def _refused(pointer: str, detail: str) -> BadProfile:
    fault = FieldError(pointer=pointer, code="profile", detail=detail)
    return BadProfile(f"This profile can not be: {detail}", errors=(fault,))


def _check_sound(profile: Profile, *, now: datetime) -> None:
    try:
        preview = preview_certificate(issuer=None, profile=profile, now=now)
    except (BadName, MissingVariable, KeyNotAccepted, ProfileEnded) as error:
        raise UnsoundProfile(f"A certificate of this profile can not be: {error.detail}") from error
    errors = [str(finding) for finding in preview.findings if finding.severity is Severity.ERROR]
    if errors:
        raise UnsoundProfile("A certificate of this profile would be wrong: " + "; ".join(errors) + ".")


def _in_use(domain: DomainId, name: str) -> ProfileState | None:
    try:
        return find_profile_state(domain=domain, name=name)
    except UnknownProfile:
        return None


def _check_version(state: ProfileState | None, name: str, expected: int | None) -> None:
    found = state.profile.version if state else None
    if expected is not None and found != expected:
        raise ProfileChanged(f"The profile {name} was changed meanwhile (version {found}): read it again, then repeat.")


def _rows(domain: DomainId, name: str) -> QuerySet[ProfileVersion]:
    return ProfileVersion.objects.filter(domain_id=domain, name=name)


def _insert(domain: DomainId, profile: Profile, *, version: int, now: datetime) -> None:
    """Takes a version that was free before the profile was read: who saved meanwhile has it, and is not overwritten."""
    try:
        with transaction.atomic():
            ProfileVersion.objects.create(
                id=new_id(),
                domain_id=domain,
                name=profile.name,
                version=version,
                document=profile_document(profile),
                created_at=now,
            )
    except IntegrityError as error:
        raise ProfileChanged(f"The profile {profile.name} was saved by somebody else: read it again.") from error


def _subject(name: str) -> Subject:
    return Subject(kind="pki.profile", id=name, label=name)


def _told(state: ProfileState | None) -> Mapping[str, Any]:
    """What the journal keeps of a profile: all of it, since it is small and holds no secret."""
    return {"version": state.profile.version, "document": profile_document(state.profile)} if state else {}
