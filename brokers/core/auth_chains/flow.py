"""What follows from the steps of an authentication chain for every client: where each field comes from.

A device that publishes has to be taken for the one that logged in. So username and client id may hang on what the
broker tells each time, and on nothing that comes with the login alone: what hangs on that may only refuse, and is left
out later. And where the broker's word on a name is all there is, two names must never become one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from brokers.core.auth_chains.chain import AuthChain, AuthStep, CertificatePart, StepKind
from brokers.core.auth_chains.patterns import parse_pattern


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a value comes from. `login_alone`: the step that reads what comes with the login alone, 0 if none does.

    from_client: some of it is the client id; from_name: the certificate's common name; exact: it says which name the
    broker told.
    """

    login_alone: int = 0
    from_client: bool = False
    from_name: bool = False
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The numbers of the steps, from 1, that hang on what comes with the login alone, and on the client id.

    `login_alone` is the one by which username or client id hang on the login alone, 0 if they do not. The rest is about
    the username that comes out: whether it may be made of the client id, or of the certificate's common name. exact:
    no two names that a broker tells become the same, and everything that refuses is there later too.
    """

    of_login: frozenset[int]
    of_client: frozenset[int]
    login_alone: int
    from_client: bool
    from_name: bool
    exact: bool


def flow_of(chain: AuthChain, *, tells_name: bool) -> Flow:
    """The same for a broker that tells the certificate's common name each time, or does not."""
    origins = {"username": _Origin(exact=True), "client_id": _Origin(from_client=True)}
    of_login, of_client = set(), set()
    for number, step in enumerate(chain.steps, 1):
        origin = _origin(step, origins, number, tells_name=tells_name)
        if origin.login_alone:
            of_login.add(number)
        if origin.from_client:
            of_client.add(number)
        for name in step.writes:
            origins[name] = _written(step, name, origin, origins.get(name, _Origin()))
    username, client_id = origins["username"], origins["client_id"]
    return Flow(
        of_login=frozenset(of_login),
        of_client=frozenset(of_client),
        login_alone=username.login_alone or client_id.login_alone,
        from_client=username.from_client,
        from_name=username.from_name,
        exact=username.exact and not of_login,
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
        from_client=any(each.from_client for each in read),
        from_name=any(each.from_name for each in read),
        exact=len(read) == 1 and read[0].exact,
    )


def _written(step: AuthStep, name: str, origin: _Origin, before: _Origin) -> _Origin:
    """Of a field behind the step that fills it, or may."""
    if step.do is StepKind.REGEX and not parse_pattern(step.value).tells(name):
        origin = replace(origin, exact=False)
    return replace(_together([origin, before]), exact=False) if step.optional else origin
