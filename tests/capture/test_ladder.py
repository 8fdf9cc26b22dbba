"""The page as text: what a browser may do with it, and what it is told about each step. What it looks like and does is in `test_ladder_page.py`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import pytest

from engineio_lite.capture.ladder import page
from engineio_lite.capture.ladder.bands import read_bands
from engineio_lite.capture.ladder.rows import MAX_ATTACHMENT, MAX_TEXT, page_rows, script_json
from engineio_lite.capture.lines import Direction, Head, HttpAnswer, Line, SocketChanged, Undecoded
from engineio_lite.capture.steps import read_steps
from tests.capture.lines_made import HOSTILE, POLLING, TROUBLED, UPGRADED, WEBSOCKET, down, engine, opened, up

HEAD = Head(by="tests", at="2026-11-20T20:15:20Z")

# --- The page.


class _Elements(HTMLParser):
    """The elements of a page, with the text of those that hold no markup."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.tags[-1][0] if self.tags else "", []).append(data)


def _page(lines: Sequence[Line], title: str = "a capture", remarks: Sequence[str] = ()) -> str:
    return page(HEAD, read_steps(lines), title=title, remarks=remarks)


def _data(text: str) -> dict[str, Any]:
    found = re.search(r'<script id="capture" type="application/json">(.*?)</script>', text, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_policy_allows_the_pages_own_script_and_style_and_nothing_else() -> None:
    text = _page(UPGRADED)
    policy = next(attrs["content"] for tag, attrs in _Elements(text).tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    [style] = re.findall(r"<style>(.*?)</style>", text, re.S)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == rules["trusted-types"] == "'none'"
    for name, source in (("script-src", script), ("style-src", style)):
        assert rules[name] == f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def test_nothing_is_fetched() -> None:
    elements = _Elements(_page(UPGRADED))
    assert not [attrs for _, attrs in elements.tags for name in ("src", "href", "srcset", "action", "style", "onclick") if name in attrs]
    assert not re.search(r"url\(|@import", "".join(elements.texts["style"]))


def test_the_script_never_writes_markup() -> None:
    [script] = re.findall(r"<script>(.*?)</script>", _page(UPGRADED), re.S)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function|setAttribute\(\"style", script)


def test_whatever_a_payload_holds_the_elements_are_the_same() -> None:
    harmless = _Elements(_page([opened(), up(0, "EVENT", ["x", {"x": "x"}], namespace="/x")], title="x", remarks=["x"]))
    hostile = _Elements(_page([opened(), up(0, "EVENT", [HOSTILE, {HOSTILE: HOSTILE}], namespace=f"/{HOSTILE}")], title=HOSTILE, remarks=[HOSTILE]))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]


def test_the_page_is_utf8_and_names_the_capture() -> None:
    text = _page(UPGRADED, title="<é> \u202e.jsonl", remarks=["torn\u2028"])
    assert "<title>&lt;é&gt; \\u202e.jsonl</title>" in text
    assert text.startswith("<!DOCTYPE html>")
    data = _data(text)
    assert (data["title"], data["remarks"], data["by"], data["at"]) == ("<é> \\u202e.jsonl", ["torn\\u2028"], "tests", HEAD.at)


def test_the_same_capture_gives_the_same_page() -> None:
    assert _page(UPGRADED) == _page(UPGRADED)


def test_a_page_has_so_many_rows_and_says_so() -> None:
    data = _data(page(HEAD, read_steps(UPGRADED), title="long", remarks=["torn"], max_rows=3))
    assert [row["n"] for row in data["rows"]] == [1, 2, 3]
    assert data["remarks"] == ["torn", f"the page has the first 3 of {len(UPGRADED)} rows"]


# --- What it is told.


def _rows(*lines: Line) -> list[dict[str, Any]]:
    return json.loads(script_json(page_rows(read_steps(lines))))  # type: ignore[no-any-return]  # a list of objects by construction


def test_a_row_has_what_there_is_and_no_more() -> None:
    assert _rows(up(0.5, "EVENT", ["a", 1], id=7)) == [
        {
            "n": 1,
            "s": 1,
            "t": 0.5,
            "k": "packet",
            "d": "up",
            "tr": "websocket",
            "p": "EVENT",
            "ns": "/",
            "id": 7,
            "e": "a",
            "x": '["a",1]',
            "c": "websocket",
        }
    ]
    assert _rows(HttpAnswer(session=0, method="GET", status=0))[0].keys() == {"n", "s", "k", "d", "tr", "p", "x", "w", "err"}


def test_pairs_know_each_other() -> None:
    question, answer = _rows(up(0.25, "EVENT", ["a"], id=0), down(0.75, "ACK", [], id=0))
    assert (question["b"], question["l"], answer["a"], answer["l"], answer["e"]) == (2, 0.5, 1, 0.5, "a")


def test_a_payload_keeps_its_digits_and_the_order_of_its_keys() -> None:
    data = {"b": 12345678901234567890, "a": 1.0, "1": 1e300, "t": "\u202e"}
    [row] = _rows(up(0, "EVENT", ["e", data]))
    assert row["x"] == '["e",{"b":12345678901234567890,"a":1.0,"1":1e+300,"t":"\\u202e"}]'


def test_attachments_are_numbered_in_the_payload_and_stand_beside_it() -> None:
    [row] = _rows(up(0, "EVENT", ["e", "@0", {"deep": [b"one"], "b": b""}]))
    assert row["x"] == '["e","@0",{"deep":[@0],"b":@1}]'
    assert [(size, base64.b64decode(data)) for size, data in row["f"]] == [(3, b"one"), (0, b"")]
    [message] = _rows(Undecoded(session=1, direction=Direction.UP, transport=WEBSOCKET, data=b"\x00", error="no"))
    assert (message["x"], message["f"]) == ("@0", [[1, "AA=="]])


def test_what_is_too_long_is_cut_and_its_size_told() -> None:
    [row] = _rows(up(0, "EVENT", ["x" * (MAX_TEXT + 1), bytes(MAX_ATTACHMENT + 1)]))
    assert len(row["x"]) == MAX_TEXT + 1
    assert row["x"].endswith("…")
    [[size, data]] = row["f"]
    assert (size, len(base64.b64decode(data))) == (MAX_ATTACHMENT + 1, MAX_ATTACHMENT)


def test_json_in_a_script_is_ascii_without_markup() -> None:
    text = script_json([HOSTILE, {"]]>": "<!--"}])
    assert text.isascii()
    assert not set(text) & set("<>&")
    assert json.loads(text) == [HOSTILE, {"]]>": "<!--"}]


# --- Bands.


def _bands(*lines: Line) -> str:
    """The first letters of the bands; a dot where there is none."""
    return "".join(band[:1] or "." for band in read_bands(read_steps(lines)))


SOCKET_OPEN = SocketChanged(session=1, change="open")
SOCKET_CLOSED = SocketChanged(session=1, change="closed")
BY_POLLING = up(0, "EVENT", ["a"], transport=POLLING)
BY_WEBSOCKET = up(0, "EVENT", ["a"])
UPGRADE = engine("up", 0, "upgrade")


@pytest.mark.parametrize(
    ("lines", "bands"),
    [
        ((), ""),
        ((opened(), BY_POLLING), "pp"),
        ((opened(transport=WEBSOCKET), BY_WEBSOCKET), "ww"),
        ((SOCKET_OPEN, opened(transport=WEBSOCKET), BY_WEBSOCKET), "www"),
        ((opened(), BY_POLLING, SOCKET_OPEN, BY_POLLING, UPGRADE, BY_WEBSOCKET), "ppbbbw"),
        # What came by polling after the upgrade packet was still on its way.
        ((opened(), SOCKET_OPEN, UPGRADE, BY_POLLING, BY_WEBSOCKET), "pbbbw"),
        # Without Engine.IO packets the last one by polling ends the overlap.
        ((opened(), BY_POLLING, BY_WEBSOCKET, BY_POLLING, BY_WEBSOCKET), "ppbbw"),
        ((opened(), BY_POLLING, BY_WEBSOCKET), "ppw"),
        # An upgrade that came to nothing.
        ((opened(), SOCKET_OPEN, engine("up", 0, "ping", "probe"), SOCKET_CLOSED, BY_POLLING), "pbbbp"),
        ((opened(), SOCKET_OPEN, BY_POLLING, SOCKET_CLOSED), "pbbb"),
        # An answer by HTTP is no packet that travelled.
        ((HttpAnswer(session=1, method="GET", status=400), opened(transport=WEBSOCKET)), "ww"),
        ((HttpAnswer(session=1, method="GET", status=400),), "p"),
        ((HttpAnswer(session=0, method="GET", status=400), opened()), ".p"),
    ],
)
def test_bands_say_how_a_session_travels(lines: Sequence[Line], bands: str) -> None:
    assert _bands(*lines) == bands


def test_each_session_has_its_own_bands() -> None:
    assert _bands(*TROUBLED) == "ppwpppww.w"
    assert _bands(*UPGRADED) == "ppbbbbbbbb" + "w" * 13
