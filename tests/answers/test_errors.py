"""The errors that both adapters raise: what each is, says and keeps."""

from __future__ import annotations

import pytest

from chat_answers import (
    ChatError,
    ConfigurationError,
    ConnectFailed,
    ConnectionLost,
    MessageError,
    ResponseError,
    ServiceError,
    TruncatedAnswer,
    UnexpectedResponse,
)
from chat_answers.exceptions import MAX_QUOTED_CHARACTERS


def test_the_call_itself_is_wrong_or_there_is_no_answer() -> None:
    for error in (ConfigurationError("x"), MessageError("x")):
        assert isinstance(error, ChatError)
        assert isinstance(error, ValueError)
        assert not isinstance(error, ResponseError)
        assert error.partial == ""
    for kind in (ConnectFailed, ConnectionLost, TruncatedAnswer, UnexpectedResponse):
        assert issubclass(kind, ResponseError)
    assert issubclass(TruncatedAnswer, ConnectionLost)


def test_a_message_error_points_at_its_message() -> None:
    assert (str(MessageError("no role", index=2)), MessageError("no role", index=2).index) == ("message 2: no role", 2)
    assert (str(MessageError("empty")), MessageError("empty").index) == ("empty", None)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ConfigurationError("x", fix="y"), "bad-option"),
        (MessageError("x", fix="y"), "bad-message"),
        (ResponseError("x", partial="p", raw=[1], fix="y"), "answer-failed"),
        (UnexpectedResponse("x", partial="p", raw=[1]), "answer-unexpected"),
        (ConnectFailed("x", fix="y"), "connect-failed"),
        (ConnectionLost("x", partial="p", raw=[1], fix="y"), "connection-lost"),
        (TruncatedAnswer("x", partial="p"), "answer-truncated"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ChatError) else value,
)
def test_an_error_has_a_stable_cause_and_a_remedy(error: ChatError, cause: str) -> None:
    assert error.cause == cause
    assert error.fix
    assert str(error) == error.message
    if isinstance(error, ResponseError) and error.raw is not None:
        assert (error.partial, error.raw) == ("p", [1])


def test_a_service_is_quoted_up_to_a_paragraph() -> None:
    error = ServiceError("x" * 10_000, raw="y" * 10_000)
    assert len(str(error)) == MAX_QUOTED_CHARACTERS
    assert len(error.raw) == 10_000
