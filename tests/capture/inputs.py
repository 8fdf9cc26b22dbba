"""Any input of the door, for hypothesis: what a driver could report, what an application could ask, whatever is in it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from engineio_lite.causes import Cause
from engineio_lite.exceptions import ConnectRefused, DecodeError, HandshakeError, RemoteProtocolError
from engineio_lite.inputs import (
    Close,
    Connect,
    Fail,
    FrameReceived,
    Input,
    RequestFailed,
    ResponseReceived,
    SendMessages,
    TimePassed,
    WebSocketClosed,
    WebSocketFailed,
    WebSocketOpened,
    WebSocketRefused,
)
from engineio_lite.packet import Packet, PacketType

ANY_TEXT = st.text(st.characters())
"""Lone surrogates too: a driver's headers have them where a server sends no UTF-8."""

_numbers = st.integers(-(2**53), 2**53)
_causes = st.sampled_from(Cause)
_data = st.one_of(ANY_TEXT, st.binary())
_messages = st.lists(_data, max_size=4).map(tuple)
_headers = st.lists(st.tuples(ANY_TEXT, ANY_TEXT), max_size=3).map(tuple)
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, st.floats(allow_nan=False), ANY_TEXT, st.binary()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.one_of(ANY_TEXT, st.sampled_from(["$bin", "$esc"])), inner, max_size=3)),
    max_leaves=6,
)
_packets = st.lists(st.builds(Packet, st.sampled_from(PacketType), _data), max_size=3)


def _evidence(cls: type[RemoteProtocolError]) -> st.SearchStrategy[Any]:
    return st.builds(
        cls,
        ANY_TEXT,
        cause=_causes,
        stage=st.none() | ANY_TEXT,
        url=st.none() | ANY_TEXT,
        status=st.none() | _numbers,
        headers=_headers,
        body=st.binary(max_size=1100),
        server_code=st.none() | _numbers,
    )


ERRORS: st.SearchStrategy[RemoteProtocolError] = st.one_of(
    _evidence(RemoteProtocolError),
    _evidence(HandshakeError),
    st.builds(ConnectRefused, ANY_TEXT, ANY_TEXT, _json),
    st.builds(DecodeError, ANY_TEXT, code=_causes, offset=_numbers, layer=ANY_TEXT, source=_data, packets=_packets),
)

INPUTS: st.SearchStrategy[Input] = st.one_of(
    st.just(Connect()),
    st.just(TimePassed()),
    st.builds(SendMessages, _messages),
    st.builds(Close, _messages),
    st.builds(Fail, ERRORS),
    st.builds(ResponseReceived, _numbers, _numbers, _headers, st.binary()),
    st.builds(RequestFailed, _numbers, _causes, ANY_TEXT),
    st.builds(WebSocketOpened, _numbers),
    st.builds(WebSocketRefused, _numbers, _numbers, _headers, st.binary()),
    st.builds(WebSocketFailed, _numbers, _causes, ANY_TEXT),
    st.builds(FrameReceived, _numbers, _data),
    st.builds(WebSocketClosed, _numbers, st.none() | _numbers, ANY_TEXT),
)


def insides(value: object) -> object:
    """A value for comparing: errors are equal if their class, their words and everything that they know are."""
    if isinstance(value, Fail):
        return type(value.error), value.error.args, vars(value.error)
    return value
