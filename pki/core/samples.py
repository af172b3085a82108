"""Values for a profile's variables, so that it can be tried before there is anybody to name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pki.core.filling import AskedNames, Names
from pki.core.profile import Attribute, NameKind, Profile
from pki.core.templates import fill, placeholders

_KNOWN = {"common_name": "Sample", "id": "00000000-0000-7000-8000-000000000000"}
_BY_KIND = {
    NameKind.DNS: "sample.example",
    NameKind.IP: "192.0.2.1",
    NameKind.EMAIL: "sample@sample.example",
    NameKind.URI: "https://sample.example/",
    NameKind.REGISTERED_ID: "1.3.6.1.4.1.32473.1",
}


def sample_names(profile: Profile, given: Mapping[str, str] | None = None) -> Names:
    """What is given, a likely value for every other variable, and a name of the first kind that is needed."""
    variables = dict.fromkeys(profile.variables, "sample") | dict(_likely(profile)) | dict(given or {})
    needed = [profile.requestable[0].kind] if profile.needs_requested else []
    chosen = {kind.value: (_fitting(profile, kind, variables),) for kind in needed}
    return Names(variables=variables, asked=AskedNames(**chosen))


def _likely(profile: Profile) -> Iterator[tuple[str, str]]:
    for name in profile.variables & set(_KNOWN):
        yield name, _KNOWN[name]
    for part in profile.subject_parts:
        if part.attribute is Attribute.COUNTRY:
            yield from ((name, "DE") for name in placeholders(part.value))
    for alternative in profile.alternative_names:
        yield from ((name, "1.3.6.1.4.1.32473.1") for name in placeholders(alternative.hardware_type))
        sample = _BY_KIND.get(alternative.kind, "sample")
        yield from ((name, sample) for name in placeholders(alternative.value) if alternative.value == f"${{{name}}}")


def _fitting(profile: Profile, kind: NameKind, variables: Mapping[str, str]) -> str:
    """A name that the first pattern allows, as far as that can be guessed."""
    patterns = profile.requestable[0].patterns
    if not patterns:
        return _BY_KIND[kind]
    text = fill(patterns[0], variables, profile=profile.name)
    return text.partition("/")[0] if kind is NameKind.IP else text.replace("*", "sample")
