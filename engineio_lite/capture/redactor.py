"""Takes the secrets out of what is about to be written, and leaves something in their place that is still good for comparing and for replay.

What is secret is known in three ways. By its *place*: the ids that a server gives, every string of a CONNECT's auth payload, the values of a URL's
query, cookies and authorization headers, members with names such as ``password``. By its *shape*: a JSON web token, ``Bearer …``, user and password
of a URL (`shapes.py`). And by having been *learnt*: what was secret once is secret wherever it comes up again, in an error's text or in an event.

A placeholder stands for one value throughout a capture: ``@eio1`` for a session's id, ``@sid1`` and ``@pid1`` for those of a namespace, and
``<redacted:1>`` for all else. They are numbered as they come up, so equality survives, nothing of the secret does (no hash, no length), and the same
conversation has the same placeholders whenever it is recorded.

Redaction is done line by line, before the line is text, and never changes the structure of a packet: what a replay has to match is still there. A
name of an event is never taken for a secret, unless by its shape, even if somebody's auth payload has the same word in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit, urlunsplit

import msgspec

from engineio_lite.capture.lines import (
    Direction,
    Door,
    EnginePacket,
    HttpAnswer,
    Line,
    Note,
    Passage,
    SessionEnded,
    SessionOpened,
    SocketChanged,
    SocketIOPacket,
    Undecoded,
)
from engineio_lite.capture.shapes import BINARY_TOKEN, SHAPES, is_secret_member, may_have_shape
from engineio_lite.inputs import Headers
from engineio_lite.socketio.grammar import PacketType

PLACEHOLDER: Final = re.compile(r"@(?:eio|sid|pid)\d+|<redacted:\d+>")
"""What a secret is replaced by."""

_PARTS: Final = re.compile(r"(eio|sid|pid|redacted:)(\d+)")

SEARCHED: Final = 4
"""Characters from which a learnt secret is recognised where it is a whole string; shorter ones are hidden in their place only."""

SEARCHED_WITHIN: Final = 8
"""Characters from which it is also looked for inside longer strings: a short word would be found in everything."""

_HARMLESS_PARAMETERS: Final = frozenset(("EIO", "transport", "t", "b64", "j"))
_SECRET_HEADERS: Final = frozenset(("authorization", "proxy-authorization", "x-api-key", "api-key", "x-auth-token", "x-csrf-token"))
_IDS: Final = ("sid", "pid")

BeforeRecord = Callable[[SocketIOPacket], SocketIOPacket | None]
"""A hook of the user's: returns the packet, another one, or None to leave it out. It sees what was said, before anything is redacted."""


