"""The browser as a peer: what a page is told and says, that it forgets, and that it ends."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

import pytest

from tests.peers.browser import Chromium, Page, PageError

FORM = """
<!doctype html><title>form</title>
<input id=first><textarea id=second></textarea>
<p style="height: 3000px">far below:</p><button id=go onclick="window.gone = document.querySelector('#first').value">go</button>
<div id=under style="position: fixed; top: 0; left: 200px; width: 9px; height: 9px"></div>
<div id=over style="position: fixed; top: 0; left: 200px; width: 9px; height: 9px"></div>
<div id=nothing></div>
"""


async def test_a_page_from_html_is_loaded_and_answers(page: Page) -> None:
    await page.goto("<!doctype html><title>grüße</title><p>x")
    assert await page.evaluate("document.title") == "grüße"
    assert await page.evaluate("({list: [1, null, 'two'], nothing: undefined})") == {"list": [1, None, "two"]}
    assert await page.evaluate("new Promise(resolve => setTimeout(resolve, 10, 'later'))") == "later"
    assert await page.evaluate("undefined") is None


async def test_what_a_script_throws_is_raised(page: Page) -> None:
    with pytest.raises(PageError, match="TypeError: no such thing"):
        await page.evaluate("(() => { throw new TypeError('no such thing') })()")
    with pytest.raises(PageError, match="just text"):
        await page.evaluate("Promise.reject('just text')")
    assert await page.evaluate("1 + 1") == 2


async def test_the_console_and_uncaught_exceptions_are_collected(page: Page) -> None:
    await page.goto(
        "<script>console.log('one', 2, {a: 1}); console.error('bad'); setTimeout(() => { window.late = true; throw new Error('late') })</script>"
    )
    await page.wait_for("window.late")
    assert page.console == ["log: one 2 Object", "error: bad"]
    assert [error.splitlines()[0] for error in page.errors] == ["Error: late"]


async def test_a_page_is_clicked_and_typed_into(page: Page) -> None:
    await page.goto(FORM)
    await page.click("#first")
    await page.type("grüße")
    await page.press("Backspace")
    await page.press("x")
    await page.press("Tab")
    await page.press("a")
    await page.press("Enter")
    await page.press("/")
    assert await page.evaluate("document.querySelector('#second').value") == "a\n/"
    await page.click("#go")
    assert await page.evaluate("window.gone") == "grüßx"
    await page.click("#first")
    await page.press("Control+a")
    await page.press("Delete")
    assert await page.evaluate("document.querySelector('#first').value") == ""


@pytest.mark.parametrize(("selector", "fault"), [("#none", "no such element"), ("#nothing", "no size"), ("#under", 'covered by <div id="over"')])
async def test_what_cannot_be_clicked_says_why(page: Page, selector: str, fault: str) -> None:
    await page.goto(FORM)
    with pytest.raises(PageError, match=fault):
        await page.click(selector)


async def test_waiting_ends_with_what_the_page_said(page: Page) -> None:
    await page.goto("<script>console.log('I am here'); setTimeout(() => window.found = {a: 1}, 50)</script>")
    assert await page.wait_for("window.found") == {"a": 1}
    with pytest.raises(PageError, match=r"not true within 0.1 s: window.lost; console: \['log: I am here'\]"):
        await page.wait_for("window.lost", timeout=0.1)


async def test_where_nobody_listens_is_an_error(page: Page) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(PageError, match="ERR_CONNECTION_REFUSED"):
        await page.goto(f"http://127.0.0.1:{port}/")


async def test_requests_are_known(page: Page, tmp_path: Path) -> None:
    (tmp_path / "script.js").write_text("window.ran = true")
    (tmp_path / "page.html").write_text("<script src=script.js></script>")
    await page.goto((tmp_path / "page.html").as_uri())
    assert await page.evaluate("window.ran") is True
    assert [os.path.basename(url) for url in page.requests] == ["page.html", "script.js"]


async def test_a_screenshot_has_the_size_and_the_colours_asked_for(page: Page, tmp_path: Path) -> None:
    await page.goto("<style>:root { color-scheme: light dark } body { margin: 0; height: 700px }</style><body>")
    pictures = {}
    for dark in (False, True):
        await page.screenshot(tmp_path / f"{dark}.png", 300, 200, dark=dark)
        pictures[dark] = (tmp_path / f"{dark}.png").read_bytes()
        assert await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark
        assert struct.unpack(">4x4xII", pictures[dark][8:24]) == (300, 200)
    assert pictures[False] != pictures[True]
    await page.screenshot(tmp_path / "whole.png", 300, 200, whole=True)
    assert struct.unpack(">II", (tmp_path / "whole.png").read_bytes()[16:24]) == (300, 700)


async def test_pages_share_no_cookies(chromium: Chromium, page: Page) -> None:
    await page.goto("data:text/html,first")
    async with chromium.page() as other:
        for each, value in ((page, "one"), (other, "two")):
            await each.ask("Network.setCookie", name="flavour", value=value, url="http://127.0.0.1/")
        for each, value in ((page, "one"), (other, "two")):
            cookies = (await each.ask("Network.getCookies", urls=["http://127.0.0.1/"]))["cookies"]
            assert [cookie["value"] for cookie in cookies] == [value]


@pytest.mark.peer
@pytest.mark.usefixtures("chromium")
async def test_a_browser_that_dies_is_an_error_and_leaves_nothing() -> None:
    with Chromium() as own:
        async with own.page() as page:
            own.kill()
            with pytest.raises(PageError):
                await page.wait_for("false")
    assert not own.running


@pytest.mark.usefixtures("chromium")
def test_a_browser_that_is_stopped_takes_its_processes_with_it() -> None:
    with Chromium() as own:
        group = own.group
        assert len(_members(group)) > 1
    assert _members(group) == []


def _members(group: int) -> list[int]:
    """The processes of a group that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # gone since it was listed
        if int(its_group) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found
