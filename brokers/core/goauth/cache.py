"""What mosquitto-go-auth's cache keeps in a Redis, whose keys tell passwords.

They are base64 of `auth-<user>-<password>` or `acl-<user>-<topic>-<client id>-<acc>`, each with the SHA-1 of nothing
behind it: what was meant to be the hash of the text is the text and a hash (`cache/cache.go`).
"""

from __future__ import annotations

import base64
import binascii

_SHA1_OF_NOTHING = bytes.fromhex("da39a3ee5e6b4b0d3255bfef95601890afd80709")
_KINDS = (b"auth-", b"acl-")

READABLE = (
    "A cache of the plugin that is kept in Redis (auth_opt_cache_type redis) has passwords in its keys, which whoever "
    "may read there decodes: take go-cache, or none (auth_opt_cache false)."
)
FOUND = (
    "The plugin keeps its cache in the Redis that its rules are in, and the keys of it are passwords, in base64. Set "
    "auth_opt_cache false, or auth_opt_cache_type go-cache, delete those keys, and have new passwords made."
)


def is_cached(key: str) -> bool:
    """Whether the key is one of the cache."""
    try:
        text = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        return False
    return text.startswith(_KINDS) and text.endswith(_SHA1_OF_NOTHING)
