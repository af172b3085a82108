"""Every setting, from the environment; the rest of the code reads them through django.conf alone."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
import django_stubs_ext
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange
from kombu import Queue as KombuQueue

from console import env, logs
from kernel.core.journal import Queue
from kernel.core.secrets import Hidden

django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent

# What operators of Gatehouse set: docs/reference/settings.md lists the same.
GATEHOUSE_HOME = Path(os.environ.get("GATEHOUSE_HOME") or BASE_DIR / "var").resolve()
GATEHOUSE_HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
GATEHOUSE_PORT = env.integer(os.environ, "GATEHOUSE_PORT", 8000, low=1, high=65535)
GATEHOUSE_MQTT_PORT = env.integer(os.environ, "GATEHOUSE_MQTT_PORT", 8883, low=1, high=65535)
GATEHOUSE_BASE_URL = env.text(os.environ, "GATEHOUSE_BASE_URL", f"http://127.0.0.1:{GATEHOUSE_PORT}").rstrip("/")
GATEHOUSE_PKI_URL = env.text(os.environ, "GATEHOUSE_PKI_URL").rstrip("/")
GATEHOUSE_TRUSTED_PROXIES = env.networks(os.environ, "GATEHOUSE_TRUSTED_PROXIES")
GATEHOUSE_CLIENT_CERT_HEADER = env.header_name(os.environ, "GATEHOUSE_CLIENT_CERT_HEADER", "Client-Cert")
GATEHOUSE_OCSP_RETENTION_DAYS = env.integer(os.environ, "GATEHOUSE_OCSP_RETENTION_DAYS", 366, low=0, high=36525)
GATEHOUSE_ACCESS_LOG_DAYS = env.integer(os.environ, "GATEHOUSE_ACCESS_LOG_DAYS", 30, low=1, high=3650)
GATEHOUSE_ACCESS_FILE_DAYS = env.integer(os.environ, "GATEHOUSE_ACCESS_FILE_DAYS", 365, low=1, high=3650)
GATEHOUSE_BROKER_NETWORKS = env.networks(os.environ, "GATEHOUSE_BROKER_NETWORKS")
GATEHOUSE_TOKEN_SECONDS = env.integer(os.environ, "GATEHOUSE_TOKEN_SECONDS", 600, low=60, high=3600)
GATEHOUSE_LOG_FORMAT = env.choice(os.environ, "GATEHOUSE_LOG_FORMAT", "console", among=("console", "json"))
GATEHOUSE_MASTER_KEY = env.master_key(os.environ, GATEHOUSE_HOME / "master.key")
GATEHOUSE_MASTER_KEY_PREVIOUS = env.other_master_keys(os.environ)
GATEHOUSE_PKCS11_MODULE = env.text(os.environ, "GATEHOUSE_PKCS11_MODULE")
GATEHOUSE_PKCS11_TOKEN = env.text(os.environ, "GATEHOUSE_PKCS11_TOKEN")
GATEHOUSE_PKCS11_PIN = Hidden(env.text(os.environ, "GATEHOUSE_PKCS11_PIN"))
GATEHOUSE_WEAK_KEY_LISTS = env.words(os.environ, "GATEHOUSE_WEAK_KEY_LISTS")
GATEHOUSE_ROUTER = "console.wiring.router"
GATEHOUSE_ADAPTERS = "console.wiring.adapters"
GATEHOUSE_BROKER_DIRECTORY = "console.wiring.broker_directory"
GATEHOUSE_POLICY_GATE = "console.wiring.policy_gate"
GATEHOUSE_POLICY_APPROVERS = "console.wiring.policy_approvers"
SECRET_KEY = env.kept_secret(os.environ, "GATEHOUSE_SECRET_KEY", GATEHOUSE_HOME / "secret.key")

_base = urlsplit(GATEHOUSE_BASE_URL)
if _base.scheme not in {"http", "https"} or not _base.hostname:
    raise ImproperlyConfigured(
        f"GATEHOUSE_BASE_URL is {GATEHOUSE_BASE_URL!r}; it has to be like https://gatehouse.example."
    )
_pki = urlsplit(GATEHOUSE_PKI_URL)
if GATEHOUSE_PKI_URL and (_pki.scheme not in {"http", "https"} or not _pki.hostname):
    raise ImproperlyConfigured(f"GATEHOUSE_PKI_URL is {GATEHOUSE_PKI_URL!r}; it has to be like http://pki.example.")
ALLOWED_HOSTS = env.words(os.environ, "GATEHOUSE_ALLOWED_HOSTS", ("127.0.0.1", "localhost", "[::1]", _base.hostname))
CSRF_TRUSTED_ORIGINS = [f"{_base.scheme}://{_base.netloc}"]

INSTALLED_APPS = [
    "console.apps.ConsoleConfig",
    "brokers.apps.BrokersConfig",
    "devices.apps.DevicesConfig",
    "pki.apps.PkiConfig",
    "acl.apps.AclConfig",
    "kernel.apps.KernelConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "oauth2_provider",
    "rest_framework",
    "drf_spectacular",
    "axes",
    "csp",
    "django_htmx",
    "django_structlog",
    "django_prometheus",
]

MIDDLEWARE = [
    "console.trusted_proxy.TrustedProxy",
    "console.request_log.RequestLog",
    "console.api.faults.RequestBounds",
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
    "console.api.idempotency.IdempotencyKeys",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]

ROOT_URLCONF = "console.urls"
WSGI_APPLICATION = "console.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]


# A server that fell silent is noticed after ten seconds, where the system would wait for a quarter of an hour.
_POSTGRESQL = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,  # milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}


def _database() -> dict[str, Any]:
    config: dict[str, Any] = dict(
        dj_database_url.parse(
            env.text(os.environ, "DATABASE_URL") or f"sqlite:///{GATEHOUSE_HOME / 'gatehouse.sqlite3'}",
            conn_max_age=None,
        )
    )
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # Measured: 2,400 concurrent read-then-write transactions without an error; Django's defaults failed 529.
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    else:
        config["CONN_HEALTH_CHECKS"] = True
        config["OPTIONS"] = _POSTGRESQL | config.get("OPTIONS", {})
    return config


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.text(os.environ, "REDIS_URL")
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
        if REDIS_URL
        else {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": GATEHOUSE_HOME / "cache",
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        }
    )
}


# Celery: a task is only a wake-up for a row (kernel/services), so a lost message costs seconds, not a change.
CELERY_BROKER_URL = REDIS_URL or "gatehouse-folder://localhost"  # console/folder_queue.py
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {"visibility_timeout": 60, "socket_connect_timeout": 2, "socket_timeout": 5}
    if REDIS_URL
    else {"folder": str(GATEHOUSE_HOME / "queue"), "polling_interval": 0.05}
)
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # for ever: rows wait as long
CELERY_TASK_QUEUES = [KombuQueue(queue.value, Exchange("gatehouse"), queue.value) for queue in Queue]
CELERY_TASK_DEFAULT_QUEUE = Queue.POLICY.value
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 4
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_BEAT_SCHEDULE_FILENAME = str(GATEHOUSE_HOME / "beat")
CELERY_BEAT_SCHEDULE = {
    "pki": {"task": "pki.refresh", "schedule": 60.0, "options": {"queue": Queue.PKI.value, "expires": 60}},
    "ocsp": {"task": "pki.prepare_ocsp", "schedule": 60.0, "options": {"queue": Queue.BULK.value, "expires": 60}},
    "windows": {
        "task": "devices.tell_windows",
        "schedule": 2.0,
        "options": {"queue": Queue.REVOCATION.value, "expires": 5},
    },
    "drift": {"task": "brokers.check_drift", "schedule": 15.0, "options": {"queue": Queue.POLICY.value, "expires": 15}},
    "weak-keys": {
        "task": "pki.hunt_weak_keys",
        "schedule": 86_400.0,
        "options": {"queue": Queue.BULK.value, "expires": 43_200},
    },
    "probe": {"task": "pki.probe", "schedule": 60.0, "options": {"queue": Queue.PKI.value, "expires": 60}},
    "rollouts": {
        "task": "brokers.watch_rollouts",
        "schedule": 5.0,
        "options": {"queue": Queue.REVOCATION.value, "expires": 5},
    },
    "access-log": {
        "task": "brokers.roll_access_log",
        "schedule": 3600.0,
        "options": {"queue": Queue.BULK.value, "expires": 1800},
    },
    "token-keys": {
        "task": "brokers.rotate_token_keys",
        "schedule": 60.0,
        "options": {"queue": Queue.POLICY.value, "expires": 60},
    },
    "probe-listeners": {
        "task": "brokers.probe_listeners",
        "schedule": 86_400.0,
        "options": {"queue": Queue.BULK.value, "expires": 43_200},
    },
    "clean-up": {
        "task": "console.clean_up",
        "schedule": 3600.0,
        "options": {"queue": Queue.BULK.value, "expires": 600},
    },
}

# Sign-in
AUTH_USER_MODEL = "console.Operator"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True  # the journal knows who signed in; a path could carry a setup token
AXES_CLIENT_IP_CALLABLE = "kernel.api.address.peer_address"

# The browser
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
_over_tls = _base.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = _over_tls
SECURE_HSTS_SECONDS = 31_536_000 if _over_tls else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _over_tls
SECURE_REDIRECT_EXEMPT = ["^healthz$", "^readyz$", "^metrics$"]  # asked from beside, not through the proxy
SESSION_COOKIE_NAME = "gatehouse_session"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
DEBUG = False
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATIC_ROOT = GATEHOUSE_HOME / "static"
STATIC_ROOT.mkdir(exist_ok=True)
WHITENOISE_USE_FINDERS = True  # a checkout serves its own files; collectstatic only adds to them
STATICFILES_DIRS = [BASE_DIR / "static"]
# Names that bear a digest, so that browsers keep them for ever; compressed once, when they are collected.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

SILENCED_SYSTEM_CHECKS: list[str] = []

# The log
logs.configure()
LOGGING = logs.logging_config(GATEHOUSE_LOG_FORMAT)
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # set by console/request_log.py, whatever the peer sends
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO

# The API
REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "console.api.authentication.BearerAuthentication",
        "console.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["console.api.permissions.HasScope"],
    "DEFAULT_PARSER_CLASSES": ["console.api.parsers.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "console.api.openapi.Schema",
    "EXCEPTION_HANDLER": "console.api.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Gatehouse",
    "DESCRIPTION": "The security control plane for MQTT fleets.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["console.api.openapi.add_problems"],
}

OAUTH2_PROVIDER_APPLICATION_MODEL = "console.Application"
OAUTH2_PROVIDER: dict[str, Any] = {
    "OAUTH2_VALIDATOR_CLASS": "console.oauth.validator.Validator",
    "SCOPES_BACKEND_CLASS": "console.oauth.scopes.ApplicationScopes",
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3_600,
    # Only client credentials are offered; all else of RFC 9700 is on as well, since nothing needs it off.
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
}
