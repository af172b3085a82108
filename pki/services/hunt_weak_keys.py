"""Hunting for weak keys among those that certificates were issued for: daily the new ones, on demand all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from django.db import transaction
from django.db.models import Q

from kernel import queries as journal
from kernel.core.actor import Actor
from kernel.core.ids import DomainId
from kernel.core.journal import Subject
from kernel.services import record
from pki.core.csr import spki_sha256
from pki.core.key_checks import WeakKey, check_key
from pki.core.roca import is_roca_modulus
from pki.core.shared_factors import Progress, group_by_factor, share_a_factor, untold
from pki.core.values import IssuerKind
from pki.core.weak_keys import lists_in_use, reason_if_weak
from pki.core.weakness import SHARED_FACTOR, Weakness
from pki.models import Certificate, Issuer, PublicKeyHolder

_HUNT = Subject(kind="pki.key_hunt", id="all", label="keys")
OVERLAP = timedelta(hours=1)
"""A certificate is stored seconds after it was asked for; what was under way at the last hunt is looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A key that was found to be weak now."""

    public_key_sha256: str
    holder: str
    domain: DomainId
    weakness: Weakness


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """What a hunt looked at: `rsa_keys` were compared, `new_keys` looked up and tested; `found` are the weak ones."""

    rsa_keys: int
    new_keys: int
    found: tuple[FoundKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    public_key: PublicKeyTypes
    sha256: str
    holder: str
    domain: DomainId
    is_new: bool
    is_ours: bool = True


@dataclass(slots=True)
class _Catch:
    """The RSA moduli, by whether they are new, each with the keys that have it; and what was found so far.

    `owners` has holder and domain of each RSA key, and of each weak one.
    """

    owners: dict[str, tuple[str, DomainId]] = field(default_factory=dict)
    known: dict[int, list[str]] = field(default_factory=dict)
    fresh: dict[int, list[str]] = field(default_factory=dict)
    weak: dict[str, Weakness] = field(default_factory=dict)
    tested: int = 0

    def add(self, key: _Key) -> None:
        if key.sha256 in self.owners:
            return
        numbers = key.public_key.public_numbers() if isinstance(key.public_key, rsa.RSAPublicKey) else None
        if key.is_new:
            self.tested += 1
            if weakness := _test(key):
                self.weak[key.sha256] = weakness
        if numbers is None and key.sha256 not in self.weak:
            return  # a million keys on curves need not stay in memory
        self.owners[key.sha256] = key.holder, key.domain
        if numbers is not None:
            moduli = self.fresh if key.is_new else self.known
            moduli.setdefault(numbers.n, []).append(key.sha256)


def hunt_weak_keys(*, everything: bool = False, actor: Actor, now: datetime, progress: Progress = untold) -> Hunt:
    """Marks keys that are in a list, that would be refused today, or that share a prime with another key of ours.

    The keys that are new since the last hunt are tested, or `everything` is, as after a change of the lists. A marked
    key is refused from then on, and is a finding while a certificate for it is good. Repeating it is harmless.
    """
    lists = ",".join(f"{each.name}:{len(each)}" for each in lists_in_use())
    last = next(iter(journal.list_entries(subject_kind=_HUNT.kind, subject_id=_HUNT.id, limit=1)), None)
    since = None if everything or last is None or last.after.get("lists") != lists else last.at - OVERLAP
    catch = _Catch()
    for key in _keys(since):
        catch.add(key)
    groups = _shared(catch, progress=progress)
    found = tuple(each for each in _mark(catch, {**groups, **catch.weak}, actor=actor, now=now))
    hunt = Hunt(rsa_keys=len(catch.known) + len(catch.fresh), new_keys=catch.tested, found=found)
    with transaction.atomic():
        after = {"rsa_keys": hunt.rsa_keys, "new_keys": hunt.new_keys, "found": len(found), "lists": lists}
        record(action="pki.keys.examined", subject=_HUNT, actor=actor, now=now, after=after)
    return hunt


def _keys(since: datetime | None) -> Iterator[_Key]:
    """Every RSA key, and of other kinds those that are new. An issuer's first, as it may have no certificate here."""
    seen: set[str] = set()
    for issuer in Issuer.objects.order_by("id"):
        public_key = _read(bytes(issuer.der))
        if public_key is not None:
            is_ours = issuer.kind != IssuerKind.TRUSTED
            is_new = since is None or issuer.not_before >= since
            domain, holder = DomainId(issuer.domain_id), f"issuer:{issuer.slug}"
            sha256 = spki_sha256(public_key)
            seen.add(sha256)
            yield _Key(
                public_key=public_key, sha256=sha256, holder=holder, domain=domain, is_new=is_new, is_ours=is_ours
            )
    rows = Certificate.objects.filter(der__isnull=False)
    if since is not None:
        rows = rows.filter(Q(key_kind__startswith="rsa-") | Q(key_kind="") | Q(requested_at__gte=since))
    names = ("public_key_sha256", "der", "holder", "domain_id", "requested_at")
    for sha256, der, holder, domain_id, requested_at in rows.order_by("id").values_list(*names).iterator(2_000):
        if der is not None and sha256 not in seen and (public_key := _read(bytes(der))) is not None:
            is_new = since is None or requested_at >= since
            yield _Key(public_key=public_key, sha256=sha256, holder=holder, domain=DomainId(domain_id), is_new=is_new)


