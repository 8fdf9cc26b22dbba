"""What a failure of the engine means for a question, stage by stage, and that nothing of what the engine said gets lost."""

from __future__ import annotations

import pytest

from chat_answers.exceptions import ChatError
from engineio_lite import Cause, ConnectFailed, ConnectionClosed, ConnectRefused, EngineIOError, HandshakeError, LocalProtocolError, PayloadTooLarge
from engineio_lite import PingTimeout as Silence
from perplexity_labs import ConfigurationError, ConnectionLost, LabsError, MessageError, ResponseError, ServiceError
from perplexity_labs import ConnectFailed as NotConnected
from perplexity_labs.failures import lost, not_connected, not_sent, retired


def closed(reason: str) -> ConnectionClosed:
    return ConnectionClosed(reason, reason=None, cause=Cause.SERVER_DISCONNECTED)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (LocalProtocolError("the URL has no host", cause=Cause.BAD_URL), ConfigurationError),
        (ConnectFailed("no name can be so long", cause=Cause.BAD_URL), ConfigurationError),
        (LocalProtocolError("transports must be others", cause=Cause.BAD_OPTION), ConfigurationError),
        (ConnectFailed("nobody listens", cause=Cause.CONNECT_REFUSED), NotConnected),
        (HandshakeError("a web page", cause=Cause.HTML_RESPONSE, status=200, body=b"<html>"), NotConnected),
        (EngineIOError("no answer", cause=Cause.OPEN_TIMEOUT), NotConnected),
        (closed("gone"), NotConnected),
        (ConnectRefused("/", "come back later"), ServiceError),
    ],
)
def test_before_there_is_a_connection(error: EngineIOError, kind: type[ChatError]) -> None:
    told = not_connected(error)
    assert type(told) is kind
    assert isinstance(told, ResponseError) == (kind is not ConfigurationError)
    assert (told.cause, told.fix, told.partial) == (error.cause.value, error.fix, "")
    assert told.message in error.message


@pytest.mark.parametrize(("words", "message"), [("busy", "busy"), (" ", "the server refuses the connection, and gives no reason")])
def test_a_refusal_is_in_the_servers_words(words: str, message: str) -> None:
    told = not_connected(ConnectRefused("/", words, {"code": 7}))
    assert isinstance(told, ServiceError)
    assert (told.message, told.raw) == (message, {"code": 7})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PayloadTooLarge(2_000_000, 1_000_000), MessageError),
        (LocalProtocolError("no JSON", cause=Cause.BAD_MESSAGE), MessageError),
        (LocalProtocolError("the buffer is full", cause=Cause.SEND_BUFFER_FULL), MessageError),
        (LocalProtocolError("not connected", cause=Cause.NAMESPACE_NOT_CONNECTED), ConnectionLost),
        (LocalProtocolError("not open", cause=Cause.NOT_OPEN), ConnectionLost),
        (closed("gone"), ConnectionLost),
    ],
)
def test_while_the_question_is_sent(error: EngineIOError, kind: type[ChatError]) -> None:
    told = not_sent(error, drift="")
    assert type(told) is kind
    assert (told.cause, told.fix) == (error.cause.value, error.fix)
    assert told.message.endswith(error.message)


def test_afterwards_with_what_had_come_and_what_was_strange() -> None:
    told = lost(Silence(30.0, 25.0), partial="so far", drift="expected `final`, saw keys 'output' in 'x'")
    assert type(told) is ConnectionLost
    assert (told.cause, told.partial) == ("ping-timeout", "so far")
    assert told.message == (
        "the connection ended in the middle of the answer: no ping for 30 s, the server announced one at least every 25 s; "
        "expected `final`, saw keys 'output' in 'x'"
    )


def test_a_refusal_is_the_servers_word_however_late_it_comes() -> None:
    told = lost(ConnectRefused("/", "you have asked too often", {"code": 7}), partial="so far", drift="")
    assert type(told) is ServiceError
    assert (told.message, told.cause, told.partial, told.raw) == ("you have asked too often", "namespace-refused", "so far", {"code": 7})


def test_the_retired_service_says_what_to_do() -> None:
    error = retired()
    assert isinstance(error, ResponseError)
    assert error.cause == "service-retired"
    assert error.fix is not None
    assert "PERPLEXITY_LABS_URL" in error.fix


def test_the_older_name_of_all_errors_is_the_same_class() -> None:
    assert LabsError is ChatError
