"""What the head of an answer means: events, a body, a refusal; and whether asking again may help."""

from __future__ import annotations

import time
from typing import Any

import pytest

from chat_answers import ConnectFailed, ConnectionLost, ResponseError, UnexpectedResponse
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
)
from ylokh_sse.response import (
    MAX_BLANKS,
    Kind,
    RetryPolicy,
    can_tell,
    decode_json,
    explain,
    forget_blanks,
    hide,
    is_nothing_here,
    judge,
    may_pass,
    read_retry_after,
)

SSE = "text/event-stream"
NOW = 1_700_000_000.0


@pytest.mark.parametrize("start", ["data: {", "data:", "data\n", ": ping", ":\n", "event: x", "id: 1", "retry: 5", "\n\ndata: x", "\ufeffdata: x"])
@pytest.mark.parametrize("content_type", [SSE, "text/plain", "", "application/octet-stream"])
def test_events_are_known_by_their_first_bytes(start: str, content_type: str) -> None:
    assert judge(content_type, start.encode()) is Kind.EVENTS


@pytest.mark.parametrize("content_type", [SSE, "application/json", "text/plain"])
def test_a_body_is_known_by_its_brace(content_type: str) -> None:
    assert judge(content_type, b' \n{"choices": []}') is Kind.JSON


@pytest.mark.parametrize("start", ["unknown: field", "x", "\n"])
def test_what_claims_to_be_events_and_is_no_page_is_read_as_events(start: str) -> None:
    assert judge(SSE, start.encode()) is Kind.EVENTS


@pytest.mark.parametrize("content_type", [SSE, "text/html"])
def test_a_web_page_is_told_with_its_beginning(content_type: str) -> None:
    with pytest.raises(NotSSE) as caught:
        judge(content_type, b"<!doctype html>\n<title>Blocked</title>")
    assert "a web page: '<!doctype html> <title>Blocked</title>'" in str(caught.value)
    assert caught.value.raw == "<!doctype html>\n<title>Blocked</title>"


def test_another_body_is_told_with_its_type_and_cut() -> None:
    with pytest.raises(NotSSE) as caught:
        judge("text/plain", b"no " * 500)
    assert "text/plain" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("content_type", ["", "text/html", "application/json"])
def test_nothing_at_all_is_told(content_type: str) -> None:
    with pytest.raises(EmptyResponse):
        judge(content_type, b" \r\n")


def test_a_few_bytes_cannot_tell_and_enough_of_them_can() -> None:
    assert [can_tell(head) for head in (b"", b"da", b"\xef\xbb\xbf   ", b"event:", b" " * 1000)] == [False, False, False, True, False]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_of_many_blanks_the_last_one_is_kept(mark: bytes) -> None:
    assert forget_blanks(mark + b"\n" * MAX_BLANKS + b"\t") == b"\t"
    for kept in (b"", b"\n\n", mark, mark + b" ", b" " * MAX_BLANKS, b" " * 1000 + b"{"):
        assert forget_blanks(kept) == kept


@pytest.mark.parametrize(
    ("status", "kind", "cause"),
    [
        (400, BadRequest, "bad-request"),
        (401, AuthenticationError, "unauthorized"),
        (402, BadRequest, "bad-request"),
        (403, PermissionDenied, "forbidden"),
        (404, NotFound, "not-found"),
        (408, BadRequest, "request-timeout"),
        (413, BadRequest, "request-too-large"),
        (422, BadRequest, "bad-request"),
        (429, RateLimited, "rate-limited"),
        (500, ServerError, "server-error"),
        (502, ServerError, "server-error"),
        (529, ServerError, "server-error"),
    ],
)
def test_a_status_has_its_class(status: int, kind: type[APIError], cause: str) -> None:
    error = explain(status, {}, b"", now=NOW)
    assert type(error) is kind
    assert (error.cause, error.status, str(error)) == (cause, status, f"HTTP {status}: no reason given")


