"""What must not be written, and what is written in its place. Pure.

A secret is known in one of two ways. Some are *learnt*, because of where they stand: what a request authenticates with, a query's values. Others are
known by their *shape*, wherever they are: a JSON Web Token, a key with the prefix of a well-known service, a user and password in a URL. Either is
replaced by ``<redacted:N>``, equal secrets by equal numbers, in the order in which they come up; so what was equal still is, and a new recording of
the same conversation has the same numbers.

What comes in pieces needs more care, since a secret may be cut in two by them. `StreamRedactor` keeps the pieces back from the first that may hold
the beginning of a secret until it is known what becomes of it. They keep their times and, as far as they are not secret, their ends: what is replaced
stands in the piece where it began.

What cannot be recognised: a secret that a model says a few letters at a time, each in an event of its own, is whole nowhere on the wire.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from chat_answers.parts import JSON

MIN_SECRET: Final = 8
"""Characters from which something learnt is looked for everywhere: shorter ones stand in many words, and are worth nothing."""

MAX_HELD: Final = 16 * 1024
"""Bytes that may be the beginning of a secret and are kept back. The largest tokens that servers take have half of it, as headers may not be
longer."""

RULES: Final = ("headers", "credentials", "query", "tokens", "keys")
"""What a capture's first line says of this."""

KEPT_HEADERS: Final = (
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "location",
    "server",
    "cf-mitigated",
)
"""The headers of an answer that are kept: those by which a client decides what it is, and whether to ask again."""

HARMLESS_HEADERS: Final = frozenset({"accept", "accept-encoding", "content-type", "user-agent", "origin", "referer", "http-referer", "x-title"})
"""Headers of a request that authenticate nobody; what stands in any other one is learnt as a secret."""

PLAIN_QUERY: Final = frozenset({"api-version", "version"})
"""Parameters of a query that are no secret."""

_PREFIXES: Final = (
    *("sk-", "pk-", "rk-", "pplx-", "gsk_", "xai-", "hf_", "r8_", "nvapi-", "tvly-", "glpat-", "github_pat_"),
    *("ghp_", "gho_", "ghs_", "ghu_", "ghr_", "xoxb-", "xoxp-", "xapp-", "AKIA", "ASIA", "AIza", "ya29."),
)
"""How the keys of well-known services begin."""

_KEYS: Final = "|".join(map(re.escape, _PREFIXES))
_SHAPES: Final = rf"""
    (?P<jwt> eyJ[\w-]{{5,}} \. [\w-]{{5,}} \. [\w-]* )
  | (?<![A-Za-z0-9]) (?P<key> (?:{_KEYS}) [\w.-]{{15,}} [\w-] )
  | (?<![A-Za-z0-9]) [Bb]earer [ ] (?P<bearer> [\w.~+/-]{{16,}} =* )
  | (?<=:) (?:\\?/){{2}} (?P<user> [^\s/?\#"'<>@\\]+ ) (?=@)
"""
"""Shapes of secrets: the named part is what is replaced. The last is a user and password in a URL, whose slashes JSON may escape."""

_TOKEN: Final = r"[\w.~+/=-]*"


def _beginnings(word: str) -> str:
    """A pattern for the word or any beginning of it, which must be followed by the end."""
    pattern = ""
    for letter in reversed(word):
        pattern = f"{re.escape(letter)}(?:{pattern}|\\Z)" if pattern else re.escape(letter)
    return pattern


_STARTS: Final = "|".join(f"{_beginnings(word)}{_TOKEN}" for word in ("eyJ", *_PREFIXES, "Bearer ", "bearer "))
_UNFINISHED: Final = re.compile(rf"""(?:(?:{_STARTS})|:(?:(?:\\?/){{2}}[^\s/?\#"'<>@\\]*|\\?/?\\?))\Z""".encode(), re.ASCII)
"""What may become a secret once more has come: the beginning of a shape, up to the end."""

_REST: Final = re.compile(_TOKEN.encode(), re.ASCII)


class Found(NamedTuple):
    """Where something secret stands in a text, and what it is, whatever the form in which it stands there.

    `begin` is where that begins by which it is known, such as the word before it.
    """

    begin: int
    start: int
    end: int
    secret: str


