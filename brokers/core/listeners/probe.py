"""What a probe saw of a listener from outside, and what to make of it. It must not know how it was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from brokers.core.listeners.profile import ListenerProfile, TlsVersion
from brokers.core.values import Listener

ENDS_SOON = timedelta(days=14)
_ISSUE = "Issue one by a new request, and install it."
_STILL = " It could not be looked at since."


class Verdict(StrEnum):
    """What somebody has to do: nothing, something at some time, something now; or nobody knows."""

    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"
    UNKNOWN = "unknown"


class Aspect(StrEnum):
    """What is looked at."""

    REACHABLE = "reachable"
    OLD_TLS = "old-tls"
    TLS = "tls"
    CHAIN = "chain"
    NAME = "name"
    END = "end"
    STAPLE = "staple"
    CERTIFICATE_REQUIRED = "certificate-required"
    ANONYMOUS = "anonymous"
    MANAGEMENT = "management"
    DEFAULT_LOGIN = "default-login"
    KEY_RIGHTS = "key-rights"


class Answer(StrEnum):
    """What came of a CONNECT without certificate and name.

    admitted, refused: CONNACK said so. refused-in-tls: an alert said that a certificate is missing. other: something
    else, such as CONNACK that the server is busy, or no WebSocket. closed: an end without a word, for whatever reason.
    """

    ADMITTED = "admitted"
    REFUSED = "refused"
    REFUSED_IN_TLS = "refused-in-tls"
    OTHER = "other"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen; None, or no such version, where it could not be.

    `fault` says in words why there was no connection. `chain_fault` is empty for a chain that leads to what devices
    trust.
    """

    fault: str = ""
    versions: Mapping[TlsVersion, bool]
    chain_fault: str | None = None
    named: bool | None = None
    not_after: datetime | None = None
    stapled: bool | None = None
    asks_certificate: bool | None = None
    answer: Answer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLine:
    """One aspect of a listener."""

    aspect: Aspect
    verdict: Verdict
    seen: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerReport:
    """What is to be said of one listener, or, with `http` or `https`, of the port by which the broker is managed."""

    host: str
    port: int
    transport: str
    lines: tuple[ProbeLine, ...]

    def worst(self) -> list[ProbeLine]:
        """The lines that are bad."""
        return [line for line in self.lines if line.verdict is Verdict.BAD]


def judge(listener: Listener, seen: Observation, *, profile: ListenerProfile, now: datetime) -> ListenerReport:
    """The report on what was seen, against what the profile asks for."""
    if seen.fault:
        remedy = (
            "Look that the broker runs, that this is where it listens, with TLS, that its name is known from here, and "
            "that firewalls let us through."
        )
        lines = [_bad(Aspect.REACHABLE, seen.fault, remedy)]
    else:
        lines = [_good(Aspect.REACHABLE, "It answers."), *_channel(seen, profile), *_certificate(seen)]
        lines += [_end(seen, now), _staple(seen, profile), *_admission(seen, profile)]
    return ListenerReport(host=listener.host, port=listener.port, transport=listener.transport, lines=tuple(lines))


def with_what_was_bad(report: ListenerReport, before: ListenerReport) -> ListenerReport:
    """The report with the bad lines of the one before in place of what could not be seen this time."""
    bad = {line.aspect: replace(line, seen=line.seen.removesuffix(_STILL) + _STILL) for line in before.worst()}
    lines = [bad.get(line.aspect, line) if line.verdict is Verdict.UNKNOWN else line for line in report.lines]
    if any(line.aspect is Aspect.REACHABLE and line.verdict is Verdict.BAD for line in lines):
        lines += [line for aspect, line in bad.items() if aspect is not Aspect.REACHABLE]
    return replace(report, lines=tuple(lines))


def report_document(report: ListenerReport) -> dict[str, Any]:
    """The report as JSON."""
    return {**asdict(report), "lines": [asdict(line) for line in report.lines]}


def read_report(document: Mapping[str, Any]) -> ListenerReport:
    """The same back."""
    lines = tuple(
        ProbeLine(
            aspect=Aspect(line["aspect"]), verdict=Verdict(line["verdict"]), seen=line["seen"], remedy=line["remedy"]
        )
        for line in document["lines"]
    )
    return ListenerReport(host=document["host"], port=document["port"], transport=document["transport"], lines=lines)


