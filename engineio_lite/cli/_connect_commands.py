"""What may be typed at `engineio-lite connect`: a line becomes a command, or a fault with its place.

Pure: no file is opened here and nothing is sent. A line is a command's name and what it takes. Values are JSON, one after the other with blanks
between them, so an event is typed as it is shown; ``@path`` in the place of a value is the content of a file, as bytes, and ``{"$hex": "…"}``
anywhere in a value is bytes, as ``--json`` writes them. Columns count from 1, in characters, from the beginning of the line.

The table `COMMANDS` is the one place where a command is known by its name: the help, the completion and the parser are made of it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

import msgspec

from engineio_lite.exceptions import elide

MAX_LINE: Final = 1024 * 1024
"""Bytes, or characters, of one line: more is a file's business, and `@path` reads one."""

_BLANKS: Final = " \t"

# --- what a line can ask for


class FromFile(msgspec.Struct, frozen=True):
    """Stands for the content of a file."""

    path: str


Argument: TypeAlias = object
"""A JSON value, bytes in it, or a `FromFile`."""


class Emit(msgspec.Struct, frozen=True):
    """Send an event; with `call`, ask for its acknowledgement and wait for it."""

    name: str
    args: tuple[Argument, ...] = ()
    call: bool = False


class Answer(msgspec.Struct, frozen=True):
    """Answer the event by which the server asks, number `id`; None is the first that has no answer."""

    id: int | None
    args: tuple[Argument, ...] = ()


class Join(msgspec.Struct, frozen=True):
    """Join a namespace."""

    namespace: str
    auth: dict[str, object] | FromFile | None = None


class Leave(msgspec.Struct, frozen=True):
    """Leave a namespace; None is the one in use."""

    namespace: str | None = None


class Use(msgspec.Struct, frozen=True):
    """Speak in another namespace from now on."""

    namespace: str


class Watch(msgspec.Struct, frozen=True):
    """Show something, or no more: `what` is ``raw`` or ``pings``."""

    what: str
    on: bool


class Wait(msgspec.Struct, frozen=True):
    """Hold what follows until an event comes; None is the usual time."""

    name: str
    seconds: float | None = None


class Sleep(msgspec.Struct, frozen=True):
    """Hold what follows for some time."""

    seconds: float


class Status(msgspec.Struct, frozen=True):
    """Say how things stand."""


class History(msgspec.Struct, frozen=True):
    """Say what was typed."""


class Help(msgspec.Struct, frozen=True):
    """Say what can be typed."""


class Quit(msgspec.Struct, frozen=True):
    """Leave."""


Command: TypeAlias = Emit | Answer | Join | Leave | Use | Watch | Wait | Sleep | Status | History | Help | Quit


class LineFault(Exception):
    """A line that says nothing that can be done: what was expected, in which `column` (from 1), and what usually mends it."""

    def __init__(self, message: str, column: int, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.column = column
        self.fix = fix


# --- reading a line


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _pairs(pairs: list[tuple[str, object]]) -> object:
    match pairs:
        case [("$hex", str(digits))]:
            return bytes.fromhex(digits)
        case _:
            return dict(pairs)


_JSON: Final = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_pairs)


def _column(error: json.JSONDecodeError) -> int:
    """Where JSON is wrong. Python 3.13 points at a comma that nothing follows, earlier ones at the bracket behind it, where the fault shows."""
    behind = error.doc[error.pos + 1 :].lstrip()
    return len(error.doc) - len(behind) + 1 if error.msg.startswith("Illegal trailing comma") else error.pos + 1


