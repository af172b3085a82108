"""How the log is written: for people or as JSON, one line an event, and never with a secret."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

import structlog

_SETUP_LINK = re.compile(r"(/setup/)[^/\s?\"']+")
_DECISION_SECRET = re.compile(r"(/(?:decide|ingest)/[^/\s?\"']*/)[^/\s?\"']{20,}")
_OF_STRUCTLOG = {"_record", "_from_structlog"}
_OF_OTHER_HANDLERS = {"message", "asctime"}
_PLAIN = (str, int, float, bool, type(None), list, tuple, dict)
_CREDENTIALS = re.compile(r"\b(Bearer|Basic|Proof)\s+[A-Za-z0-9._~+/=-]{8,}")


def redacted(text: str) -> str:
    """`text` without tokens of setup links, secrets in paths, and credentials of an Authorization header."""
    for secret in (_SETUP_LINK, _DECISION_SECRET):
        text = secret.sub(r"\1***", text)
    return _CREDENTIALS.sub(r"\1 ***", text)


def _redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redacted(value)
    return event


def _drop_objects(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Leaves out objects: the `repr` of Django's request has the whole path."""
    return {
        name: value
        for name, value in event.items()
        if name in _OF_STRUCTLOG
        or (isinstance(value, _PLAIN) and not name.startswith("_") and name not in _OF_OTHER_HANDLERS)
    }


_CHAIN: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
    structlog.processors.format_exc_info,
    _drop_objects,
    _redact,
]


def configure() -> None:
    """Sends structlog's events through the standard library's logging, so that all lines look alike."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logging_config(form: str) -> dict[str, Any]:
    """Django's LOGGING. `form` is `console` or `json`; everything goes to standard error."""
    renderer = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [*_CHAIN, structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.request": {"level": "ERROR"},  # our own line says the same of a 404
            "axes": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "oauth2_provider": {"level": "WARNING"},
        },
    }