def _channel(seen: Observation, profile: ListenerProfile) -> Iterator[ProbeLine]:
    taken = [version for version, is_taken in sorted(seen.versions.items()) if is_taken]
    old = [version for version in taken if version < TlsVersion.V1_2]
    new = [version for version in taken if version >= TlsVersion.V1_2]
    if old:
        yield _bad(Aspect.OLD_TLS, f"It takes TLS {' and '.join(old)}.", "Let it take 1.2 and newer alone.")
    elif not {TlsVersion.V1_0, TlsVersion.V1_1} <= seen.versions.keys():
        yield _unknown(Aspect.OLD_TLS, "Whether it takes TLS 1.0 or 1.1 is not known.")
    else:
        yield _good(Aspect.OLD_TLS, "It refuses TLS 1.0 and 1.1.")
    if not new:
        remedy = "Look that the port has a certificate and a key."
        yield _bad(Aspect.TLS, "It speaks neither TLS 1.2 nor 1.3.", remedy)
    elif profile.minimum_tls > new[0]:
        words = f"It takes TLS {new[0]}; the profile asks for {profile.minimum_tls}."
        yield _bad(Aspect.TLS, words, "Install the configuration.")
    else:
        yield _good(Aspect.TLS, f"It takes TLS {' and '.join(new)}.")


def _certificate(seen: Observation) -> Iterator[ProbeLine]:
    if seen.chain_fault is None:
        yield _unknown(Aspect.CHAIN, "Whether devices trust its certificate is not known.")
    elif seen.chain_fault:
        remedy = "Let it show a certificate of this domain's CA, with the CAs below the root."
        yield _bad(Aspect.CHAIN, f"Devices do not trust its certificate: {seen.chain_fault}.", remedy)
    else:
        yield _good(Aspect.CHAIN, "Its chain leads to a root that devices trust.")
    if seen.named is None:
        yield _unknown(Aspect.NAME, "Which names it carries is not known.")
    elif seen.named:
        yield _good(Aspect.NAME, "Its certificate has the listener's name.")
    else:
        yield _bad(Aspect.NAME, "Its certificate does not have the listener's name.", _ISSUE)


def _end(seen: Observation, now: datetime) -> ProbeLine:
    if seen.not_after is None:
        return _unknown(Aspect.END, "When its certificate ends is not known.")
    if seen.not_after <= now:
        return _bad(Aspect.END, "Its certificate has ended.", _ISSUE)
    days = (seen.not_after - now).days
    words = f"Its certificate ends in {days} day{'' if days == 1 else 's'}."
    if seen.not_after - now < ENDS_SOON:
        return ProbeLine(aspect=Aspect.END, verdict=Verdict.DOUBTFUL, seen=words, remedy=_ISSUE)
    return _good(Aspect.END, words)


def _staple(seen: Observation, profile: ListenerProfile) -> ProbeLine:
    if seen.stapled is None:
        return _unknown(Aspect.STAPLE, "Whether it staples an OCSP answer is seen in TLS 1.2 alone.")
    if seen.stapled:
        return _good(Aspect.STAPLE, "It staples an OCSP answer.")
    if profile.staple_ocsp:
        remedy = "Install the configuration, and let it reach the responder."
        return _bad(Aspect.STAPLE, "It staples no OCSP answer.", remedy)
    return _good(Aspect.STAPLE, "It staples no OCSP answer, and is not asked to.")


def _admission(seen: Observation, profile: ListenerProfile) -> Iterator[ProbeLine]:
    """Good is what the broker said itself: one that has no place left, or only starts, ends connections as well."""
    aspect = Aspect.CERTIFICATE_REQUIRED
    if seen.answer is Answer.REFUSED_IN_TLS:
        yield _good(aspect, "Without a client certificate it ends the connection.")
    elif seen.answer in {Answer.ADMITTED, Answer.REFUSED, Answer.OTHER}:
        verdict = Verdict.BAD if profile.require_certificate else Verdict.DOUBTFUL
        words = "It speaks to whoever has no client certificate."
        yield ProbeLine(aspect=aspect, verdict=verdict, seen=words, remedy="Let it require one.")
    else:
        yield _unknown(aspect, "Whether it requires a client certificate is not known.")
    if seen.answer is Answer.ADMITTED:
        words = "It lets in whoever gives neither certificate nor name."
        yield _bad(Aspect.ANONYMOUS, words, "Close it until that is mended.")
    elif seen.answer in {Answer.REFUSED, Answer.REFUSED_IN_TLS}:
        yield _good(Aspect.ANONYMOUS, "It lets nobody in who gives neither certificate nor name.")
    else:
        yield _unknown(Aspect.ANONYMOUS, "Whether it lets in without a name is not known.")


def _good(aspect: Aspect, seen: str) -> ProbeLine:
    return ProbeLine(aspect=aspect, verdict=Verdict.GOOD, seen=seen)


def _bad(aspect: Aspect, seen: str, remedy: str) -> ProbeLine:
    return ProbeLine(aspect=aspect, verdict=Verdict.BAD, seen=seen, remedy=remedy)


def _unknown(aspect: Aspect, seen: str) -> ProbeLine:
    return ProbeLine(aspect=aspect, verdict=Verdict.UNKNOWN, seen=seen)
