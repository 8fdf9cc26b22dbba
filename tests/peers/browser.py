"""A real browser in processes of its own: headless Chromium, driven over its DevTools protocol.

`Chromium` starts it with an empty profile, in a temporary directory, and ends it for sure; this file is also the program that runs in its process,
stays beside the browser and ends it when standard input ends, so that no test can leave one behind. `Chromium.page` opens a `Page`, which has cookies
and storage that it shares with no other and speaks over a WebSocket of its own; it belongs to the event loop of its test, the browser to none.

Only what tests need of the protocol is here: go somewhere, ask, click, type, wait, look. What a page writes to its console, its uncaught exceptions
and the URLs that it asks for are collected from the beginning.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import aiohttp

from tests.peers import STOP_LIMIT, Process

COMMAND = "chromium"
"""The command, and the Debian package that has it."""

FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # tests may run as root, and in containers without the namespaces that it wants
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",  # 64 MB in a container, which is too little for large pages
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-breakpad",
    # A page behind another one would have its timers slowed down, and be painted when it pleases.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--no-first-run",
    "--no-default-browser-check",
    "--password-store=basic",
    "--remote-debugging-address=127.0.0.1",
    "--remote-debugging-port=0",
)

ANSWER_LIMIT = 30.0
"""Seconds for the answer to one command, a page that loads included; a loaded two-core machine may need some."""

LEAVE = 3.0
"""Seconds for the browser to end by itself; less than a `Process` is given, so that it is the program here that kills what does not."""

LOOK_AGAIN = 0.02
"""Seconds between two looks at whether something is true in the page."""

MAX_ANSWER = 256 * 1024 * 1024
"""Bytes of one message from the browser: a screenshot is one."""

MAX_COLLECTED = 10_000
"""Console messages, exceptions and requests that a page keeps; a page that says more is broken, and the first ones say why."""


def missing() -> str | None:
    """Why there is no browser here, or None."""
    return None if shutil.which(COMMAND) else f"`{COMMAND}` is not installed (a Debian package)"


class PageError(Exception):
    """The browser refused, or a script in the page threw; says what."""


class Chromium(Process):
    """One browser; use it as ``with``, or `stop` it. `page` opens a page in it."""

    def __init__(self) -> None:
        # Its own group, so that whatever the browser has started can be ended with it.
        super().__init__("Chromium", [sys.executable, "-m", "tests.peers.browser"], environment={"PYTHONPATH": str(_TOP)}, own_group=True)

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """A page on ``about:blank`` with cookies, storage and cache of its own; gone at the end of the block."""
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            async with session.get(f"{self.url}/json/version") as answer:
                address = (await answer.json())["webSocketDebuggerUrl"]
            socket = await stack.enter_async_context(session.ws_connect(address, max_msg_size=MAX_ANSWER, autoping=True))
            link = _Link(socket)
            stack.push_async_callback(link.stop)
            # Disposed with the connection, whatever happens to this process.
            context = (await link.ask("Target.createBrowserContext", disposeOnDetach=True))["browserContextId"]
            target = (await link.ask("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
            yield await Page.attach(link, target)

    @property
    def group(self) -> int:
        """The number of the group that all of its processes are in."""
        return self._process.pid

    def stop(self) -> None:
        super().stop()
        # What outlives the browser for a moment (its crash handler does) may not outlive the test run.
        with suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)


_TOP = Path(__file__).parent.parent.parent


class _Link:
    """The connection to the browser: commands are numbered and answered, the rest are events."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._sent = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.on_event: Callable[[str, dict[str, Any]], None] = lambda method, params: None
        self._reader = asyncio.create_task(self._read(), name="Chromium's answers")

    async def ask(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Send a command and return its result. Raises `PageError` if it is refused, not answered in time, or the browser is gone."""
        if self._reader.done():
            raise PageError(f"{method}: the connection to Chromium is closed")
        self._sent += 1
        number = self._sent
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self._socket.send_json({"id": number, "method": method, "params": params} | ({} if session is None else {"sessionId": session}))
            return await asyncio.wait_for(answer, ANSWER_LIMIT)
        except (TimeoutError, ConnectionError) as error:
            raise PageError(f"{method}: no answer: {error!r}") from error
        finally:
            del self._waiting[number]

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                self._take(json.loads(message.data))
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(PageError("the connection to Chromium was closed"))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" not in message:
            self.on_event(message["method"], message.get("params", {}))
            return
        waiting = self._waiting.get(message["id"])
        if waiting is None or waiting.done():
            return  # nobody waits any more: it was cancelled
        if "error" in message:
            waiting.set_exception(PageError(f"{message['error']['message']} {message['error'].get('data', '')}".strip()))
        else:
            waiting.set_result(message["result"])

    async def stop(self) -> None:
        await self._socket.close()
        await asyncio.wait([self._reader])
        self._reader.result()


class Page:
    """One page. Its methods raise `PageError` when the browser refuses, or a script throws.

    `console` has what was written to the console, as ``kind: text`` in order, what the browser itself says there included; `errors` the uncaught
    exceptions of scripts, `requests` the URLs that were asked for.
    """

    def __init__(self, link: _Link, session: str) -> None:
        self._link = link
        self._session = session
        self._loaded: set[str] = set()
        self._changed = asyncio.Event()
        self.console: list[str] = []
        self.errors: list[str] = []
        self.requests: list[str] = []
        link.on_event = self._take

    @classmethod
    async def attach(cls, link: _Link, target: str) -> Page:
        """The page of a target that is there."""
        page = cls(link, (await link.ask("Target.attachToTarget", targetId=target, flatten=True))["sessionId"])
        for domain in ("Page", "Runtime", "Network", "Log"):
            await page.ask(f"{domain}.enable")
        await page.ask("Page.setLifecycleEventsEnabled", enabled=True)
        return page

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Any command of the DevTools protocol, for this page."""
        return await self._link.ask(method, self._session, **params)

    # --- What it does on its own.

    def _take(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Page.lifecycleEvent" if params["name"] == "load":
                self._loaded.add(params["loaderId"])
            case "Runtime.consoleAPICalled":
                _keep(self.console, f"{params['type']}: {' '.join(map(_text, params['args']))}")
            case "Runtime.exceptionThrown":
                _keep(self.errors, _thrown(params["exceptionDetails"]))
            case "Log.entryAdded":
                _keep(self.console, f"{params['entry']['level']}: {params['entry']['text']} {params['entry'].get('url', '')}".rstrip())
            case "Network.requestWillBeSent":
                _keep(self.requests, params["request"]["url"])
            case "Network.webSocketCreated":
                _keep(self.requests, params["url"])
            case "Inspector.targetCrashed":
                _keep(self.errors, "the page has crashed")
        self._changed.set()

    # --- What is done with it.

    async def goto(self, place: str) -> None:
        """Go to a URL (``file:`` is one), or to a page that is given as HTML, and wait until it is loaded with all that belongs to it.

        A page from HTML is of no origin: it can keep nothing in storage.
        """
        if place.lstrip()[:1] == "<":
            place = "data:text/html;charset=utf-8;base64," + base64.b64encode(place.encode()).decode()
        answer = await self.ask("Page.navigate", url=place)
        if "errorText" in answer:
            raise PageError(f"{place[:200]}: {answer['errorText']}")
        if "loaderId" in answer:  # else it is another place in the same page
            await self._until(lambda: answer["loaderId"] in self._loaded, f"{place[:200]} did not load")

    async def evaluate(self, script: str) -> Any:
        """The value of an expression, as JSON has it; what is a promise is waited for. Raises `PageError` with what it throws."""
        answer = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in answer:
            raise PageError(_thrown(answer["exceptionDetails"]))
        return answer["result"].get("value")

    async def wait_for(self, script: str, timeout: float = 10.0) -> Any:
        """Wait until an expression is true in the page, and return its value; survives that the page goes elsewhere meanwhile."""
        end = time.monotonic() + timeout
        while True:
            found = await self.evaluate(script)
            if found:
                return found
            if time.monotonic() > end:
                raise PageError(f"not true within {timeout:g} s: {script}; console: {self.console[-5:]}; errors: {self.errors[-5:]}")
            await asyncio.sleep(LOOK_AGAIN)

    async def click(self, selector: str) -> None:
        """Click with the mouse into the middle of the first element that the selector finds, once it is in view and nothing covers it."""
        place = await self.evaluate(_PLACE % json.dumps(selector))
        if "fault" in place:
            raise PageError(f"{selector}: {place['fault']}")
        where = {"x": place["x"], "y": place["y"]}
        await self.ask("Input.dispatchMouseEvent", type="mouseMoved", **where)
        for kind in ("mousePressed", "mouseReleased"):
            await self.ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    async def type(self, text: str) -> None:
        """Put text into what has the focus, as an input method does: no key is pressed."""
        await self.ask("Input.insertText", text=text)

    async def press(self, key: str) -> None:
        """Press and release a key: a character, or a name such as ``Enter`` or ``ArrowDown``, with modifiers in front, as in ``Control+a``."""
        *modifiers, name = key.split("+") if len(key) > 1 else [key]
        code, number, text = _KEYS.get(name) or (f"Key{name.upper()}", ord(name.upper()), name)
        held = sum(_MODIFIERS[modifier] for modifier in modifiers)
        shown = {"text": text} if text and not held & ~_MODIFIERS["Shift"] else {}
        known: dict[str, Any] = {"key": text if name == "Space" else name, "code": code, "windowsVirtualKeyCode": number, "modifiers": held}
        await self.ask("Input.dispatchKeyEvent", type="keyDown" if shown else "rawKeyDown", **known, **shown)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **known)

    async def look_like(self, width: int, height: int, *, dark: bool = False) -> None:
        """Make the view so large, in CSS pixels, and say which colour scheme is preferred."""
        await self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    async def screenshot(self, path: Path, width: int, height: int, *, dark: bool = False, whole: bool = False) -> None:
        """Write what a view of this size shows as a PNG file; with `whole` all of the page, as far as it can be scrolled down."""
        await self.look_like(width, height, dark=dark)
        picture = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **await self._clip(width, whole))
        await asyncio.to_thread(path.write_bytes, base64.b64decode(picture["data"]))

    async def _clip(self, width: int, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        height = await self.evaluate("document.documentElement.scrollHeight")
        return {"clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}

    async def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise PageError(f"{otherwise} within {ANSWER_LIMIT:g} s") from None


_PLACE: Final = """
(() => {
  const wanted = document.querySelector(%s);
  if (wanted === null) return {fault: "no such element"};
  wanted.scrollIntoView({block: "center", inline: "center", behavior: "instant"});
  const box = wanted.getBoundingClientRect();
  if (box.width === 0 || box.height === 0) return {fault: "it has no size"};
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  const found = document.elementFromPoint(x, y);
  if (found === null) return {fault: "it is out of view"};
  if (!wanted.contains(found) && !found.contains(wanted)) return {fault: "it is covered by " + found.outerHTML.slice(0, 80)};
  return {x, y};
})()
"""

_KEYS: Final[dict[str, tuple[str, int, str]]] = {
    "Backspace": ("Backspace", 8, ""),
    "Tab": ("Tab", 9, ""),
    "Enter": ("Enter", 13, "\r"),
    "Escape": ("Escape", 27, ""),
    "Space": ("Space", 32, " "),
    "PageUp": ("PageUp", 33, ""),
    "PageDown": ("PageDown", 34, ""),
    "End": ("End", 35, ""),
    "Home": ("Home", 36, ""),
    "ArrowLeft": ("ArrowLeft", 37, ""),
    "ArrowUp": ("ArrowUp", 38, ""),
    "ArrowRight": ("ArrowRight", 39, ""),
    "ArrowDown": ("ArrowDown", 40, ""),
    "Delete": ("Delete", 46, ""),
    "/": ("Slash", 191, "/"),
    "?": ("Slash", 191, "?"),
}
"""Of the keys that are no letters: their code, their number, and the text that they make."""

_MODIFIERS: Final = {"Alt": 1, "Control": 2, "Meta": 4, "Shift": 8}


def _keep(collected: list[str], text: str) -> None:
    if len(collected) < MAX_COLLECTED:
        collected.append(text)


def _text(value: dict[str, Any]) -> str:
    """A value as the console shows it, roughly."""
    return str(value["value"]) if "value" in value else str(value.get("description", value.get("unserializableValue", value["type"])))


def _thrown(details: dict[str, Any]) -> str:
    """What was thrown, with its stack if it has one."""
    return _text(details["exception"]) if "exception" in details else str(details["text"])


# --- The program.


def main() -> None:
    """Run the browser until standard input ends."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        browser = subprocess.Popen(
            [COMMAND, *FLAGS, f"--user-data-dir={directory}/profile", "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "HOME": directory, "TMPDIR": directory},  # whatever it wants to keep elsewhere
        )
        try:
            assert browser.stderr is not None
            _attend(browser.stderr)
        finally:
            _end(browser)


def _attend(errors: IO[bytes]) -> None:
    """Pass on what the browser complains about, announce its port as soon as it is known, and return when it or standard input has ended."""
    said: bytes | None = b""
    with selectors.DefaultSelector() as selector:
        selector.register(errors, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                data = os.read(key.fd, 65536)
                if not data:
                    return
                if key.fileobj is not errors:
                    continue
                sys.stderr.buffer.write(data)
                sys.stderr.flush()
                said = None if said is None else _announced(said + data)


def _announced(said: bytes) -> bytes | None:
    """Look for the port in what the browser has said; None if it is there, and then announced."""
    start = said.find(b"DevTools listening on ws://127.0.0.1:")
    if start < 0 or b"\n" not in said[start:]:
        return said
    port = said[start:].split(b":")[2].partition(b"/")[0]
    print(json.dumps({"port": int(port)}), flush=True)
    return None


def _end(browser: subprocess.Popen[bytes]) -> None:
    browser.terminate()
    try:
        browser.wait(min(LEAVE, STOP_LIMIT))
    except subprocess.TimeoutExpired:
        browser.kill()
        browser.wait()
    assert browser.stderr is not None
    browser.stderr.close()


if __name__ == "__main__":
    main()
