"""What must not be shown, and how it is hidden.

Secrets are learnt by what they are (a session id, what somebody authenticates with) and then looked for everywhere, because servers repeat them:
in an error's text, in an event, before the packet that made them known. A secret is known in the forms in which it may come back: as it is, as
JSON writes it, with and without escapes, and as a URL does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

REDACTED: Final = "<redacted>"

MIN_SEARCHED: Final = 4
"""Characters from which a secret is looked for everywhere: shorter ones would be found in everything, and are worth nothing."""

_HEAD: Final = 4
"""Characters shown of an id: enough to tell two apart, too few to use one."""

_NOTHING: Final = re.compile(r"(?!)")


class Secrets:
    """The secrets known so far."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = _NOTHING

    def learn(self, secret: str, shown: str = REDACTED) -> None:
        """Hide `secret` from now on, and show `shown` in its place."""
        if len(secret) < MIN_SEARCHED or secret in self._shown:
            return
        for form in _forms(secret):
            self._shown[form] = shown
        self._pattern = None

    def hide(self, text: str) -> str:
        """The same text without the secrets; give it whole, as a cut could leave the half of one that nothing knows any more."""
        if self._pattern is None:
            # Longer ones first, since one may contain another.
            self._pattern = re.compile("|".join(map(re.escape, sorted(self._shown, key=len, reverse=True))))
        return self._pattern.sub(lambda found: self._shown[found.group()], text)


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="", errors="replace")


def head(identifier: str) -> str:
    """The first characters of an id, never more than half of it."""
    return f"{identifier[: min(_HEAD, len(identifier) // 2)]}…"


def masked(value: object) -> object:
    """The same JSON value with every string hidden, keys aside."""
    match value:
        case dict():
            return {key: masked(item) for key, item in value.items()}
        case list():
            return [masked(item) for item in value]
        case str():
            return REDACTED
        case _:
            return value


def strings(value: object) -> Iterator[str]:
    """Every string in a JSON value, keys aside."""
    match value:
        case dict():
            for item in value.values():
                yield from strings(item)
        case list():
            for item in value:
                yield from strings(item)
        case str():
            yield value
