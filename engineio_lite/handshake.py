from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engineio_lite.exceptions import EngineIOError
from engineio_lite.state import Transport


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """The server's open packet: times in seconds, sizes in bytes, `max_payload` None where an older server does not say."""

    sid: str
    upgrades: tuple[str, ...]
    ping_interval: float
    ping_timeout: float
    max_payload: int | None

    @classmethod
    def parse(cls, data: str) -> Handshake:
        raise NotImplementedError


def normalize_url(url: str, *, default_path: str) -> str:
    raise NotImplementedError


def build_url(base: str, transport: Transport, *, sid: str | None = None, token: str | None = None) -> str:
    raise NotImplementedError


def redact_url(url: str) -> str:
    raise NotImplementedError


def explain_response(
    stage: str, url: str, status: int, headers: Sequence[tuple[str, str]], body: bytes
) -> EngineIOError:
    raise NotImplementedError
