"""What happens in a session of `engineio-lite connect`, as values, and the two ways of showing them: an object for programs, a line for people.

Pure. What is secret is hidden here and nowhere else: a note holds what came, both ways of showing it pass every text through `Secrets`, and neither
shows what a namespace is joined with. A line for people is parts, each with what it means (`Line`), so that whoever prints it chooses the colours;
nothing in it moves a cursor, whatever the server put there.

The objects are an interface, described in docs/connect.md: a key is never renamed, and new ones may come.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from engineio_lite.capture.redaction import REDACTED, Secrets
from engineio_lite.cli._connect_commands import name_as_typed
from engineio_lite.exceptions import EngineIOError
from engineio_lite.socketio import EventReceived

# --- what happens; `at` is seconds since the session began


class Event(msgspec.Struct, frozen=True):
    """The server sent an event; it asks for an acknowledgement if it has an `ack_id`."""

    at: float
    event: EventReceived


class Sent(msgspec.Struct, frozen=True):
    """We sent an event, or answered one (`name` is None); `id` is that of the acknowledgement that is asked for, or given."""

    at: float
    namespace: str
    name: object
    args: Sequence[object]
    id: int | None = None


class Ack(msgspec.Struct, frozen=True):
    """The server acknowledged event `name` after so many `seconds`; both are None for an acknowledgement that nobody waits for."""

    at: float
    namespace: str
    id: int
    args: Sequence[object]
    name: object = None
    seconds: float | None = None


class State(msgspec.Struct, frozen=True):
    """Something changed, or was asked for: a word for it, and what there is to know about it."""

    at: float
    state: str
    about: Mapping[str, object]


class Packet(msgspec.Struct, frozen=True):
    """An Engine.IO packet crossed the wire; `carrier` is what brought it, such as ``GET 3`` or ``WebSocket 1``."""

    at: float
    up: bool
    carrier: str
    packet: str


class Failure(msgspec.Struct, frozen=True):
    """Something that was asked for was not done: of a script, in which line, and where in it. `detail` is the message with its context."""

    at: float
    message: str
    cause: str | None = None
    fix: str | None = None
    line: int | None = None
    column: int | None = None
    detail: str | None = None


class Closed(msgspec.Struct, frozen=True):
    """The session is over."""

    at: float
    reason: str
    error: EngineIOError | None = None
    unsent: int = 0


class Text(msgspec.Struct, frozen=True):
    """Lines that were asked for, such as the help; for people only."""

    text: str


Note: TypeAlias = Event | Sent | Ack | State | Packet | Failure | Closed | Text


def failure(at: float, error: EngineIOError, line: int | None = None) -> Failure:
    """What an error of the library says."""
    return Failure(at, error.message, error.cause.value, error.fix, line, None, str(error))


# --- for programs


def as_object(note: Note, secrets: Secrets) -> dict[str, object] | None:
    """A note as a JSON object; None for one that is for people only."""
    if isinstance(note, Text):
        return None
    kind, fields = _fields(note)
    return {"at": round(note.at, 6), "kind": kind, **{key: plain(value, secrets) for key, value in fields.items()}}


def _fields(note: Event | Sent | Ack | State | Packet | Failure | Closed) -> tuple[str, dict[str, object]]:
    match note:
        case Event(_, event):
            asks = {} if event.ack_id is None else {"id": event.ack_id}
            return "event", {"namespace": event.namespace, "name": event.name, "args": event.args, **asks}
        case Sent(_, namespace, name, args, id):
            return "sent", {"namespace": namespace, "name": name, "args": args, **({} if id is None else {"id": id})}
        case Ack(_, namespace, id, args, name, seconds):
            took = None if seconds is None else round(seconds, 6)
            return "ack", {"namespace": namespace, "name": name, "args": args, "id": id, "seconds": took}
        case State(_, state, about):
            return "state", {"state": state, **about}
        case Packet(_, up, carrier, packet):
            return "packet", {"direction": "up" if up else "down", "carrier": carrier, "packet": packet}
        case Failure(_, message, cause, fix, line, column):
            return "error", {"cause": cause, "message": message, "fix": fix, "line": line, "column": column}
        case Closed(_, reason, error, unsent):
            said: dict[str, object] = {"cause": None, "message": None} if error is None else {"cause": error.cause.value, "message": error.message}
            return "closed", {"reason": str(reason), **said, "unsent": unsent}


def plain(value: object, secrets: Secrets, most: int | None = None) -> object:
    """The same value as JSON can say it, without what is secret.

    Bytes are ``{"$hex": …}``, their head and their length if there are more than `most` of them; what JSON has no word for is its text.
    """
    match value:
        case str():
            return secrets.hide(value)
        case bool() | int() | None:
            return value
        case float():
            return value if math.isfinite(value) else _NO_NUMBER[str(value)]
        case bytes():
            return _bytes(value, secrets, most)
        case Mapping():
            return {secrets.hide(str(key)): plain(item, secrets, most) for key, item in value.items()}
        case list() | tuple():
            return [plain(item, secrets, most) for item in value]
        case _:  # a date or an extension, which only the msgpack parser brings
            return secrets.hide(str(value))


_NO_NUMBER: Final[Mapping[str, str]] = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def tells(data: bytes, secrets: Secrets) -> bool:
    """Whether a secret can be read in these bytes."""
    text = data.decode(errors="replace")
    return secrets.hide(text) != text


def _bytes(data: bytes, secrets: Secrets, most: int | None) -> object:
    if tells(data, secrets):
        return REDACTED
    if most is None or len(data) <= most:
        return {"$hex": data.hex()}
    return {"$hex": f"{data[:most].hex()}…", "bytes": len(data)}


# --- for people

Meaning: TypeAlias = Literal["", "up", "down", "state", "error", "dim", "name"]
"""What a part of a line is: nothing special, an arrow, something that went wrong, something less important, the name of a namespace."""

Line: TypeAlias = list[tuple[Meaning, str]]
"""A line, or several that belong together: parts, in order."""

UP: Final = "──▶"
DOWN: Final = "◀──"
HERE: Final = "───"

TIME_WIDTH: Final = 8
"""Characters of the time: an hour in milliseconds; what takes longer moves its line to the right."""

INDENT: Final = TIME_WIDTH + 1 + len(UP) + 1
"""Where the text of a line begins."""

BYTES_SHOWN: Final = 16
"""Of more bytes only the head is shown."""


def as_line(note: Note, secrets: Secrets) -> Line:
    """A note as a line; all but a `Text` begin with two parts, the time and an arrow, that are `INDENT` wide."""
    match note:
        case Event(at, event):
            asks: Line = [("state", f"  asks: ack {event.ack_id} …")] if event.ack_id is not None else []
            return [*_head(at, "down"), *_event(event.namespace, event.name, event.args, secrets), *asks]
        case Sent(at, namespace, None, args, id):
            return [*_head(at, "up"), *_namespace(namespace, secrets), ("dim", f"ack {id} "), ("", _values(args, secrets))]
        case Sent(at, namespace, name, args, id):
            number: Line = [("dim", f"  #{id}")] if id is not None else []
            return [*_head(at, "up"), *_event(namespace, name, args, secrets), *number]
        case Ack():
            return [*_head(note.at, "down"), *_ack(note, secrets)]
        case State(at, "status", about):
            return [*_head(at, "state"), *_status(about, secrets)]
        case State(at, state, about):
            return [*_head(at, _ARROW_OF.get(state, "state")), ("", _said(_state(state, about), secrets))]
        case Packet(at, up, carrier, packet):
            return [*_head(at, "up" if up else "down"), ("dim", f"{carrier:<12} {_said(packet, secrets)}")]
        case Failure(at):
            return [*_head(at, "error"), *error_line(note, secrets)]
        case Closed(at, reason, error, unsent):
            why = "" if error is None else f": {error}"
            left = f" ({unsent} messages were not sent)" if unsent else ""
            return [*_head(at, "state" if error is None else "error"), ("", _said(f"closed, {reason}{why}{left}", secrets))]
        case Text(text):
            return [("", "\n".join(_said(line, secrets) for line in text.split("\n")))]


_ARROWS: Final[Mapping[str, tuple[Meaning, str]]] = {"up": ("up", UP), "down": ("down", DOWN), "state": ("state", HERE), "error": ("error", HERE)}

_ARROW_OF: Final[Mapping[str, str]] = {"ping": "down", "pong": "up", "refused": "error", "reconnecting": "error", "upgrade-failed": "error"}


def _head(at: float, arrow: str) -> Line:
    meaning, text = _ARROWS[arrow]
    return [("dim", f"{at:{TIME_WIDTH}.3f} "), (meaning, f"{text} ")]


def _said(text: str, secrets: Secrets) -> str:
    return harmless(secrets.hide(text))


def _namespace(namespace: str, secrets: Secrets) -> Line:
    return [] if namespace == "/" else [("name", f"{_said(namespace, secrets)} ")]


def _event(namespace: str, name: object, args: Sequence[object], secrets: Secrets) -> Line:
    shown = _said(name_as_typed(name), secrets)
    values = _values(args, secrets)
    return [*_namespace(namespace, secrets), ("", f"{shown} {values}" if values else shown)]


def _ack(note: Ack, secrets: Secrets) -> Line:
    values = _values(note.args, secrets)
    answer = f": {values}" if values else ""
    if note.name is None:
        return [*_namespace(note.namespace, secrets), ("dim", f"ack #{note.id}"), ("", answer), ("dim", "  nobody waits for it")]
    took = f" {duration(note.seconds)}" if note.seconds is not None else ""
    name = _said(name_as_typed(note.name), secrets)
    return [*_namespace(note.namespace, secrets), ("dim", f"ack #{note.id} "), ("", name), ("dim", took), ("", answer)]


def error_line(note: Failure, secrets: Secrets) -> Line:
    """An error without its time, as it goes to standard error."""
    place = [f"line {note.line}"] if note.line is not None else []
    place += [f"column {note.column}"] if note.column is not None else []
    said = note.detail or note.message
    text = f"{', '.join(place)}: {said}" if place else said
    fix: Line = [("dim", f" — {harmless(note.fix)}")] if note.fix else []
    return [("error", "error:"), ("", f" {_said(text, secrets)}"), *fix]


def _state(state: str, about: Mapping[str, Any]) -> str:
    match state:
        case "connecting":
            return f"connecting to {about['url']}"
        case "open":
            beat = f"ping every {about['ping_interval']:g} s, timeout {about['ping_timeout']:g} s"
            return f"open by {about['transport']} as {about['sid']}, {beat}"
        case "joined":
            return f"joined {about['namespace']} as {about['sid']}{', nothing is missing' if about['recovered'] else ''}"
        case "refused":
            return f"refused {about['namespace']}: {about['message']}"
        case "left":
            return f"left {about['namespace']}: {about['reason']}"
        case "upgraded":
            return "upgraded to websocket"
        case "upgrade-failed":
            return f"upgrade failed, going on by polling: {about['message']}"
        case "reconnecting":
            again = f"try {about['attempt']} in {about['delay']:.1f} s"
            if about["attempt"] > 1:
                return f"no connection, {again}: {about['cause'] or about['reason']}"
            return f"connection lost, {again}: {about['message'] or about['reason']}"
        case "reconnected":
            return f"reconnected at try {about['attempts']}"
        case "held":
            return f"{name_as_typed(about['name'])} waits for a connection"
        case "using":
            return f"speaking in {about['namespace']}"
        case _:  # one word says it: ping, pong, polling-stuck
            return state.replace("-", " ")


def _status(about: Mapping[str, Any], secrets: Secrets) -> Line:
    """How things stand, one thing a line."""
    joined = ", ".join(f"{name} as {sid}" if sid else f"{name} (not connected)" for name, sid in about["namespaces"].items())
    rtt = "not measured yet" if about["rtt"] is None else f"{duration(about['rtt'])} ({about['rtt_of']})"
    came, sent = about["came"], about["sent"]
    asked = ", ".join(f"{each['id']} in {each['namespace']} ({name_as_typed(each['name'])})" for each in about["questions"])
    rows = {
        "transport": about["transport"] or "not connected",
        "session": f"{about['sid']} for {duration(about['age'])}" if about["sid"] else "none",
        "namespaces": joined or "none",
        "speaking in": about["namespace"],
        "round trip": rtt,
        "came": f"events {came['events']}, acknowledgements {came['acks']}, pings {came['pings']}",
        "sent": f"events {sent['events']}, acknowledgements {sent['acks']}",
        "calls": f"{about['waiting']} without an answer",
        "questions": asked or "none",
        "reconnected": f"{about['reconnected']} times",
    }
    line: Line = []
    for label, text in rows.items():
        line += [("dim", f"{chr(10) if line else ''}{label:<13}"), ("", _said(text, secrets))]
    return line


def _values(args: Sequence[object], secrets: Secrets) -> str:
    """Values as they could be typed, but for long bytes."""
    shown = (json.dumps(plain(arg, secrets, BYTES_SHOWN), ensure_ascii=False, separators=(",", ":")) for arg in args)
    return harmless(" ".join(shown))


def duration(seconds: float) -> str:
    """A time as people say it."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def harmless(text: str) -> str:
    """The same text with nothing in it that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