class Redactor:
    """The secrets of one capture, and the numbers that stand in for them; `secrets` are known from the beginning."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        self._numbers: dict[str, int] = {}
        self._learnt: dict[bytes, str] = {}
        self._pattern = _compile([])
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Take this for a secret from now on, in the forms in which it may come back: as it is, as JSON has it, and as a URL has it."""
        if len(secret) < MIN_SECRET or secret in self._learnt.values():
            return
        for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, "", errors="replace")):
            for written in (form, form.replace("/", r"\/")):
                self._learnt.setdefault(written.encode(errors="replace"), secret)
        self._pattern = _compile(sorted(self._learnt, key=len, reverse=True))  # longer ones first, since one may contain another

    def learn_headers(self, headers: Mapping[str, str]) -> None:
        """Learn what a request authenticates with: all headers that are not known to be harmless, the last word of each, and each cookie."""
        for name, value in headers.items():
            if name.lower() in HARMLESS_HEADERS:
                continue
            self.learn(value)
            self.learn(value.rpartition(" ")[2])
            for cookie in value.split(";") if name.lower() == "cookie" else ():
                self.learn(cookie.partition("=")[2].strip())

    def hide(self, data: bytes) -> bytes:
        """The same bytes without the secrets; give all of them, as half a secret is one that nobody knows."""
        hidden, at = [], 0
        for found in self.find(data):
            hidden += [data[at : found.start], self.stand_in(found.secret)]
            at = found.end
        return b"".join([*hidden, data[at:]])

    def hide_text(self, text: str) -> str:
        """The same for text."""
        return self.hide(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def body(self, body: bytes) -> JSON:
        """The JSON of a request's body without the secrets, or its text where it is no JSON."""
        try:
            # Written anew first: a secret may be escaped in there, and a stand-in is the same with and without escapes.
            return json.loads(self.hide_text(json.dumps(json.loads(body), ensure_ascii=False)))
        except (ValueError, RecursionError):
            return self.hide(body).decode(errors="replace")

    def url(self, url: str) -> str:
        """A URL without user, password and the values of its query, which are learnt as secrets."""
        split = urlsplit(url)
        user, at, host = split.netloc.rpartition("@")
        if at:
            self.learn(unquote(user))
            self.learn(unquote(user.partition(":")[2]))
        secret = {value for name, value in parse_qsl(split.query) if name.lower() not in PLAIN_QUERY}
        for value in secret:
            self.learn(value)
        query = parse_qsl(split.query, keep_blank_values=True)
        shown = "&".join(f"{name}={self._mark(value) if value in secret else value}" for name, value in query)
        return self.hide_text(urlunsplit((split.scheme, f"{self._mark(user)}@{host}" if at else host, split.path, shown, "")))

    def answer_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Those of an answer's headers that are kept, in a fixed order, without the secrets in them."""
        kept = {name: headers[name] for name in KEPT_HEADERS if name in headers}
        return {name: self.url(value) if name == "location" else self.hide_text(value) for name, value in kept.items()}

    def find(self, data: bytes, before: bytes = b"", start: int = 0) -> list[Found]:
        """The secrets in `data` from `start` on, from left to right; `before` is what stands before it."""
        return [self._found(match, len(before)) for match in self._pattern.finditer(before + data, len(before) + start)]

    def unfinished(self, data: bytes) -> int:
        """Where in `data` something begins that may become a secret with what follows; its length if nothing does."""
        shape = _UNFINISHED.search(data)
        return min([shape.start() if shape else len(data), *(_overlap(data, learnt) for learnt in self._learnt)])

    def stand_in(self, secret: str) -> bytes:
        """What is written in the place of a secret."""
        return self._mark(secret).encode()

    def _mark(self, secret: str) -> str:
        return f"<redacted:{self._numbers.setdefault(secret, len(self._numbers) + 1)}>"

    def _found(self, match: re.Match[bytes], offset: int) -> Found:
        name = match.lastgroup
        assert name is not None
        secret = match[name]
        return Found(
            match.start() - offset, match.start(name) - offset, match.end(name) - offset, self._learnt.get(secret) or secret.decode(errors="replace")
        )


def _compile(learnt: list[bytes]) -> re.Pattern[bytes]:
    literals = b"(?P<learnt>" + b"|".join(map(re.escape, learnt)) + b")|" if learnt else b""
    # Literals are escaped, blanks and all, so that they stand being verbose.
    return re.compile(literals + _SHAPES.encode(), re.ASCII | re.VERBOSE)


def _overlap(data: bytes, learnt: bytes) -> int:
    """Where the longest beginning of something learnt, but not the whole of it, stands at the end of `data`; its length if none does."""
    at = data.find(learnt[:1], max(0, len(data) - len(learnt) + 1))
    while at >= 0 and not learnt.startswith(data[at:]):
        at = data.find(learnt[:1], at + 1)
    return at if at >= 0 else len(data)


class StreamRedactor:
    """Takes the secrets out of one body that comes in pieces.

    Each piece comes back once no secret can begin in it any more, with the time at which it came; so little more than `MAX_HELD` bytes are kept back.
    What is longer and still may be a secret is taken for one, up to its end. A piece may come back empty: all of it belonged to a secret that began
    in an earlier one.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held: list[tuple[float, bytes]] = []
        self._before = b""
        """The byte before those that are kept back: whether a word begins there is part of some shapes."""
        self._skip = 0
        """How many of the bytes that are kept back belong to a secret that began before them."""
        self._swallowing = False

    def feed(self, data: bytes, time: float) -> list[tuple[float, bytes]]:
        """Take the next piece, and return those that may be written now."""
        self._held.append((time, self._without_rest(data)))
        text = self._text
        found, safe = self._look_through(text)
        if len(text) - safe > MAX_HELD:
            self._swallowing = True
            return self._release(_with_tail(found, text, safe), len(text))
        for each in reversed(found):
            if each.begin < safe < each.end:
                safe = each.begin  # what it turns out to be may depend on what follows
        return self._release([each for each in found if each.end <= safe], safe)

    def close(self, *, torn: bool) -> list[tuple[float, bytes]]:
        """Return the rest. What may be the beginning of a secret is taken for one; that of a URL's user only if the body was `torn` off there."""
        text = self._text
        found, safe = self._look_through(text)
        if len(text) - safe >= MIN_SECRET and (torn or text[safe : safe + 1] != b":"):
            found = _with_tail(found, text, safe)
        return self._release(found, len(text))

    @property
    def _text(self) -> bytes:
        return b"".join(data for _, data in self._held)

    def _look_through(self, text: bytes) -> tuple[list[Found], int]:
        """The secrets in what is kept back, and where one begins that is not whole yet."""
        rest = Found(-1, -1, self._skip, "")
        return [rest, *self._redactor.find(text, self._before, self._skip)], self._skip + self._redactor.unfinished(text[self._skip :])

    def _without_rest(self, data: bytes) -> bytes:
        """The piece without the rest of a secret that was too long to be kept."""
        if not self._swallowing:
            return data
        match = _REST.match(data)
        assert match is not None
        self._swallowing = match.end() == len(data)
        return data[match.end() :]

    def _release(self, secrets: list[Found], safe: int) -> list[tuple[float, bytes]]:
        """Return the pieces that end before `safe`, without these secrets, and keep the others as they are."""
        text, released, end = self._text, [], 0
        for time, data in self._held:
            next_end = end + len(data)
            if next_end > safe or (safe < len(text) and any(each.begin < next_end <= each.start for each in secrets)):
                break  # or that by which a secret is known would be gone when it is looked for again
            released.append((time, self._replaced(data, end, secrets)))
            end = next_end
        self._before = (self._before + text[:end])[-1:]
        del self._held[: len(released)]
        self._skip = max(0, *(each.end - end for each in secrets if each.start < end))
        return released

    def _replaced(self, data: bytes, start: int, secrets: list[Found]) -> bytes:
        """One piece, which begins at `start` of the text; a secret's stand-in is in the piece in which it begins."""
        out, at = [], 0
        for each in secrets:
            first, last = max(each.start - start, 0), min(each.end - start, len(data))
            if first < last:
                out += [data[at:first], self._redactor.stand_in(each.secret) if each.start >= start else b""]
                at = last
        return b"".join([*out, data[at:]])


def _with_tail(found: list[Found], text: bytes, safe: int) -> list[Found]:
    """These secrets as far as they begin before `safe`, and one more that reaches from there to the end."""
    before = [each for each in found if each.begin < safe]
    start = max([safe, *(each.end for each in before)])
    return [*before, Found(start, start, len(text), text[start:].decode(errors="replace"))]
