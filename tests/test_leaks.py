"""The leak check finds what it is there for."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.leaks import left_behind


async def test_nothing_is_found_where_nothing_is_left() -> None:
    async with aiohttp.ClientSession():
        pass
    asyncio.create_task(asyncio.sleep(3600)).cancel()
    assert await left_behind() == []


async def test_a_running_task_is_named() -> None:
    task = asyncio.create_task(asyncio.Event().wait(), name="forgotten")
    [line] = await left_behind()
    assert "'forgotten'" in line
    assert "Event.wait" in line
    task.cancel()


async def test_an_open_session_and_its_connector_are_named() -> None:
    session = aiohttp.ClientSession()
    lines = await left_behind()
    assert len(lines) == 2
    assert "ClientSession" in "".join(lines)
    assert "TCPConnector" in "".join(lines)
    await session.close()


def test_every_coroutine_test_is_guarded(request: pytest.FixtureRequest) -> None:
    guarded = {item.name: "no_leaks" in getattr(item, "fixturenames", []) for item in request.session.items if item.path == request.path}
    assert guarded.pop(request.node.name) is False
    assert all(guarded.values())
