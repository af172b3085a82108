"""What templates write often: an icon, a moment, a state, a bar."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from acl.core.own_rules import words_of
from brokers.core.values import Broker, SyncState
from console.views import bars
from console.views.times import exact, relative
from devices.core.windows import ALWAYS, Window
from kernel.core.clock import to_rfc3339, utc_now

register = template.Library()

# state -> (tone, icon); the word stands beside it, so colour never says it alone.
_STATES = {
    "active": ("ok", "done"),
    "pre-registered": ("idle", "pending"),
    "enrolling": ("info", "pending"),
    "suspended": ("warn", "suspend"),
    "quarantined": ("warn", "quarantine"),
    "revoked": ("bad", "revoke"),
    "decommissioned": ("idle", "decommissioned"),
    "issued": ("ok", "done"),
    "requested": ("info", "pending"),
    "held": ("warn", "suspend"),
    "staged": ("info", "pending"),
    "retiring": ("warn", "pending"),
    "expired": ("idle", "failed"),
    "superseded": ("info", "next"),
    "retired": ("idle", "decommissioned"),
    "in-sync": ("ok", "done"),
    "pending": ("info", "pending"),
    "drift": ("bad", "alert"),
    "unreachable": ("bad", "alert"),
    "unknown": ("idle", "question"),
    "done": ("ok", "done"),
    "running": ("info", "running"),
    "queued": ("info", "pending"),
    "failed": ("bad", "failed"),
    "connected": ("ok", "done"),
    "disconnected": ("idle", "close"),
    "refused": ("bad", "revoke"),
    "denied": ("warn", "alert"),
    "allow": ("ok", "done"),
    "deny": ("bad", "revoke"),
    "spent": ("idle", "done"),
    "narrower": ("info", "info"),
    "signalling": ("idle", "info"),
    "wider": ("bad", "alert"),
    "good": ("ok", "done"),
    "doubtful": ("warn", "alert"),
    "bad": ("bad", "alert"),
    "critical": ("bad", "alert"),
    "error": ("bad", "failed"),
    "warning": ("warn", "alert"),
    "info": ("info", "info"),
    "draft": ("info", "pending"),
    "approved": ("ok", "check"),
    "applied": ("ok", "done"),
    "rolling-out": ("info", "running"),
    "paused": ("warn", "suspend"),
    "come": ("ok", "done"),
    "waiting": ("info", "pending"),
    "watched": ("info", "running"),
    "taken-back": ("warn", "back"),
    "rejected": ("bad", "close"),
    "withdrawn": ("idle", "close"),
    "rolled-back": ("warn", "back"),
    "added": ("ok", "plus"),
    "changed": ("info", "refresh"),
    "removed": ("bad", "remove"),
    "scheduled": ("info", "pending"),
    "in-force": ("ok", "done"),
    "ended": ("idle", "decommissioned"),
}


@register.simple_tag
def icon(name: str, extra: str = "") -> SafeString:
    """An icon of the sprite; for the eye only, since a word stands beside it."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>',
        extra,
        static("vendor/icons.svg"),
        name,
    )


@register.simple_tag(takes_context=True)
def moment(context: dict[str, Any], at: datetime | None, otherwise: str = "never") -> SafeString:
    """A moment seen from now, with the exact UTC beside it."""
    if at is None:
        return format_html('<span class="muted">{}</span>', otherwise)
    now = context.get("now") or utc_now()
    return format_html('<time datetime="{}" title="{}">{}</time>', to_rfc3339(at), exact(at), relative(at, now))


@register.simple_tag
def exactly(at: datetime) -> SafeString:
    """A moment in full."""
    return format_html('<time datetime="{}">{}</time>', to_rfc3339(at), exact(at))


@register.simple_tag
def state(value: str, word: str = "") -> SafeString:
    """A state as a badge."""
    tone, symbol = _STATES.get(str(value), ("idle", "info"))
    return format_html('<span class="state tone-{}">{}{}</span>', tone, icon(symbol), word or str(value))


@register.simple_tag
def broker_state(broker: Broker) -> SafeString:
    """Whether a broker holds the policy; before the first plan, that there was none."""
    if broker.managed_since is None and broker.sync is not SyncState.UNREACHABLE:
        return state("unknown", "no plan applied yet")
    return state(
        broker.sync.value, "not compared yet" if broker.sync is SyncState.UNKNOWN else spell(broker.sync.value)
    )


@register.simple_tag(takes_context=True)
def window(context: dict[str, Any], of: Window) -> SafeString:
    """When a binding holds: its state now and its bounds in UTC."""
    if of == ALWAYS:
        return format_html('<span class="muted">{}</span>', "always")
    standing = of.state(context.get("now") or utc_now())
    bounds = (("from", of.not_before), ("until", of.not_after))
    told = format_html_join(" ", "{} {}", ((word, exactly(at)) for word, at in bounds if at is not None))
    return format_html('{} <span class="sub">{}</span>', state(standing.value, spell(standing.value)), told)


@register.simple_tag
def happening(kind: str) -> SafeString:
    """The icon of a line in a timeline, in the colour of its state."""
    tone, symbol = _STATES.get(kind, ("idle", "info"))
    return icon(symbol, f"tone-{tone}")


@register.simple_tag(takes_context=True)
def validity(context: dict[str, Any], begins: datetime, ends: datetime) -> SafeString:
    """A validity as a bar, with the words beside it."""
    return _bar(bars.validity(begins=begins, ends=ends, now=context.get("now") or utc_now()), title=exact(ends))


@register.simple_tag
def quota(used: int, of: int | None) -> SafeString:
    """A quota as a bar, with the words beside it."""
    return _bar(bars.quota(used=used, of=of))


def _bar(bar: bars.Bar, title: str = "") -> SafeString:
    return format_html(
        '<span class="bar tone-{}" title="{}"><svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="6" rx="1"/><rect class="fill" width="{}" height="6" rx="1"/></svg>'
        "<span>{}</span></span>",
        bar.tone,
        title,
        bar.percent,
        bar.label,
    )


@register.filter
def commands(text: str) -> SafeString:
    """A sentence whose commands, in backticks, are set as code."""
    pieces = [(words, index % 2) for index, words in enumerate(text.split("`"))]
    return format_html_join("", "{}", ((format_html("<code>{}</code>", w) if code else w,) for w, code in pieces))


register.filter("role_words", words_of)


@register.filter
def spell(value: object) -> str:
    """A kebab- or snake-case word for people: `in-sync` as `in sync`."""
    return str(value).replace("-", " ").replace("_", " ")
