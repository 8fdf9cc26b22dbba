"""What is sent: where to, with which headers, and which body."""

from __future__ import annotations

import json
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest

from chat_answers import ConfigurationError, MessageError
from ylokh_sse.request import build_headers, candidates, check_headers, check_key, encode_body, show_url

V1 = "http://host/v1/chat/completions"
BARE = "http://host/chat/completions"


@pytest.mark.parametrize(
    ("base", "urls"),
    [
        ("http://host", (V1, BARE)),
        ("http://host/", (V1, BARE)),
        ("http://host/v1", (V1,)),
        ("http://host/v1/", (V1,)),
        ("http://host/v1/chat/completions", (V1,)),
        ("http://host/v1/chat/completions/", (V1,)),
        ("http://host/api/v1beta2", ("http://host/api/v1beta2/chat/completions",)),
        ("http://host/openai", ("http://host/openai/chat/completions", "http://host/openai/v1/chat/completions")),
        ("https://host:8443/v1?api-version=3", ("https://host:8443/v1/chat/completions?api-version=3",)),
        ("http://[::1]:8000/v1", ("http://[::1]:8000/v1/chat/completions",)),
        ("http://host/v1#part", (V1,)),
    ],
)
def test_where_a_base_url_leads(base: str, urls: tuple[str, ...]) -> None:
    assert candidates(base) == urls


@pytest.mark.parametrize(
    "base", ["", "host/v1", "ftp://host", "http://", "http:///v1", "http://host:99999", "http://host:x", "http://a b/", "http://[::1", 7]
)
def test_what_is_no_base_url(base: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        candidates(base)
    assert caught.value.cause == "bad-url"


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        candidates("http://me:hunter2@host/v1")
    assert "hunter2" not in str(caught.value) + repr(caught.value)


def test_a_url_is_shown_without_its_query() -> None:
    assert show_url("https://host/v1?key=s3cret#x") == "https://host/v1"


@pytest.mark.parametrize("key", ["two words", "line\nend", "snow☃", "\x7f", 7])
def test_a_key_that_cannot_stand_in_a_header_is_refused_and_not_repeated(key: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_key(key)
    assert caught.value.cause == "bad-key"
    assert str(key) not in str(caught.value)


def test_no_key_is_no_key() -> None:
    assert (check_key(None), check_key(""), check_key("sk-1")) == (None, None, "sk-1")


@pytest.mark.parametrize("headers", [{"X-Y": "a\r\nb"}, {"bad name": "x"}, {"": "x"}, {"X": 7}, {"X\n": "x"}])
def test_a_header_that_cannot_be_sent_is_refused(headers: Any) -> None:
    with pytest.raises(ConfigurationError):
        check_headers(headers)


def test_headers_are_copied() -> None:
    mine = {"X-Trace": "1"}
    checked = check_headers(mine)
    assert checked == mine
    assert checked is not mine
    assert check_headers(None) == {}


def _headers(**changed: Any) -> dict[str, str]:
    settings: dict[str, Any] = {"stream": True, "user_agent": "ua/1", "key": None, "origin": None, "referer": None, "headers": None}
    return build_headers(**(settings | changed))


def test_a_stream_asks_for_events_uncompressed() -> None:
    assert _headers() == {
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",
        "Content-Type": "application/json",
        "User-Agent": "ua/1",
    }


def test_a_whole_answer_may_be_compressed() -> None:
    assert _headers(stream=False) == {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "ua/1"}


def test_the_key_and_what_imitates_a_page_are_sent_only_when_given() -> None:
    sent = _headers(key="sk-1", origin="https://page", referer="https://page/")
    assert (sent["Authorization"], sent["Origin"], sent["Referer"]) == ("Bearer sk-1", "https://page", "https://page/")


def test_the_callers_headers_win_whatever_their_case() -> None:
    sent = _headers(key="sk-1", headers={"authorization": "Basic x", "user-AGENT": "mine"})
    assert "Authorization" not in sent
    assert "User-Agent" not in sent
    assert (sent["authorization"], sent["user-AGENT"]) == ("Basic x", "mine")


def _body(messages: Any, **fields: Any) -> Any:
    return json.loads(encode_body(messages, model="m", stream=True, fields=fields))


def test_a_text_is_one_user_message() -> None:
    assert _body("hi") == {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}


def test_a_history_is_passed_on_as_it_is() -> None:
    history: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "5"},
    ]
    assert _body(history)["messages"] == history


def test_other_mappings_and_sequences_are_read_as_well() -> None:
    frozen = MappingProxyType({"role": "user", "content": MappingProxyType({"a": 1})})
    assert _body((OrderedDict(role="system", content="x"), frozen))["messages"] == [
        {"role": "system", "content": "x"},
        {"role": "user", "content": {"a": 1}},
    ]


def test_fields_go_into_the_body_and_none_is_null() -> None:
    body = _body("hi", temperature=0.2, stop=None, stream_options={"include_usage": True}, whatever=[1])
    assert (body["temperature"], body["stop"], body["stream_options"], body["whatever"]) == (0.2, None, {"include_usage": True}, [1])


def test_text_is_sent_as_utf_8_and_not_escaped() -> None:
    assert "Привет ☃ 😀 \u2028".encode() in encode_body("Привет ☃ 😀 \u2028", model="m", stream=False, fields={})


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        (b"hi", "got bytes"),
        ({"role": "user"}, "got dict"),
        (7, "got int"),
        (None, "got NoneType"),
        ([], "empty"),
        (["hi"], "message 0"),
        ([{"role": "user", "content": "a"}, {"content": "b"}], "message 1"),
        ([{"role": 7}], "message 0"),
        ([{"role": "user", "content": b"x"}], "bytes is no JSON value"),
        ([{"role": "user", "content": {1, 2}}], "set is no JSON value"),
        ([{"role": "user", "content": float("nan")}], "not JSON compliant"),
        ("half \ud83d", "surrogate"),
    ],
)
def test_what_cannot_be_sent_is_refused(messages: Any, said: str) -> None:
    with pytest.raises(MessageError) as caught:
        _body(messages)
    assert said in str(caught.value)


def test_nesting_without_end_is_refused() -> None:
    endless: list[Any] = []
    for _ in range(100_000):
        endless = [endless]
    with pytest.raises(MessageError, match="deeply"):
        _body([{"role": "user", "content": endless}])


@pytest.mark.parametrize("name", ["messages", "model", "stream"])
def test_a_field_that_has_an_argument_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        encode_body("hi", model="m", stream=True, fields={name: 1})


def test_a_model_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        encode_body("hi", model="", stream=True, fields={})