@pytest.mark.parametrize(
    ("body", "said", "kind", "code", "param"),
    [
        ('{"error":{"message":"no","type":"t","param":"p","code":"c"}}', "no", "t", "c", "p"),
        ('{"error":{"message":"no","code":7,"type":null}}', "no", None, 7, None),
        ('{"error":"just text"}', "just text", None, None, None),
        ('{"detail":"Not Found"}', "Not Found", None, None, None),
        ('{"detail":[{"loc":["body"],"msg":"field required"}]}', '[{"loc": ["body"], "msg": "field required"}]', None, None, None),
        ('{"message":"no","code":5}', "no", None, 5, None),
        ("Internal Server Error", "Internal Server Error", None, None, None),
        ('"quoted"', "quoted", None, None, None),
        ("<html><h1>502 Bad Gateway</h1></html>", "no reason given: '<html><h1>502 Bad Gateway</h1></html>'", None, None, None),
        ("[1]", "no reason given: '[1]'", None, None, None),
        ('{"error":null}', "no reason given: '{\"error\":null}'", None, None, None),
    ],
)
def test_what_is_said_is_found_in_whatever_shape(body: str, said: str, kind: Any, code: Any, param: Any) -> None:
    error = explain(500, {}, body.encode(), now=NOW)
    assert isinstance(error, APIError)
    assert str(error) == f"HTTP 500: {said}"
    assert (error.type, error.code, error.param) == (kind, code, param)


def test_bytes_that_are_no_text_are_no_trouble() -> None:
    assert "no reason given" not in str(explain(500, {}, b"\xff\xfe oops", now=NOW))
    assert explain(500, {}, b"[" * 100_000, now=NOW).cause == "server-error"


def test_headers_are_kept_and_cookies_are_not() -> None:
    error = explain(429, {"x-request-id": "r-1", "retry-after": "7", "set-cookie": "secret"}, b"{}", now=NOW)
    assert isinstance(error, RateLimited)
    assert (error.request_id, error.retry_after, error.headers) == ("r-1", 7.0, {"x-request-id": "r-1", "retry-after": "7"})


@pytest.mark.parametrize(
    ("headers", "body"),
    [({"cf-mitigated": "challenge"}, b"<html>"), ({"server": "cloudflare"}, b"<title>Just a moment...</title>")],
)
@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_challenge_page_is_named_and_not_asked_again(status: int, headers: dict[str, str], body: bytes) -> None:
    error = explain(status, headers, body, now=NOW)
    assert error.cause == "challenge-page"
    assert not may_pass(error)


def test_a_redirect_is_reported_with_its_target_and_without_its_query() -> None:
    error = explain(307, {"location": "https://other/v1?key=x"}, b"", now=NOW)
    assert isinstance(error, UnexpectedResponse)
    assert (error.cause, "https://other/v1 (HTTP 307)" in str(error), "key" in str(error)) == ("redirected", True, False)
    assert "nowhere" in str(explain(302, {}, b"", now=NOW))


def test_a_proxy_that_wants_a_password_is_a_failed_connection() -> None:
    error = explain(407, {}, b"", now=NOW)
    assert isinstance(error, ConnectFailed)
    assert error.cause == "proxy-auth-required"


def test_another_success_is_unexpected() -> None:
    assert "expected status 200, got 204" in str(explain(204, {}, b"", now=NOW))


@pytest.mark.parametrize(
    ("status", "body", "nothing"),
    [
        (404, b"404: Not Found", True),
        (404, b'{"detail":"Not Found"}', True),
        (405, b"", True),
        (404, b'{"error":{"message":"no such model"}}', False),
        (403, b"", False),
        (302, b"", False),
    ],
)
def test_nothing_here_is_told_from_no_such_model(status: int, body: bytes, nothing: bool) -> None:
    assert is_nothing_here(explain(status, {}, body, now=NOW)) is nothing


