"""Looks for what should not be in a capture that is written: the rules of `engineio-lite check`.

A recorder redacts; this is for what came another way: a file edited by hand, made by a hook that gave something back, or written by a release that
knew fewer shapes. It looks at the text of each line and not at what a reader makes of it, so that nothing hides in a key or a kind that the reader
passes over; and it knows no file, only lines.

Some findings are certain (a JSON web token, an auth payload in clear). A long random word is only suspicious, and reported all the same: whoever
knows better says so with `allow`.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from engineio_lite.capture.redactor import KEPT, PLACEHOLDER
from engineio_lite.capture.shapes import BINARY_TOKEN, SHAPES, is_secret_member, random_words
from engineio_lite.payload import SEPARATOR
from engineio_lite.strictjson import JSONError, decode_json

MAX_DEPTH: Final = 250
"""Nesting of a line, as for a reader."""

SHOWN: Final = 4
"""Characters shown of what was found: a report must not repeat the secret."""

_PUBLIC: Final = frozenset(("EIO", "transport", "t", "b64", "j"))
_IDS: Final = ("sid", "pid")


class Finding(msgspec.Struct, frozen=True):
    """Something that looks like a secret: the number of its line, where in the line, which rule found it, and its first characters.

    `rule` is ``auth``, ``id``, ``url``, ``member``, ``shape``, ``random`` or ``unreadable``.
    """

    line: int
    path: str
    rule: str
    shown: str


def inspect(lines: Iterable[str], *, allow: Sequence[str] = (), auth_keep: Mapping[str, Sequence[str]] = KEPT) -> Iterator[Finding]:
    """Every finding in the lines of a capture's file, in order; a secret that matches one of the regular expressions in `allow` is none."""
    allowed = [re.compile(pattern) for pattern in allow]
    for number, text in enumerate(lines, 1):
        for path, rule, secret in _line(text, auth_keep):
            if not any(pattern.search(secret) for pattern in allowed):
                yield Finding(number, path, rule, f"{secret[:SHOWN]}… ({len(secret)} characters)")


_Found = Iterator[tuple[str, str, str]]


def _line(text: str, auth_keep: Mapping[str, Sequence[str]]) -> _Found:
    if not text.strip():
        return
    try:
        fields = decode_json(text.strip(), max_depth=MAX_DEPTH, max_integer_digits=MAX_DEPTH)
    except JSONError:
        yield "", "unreadable", text
        return
    if isinstance(fields, dict):
        yield from _places(fields, auth_keep)
    yield from _walk(fields, "$", auth_keep)


def _places(fields: dict[str, object], auth_keep: Mapping[str, Sequence[str]]) -> _Found:
    """What is secret by its place, in a line of that kind."""
    match fields:
        case {"k": "up", "p": "CONNECT", "data": data}:
            yield from _auth(data, "$.data", "", auth_keep, recovers=isinstance(data, dict) and "pid" in data)
        case {"k": "down", "p": "CONNECT", "data": dict(data)}:
            for name in _IDS:
                yield from _id(data.get(name), f"$.data.{name}")
        case {"k": "open", "sid": sid}:
            yield from _id(sid, "$.sid")
        case {"k": "pass"}:
            yield from _within(fields, "$", auth_keep)
    if isinstance(url := fields.get("url"), str):
        yield from _url(url)


_EMBEDDED: Final = re.compile(r"4?0(?:/[^,]*,)?(\{.*\})", re.DOTALL)
"""An open packet, or a CONNECT, as it stands in a message, a frame or a polling body."""


def _within(value: object, path: str, keep: Mapping[str, Sequence[str]]) -> _Found:
    """What is secret by its place in the texts of a passage: ids that a server gives, and what a client authenticates with."""
    match value:
        case dict():
            for name, item in value.items():
                yield from _within(item, f"{path}.{name}", keep)
        case list():
            for index, item in enumerate(value):
                yield from _within(item, f"{path}[{index}]", keep)
        case str():
            for packet in value.split(SEPARATOR):
                found = _EMBEDDED.fullmatch(packet)
                if found is not None:
                    yield from _embedded(found[1], path, keep)


def _embedded(text: str, path: str, keep: Mapping[str, Sequence[str]]) -> _Found:
    try:
        data = decode_json(text, max_depth=MAX_DEPTH, max_integer_digits=MAX_DEPTH)
    except JSONError:
        return
    if isinstance(data, dict) and "sid" in data:
        for name in _IDS:
            yield from _id(data.get(name), f"{path}.{name}")
    else:
        yield from _auth(data, path, "", keep, recovers=isinstance(data, dict) and "pid" in data)


def _auth(value: object, path: str, name: str, keep: Mapping[str, Sequence[str]], *, recovers: bool = False) -> _Found:
    match value:
        case dict():
            for key, item in value.items():
                if not (recovers and key == "offset"):
                    yield from _auth(item, f"{path}.{key}", key, keep)
        case list():
            for index, item in enumerate(value):
                yield from _auth(item, f"{path}[{index}]", name, keep)
        case str() if value and not PLACEHOLDER.fullmatch(value) and value not in keep.get(name, ()):
            yield path, "auth", value


def _id(value: object, path: str) -> _Found:
    if isinstance(value, str) and value and not PLACEHOLDER.fullmatch(value):
        yield path, "id", value


def _url(url: str) -> _Found:
    try:
        parts = urlsplit(url)
    except ValueError:
        return  # text like any other then
    for name, value in parse_qsl(parts.query):
        if name not in _PUBLIC and not PLACEHOLDER.fullmatch(value):
            yield "$.url", "url", value


def _walk(value: object, path: str, keep: Mapping[str, Sequence[str]]) -> _Found:
    """What is secret by its name or its shape, anywhere."""
    match value:
        case {"$bin": str(data)}:
            yield from _binary(data, path)
        case dict():
            for name, item in value.items():
                yield from _text(name, path)
                if isinstance(item, str) and is_secret_member(name, item) and item not in keep.get(name, ()) and not PLACEHOLDER.search(item):
                    yield f"{path}.{name}", "member", item
                else:
                    yield from _walk(item, f"{path}.{name}", keep)
        case list():
            for index, item in enumerate(value):
                yield from _walk(item, f"{path}[{index}]", keep)
        case str():
            yield from _text(value, path)


def _text(text: str, path: str) -> _Found:
    found = [match.group() for match in SHAPES.finditer(text) if not PLACEHOLDER.fullmatch(match.group())]
    for secret in found:
        yield path, "shape", secret
    for word in random_words(SHAPES.sub(" ", text)):
        yield path, "random", word


def _binary(data: str, path: str) -> _Found:
    try:
        content = b64decode(data, validate=True)
    except Base64Error:
        yield from _text(data, path)
        return
    for token in BINARY_TOKEN.findall(content):
        yield path, "shape", token.decode()
