"""Keys as `base64.StdEncoding.EncodeToString(sha1.New().Sum([]byte("auth-…")))` spells them, made with shell tools.

`printf 'auth-pump-7-secret\\332\\071\\243…\\011' | base64`: the SHA-1 of nothing is da39a3ee…0709.
"""

from __future__ import annotations

import pytest

from brokers.core.goauth.cache import is_cached

LOGIN = "YXV0aC1wdW1wLTctc2VjcmV02jmj7l5rSw0yVb/vlWAYkK/YBwk="
RULE = "YWNsLXB1bXAtNy1ub3J0aC91cC1wdW1wLTctMto5o+5ea0sNMlW/75VgGJCv2AcJ"


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        (LOGIN, True),
        (RULE, True),
        ("YXV0aC1wdW1wLTctc2VjcmV0", False),  # auth-pump-7-secret alone
        ("2jmj7l5rSw0yVb/vlWAYkK/YBwk=", False),  # the hash alone
        ("pump-7", False),
        ("pump-7:racls", False),
        ("", False),
        ("p\u00fcmp", False),
    ],
)
def test_key_is_told_from_those_of_users(key: str, is_one: bool) -> None:
    assert is_cached(key) is is_one
