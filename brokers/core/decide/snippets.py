"""What to write into a broker's configuration so that it asks us, and lets nobody in when we do not answer."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from urllib.parse import urlsplit

from brokers.core.decide.decisions import Identity


class Dialect(StrEnum):
    """The brokers that ask over HTTP."""

    EMQX = "emqx"
    RABBITMQ = "rabbitmq"
    VERNEMQ = "vernemq"
    GOAUTH = "goauth"
    NANOMQ = "nanomq"


TELLS_NAME = frozenset({Dialect.EMQX, Dialect.NANOMQ})
"""Those that tell the certificate's common name with each question."""
SHOWS_CERTIFICATE = frozenset({Dialect.EMQX, Dialect.VERNEMQ})
"""Those that can hand the certificate over at a login."""
NAMES: Mapping[Dialect, str] = {
    Dialect.EMQX: "EMQX",
    Dialect.RABBITMQ: "RabbitMQ",
    Dialect.VERNEMQ: "VerneMQ",
    Dialect.GOAUTH: "Mosquitto with mosquitto-go-auth",
    Dialect.NANOMQ: "NanoMQ",
}
IDENTITIES: Mapping[Dialect, tuple[Identity, ...]] = {
    Dialect.EMQX: (Identity.SHOWN, Identity.CERTIFICATE),
    Dialect.RABBITMQ: (Identity.CERTIFICATE, Identity.SHOWN),
    Dialect.VERNEMQ: (Identity.SHOWN, Identity.CERTIFICATE),
    Dialect.GOAUTH: (Identity.CERTIFICATE,),
    Dialect.NANOMQ: (Identity.CERTIFICATE, Identity.SHOWN),
}
"""What a secret has to say of identity, so that anybody is let in; the first is the better where certificates are."""


def snippet(dialect: Dialect, *, url: str, secret: str) -> str:
    """The lines; `url` is that of the broker, such as https://gatehouse.example/decide/<broker-id>."""
    parts = urlsplit(url)
    in_path = f"{url}/{secret}/{dialect}"
    return _SNIPPETS[dialect].format(
        url=f"{url}/{dialect}",
        in_path=in_path,
        secret=secret,
        host=parts.hostname,
        port=parts.port or (443 if parts.scheme == "https" else 80),
        tls="true" if parts.scheme == "https" else "false",
        path=urlsplit(in_path).path,
    )


