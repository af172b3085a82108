"""Reading profiles: the built-in ones, and a domain's own versions over them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from kernel.core.ids import DomainId
from pki.core.bounded_cache import BoundedCache
from pki.core.profile import Profile
from pki.core.profile_documents import parse_profile
from pki.core.profiles import PROFILES, UnknownProfile
from pki.models import ProfileVersion

_parsed: BoundedCache[UUID, Profile] = BoundedCache(256)
"""By the row's id: a version never changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileState:
    """A domain's profile as it is in use; `created_at` is None for a built-in one that has no version of its own."""

    domain: DomainId
    profile: Profile
    created_at: datetime | None
    is_built_in: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """One version of a profile, as it was saved."""

    version: int
    created_at: datetime
    retired_at: datetime | None


def find_profile(*, domain: DomainId, name: str, version: int | None = None) -> Profile:
    """The version in use of the domain's profile, or any one that there ever was; 0 is the built-in one.

    Raises UnknownProfile.
    """
    if version == 0:
        return _built_in(domain, name)
    rows = ProfileVersion.objects.filter(domain_id=domain, name=name).order_by("-version")
    rows = rows.filter(retired_at=None) if version is None else rows.filter(version=version)
    found = rows.values_list("id", flat=True).first()
    if found is not None:
        return _read(found)
    if version is None:
        return _built_in(domain, name)
    raise UnknownProfile(f"The profile {name!r} has no version {version}: list its versions to see those there are.")


def list_profiles(*, domain: DomainId) -> list[Profile]:
    """The profiles that are in use in the domain, by name."""
    return [state.profile for state in list_profile_states(domains=[domain])]


def list_profile_states(*, domains: Collection[DomainId]) -> list[ProfileState]:
    """The profiles in use in each of the domains, by name and then domain."""
    own: dict[tuple[DomainId, str], ProfileVersion] = {}
    rows = ProfileVersion.objects.filter(domain_id__in=domains, retired_at=None).order_by("version")
    for row in rows:
        own[DomainId(row.domain_id), row.name] = row
    every = {(domain, name) for domain in domains for name in PROFILES} | set(own)
    states = [_state(domain, name, own.get((domain, name))) for domain, name in every]
    return sorted(states, key=lambda state: (state.profile.name, state.domain))


def find_profile_state(*, domain: DomainId, name: str) -> ProfileState:
    """The same of one profile. Raises UnknownProfile."""
    rows = ProfileVersion.objects.filter(domain_id=domain, name=name, retired_at=None).order_by("-version")
    row = rows.first()
    if row is None:
        _built_in(domain, name)
    return _state(domain, name, row)


def find_version_state(*, domain: DomainId, name: str, version: int) -> ProfileState:
    """The same of one version that there ever was; 0 is the built-in one. Raises UnknownProfile."""
    row = ProfileVersion.objects.filter(domain_id=domain, name=name, version=version).first()
    return ProfileState(
        domain=domain,
        profile=_of_row(row) if row else find_profile(domain=domain, name=name, version=version),
        created_at=row.created_at if row else None,
        is_built_in=name in PROFILES,
    )


def profile_versions(*, domain: DomainId, name: str) -> list[VersionRecord]:
    """The versions that the domain ever had of it, the newest first, without the built-in one."""
    rows = ProfileVersion.objects.filter(domain_id=domain, name=name).order_by("-version")
    return [
        VersionRecord(version=row.version, created_at=row.created_at, retired_at=row.retired_at)
        for row in rows.only("version", "created_at", "retired_at")
    ]


def _state(domain: DomainId, name: str, row: ProfileVersion | None) -> ProfileState:
    return ProfileState(
        domain=domain,
        profile=_of_row(row) if row else PROFILES[name],
        created_at=row.created_at if row else None,
        is_built_in=name in PROFILES,
    )


def _built_in(domain: DomainId, name: str) -> Profile:
    if name not in PROFILES:
        there = sorted({profile.name for profile in list_profiles(domain=domain)})
        raise UnknownProfile(f"There is no profile {name[:64]!r}: use one of {', '.join(there)}.")
    return PROFILES[name]


def _read(id: UUID) -> Profile:
    known = _parsed.get(id)
    return known or _of_row(ProfileVersion.objects.get(id=id))


def _of_row(row: ProfileVersion) -> Profile:
    known = _parsed.get(row.id)
    if known is None:
        document: Any = row.document
        known = parse_profile(document, name=row.name, version=row.version)
        _parsed.put(row.id, known)
    return known