class _Line:
    """A line, and how far it is read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._skip()

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _BLANKS:
            self._at += 1

    @property
    def ended(self) -> bool:
        return self._at >= len(self._text)

    @property
    def column(self) -> int:
        return self._at + 1

    def fault(self, message: str, fix: str | None = None, column: int | None = None) -> LineFault:
        return LineFault(message, self.column if column is None else column, fix)

    def word(self, what: str) -> str:
        """The next characters that are not blank."""
        if self.ended:
            raise self.fault(f"expected {what}, got nothing")
        start = self._at
        while self._at < len(self._text) and self._text[self._at] not in _BLANKS:
            self._at += 1
        word = self._text[start : self._at]
        self._skip()
        return word

    def name(self, what: str) -> str:
        """A word, or a JSON string."""
        if not self.ended and self._text[self._at] == '"':
            value = self.value()
            assert isinstance(value, str)
            return value
        return self.word(what)

    def value(self) -> object:
        """The next JSON value, with what `{"$hex": …}` stands for."""
        start = self._at
        try:
            value, end = _JSON.raw_decode(self._text, start)
        except json.JSONDecodeError as error:
            raise self._no_json(error) from None
        except RecursionError:
            raise self.fault("expected less nesting") from None
        except ValueError as error:
            # NaN, an integer of thousands of digits, or odd hexadecimal digits: a property of the value, whose beginning is its place.
            raise self.fault(f"expected JSON: {error}") from None
        if end < len(self._text) and self._text[end] not in _BLANKS:
            raise self.fault(f"expected a blank between two values, got {elide(self._text[end])}", column=end + 1)
        self._at = end
        self._skip()
        return value

    def _no_json(self, error: json.JSONDecodeError) -> LineFault:
        bare = error.pos == self._at and not self.ended and self._text[self._at].isalpha()
        fix = 'put text in quotes: "text"' if bare else None
        return self.fault(f"expected JSON: {error.msg[0].lower()}{error.msg[1:]}", fix, _column(error))

    def argument(self) -> Argument:
        """The next value, or a file."""
        if self._text[self._at] != "@":
            return self.value()
        return self.file()

    def file(self) -> FromFile:
        """``@path``, or ``@"a path with blanks"``."""
        column = self.column
        if self.ended or self._text[self._at] != "@":
            raise self.fault("expected @ and the path of a file" + (", got nothing" if self.ended else ""))
        self._at += 1
        if not self._text[self._at : self._at + 1].strip(_BLANKS):
            raise self.fault("expected the path of a file after @", column=column)
        return FromFile(self.name("a path"))

    def arguments(self) -> tuple[Argument, ...]:
        """Everything that is left, as values."""
        found = []
        while not self.ended:
            found.append(self.argument())
        return tuple(found)

    def seconds(self, what: str) -> float:
        """A number of seconds."""
        column = self.column
        word = self.word(what)
        try:
            seconds = float(word)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            raise self.fault(f"expected {what}, a number from 0 up, got {elide(word)}", column=column)
        return seconds

    def namespace(self) -> str:
        """The name of a namespace; its slash may be left out."""
        name = self.name("a namespace such as /admin")
        return name if name.startswith("/") else f"/{name}"

    def end(self) -> None:
        """Make sure that nothing is left."""
        if not self.ended:
            raise self.fault("expected the end of the line")


# --- the commands


def _emit(line: _Line) -> Command:
    return Emit(line.name("the name of an event"), line.arguments())


def _call(line: _Line) -> Command:
    return Emit(line.name("the name of an event"), line.arguments(), call=True)


def _binary(line: _Line) -> Command:
    name = line.name("the name of an event")
    return Emit(name, (line.file(), *line.arguments()))


def _ack(line: _Line) -> Command:
    column = line.column
    word = line.word(f"the number of a question, or {FIRST}")
    if word == FIRST:
        return Answer(None, line.arguments())
    if not (word.isascii() and word.isdigit() and len(word) <= _ID_DIGITS):
        raise line.fault(f"expected the number of a question, or {FIRST}, got {elide(word)}", column=column)
    return Answer(int(word), line.arguments())


FIRST: Final = "first"
"""Names the oldest question that has no answer: their numbers are the server's, so a script cannot know them."""

_ID_DIGITS: Final = 16
"""Of 2**53 - 1, beyond which no acknowledgement id goes."""


def _join(line: _Line) -> Command:
    namespace = line.namespace()
    auth = None if line.ended else _auth(line)
    line.end()
    return Join(namespace, auth)


def _auth(line: _Line) -> dict[str, object] | FromFile:
    column = line.column
    auth = line.argument()
    if not isinstance(auth, dict | FromFile):
        raise line.fault("expected a JSON object, or @ and the path of a file with one", column=column)
    return auth


def _leave(line: _Line) -> Command:
    namespace = None if line.ended else line.namespace()
    line.end()
    return Leave(namespace)


def _use(line: _Line) -> Command:
    namespace = line.namespace()
    line.end()
    return Use(namespace)


def _wait(line: _Line) -> Command:
    name = line.name("the name of an event")
    seconds = None if line.ended else line.seconds("seconds")
    line.end()
    return Wait(name, seconds)


def _sleep(line: _Line) -> Command:
    seconds = line.seconds("seconds")
    line.end()
    return Sleep(seconds)


def _watch(what: str) -> Callable[[_Line], Command]:
    def read(line: _Line) -> Command:
        column = line.column
        word = line.word("on or off")
        if word not in _SWITCH:
            raise line.fault(f"expected on or off, got {elide(word)}", column=column)
        line.end()
        return Watch(what, _SWITCH[word])

    return read


_SWITCH: Final[Mapping[str, bool]] = MappingProxyType({"on": True, "off": False})


def _alone(command: Command) -> Callable[[_Line], Command]:
    def read(line: _Line) -> Command:
        line.end()
        return command

    return read


class _Known(NamedTuple):
    """One command: what it takes and does, for the help; how it is read; and what its first word is, for the completion."""

    takes: str
    does: str
    read: Callable[[_Line], Command]
    first: str = ""


