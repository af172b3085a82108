"""Who calls, and how far the call may reach: what every API view and screen is given."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kernel.core.actor import Actor
from kernel.core.errors import Invalid, NotFound
from kernel.core.ids import DomainId


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRef:
    """A domain that a caller may enter. `scopes` says what holds there; None: all that the caller has."""

    id: DomainId
    slug: str
    scopes: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An actor, the domains that it may enter, and the scopes that it has in at least one of them."""

    actor: Actor
    domains: tuple[DomainRef, ...]
    scopes: frozenset[str]

    @property
    def domain_ids(self) -> tuple[DomainId, ...]:
        """The ids of the domains, in their order."""
        return tuple(domain.id for domain in self.domains)

    def domain(self, slug: str | None) -> DomainId:
        """The domain called `slug`; of None, the only one. Raises Invalid if there are several, else NotFound."""
        if slug is not None:
            found = [domain.id for domain in self.domains if domain.slug == slug]
            if not found:
                raise NotFound(f"There is no domain called {slug[:64]!r}.")
            return found[0]
        if not self.domains:
            raise NotFound("There is no domain that you may do this in.")
        if len(self.domains) > 1:
            names = ", ".join(sorted(domain.slug for domain in self.domains)[:10])
            raise Invalid(f'Say which domain you mean with "domain": you may act in {names}.', code="domain-required")
        return self.domains[0].id

    def may_see(self, domain: DomainId) -> bool:
        """Whether the domain is one that the caller may enter."""
        return any(known.id == domain for known in self.domains)

    def slug_of(self, domain: DomainId) -> str:
        """The name of a domain that the caller may enter. Raises NotFound."""
        for known in self.domains:
            if known.id == domain:
                return known.slug
        raise NotFound("There is no such domain.")

    def within(self, scope: str) -> Caller:
        """The same caller where `scope` holds: without the domains, and the scopes, where it does not."""
        domains = tuple(d for d in self.domains if scope in (self.scopes if d.scopes is None else d.scopes))
        return replace(self, domains=domains) if scope in self.scopes else replace(self, domains=(), scopes=frozenset())