# --- Asking again.


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": " 3 "}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 40}, 1e12),
        ({"retry-after": "9" * 4000}, 1e12),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:25 GMT"}, 5.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:10 GMT"}, 0.0),
        ({"retry-after": "Tuesday, 14-Nov-23 22:13:25 GMT"}, 5.0),
        ({"retry-after": "Tue Nov 14 22:13:25 2023"}, 5.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:25 -0000"}, 5.0),
        ({"retry-after": "Tue, 99 Nov 2023 22:13:10 GMT"}, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_how_long_a_server_asks_to_be_left_alone(zone: str, headers: dict[str, str], seconds: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        read = read_retry_after(headers, NOW)
    time.tzset()
    assert read == seconds


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_again(status: int) -> None:
    assert may_pass(explain(status, {}, b"", now=NOW))
    assert not may_pass(explain(status, {"x-should-retry": "false"}, b"", now=NOW))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_pass_is_not(status: int) -> None:
    assert not may_pass(explain(status, {}, b"", now=NOW))
    assert may_pass(explain(status, {"x-should-retry": "true"}, b"", now=NOW))


def test_a_connection_that_was_not_made_may_be_made_and_tls_will_fail_again() -> None:
    assert may_pass(ConnectFailed("nobody there", cause="connect-refused"))
    assert may_pass(ConnectionLost("gone", when="before there was an answer"))
    assert not may_pass(ConnectFailed("bad certificate", cause="tls-failed"))
    assert not may_pass(NotSSE("a page"))


def test_the_delays_double_up_to_their_limit_and_are_spread() -> None:
    policy, error = RetryPolicy(retries=9, delay=1, max_delay=5), explain(503, {}, b"", now=NOW)
    assert [policy.wait(error, attempt, 0.5) for attempt in range(1, 6)] == [1, 2, 4, 5, 5]
    assert (policy.wait(error, 1, 0.0), policy.wait(error, 1, 1.0)) == (0.75, 1.25)
    assert policy.wait(error, 10, 0.5) is None


def test_what_the_server_asks_for_is_kept_up_to_the_cap() -> None:
    policy = RetryPolicy(max_retry_after=10)
    assert policy.wait(explain(429, {"retry-after": "10"}, b"", now=NOW), 1, 0.9) == 10
    assert policy.wait(explain(429, {"retry-after": "9" * 20}, b"", now=NOW), 1, 0.9) is None
    assert policy.wait(explain(429, {"retry-after": "11"}, b"", now=NOW), 1, 0.9) is None
    assert RetryPolicy(retries=0).wait(explain(429, {}, b"", now=NOW), 1, 0.5) is None


# --- Keys stay out of errors.

KEY = "sk-very-secret-key"


def test_a_key_that_the_server_repeats_is_hidden_wherever_it_stands() -> None:
    body = f'{{"error":{{"message":"Incorrect API key: {KEY}","{KEY}":["x {KEY}",1,null]}}}}'
    error = explain(401, {}, body.encode(), now=NOW)
    hide(error, KEY)
    assert KEY not in f"{error} {error!r} {error.message} {error.raw}"
    assert error.raw["error"]["<redacted>"] == ["x <redacted>", 1, None]


def test_the_data_of_a_broken_event_is_cleaned_too() -> None:
    error = BadJSON(f"no JSON: {KEY}", data=f"oops {KEY}", partial=f"the text is {KEY}")
    hide(error, KEY)
    assert (error.data, error.raw, error.partial) == ("oops <redacted>", "oops <redacted>", f"the text is {KEY}")


@pytest.mark.parametrize("key", [None, "x"])
def test_what_is_no_secret_is_left_in_place(key: str | None) -> None:
    error = ResponseError("an exact text", raw={"x": "x"})
    hide(error, key)
    assert (str(error), error.raw) == ("an exact text", {"x": "x"})


def test_json_that_is_none_is_a_value_error() -> None:
    assert decode_json(b'{"a":"\\ud83d"}') == {"a": "\ud83d"}
    for body in (b"", b"{", b"[" * 100_000, b"\xff"):
        with pytest.raises(ValueError, match=r".+"):
            decode_json(body)
