"""The errors of a chat completion: which is which, and what each keeps."""

from __future__ import annotations

import pytest

from chat_answers import ResponseError, ServiceError, UnexpectedResponse
from ylokh_sse.exceptions import (
    APIError,
    AuthenticationError,
    BadJSON,
    BadRequest,
    EmptyResponse,
    NotFound,
    NotSSE,
    PermissionDenied,
    RateLimited,
    ServerError,
    StreamError,
    TooLarge,
)


@pytest.mark.parametrize("kind", [BadRequest, AuthenticationError, PermissionDenied, NotFound, RateLimited, ServerError])
def test_a_status_keeps_what_the_service_said(kind: type[APIError]) -> None:
    headers = {"x-request-id": "r"}
    error = kind(
        "no", status=429, cause="api-x", fix="wait", raw={"a": 1}, type="t", code=3, param="p", headers=headers, request_id="r", retry_after=1.5
    )
    headers.clear()
    assert isinstance(error, ServiceError)
    assert (str(error), error.cause, error.fix, error.raw, error.partial) == ("no", "api-x", "wait", {"a": 1}, "")
    assert (error.status, error.type, error.code, error.param) == (429, "t", 3, "p")
    assert (error.headers, error.request_id, error.retry_after) == ({"x-request-id": "r"}, "r", 1.5)
    assert kind("no", status=500, cause="api-x").headers == {}


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NotSSE("x", raw="<html>"), "not-sse"),
        (BadJSON("x", data="y"), "bad-json"),
        (EmptyResponse("x"), "empty-response"),
        (TooLarge("x", limit=1), "answer-too-large"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ResponseError) else value,
)
def test_what_is_no_completion_says_what_mends_it(error: UnexpectedResponse, cause: str) -> None:
    assert isinstance(error, UnexpectedResponse)
    assert error.cause == cause
    assert error.fix


def test_a_failure_in_the_middle_keeps_the_text() -> None:
    error = StreamError("boom", partial="so far", raw={"error": "boom"}, type="t", code="c", param="p")
    assert isinstance(error, ServiceError)
    assert (error.partial, error.raw, error.type, error.code, error.param) == ("so far", {"error": "boom"}, "t", "c", "p")