KEPT: Final[Mapping[str, Sequence[str]]] = MappingProxyType({"jwt": ("anonymous-ask-user",)})
"""What everybody authenticates with is no secret."""


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be redacted beside what always is.

    `auth_keep` names harmless constants: ``{"jwt": ["anonymous-ask-user"]}`` keeps that value of that key of an auth payload. `patterns` are regular
    expressions of further secrets. `headers` are names of further secret headers. `before_record` is called for each Socket.IO packet first.
    """

    auth_keep: Mapping[str, Sequence[str]] = KEPT
    patterns: Sequence[str] = ()
    headers: Sequence[str] = ()
    before_record: BeforeRecord | None = None


DEFAULT_REDACTION: Final = Redaction()


class Redactor:
    """Redacts the lines of one capture, in their order; it remembers what it has replaced by what, in memory only."""

    def __init__(self, redaction: Redaction = DEFAULT_REDACTION) -> None:
        self._redaction = redaction
        self._kinds: dict[str, str] = {}
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._within: dict[str, tuple[str, int]] = {}
        self._pattern: re.Pattern[str] | None = None
        self._shapes = [SHAPES, *map(re.compile, redaction.patterns)]
        self._secret_headers = _SECRET_HEADERS | {name.lower() for name in redaction.headers}

    # ------------------------------------------------------------------------------------------------------------------------------- learning

    def learn(self, secret: str, kind: str = "") -> None:
        """Hide `secret` from now on. `kind` is ``eio``, ``sid`` or ``pid`` for ids, nothing for all else.

        It gets its number when it comes up: what headers hold differs from tool to tool, and must not change the numbers of what is written.
        """
        if kind and secret not in self._placeholders and secret in self._kinds:
            self._kinds[secret] = kind  # a cookie may have told us of an id before its packet did
        if not secret or secret in self._kinds or PLACEHOLDER.fullmatch(secret):
            return
        self._kinds[secret] = kind
        if len(secret) >= SEARCHED_WITHIN:
            for index, form in enumerate(_forms(secret)):
                self._within.setdefault(form, (secret, index))
            self._pattern = None

    def placeholder(self, secret: str, kind: str = "") -> str:
        """Learn `secret`, and return what stands in its place; nothing and placeholders stand for themselves."""
        self.learn(secret, kind)
        kind = self._kinds.get(secret, "-")
        if kind == "-":
            return secret
        placeholder = self._placeholders.get(secret)
        if placeholder is None:
            number = self._counts[kind] = self._counts.get(kind, 0) + 1
            placeholder = self._placeholders[secret] = f"@{kind}{number}" if kind else f"<redacted:{number}>"
        return placeholder

    def number_on(self, text: str) -> None:
        """Leave out the numbers of the placeholders in `text`, which stand for other values: that of a file that is to be continued."""
        for found in PLACEHOLDER.finditer(text):
            kind, number = _PARTS.findall(found.group())[0]
            kind = "" if kind == "redacted:" else kind
            self._counts[kind] = max(self._counts.get(kind, 0), int(number))

    def learn_headers(self, headers: Headers) -> None:
        """Learn the secrets of HTTP headers of either direction: cookies, credentials, keys."""
        for name, value in headers:
            lowered = name.lower()
            if lowered == "cookie":
                self._learn_long(cookie.partition("=")[2] for cookie in value.split(";"))
            elif lowered == "set-cookie":
                self._learn_long([value.partition(";")[0].partition("=")[2]])
            elif lowered in self._secret_headers:
                scheme, _, credentials = value.strip().partition(" ")
                self._learn_long([credentials or scheme])

    def _learn_long(self, secrets: Iterable[str]) -> None:
        """Learn values that are written nowhere themselves, so that a short one, a cookie that says ``dark``, would only hide innocent words."""
        for secret in map(str.strip, secrets):
            if len(secret) >= SEARCHED_WITHIN:
                self.learn(secret)

    def learn_url(self, url: str) -> None:
        """Learn the secrets of a URL."""
        self.url(url)

    # ----------------------------------------------------------------------------------------------------------------------------- redacting

    def text(self, text: str) -> str:
        """The same text without the secrets that are known by now and without what has the shape of one."""
        if len(text) >= SEARCHED and text in self._kinds:
            return self.placeholder(text)
        if self._within and len(text) >= SEARCHED_WITHIN:
            if self._pattern is None:
                # Longer ones first, since one may contain another.
                self._pattern = re.compile("|".join(map(re.escape, sorted(self._within, key=len, reverse=True))))
            text = self._pattern.sub(self._shown, text)
        return self.shapes(text)

    def _shown(self, found: re.Match[str]) -> str:
        """The placeholder of what was found, written as the secret was."""
        secret, index = self._within[found.group()]
        return _forms(self.placeholder(secret))[index]

    def shapes(self, text: str) -> str:
        """The same text without what has the shape of a secret."""
        shapes = self._shapes if may_have_shape(text) else self._shapes[1:]
        for shape in shapes:
            text = shape.sub(lambda found: self.placeholder(found.group()), text)
        return text

    def value(self, value: object) -> object:
        """The same JSON value, redacted; bytes and all else that it may hold pass."""
        match value:
            case str():
                return self.text(value)
            case list() | tuple():
                return [self.value(item) for item in value]
            case dict():
                return {self.text(name): self._member(name, item) for name, item in value.items()}
            case bytes() if b"eyJ" in value:
                return BINARY_TOKEN.sub(lambda found: self.placeholder(found.group().decode()).encode(), value)
            case _:
                return value

    def _member(self, name: str, value: object) -> object:
        if isinstance(value, str) and is_secret_member(name, value):
            return self._auth_member(name, value)
        return self.value(value)

    def url(self, url: str) -> str:
        """The same URL without user, password and fragment, and with a placeholder for every value of its query that is not the protocol's."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return self.placeholder(url)
        user, at, host = parts.netloc.rpartition("@")
        if at:
            for secret in user.split(":"):
                self.learn(unquote(secret))
        query = "&".join(self._parameter(pair) for pair in parts.query.split("&") if pair)
        return self.text(urlunsplit(SplitResult(parts.scheme, host, parts.path, query, "")))

    def namespace(self, namespace: str) -> str:
        """The same namespace with a placeholder for every value of its query, which is where older clients put a token."""
        name, mark, query = namespace.partition("?")
        return self.text(name) + mark + "&".join(self._parameter(pair) if pair else "" for pair in query.split("&"))

    def _parameter(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        if name in _HARMLESS_PARAMETERS or (equals and not value):
            return pair
        if not equals:
            return self.placeholder(name)  # a bare word may be a token as well as a name
        # As a server reads it: with `+` for a blank, which is also how it may be repeated.
        [(_, plain)] = parse_qsl(f"x={value}", keep_blank_values=True)
        return f"{name}={self.placeholder(plain, 'eio' if name == 'sid' else '')}"

    # --------------------------------------------------------------------------------------------------------------------------------- lines

    def line(self, line: Line) -> Line | None:
        """The same line, redacted; None if `before_record` leaves it out."""
        if isinstance(line, SocketIOPacket):
            before = self._redaction.before_record
            wanted = line if before is None else before(line)
            if wanted is None:
                return None
            return msgspec.structs.replace(wanted, namespace=self.namespace(wanted.namespace), data=self._packet_data(wanted))
        return self._other(line)

    def _other(self, line: Line) -> Line:
        match line:
            case SessionOpened():
                url, sid = self.url(line.url), self.placeholder(line.sid, "eio")
                handshake = cast("Mapping[str, object]", self.value(dict(line.handshake)))
                return msgspec.structs.replace(line, url=url, sid=sid, handshake=handshake)
            case Undecoded():
                return msgspec.structs.replace(line, data=self._undecoded(line))
            case HttpAnswer():
                return msgspec.structs.replace(line, url=self.url(line.url), body=self.text(line.body))
            case EnginePacket():
                return msgspec.structs.replace(line, data=self.text(line.data))
            case SocketChanged() | SessionEnded():
                return msgspec.structs.replace(line, reason=self.text(line.reason))
            case Note():
                return msgspec.structs.replace(line, text=self.text(line.text))
            case Door() | Passage():
                # Only here, because that module is made of this one.
                from engineio_lite.capture.passage_redaction import redact_door, redact_passage

                return redact_door(line, self) if isinstance(line, Door) else redact_passage(line, self)
            case _:  # a head
                return line

    def _packet_data(self, packet: SocketIOPacket) -> object:
        data = packet.data
        match packet.type:
            case PacketType.CONNECT if packet.direction is Direction.UP:
                return self.auth(data)
            case PacketType.CONNECT if isinstance(data, dict):
                return {
                    name: self.placeholder(item, name) if name in _IDS and isinstance(item, str) else self.value(item) for name, item in data.items()
                }
            case PacketType.EVENT if isinstance(data, list) and data and isinstance(data[0], str):
                return [self.shapes(data[0]), *map(self.value, data[1:])]
            case _:
                return self.value(data)

    def auth(self, payload: object) -> object:
        """What a client authenticates with, every string replaced but harmless constants and the offset of a session to be recovered."""
        if not isinstance(payload, dict):
            return self._hidden(payload)
        recovers = "pid" in payload
        return {self.shapes(name): item if recovers and name == "offset" else self._auth_member(name, item) for name, item in payload.items()}

    def _auth_member(self, name: str, value: object) -> object:
        kept = self._redaction.auth_keep.get(name, ())
        return value if isinstance(value, str) and value in kept else self._hidden(value)

    def _hidden(self, value: object) -> object:
        match value:
            case dict():
                return {self.shapes(name): self._auth_member(name, item) for name, item in value.items()}
            case list() | tuple():
                return [self._hidden(item) for item in value]
            case str():
                return self.placeholder(value)
            case bytes():
                return self.placeholder(value.hex())
            case _:
                return value

    def _undecoded(self, line: Undecoded) -> str | bytes:
        """What could not be read may be an auth payload or an open packet that is damaged: then nothing but its type is kept."""
        data = line.data
        if isinstance(data, bytes):
            return cast("bytes", self.value(data))
        head = "40" if line.direction is Direction.UP else "0"
        if data.startswith(head) and len(data) > len(head):
            return head + self.placeholder(data[len(head) :])
        return self.text(data)


def _forms(secret: str) -> tuple[str, ...]:
    """How a string may be written where it comes up: as it is, as JSON writes it without escapes and with them, as a URL does."""
    return secret, json.dumps(secret, ensure_ascii=False)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="", errors="replace")
