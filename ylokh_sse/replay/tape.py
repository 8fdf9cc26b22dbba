"""Which recorded exchange a request gets. Pure.

Method, path and body are compared (`values.py`); the query and every header are passed over. Secrets are taken out of a request by the rules by which
they were taken out of the recording, and where the recording has a stand-in anything may stand, so it does not matter which key a test uses.

A `Tape` gives each exchange once: the next one that is left, or where order does not matter the first of them that fits. What fits none is a
`ReplayMismatch` that says where it differs and how to accept it; so is a tape that was not played to its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from chat_answers.parts import JSON
from ylokh_sse.capture.format import Capture, Recorded
from ylokh_sse.capture.redactor import Redactor
from ylokh_sse.exceptions import CaptureError, ReplayMismatch
from ylokh_sse.replay.schedule import reached_the_server
from ylokh_sse.replay.values import Difference, difference, elide, fits, read_path
from ylokh_sse.request import PATH

MAX_SHOWN: Final = 200
"""Characters of a request that are shown; where it differs is said by itself."""

MAX_LISTED: Final = 10
"""Requests that nobody asked for and that are listed one by one."""


class _Request(NamedTuple):
    """A request as far as it is compared."""

    method: str
    path: str
    body: JSON

    def __str__(self) -> str:
        body = "" if self.body is None else f"  {json.dumps(self.body, ensure_ascii=False)}"
        return elide(f"{self.method} {self.path}{body}", MAX_SHOWN)


def _recorded(exchange: Recorded) -> _Request:
    return _Request(exchange.asked.method, urlsplit(exchange.asked.url).path, exchange.asked.body)


class Tape:
    """The exchanges of a capture, each of which is given once.

    `ignore_paths` are places of bodies that may differ, such as ``$.messages[*].content``; `secrets` are taken out of requests beside what is known
    to be secret, as when it was recorded. Raises `ConfigurationError` for a path that is none, and `CaptureError` if there is nothing to replay.
    """

    def __init__(self, capture: Capture, *, ignore_paths: Iterable[str] = (), ordered: bool = True, secrets: Iterable[str] = ()) -> None:
        self._ignored = tuple(map(read_path, ignore_paths))
        self._ordered = ordered
        self._redactor = Redactor(tuple(secrets))
        self._name = capture.path or "the capture"
        self._all = tuple(exchange for exchange in capture.exchanges if reached_the_server(exchange))
        self._left = list(self._all)
        self.mismatches: list[ReplayMismatch] = []
        """What was asked for in vain, in order."""
        if not self._all:
            fix = "record something that is answered, or breaks off"
            raise CaptureError("no request in it has reached a server", cause="capture-empty", fix=fix, path=capture.path)

    @property
    def left(self) -> tuple[Recorded, ...]:
        """The exchanges that nobody has asked for yet."""
        return tuple(self._left)

    @property
    def origin(self) -> str:
        """Where it was recorded."""
        split = urlsplit(self._all[0].asked.url)
        return f"{split.scheme}://{split.netloc}"

    @property
    def base_path(self) -> str:
        """The path of a base URL with which a client asks where it asked when it was recorded, and in the same order."""
        return min((_recorded(exchange).path for exchange in self._all), key=len).removesuffix(PATH).rstrip("/")

    def take(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Recorded:
        """Return what answers this request. Raises `ReplayMismatch` if it is another one than was recorded, which is noted, too."""
        self._redactor.learn_headers(headers)
        got = _Request(method, self._redactor.hide_text(path), self._redactor.body(body) if body else None)
        candidates = self._left[:1] if self._ordered else self._left
        differences = [self._difference(exchange, got) for exchange in candidates]
        for exchange, differs in zip(candidates, differences, strict=True):
            if differs is None:
                self._left.remove(exchange)
                return exchange
        mismatch = self._too_many(got) if not candidates else self._mismatch(*_nearest(candidates, differences), got)
        self.mismatches.append(mismatch)
        raise mismatch

    def finish(self, error: BaseException | None = None, *, allow_unplayed: bool = False) -> None:
        """Raise `ReplayMismatch` if something was asked for in vain, or if something is left that nobody asked for, unless that is allowed.

        `error` is what ends the block: it is why something is left, and gets a note of that; but what was asked for in vain is mostly why there is an
        error, and has it for its cause.
        """
        if error is not None and not isinstance(error, Exception):
            return
        if self.mismatches:
            if not isinstance(error, ReplayMismatch):
                raise self.mismatches[0].with_traceback(None) from error
        elif self._left and not allow_unplayed:
            if error is None:
                raise self.unplayed()
            error.add_note(str(self.unplayed()))

    def unplayed(self) -> ReplayMismatch:
        """An error that says what is left."""
        shown = [f"request {each.asked.number} (line {each.line}): {_recorded(each)}" for each in self._left]
        listed = shown[:MAX_LISTED] + ([f"and {len(shown) - MAX_LISTED} more"] if len(shown) > MAX_LISTED else [])
        fix = "ask for all of it, or pass allow_unplayed=True"
        lines = [f"{self._name}: {len(shown)} of {_requests(self._all)} not asked for", *listed, f"to accept: {fix}"]
        return ReplayMismatch("\n  ".join(lines), cause="replay-unplayed", fix=fix, expected=shown[0] if shown else "")

    def _difference(self, exchange: Recorded, got: _Request) -> Difference | None:
        expected = _recorded(exchange)
        if expected.method != got.method:
            return Difference("", f"method: {expected.method} != {got.method}")
        if not fits(expected.path, got.path):
            return Difference("", f"path: {expected.path} != {got.path}")
        return difference(expected.body, got.body, self._ignored)

    def _mismatch(self, exchange: Recorded, differs: Difference, got: _Request) -> ReplayMismatch:
        expected = str(_recorded(exchange))
        fix = f'ignore_paths=["{differs.path}"], or record again' if differs.path else "ask as was recorded, or record again"
        lines = [
            f"{self._name}, request {exchange.asked.number} (line {exchange.line})",
            f"expected  {expected}",
            f"got       {got}",
            f"{differs.path}: {differs.words}" if differs.path else differs.words,
            f"so far: {len(self._all) - len(self._left)} of {_requests(self._all)} played",
            f"to accept: {fix}",
        ]
        return ReplayMismatch("\n  ".join(lines), cause="replay-mismatch", fix=fix, expected=expected, got=str(got), path=differs.path)

    def _too_many(self, got: _Request) -> ReplayMismatch:
        fix = "ask as often as was recorded, or record again"
        lines = [f"{self._name}: one request too many", "expected  nothing more", f"got       {got}"]
        lines += [f"so far: all of {_requests(self._all)} played", f"to mend it: {fix}"]
        return ReplayMismatch("\n  ".join(lines), cause="replay-mismatch", fix=fix, got=str(got))


def _nearest(candidates: Sequence[Recorded], differences: Sequence[Difference | None]) -> tuple[Recorded, Difference]:
    """The first that was asked for in the same place and differs in its body, else the first."""
    pairs = [(exchange, differs) for exchange, differs in zip(candidates, differences, strict=True) if differs is not None]
    return next((pair for pair in pairs if pair[1].path), pairs[0])


def _requests(exchanges: Sequence[Recorded]) -> str:
    return f"{len(exchanges)} request{'' if len(exchanges) == 1 else 's'}"
