"""What a secret looks like when nobody has said that it is one: the shapes of credentials, and the names they go by.

Used twice: a recorder replaces what has such a shape before it writes, and `engineio-lite check` looks for what has one in a file that is written.
A shape has to be unmistakable, since what is replaced by mistake is lost; what is merely suspicious, a long random word, is only reported.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

SHAPES: Final = re.compile(
    r"""
      eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*                     # a JSON web token (RFC 7519), also an encrypted one
        (?:\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)?
    | (?<=[Bb]earer[ ])[A-Za-z0-9._~+/-]{8,}=*                              # RFC 6750, the scheme stays
    | (?<=[Bb]asic[ ])[A-Za-z0-9+/]{8,}=*                                   # RFC 7617
    | (?<=://)[^\s/?#@"'<>]+(?=@)                                           # user and password of a URL
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[^-]*(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----)?
    | \b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}                                     # keys of services that mark theirs
    | \b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}
    | \bgh[opsur]_[A-Za-z0-9]{20,}
    | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bglpat-[A-Za-z0-9_-]{16,}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,}
    | \bA(?:KIA|SIA)[A-Z0-9]{16}\b
    | \bAIza[A-Za-z0-9_-]{30,}
    """,
    re.VERBOSE,
)

_PARTS: Final = (
    *("eyJ", "earer ", "asic ", "://", "-----BEGIN ", "sk-", "pk-", "rk-", "sk_", "pk_", "rk_", "ghp_", "gho_", "ghs_", "ghu_", "ghr_"),
    *("github_pat_", "glpat-", "xox", "AKIA", "ASIA", "AIza"),
)


def may_have_shape(text: str) -> bool:
    """Whether there is any use in looking for `SHAPES` in a text: each has one of these parts, and finding none takes a hundredth of the time."""
    return any(part in text for part in _PARTS)


BINARY_TOKEN: Final = re.compile(rb"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
"""The one shape that is looked for in bytes."""

_ALWAYS: Final = frozenset(("password", "passwd", "passphrase", "secret", "clientsecret", "authorization", "privatekey", "cookie", "setcookie"))
_IF_LONG: Final = frozenset(
    ("token", "accesstoken", "refreshtoken", "idtoken", "authtoken", "sessiontoken", "csrftoken", "apikey", "apitoken", "jwt", "credential", "bearer")
)

_CREDENTIAL: Final = re.compile(r"\S{16,}")
"""What is long enough for a credential and has no blank: servers stream words under the key ``token`` too."""


def is_secret_member(name: str, value: str) -> bool:
    """Say whether a member of an object is a secret by its name, as ``password`` is, or by its name and its looks, as a long ``token`` is."""
    plain = name.lower().replace("_", "").replace("-", "")
    return bool(value) and (plain in _ALWAYS or (plain in _IF_LONG and _CREDENTIAL.fullmatch(value) is not None))


_RANDOM_WORD: Final = re.compile(r"[A-Za-z0-9_+/-]{24,}={0,2}")

_MIN_ENTROPY: Final = 3.8
"""Bits a character from which a long word counts as random; hexadecimal digits alone reach 4 at most, prose without blanks some 3.5."""

_CLASSES: Final = (re.compile("[a-z]"), re.compile("[A-Z]"), re.compile("[0-9].*[0-9]"))


def random_words(text: str) -> Iterator[str]:
    """Every long word in a text that looks as if dice had made it: three kinds of characters, more than one digit, and no pattern."""
    for word in _RANDOM_WORD.findall(text):
        if all(kind.search(word) for kind in _CLASSES) and _entropy(word) >= _MIN_ENTROPY:
            yield word


def _entropy(word: str) -> float:
    """Bits a character, by how often each one occurs (Shannon 1948)."""
    return -sum(count / len(word) * math.log2(count / len(word)) for count in Counter(word).values())
