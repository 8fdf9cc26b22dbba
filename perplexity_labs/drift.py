"""What came instead of an answer: the evidence that a server's dialect has drifted away from the one that is read here. Pure.

Names, versions and fields of this dialect changed many times while it could be watched, and an adapter that ignores what it does not know turns such
a change into a silence. So every event is noted here, as far as its shape goes, and whoever has to report a failure asks for `describe`: a time that
ran out, a connection that ended and an answer without text all say which fields were expected and which were seen.

Only names, keys and kinds are kept, never values (a status word aside), and a bounded number of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from chat_answers.parts import JSON

MAX_QUOTED_KEYS = 20
"""How many keys of unexpected payloads are named: enough for any real reply, and a bound on what a server can make us say."""

MAX_NOTED_EVENTS = 5
"""How many different events are named: who needs more than these wants a recording."""

MAX_QUOTED_CHARACTERS = 80
"""How much of one name, key or word is quoted."""

STATUSES = ("pending", "completed", "failed")
"""The words that the field ``status`` had. With any other one, or without it, `final` must say when an answer is complete."""

_KINDS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "output": ("text", (str,)),
    # Numbers pass as true and false, as they do in JavaScript.
    "final": ("true or false", (bool, int)),
    "citations": ("a list", (list,)),
    "status": ("text", (str,)),
}


def is_kind(field: str, value: JSON) -> bool:
    """Whether a known field has the type that it should have."""
    return isinstance(value, _KINDS[field][1])


class DriftLog:
    """Notes the shapes of the events of one answer; `describe` says in one line what of them was not as expected, and is empty if all was."""

    def __init__(self) -> None:
        self._names = _Few(MAX_NOTED_EVENTS)
        self._keys = _Few(MAX_QUOTED_KEYS)
        self._changed: dict[str, str] = {}
        self._unrelated = _Few(MAX_NOTED_EVENTS)
        self._output_seen = False
        self._end_known = False
        self._status: str | None = None

    def note_reply(self, name: str | float, data: Mapping[str, JSON]) -> None:
        """Note an event that is part of the answer."""
        self._names.add(quote(name))
        for key in data:
            self._keys.add(quote(key))
        for field in _KINDS:
            self._note_field(field, data.get(field))

    def note_unrelated(self, name: str | float, args: Sequence[JSON]) -> None:
        """Note an event that is not."""
        self._unrelated.add(f"{quote(name)} with {_describe_payload(args)}")

    def _note_field(self, field: str, value: JSON) -> None:
        if value is None:
            return
        if not is_kind(field, value):
            self._changed.setdefault(field, kind(value))
            return
        self._output_seen = self._output_seen or field == "output"
        self._end_known = self._end_known or field == "final" or (field == "status" and value in STATUSES)
        if field == "status":
            self._status = value

    def describe(self) -> str:
        """Say what was expected and what was seen."""
        return "; ".join([*self._describe_missing(), *self._describe_changed(), *self._describe_unrelated()])

    def _describe_missing(self) -> Iterator[str]:
        seen = {"output": self._output_seen, "final": self._end_known}
        missing = [f"`{field}`" for field, was in seen.items() if not was and field not in self._changed]
        if self._names and missing:
            status = "" if self._status in (None, *STATUSES) else f", with the status {quote(self._status)}"
            yield f"expected {' and '.join(missing)}, saw {f'keys {self._keys}' if self._keys else 'no keys'} in {self._names}{status}"

    def _describe_changed(self) -> Iterator[str]:
        for field, found in self._changed.items():
            yield f"expected `{field}` to be {_KINDS[field][0]}, got {found}"

    def _describe_unrelated(self) -> Iterator[str]:
        if self._unrelated:
            yield f"these events are no reply: {self._unrelated}"


class _Few:
    """The first few different texts of many, in order; as text a list, with a mark if there were more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._texts: dict[str, None] = {}
        self._more = False

    def add(self, text: str) -> None:
        if len(self._texts) < self._most:
            self._texts[text] = None
        else:
            self._more = self._more or text not in self._texts

    def __bool__(self) -> bool:
        return bool(self._texts)

    def __str__(self) -> str:
        return ", ".join(self._texts) + (", …" if self._more else "")


# ------------------------------------------------------------------------------------------------------------------------ words for error messages


def quote(value: object) -> str:
    """Quote a name or a word, shortened."""
    shown = repr(value)
    return shown if len(shown) <= MAX_QUOTED_CHARACTERS else f"{shown[:MAX_QUOTED_CHARACTERS]}…"


def quote_keys(mapping: Mapping[str, object]) -> str:
    """Name the keys of an object, the first of them if there are many."""
    keys = _Few(MAX_QUOTED_KEYS)
    for key in mapping:
        keys.add(quote(key))
    return f"keys {keys}" if keys else "no keys"


def kind(value: object) -> str:
    """Name the type of a JSON value."""
    return "null" if value is None else type(value).__name__


def _describe_payload(args: Sequence[JSON]) -> str:
    if not args:
        return "no payload"
    return quote_keys(args[0]) if isinstance(args[0], dict) else kind(args[0])
