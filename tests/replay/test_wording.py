"""What a replay says of a packet fits on a line, and gives no token away, wherever it would be cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.replay.wording import describe
from engineio_lite.socketio.packet import Packet, PacketType

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def event(*args: object) -> str:
    return describe(Packet(PacketType.EVENT, ["say", *args]))


def test_a_long_text_is_cut() -> None:
    assert event("x" * 500) == f'EVENT /  "say"  ["{"x" * 64}…"]'


def test_a_token_is_masked_before_anything_is_cut() -> None:
    assert event(JWT) == 'EVENT /  "say"  ["<redacted>"]'
    assert event(f"{'x' * 50} {JWT}") == f'EVENT /  "say"  ["{"x" * 50} <redacted>"]'


@given(st.text(max_size=80), st.text(max_size=10))
def test_no_piece_of_a_token_is_shown(before: str, after: str) -> None:
    told = event(f"{before} {JWT} {after}")
    assert "eyJhbGci" not in told
    assert "\n" not in told