COMMANDS: Final[Mapping[str, _Known]] = MappingProxyType(
    {
        "emit": _Known("NAME [VALUE …]", "send an event", _emit, "event"),
        "call": _Known("NAME [VALUE …]", "send an event and wait for its acknowledgement", _call, "event"),
        "ack": _Known("NUMBER|first [VALUE …]", "answer an event by which the server asks", _ack, "question"),
        "binary": _Known("NAME @FILE [VALUE …]", "send an event with the bytes of a file", _binary, "event"),
        "join": _Known("NAMESPACE [AUTH]", "join a namespace, with a JSON object or @FILE", _join, "namespace"),
        "leave": _Known("[NAMESPACE]", "leave a namespace; leaving the last one quits", _leave, "namespace"),
        "use": _Known("NAMESPACE", "speak in this namespace from now on", _use, "namespace"),
        "wait": _Known("NAME [SECONDS]", "hold the next lines until this event comes", _wait, "event"),
        "sleep": _Known("SECONDS", "hold the next lines for so long", _sleep),
        "raw": _Known("on|off", "show every packet", _watch("raw"), "switch"),
        "pings": _Known("on|off", "show the heartbeat", _watch("pings"), "switch"),
        "status": _Known("", "transport, ids, round trip, counts", _alone(Status())),
        "history": _Known("", "what was typed; lines with secrets are not kept", _alone(History())),
        "help": _Known("", "this", _alone(Help())),
        "quit": _Known("", "leave, as Ctrl-D does", _alone(Quit())),
    }
)

HELP: Final = "\n".join(
    [
        *(f"  {f'{name} {known.takes}':<28}{known.does}" for name, known in COMMANDS.items()),
        "",
        'A VALUE is JSON; @FILE is the bytes of a file, {"$hex": "00ff"} these bytes.',
        'A NAME with blanks is a JSON string: emit "new message" "hi" {"to": 7}',
    ]
)


def parse_line(text: str) -> Command | None:
    """Read one line; None for an empty one and for a comment, which begins with ``#``. Raises `LineFault`."""
    line = _Line(text.strip("\r\n"))
    if line.ended or text.lstrip(_BLANKS).startswith("#"):
        return None
    column = line.column
    word = line.word("a command")
    known = COMMANDS.get(word)
    if known is None:
        raise LineFault(f"expected a command, got {elide(word)}", column, "help lists them")
    return known.read(line)


def parse_object(text: str) -> dict[str, object]:
    """Read one JSON object, such as an auth payload; blanks and line breaks around it and in it are allowed. Raises `LineFault`."""
    column = len(text) - len(text.lstrip()) + 1
    try:
        value, end = _JSON.raw_decode(text, column - 1)
    except json.JSONDecodeError as error:
        raise LineFault(f"expected JSON: {error.msg[0].lower()}{error.msg[1:]}", _column(error)) from None
    except (RecursionError, ValueError) as error:
        raise LineFault(f"expected JSON: {error}", column) from None
    if not isinstance(value, dict):
        raise LineFault("expected a JSON object", column)
    if text[end:].strip():
        raise LineFault("expected nothing after the JSON object", end + 1)
    return value


# --- completion


def completions(before: str, candidates: Mapping[str, Iterable[str]]) -> tuple[list[str], int]:
    """What may stand at the end of `before`, and how many of its last characters that replaces.

    `candidates` are the words of each kind: ``event``, ``namespace`` and ``question``.
    """
    start = len(before) - len(before.lstrip(_BLANKS))
    words = re.split(f"[{_BLANKS}]+", before[start:])
    typed = words[-1]
    match words:
        case [_]:
            found: Iterable[str] = COMMANDS
        case [command, _] if command in COMMANDS:
            first = COMMANDS[command].first
            found = _SWITCH if first == "switch" else [_typed(word) for word in candidates.get(first, ())]
            if first == "namespace" and not typed.startswith("/"):
                found = [word.removeprefix("/") or word for word in found]
        case _:
            found = ()
    return sorted(word for word in found if word.startswith(typed)), len(typed)


def _typed(name: str) -> str:
    """A name as it is to be typed."""
    plain = name and not name.startswith('"') and all(character not in _BLANKS and character.isprintable() for character in name)
    return name if plain else json.dumps(name)


# --- what is not kept

_SECRET_NAME: Final = re.compile(r"auth(?!ors?\b)|bearer|cookie|credential|jwt|passw|passphrase|pwd|secret|session|token|api.?key|private.?key", re.I)
_WEB_TOKEN: Final = re.compile(r"\beyJ[\w-]+\.")


def names_a_secret(name: str) -> bool:
    """Whether what goes by this name is likely to be secret."""
    return _SECRET_NAME.search(name) is not None


def is_private(line: str) -> bool:
    """Whether a line is not to be kept: it joins with auth, speaks of a secret by name, has a JSON web token in it, or begins with a blank."""
    if line[:1] in (" ", "\t"):
        return True
    words = line.split(None, 2)
    joins_with_auth = len(words) == 3 and words[0] == "join" and not words[2].startswith("@")
    return joins_with_auth or names_a_secret(line) or _WEB_TOKEN.search(line) is not None


def name_as_typed(name: Any) -> str:
    """The name of an event as it is to be typed; servers may use numbers."""
    return _typed(name) if isinstance(name, str) else json.dumps(name)