_EMQX = """\
# emqx.conf: the listener takes names from certificates, and nobody gets in by any other way. With /authn-acl in place
# of /authn a login brings its rules: EMQX asks about few topics then, and goes by another policy within ten minutes.
# A node_cache would let in for a minute whoever was thrown out; 5.8 has none, and does not start with these lines.
listeners.ssl.default.ssl_options {{ verify = verify_peer, fail_if_no_peer_cert = true }}
mqtt {{ peer_cert_as_username = cn, peer_cert_as_clientid = cn }}
authentication = [{{
  mechanism = password_based, backend = http, method = post, url = "{url}/authn"
  headers {{ content-type = "application/json", authorization = "Bearer {secret}" }}
  body {{ clientid = "${{clientid}}", username = "${{username}}", password = "${{password}}",
         cert_cn = "${{cert_common_name}}", cert_pem = "${{cert_pem}}", peerhost = "${{peerhost}}" }}
  ssl {{ enable = {tls}, verify = verify_peer }}
}}]
authentication_settings {{ node_cache.enable = false }}
authorization {{
  no_match = deny, deny_action = disconnect, cache.enable = false
  node_cache.enable = false
  sources = [{{
    type = http, method = post, url = "{url}/authz"
    headers {{ content-type = "application/json", authorization = "Bearer {secret}" }}
    body {{ clientid = "${{clientid}}", username = "${{username}}", cert_cn = "${{cert_common_name}}",
           action = "${{action}}", topic = "${{topic}}", qos = "${{qos}}", retain = "${{retain}}" }}
    ssl {{ enable = {tls}, verify = verify_peer }}
  }}]
}}
"""
_RABBITMQ = """\
# rabbitmq.conf: plugins rabbitmq_mqtt, rabbitmq_auth_backend_http, rabbitmq_auth_mechanism_ssl. And advanced.config,
# lest the certificate of plant:pump-1 is that of pump-1 in the virtual host plant:
# [{{rabbitmq_mqtt,[{{ignore_colons_in_username,true}}]}}].
listeners.tcp = none
mqtt.listeners.tcp = none
mqtt.listeners.ssl.default = 8883
mqtt.allow_anonymous = false
mqtt.exchange = amq.topic
mqtt.ssl_cert_login = true
ssl_cert_login_from = common_name
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
auth_backends.1 = http
auth_http.http_method = post
auth_http.user_path = {in_path}/user
auth_http.vhost_path = {in_path}/vhost
auth_http.resource_path = {in_path}/resource
auth_http.topic_path = {in_path}/topic
"""
_VERNEMQ_HOOKS = tuple(
    f"auth_on_{act}{version}" for act in ("register", "publish", "subscribe") for version in ("", "_m5")
)
_VERNEMQ = """\
# vernemq.conf: allow_anonymous = on would mean that nothing is ever asked
allow_anonymous = off
plugins.vmq_passwd = off
plugins.vmq_acl = off
plugins.vmq_webhooks = on
listener.ssl.devices.require_certificate = on
listener.ssl.devices.use_identity_as_username = on
listener.ssl.devices.forward_connection_opts = on
listener.ssl.devices.allowed_protocol_versions = 3,4,5
""" + "".join(
    f"vmq_webhooks.{hook}.hook = {hook}\nvmq_webhooks.{hook}.endpoint = {{in_path}}\n"
    f"vmq_webhooks.{hook}.no_payload = on\n"
    for hook in _VERNEMQ_HOOKS
)
_GOAUTH = """\
# mosquitto.conf: names come from certificates, and this is the only backend
per_listener_settings false
listener 8883
require_certificate true
use_identity_as_username true
allow_anonymous false
auth_plugin /mosquitto/go-auth.so
auth_opt_backends http
auth_opt_disable_superuser true
auth_opt_cache false
auth_opt_http_host {host}
auth_opt_http_port {port}
auth_opt_http_with_tls {tls}
auth_opt_http_verify_peer {tls}
auth_opt_http_method POST
auth_opt_http_params_mode json
auth_opt_http_response_mode json
auth_opt_http_getuser_uri {path}/getuser
auth_opt_http_superuser_uri {path}/superuser
auth_opt_http_aclcheck_uri {path}/aclcheck
"""
_NANOMQ = """\
# nanomq.conf: few releases speak TLS to us; reach us by loopback or a local proxy, unless yours does. With these lines
# alone some listen at 1883 and 8083 without TLS: take those of the listener profile, too.
listeners.ssl {{
  verify_peer = true
  fail_if_no_peer_cert = true
}}
auth {{
  allow_anonymous = false
  no_match = deny
  deny_action = disconnect
  http_auth = {{
    auth_req {{
      enable = true
      url = "{in_path}/auth"
      method = post
      headers.content-type = "application/json"
      params = {{clientid = "%c", username = "%u", password = "%P", cn = "%C"}}
    }}
    acl_req {{
      enable = true
      url = "{in_path}/acl"
      method = post
      headers.content-type = "application/json"
      params = {{clientid = "%c", username = "%u", cn = "%C", access = "%A", topic = "%t"}}
    }}
    cache_ttl = 0s
  }}
}}
"""
_SNIPPETS: Mapping[Dialect, str] = {
    Dialect.EMQX: _EMQX,
    Dialect.RABBITMQ: _RABBITMQ,
    Dialect.VERNEMQ: _VERNEMQ,
    Dialect.GOAUTH: _GOAUTH,
    Dialect.NANOMQ: _NANOMQ,
}
