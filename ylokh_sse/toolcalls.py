"""The tool calls of one answer, put together from their pieces. Pure.

OpenAI sends each call in pieces with an `index`; the first one has its `id` and `name`, and all have a bit of `arguments`. Others leave the index
out, or send each call whole, or give every call the index 0 and only the ids tell them apart. So which call a piece belongs to is a conclusion,
drawn from the best evidence that there is: the index, unless the id contradicts it; then the id; then the place in the list.

What is told keeps two promises: the calls are numbered from 0 in the order in which they began, whatever their indices are, and a `ToolCall` has the
very arguments that its deltas add up to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from chat_answers.parts import ToolCall, ToolCallDelta
from chat_answers.surrogates import Mender, mend
from ylokh_sse.chunks import CallNews

MAX_TOOL_CALLS = 128
"""Calls in one answer: as many as OpenAI takes tools in one question, and far more than any model calls at once."""


class TooMany(Exception):
    """An answer is larger than a `limit`; the text says which."""

    def __init__(self, message: str, limit: int) -> None:
        super().__init__(message)
        self.limit = limit


class _Call:
    def __init__(self, position: int) -> None:
        self.position = position
        self.id: str | None = None
        self.name: str | None = None
        self.pieces: list[str] = []
        self.mender = Mender()

    @property
    def arguments(self) -> str:
        # Joined once, so that a service which repeats a call again and again costs no more than what it sends.
        self.pieces = ["".join(self.pieces)]
        return self.pieces[0]


class ToolCalls:
    """Puts the calls of the answer `index` together; `spend` is told of every character that is kept."""

    def __init__(self, index: int, spend: Callable[[int], None]) -> None:
        self._index = index
        self._spend = spend
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def receive(self, news: tuple[CallNews, ...]) -> Iterator[ToolCallDelta]:
        """Add pieces that came together, and yield what is new in them."""
        for place, piece in enumerate(news):
            call = self._meant(piece, place if len(news) > 1 else len(self._calls) - 1)
            yield from self._add(call, piece, piece.arguments)

    def receive_whole(self, news: tuple[CallNews, ...]) -> Iterator[ToolCallDelta]:
        """Hear calls that are told from their beginning, perhaps again, and yield what is new in them."""
        for place, piece in enumerate(news):
            call = self._repeated(piece, place)
            told, arguments = "", mend(piece.arguments)
            if call is not None:
                told = call.arguments
                call.mender.end()  # half a character that the whole has complete
            # Where the whole contradicts the pieces, the pieces stand: they have been told.
            yield from self._add(call, piece, arguments[len(told) :] if arguments.startswith(told) else "")

    def end(self) -> Iterator[ToolCallDelta | ToolCall]:
        """Yield all calls whole: the answer is over."""
        for call in self._calls:
            yield from self._grow(call, call.mender.end(), news=False)
            yield ToolCall(call.position, call.id, call.name, call.arguments, self._index)

    def _meant(self, piece: CallNews, place: int) -> _Call | None:
        """Which call a piece belongs to; None for a new one."""
        if piece.index is not None:
            call = self._by_index.get(piece.index)
            if call is None or piece.id is None or call.id in (None, piece.id):
                return call
        if piece.id is not None:
            return self._by_id.get(piece.id)
        call = self._calls[place] if 0 <= place < len(self._calls) else None
        # A call has one name, so a second one begins another call.
        return None if call is None or (piece.name and call.name) else call

    def _repeated(self, piece: CallNews, place: int) -> _Call | None:
        call = self._by_id.get(piece.id or "")
        if call is None and place < len(self._calls) and (piece.id is None or self._calls[place].id is None):
            call = self._calls[place]
        return call

    def _add(self, call: _Call | None, piece: CallNews, arguments: str) -> Iterator[ToolCallDelta]:
        begins = call is None
        call = call or self._begin()
        # An index that comes only where everything is said again is nothing to remember, or there could be any number of them.
        if piece.index is not None and (begins or piece.index in self._by_index):
            self._by_index[piece.index] = call
        news = self._learn(call, piece)
        self._spend(len(arguments))
        yield from self._grow(call, call.mender.feed(arguments), news=begins or news)

    def _begin(self) -> _Call:
        if len(self._calls) >= MAX_TOOL_CALLS:
            raise TooMany(f"expected at most {MAX_TOOL_CALLS} tool calls in an answer, got more", MAX_TOOL_CALLS)
        call = _Call(len(self._calls))
        self._calls.append(call)
        return call

    def _learn(self, call: _Call, piece: CallNews) -> bool:
        """Take the id and the name from the first piece that has them; whether there was one to take."""
        news = False
        if call.id is None and piece.id is not None:
            call.id, news = piece.id, True
            self._by_id[piece.id] = call
            self._spend(len(piece.id))
        if call.name is None and piece.name is not None:
            call.name, news = piece.name, True
            self._spend(len(piece.name))
        return news

    def _grow(self, call: _Call, arguments: str, *, news: bool) -> Iterator[ToolCallDelta]:
        if arguments:
            call.pieces.append(arguments)
        if arguments or news:
            yield ToolCallDelta(call.position, call.id, call.name, arguments, self._index)
