"""What follows from the steps of an authentication chain for every client: where each field comes from.

A device that publishes has to be taken for the one that logged in. So username and client id may hang on what the
broker tells each time, and on nothing that comes with the login alone: what hangs on that may only refuse, and is left
out later. And where the broker's word on a name is all there is, two names must never become one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from brokers.core.auth_chain import AuthChain, AuthStep, CertificatePart, StepKind
from brokers.core.auth_patterns import parse_pattern


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a value comes from. `login_alone`: the step that reads what comes with the login alone, 0 if none does.

    from_name: some of it is the certificate's common name; exact: it says which name the broker told.
    """

    login_alone: int = 0
    from_name: bool = False
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """`later` are the steps for what follows a login. The rest is about the username that comes out.

    from_name: it may be made of the certificate's common name; exact: no two names that a broker tells become the same,
    and everything that refuses is there later too.
    `login_alone` is the step by which username or client id hang on the login alone, 0 if they do not.
    """

    later: tuple[AuthStep, ...]
    from_name: bool
    exact: bool
    login_alone: int


def flow_of(chain: AuthChain, *, tells_name: bool) -> Flow:
    """The same for a broker that tells the certificate's common name each time, or does not."""
    origins = {"username": _Origin(exact=True), "client_id": _Origin()}
    later = []
    for number, step in enumerate(chain.steps, 1):
        origin = _origin(step, origins, number, tells_name=tells_name)
        if not origin.login_alone:
            later.append(step)
        for name in step.writes:
            origins[name] = _written(step, name, origin, origins.get(name, _Origin()))
    username, client_id = origins["username"], origins["client_id"]
    return Flow(
        later=tuple(later),
        from_name=username.from_name,
        exact=username.exact and len(later) == len(chain.steps),
        login_alone=username.login_alone or client_id.login_alone,
    )


def _origin(step: AuthStep, origins: Mapping[str, _Origin], number: int, *, tells_name: bool) -> _Origin:
    """Of what the step reads, all together."""
    if step.do is StepKind.CERTIFICATE:
        each_time = tells_name and step.value == CertificatePart.CN
        return _Origin(from_name=True, exact=True) if each_time else _Origin(login_alone=number)
    return _together([origins.get(name, _Origin()) for name in step.reads])


def _together(read: Sequence[_Origin]) -> _Origin:
    return _Origin(
        login_alone=next((each.login_alone for each in read if each.login_alone), 0),
        from_name=any(each.from_name for each in read),
        exact=len(read) == 1 and read[0].exact,
    )


def _written(step: AuthStep, name: str, origin: _Origin, before: _Origin) -> _Origin:
    """Of a field behind the step that fills it, or may."""
    if step.do is StepKind.REGEX and not parse_pattern(step.value).tells(name):
        origin = replace(origin, exact=False)
    return replace(_together([origin, before]), exact=False) if step.optional else origin
