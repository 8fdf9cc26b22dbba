"""What is sent for a chat completion: the URL, the headers and the body. Pure.

The body holds what the caller gave and nothing else, because a strict server refuses a field that it does not know; so there are no defaults beside
the model. Messages are passed on as they are, whatever their roles and contents, since every server has more of them than any list here; only what
could not be a message at all is refused, before anything is sent.

A base URL is written in many ways: with the version or without, with a prefix, or with the whole path. The first of `candidates` is what its writer
most probably meant, and there is a second where that is a guess; the client asks there if nothing is at the first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from chat_answers.exceptions import ConfigurationError, MessageError
from chat_answers.parts import JSON

DEFAULT_MODEL: Final = "gpt-3.5-turbo"

PATH: Final = "/chat/completions"

URL_VARIABLE: Final = "YLOKH_BASE_URL"
"""The environment variable for the base URL, if none is given."""

KEY_VARIABLE: Final = "YLOKH_API_KEY"
"""The environment variable for the key, if none is given."""

_VERSION: Final = re.compile(r"/v\d+[a-z0-9]*$")

_RESERVED: Final = ("messages", "model", "stream")


def candidates(base_url: str) -> tuple[str, ...]:
    """Return where a completion may be asked for, given a base URL: one URL where that is certain, two where it is a guess.

    A base that ends in ``/chat/completions`` is taken as it is, one that ends in a version such as ``/v1`` gets the rest of the path. A bare host
    gets ``/v1`` first, as most servers have it, and then goes without; any other path goes without first, as clients of this kind usually read it.
    A query stays where it is. Raises `ConfigurationError` for what is no such URL.
    """
    split = _check_url(base_url)
    path = split.path.rstrip("/")
    if path.endswith(PATH):
        paths: tuple[str, ...] = (path,)
    elif _VERSION.search(path):
        paths = (path + PATH,)
    else:
        guesses = (path + PATH, path + "/v1" + PATH)
        paths = guesses if path else guesses[::-1]
    return tuple(urlunsplit((split.scheme, split.netloc, path, split.query, "")) for path in paths)


def _check_url(base_url: object) -> JSON:
    if not isinstance(base_url, str):
        raise ConfigurationError(f"base_url is text, not {type(base_url).__name__}", cause="bad-url")
    try:
        split = urlsplit(base_url)
        port_makes_sense = split.port is None or split.port > 0
    except ValueError as error:
        raise ConfigurationError(f"base_url is no URL: {error}", cause="bad-url") from None
    if split.scheme not in ("http", "https") or not split.hostname or not port_makes_sense or re.search(r"[\s\x00-\x1f]", base_url):
        raise ConfigurationError("base_url must be of the form http://host[:port][/path], or https", cause="bad-url")
    if split.username is not None or split.password is not None:
        raise ConfigurationError("base_url must not hold a user and password", cause="bad-url", fix="give headers={'Authorization': …}")
    return split


def show_url(url: str) -> str:
    """Return a URL as it may be shown: without its query, which can hold a key."""
    split = urlsplit(url)
    return urlunsplit((split.scheme, split.netloc, split.path, "", ""))


def check_key(key: object) -> str | None:
    """Return a key, or None for an empty one; raises `ConfigurationError` (which does not quote it) for what cannot stand in a header."""
    if key is None or key == "":
        return None
    if not isinstance(key, str) or not re.fullmatch(r"[\x21-\x7e]+", key):
        raise ConfigurationError("the key has a character that cannot stand in a header", cause="bad-key", fix="look for a line end or a quote in it")
    return key


def check_headers(headers: object) -> dict[str, str]:
    """Return a copy of the caller's headers; raises `ConfigurationError` (which quotes no value) for what cannot be one."""
    checked: dict[str, str] = {}
    if headers is not None and not isinstance(headers, Mapping):
        raise ConfigurationError(f"headers is a mapping of names to texts, not {type(headers).__name__}")
    for name, value in (headers or {}).items():
        if (
            not isinstance(name, str)
            or not isinstance(value, str)
            or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name)
            or re.search(r"[\r\n\0]", value)
        ):
            raise ConfigurationError(f"the header {name!r} cannot be sent: expected a name of HTTP's, and text in one line")
        checked[name] = value
    return checked


def build_headers(
    *, stream: bool, user_agent: str, key: str | None, origin: str | None, referer: str | None, headers: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the headers of a request; `headers` are the caller's own and win, whatever the case of their letters."""
    chosen = {
        "Accept": "text/event-stream" if stream else "application/json",
        "Content-Type": "application/json",
        "User-Agent": user_agent,
    }
    if stream:
        # A compressed stream comes in the compressor's time and not in the model's, and its end cannot be told from its being cut off.
        chosen["Accept-Encoding"] = "identity"
    if key is not None:
        chosen["Authorization"] = f"Bearer {key}"
    if origin is not None:
        chosen["Origin"] = origin
    if referer is not None:
        chosen["Referer"] = referer
    own = {name.lower() for name in headers or {}}
    return {name: value for name, value in chosen.items() if name.lower() not in own} | dict(headers or {})


def encode_body(messages: str | Sequence[Mapping[str, object]], *, model: str, stream: bool, fields: Mapping[str, object]) -> bytes:
    """Return the body of a request as JSON.

    `messages` is one user message as a `str`, or a list of mappings, each with a ``role``. `fields` are passed on as they are; a field that is None
    is sent as null. Raises `MessageError` and `ConfigurationError` for what cannot be sent; nothing of the arguments is changed or kept.
    """
    for name in _RESERVED:
        if name in fields:
            raise ConfigurationError(f"`{name}` has an argument of its own and cannot be a field of the body")
    if model == "":
        raise ConfigurationError("expected the name of a model, got an empty text")
    body = {"model": model, "messages": [*_read_messages(messages)], "stream": stream}
    try:
        text = json.dumps(body | dict(fields), ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageError(f"the question cannot be written as JSON: {_reason(error)}") from None


def _read_messages(messages: object) -> list[Mapping[str, object]]:
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if isinstance(messages, bytes | bytearray | memoryview | Mapping) or not isinstance(messages, Sequence):
        raise MessageError(f"expected a str or a list of messages, got {type(messages).__name__}")
    if not messages:
        raise MessageError("the list of messages is empty: there is nothing to ask")
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise MessageError(f"expected a mapping with a role, got {type(message).__name__}", index=index)
        if not isinstance(message.get("role"), str):
            raise MessageError("expected a mapping with a role (text), and usually content", index=index)
    return list(messages)


def _plain(value: object) -> object:
    """What is not JSON by itself but plainly means it."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "it holds half of a surrogate pair"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