def _read(der: bytes) -> PublicKeyTypes | None:
    try:
        return x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):  # another CA's, of a kind that the library does not know
        return None


def _test(key: _Key) -> Weakness | None:
    if weakness := reason_if_weak(key.public_key):
        return weakness
    if isinstance(key.public_key, rsa.RSAPublicKey) and is_roca_modulus(key.public_key.public_numbers().n):
        return Weakness(code="roca")
    try:
        if key.is_ours:
            check_key(key.public_key)
    except WeakKey:
        return Weakness(code="refused")
    return None


def _shared(catch: _Catch, *, progress: Progress) -> Mapping[str, Weakness]:
    """The keys that share primes, each with the mark of its group. Only if a new key is among them are all compared."""
    fresh = [modulus for modulus in catch.fresh if modulus not in catch.known]
    known = list(catch.known)
    moduli, gcds = fresh, share_a_factor(fresh, among=known, progress=progress)
    if gcds and known:
        moduli = fresh + known
        gcds = share_a_factor(moduli, progress=progress)
    groups = [{moduli[index] for index in group} for group in group_by_factor(moduli, gcds)]
    groups += [{modulus} for modulus in catch.fresh if len(_owners(catch, modulus)) > 1]
    found: dict[str, Weakness] = {}
    for group in groups:
        members = [sha256 for modulus in group for sha256 in _owners(catch, modulus)]
        weakness = Weakness(code=SHARED_FACTOR, group=_name_of(members))
        found |= dict.fromkeys(members, weakness)
    return found


def _owners(catch: _Catch, modulus: int) -> list[str]:
    return catch.fresh.get(modulus, []) + catch.known.get(modulus, [])


def _name_of(members: list[str]) -> str:
    """The name that the group has already, or one made of its first member."""
    marked = PublicKeyHolder.objects.filter(
        public_key_sha256__in=members[:1_000], weakness__startswith=f"{SHARED_FACTOR}:"
    )
    text = marked.order_by("weakness").values_list("weakness", flat=True).first()
    return Weakness.parse(text).group if text else hashlib.sha256(min(members).encode()).hexdigest()[:16]


def _mark(catch: _Catch, weak: Mapping[str, Weakness], *, actor: Actor, now: datetime) -> Iterator[FoundKey]:
    """Those that were not marked before."""
    for sha256, weakness in sorted(weak.items()):
        holder, domain = catch.owners[sha256]
        with transaction.atomic():
            PublicKeyHolder.objects.get_or_create(public_key_sha256=sha256, defaults={"holder": holder})
            rows = PublicKeyHolder.objects.filter(public_key_sha256=sha256, weakness="")
            if not rows.update(weakness=str(weakness)):
                continue
            record(
                action="pki.key.found_weak",
                subject=Subject(kind="pki.public_key", id=sha256, label=holder),
                actor=actor,
                now=now,
                domain=domain,
                after={"holder": holder, "weakness": weakness.code, "why": weakness.words},
            )
        yield FoundKey(public_key_sha256=sha256, holder=holder, domain=domain, weakness=weakness)
