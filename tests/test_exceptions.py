"""The errors themselves: who is to blame, what they say, what they keep."""

from __future__ import annotations

import pytest

import engineio_lite
from engineio_lite import FIXES, Cause, EngineIOError, LocalProtocolError, PayloadTooLarge, ProtocolError, RemoteProtocolError
from engineio_lite.exceptions import MAX_EVIDENCE_BYTES, elide


def test_somebody_is_always_to_blame() -> None:
    with pytest.raises(TypeError, match="abstract"):
        ProtocolError("whose fault?", cause=Cause.BAD_MESSAGE)
    assert issubclass(LocalProtocolError, ProtocolError)
    assert issubclass(RemoteProtocolError, ProtocolError)


def test_an_error_says_what_and_where_and_what_mends_it() -> None:
    error = EngineIOError("expected this, got that", cause=Cause.GATEWAY_ERROR, stage="poll", url="http://host/engine.io/", status=502)
    assert str(error) == "expected this, got that [gateway-error, stage poll, HTTP 502, http://host/engine.io/]"
    assert error.fix == FIXES[Cause.GATEWAY_ERROR]
    assert EngineIOError("so", cause=Cause.CLOSED).fix is None


def test_where_it_happened_is_noted_once() -> None:
    error = RemoteProtocolError("no", cause=Cause.BAD_JSON).locate(stage="poll", url="http://a/", status=200)
    assert error.locate(stage="session", url="http://b/", status=500) is error
    assert (error.stage, error.url, error.status) == ("poll", "http://a/", 200)


def test_evidence_is_bounded() -> None:
    error = EngineIOError("big", cause=Cause.HTML_RESPONSE, body=b"x" * 10_000)
    assert len(error.body) == MAX_EVIDENCE_BYTES


def test_a_size_is_told_with_its_limit() -> None:
    error = PayloadTooLarge(1001, 1000)
    assert (error.size, error.limit, error.cause) == (1001, 1000, "payload-too-large")
    assert "1001" in str(error)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("short", "'short'"),
        (b"\x00\xff", "bytes 00ff"),
        ("x" * 100, f"{'x' * 80!r}… (100 characters)"),
        (b"\xab" * 100, f"bytes {'ab' * 40}… (100 bytes)"),
        ('0{"sid":"secret","upgrades":[]}', '\'0{"sid":"<redacted>","upgrades":[]}\''),
        ("token eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl!", "'token <redacted>!'"),
    ],
)
def test_what_came_is_quoted_short_and_without_secrets(data: str | bytes, shown: str) -> None:
    assert elide(data) == shown


def test_causes_are_ids_and_fixes_are_clauses() -> None:
    for cause in Cause:
        assert cause.value == cause.name.lower().replace("_", "-")
    for fix in FIXES.values():
        assert not fix.endswith(".")
        assert "\n" not in fix
    assert engineio_lite.Cause is Cause
