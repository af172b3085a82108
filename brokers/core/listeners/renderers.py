"""Which renderer writes for which make."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from brokers.core.listeners.emqx import render_emqx
from brokers.core.listeners.hivemq import render_hivemq
from brokers.core.listeners.mosquitto import render_mosquitto
from brokers.core.listeners.nanomq import render_nanomq
from brokers.core.listeners.nats import render_nats
from brokers.core.listeners.profile import ListenerProfile, Make
from brokers.core.listeners.rabbitmq import render_rabbitmq
from brokers.core.listeners.rendering import RenderedListeners, Site, unsafe_choices
from brokers.core.listeners.vernemq import render_vernemq

_RENDERERS: Mapping[Make, Callable[[ListenerProfile, Site], RenderedListeners]] = {
    Make.MOSQUITTO: render_mosquitto,
    Make.RABBITMQ: render_rabbitmq,
    Make.EMQX: render_emqx,
    Make.HIVEMQ: render_hivemq,
    Make.VERNEMQ: render_vernemq,
    Make.NANOMQ: render_nanomq,
    Make.NATS: render_nats,
}


def render_listeners(profile: ListenerProfile, site: Site) -> RenderedListeners:
    """The profile in the words of its make; the warnings, the worst first, with those that hold for any."""
    rendered = _RENDERERS[profile.make](profile, site)
    warnings = [*unsafe_choices(profile), *rendered.warnings]
    return replace(rendered, warnings=tuple(sorted(warnings, key=lambda each: each.severity.rank)))
