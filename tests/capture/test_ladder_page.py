"""The ladder page in a real browser: what is drawn, found, filtered, opened and reached by keys, and that nothing in a capture can harm it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from engineio_lite.capture.ladder import page as make_page
from engineio_lite.capture.lines import Head, Line
from engineio_lite.capture.steps import read_steps
from tests.capture.lines_made import HOSTILE, TROUBLED, UPGRADED, down, many, opened, up
from tests.peers.browser import Page

WIDE = (1400, 1000)
NARROW = (400, 800)

Show = Callable[..., Coroutine[Any, Any, Page]]


@pytest.fixture
async def show(page: Page, tmp_path: Path) -> AsyncIterator[Show]:
    """Show a capture in a page; afterwards nothing may have gone wrong in it, and nothing may have been asked for but itself."""
    file = tmp_path / "capture.html"

    async def opened_page(
        lines: Sequence[Line] = UPGRADED, link: str = "", size: tuple[int, int] = WIDE, dark: bool = False, remarks: Sequence[str] = ()
    ) -> Page:
        head = Head(by="tests", at="2026-11-20T20:15:20Z")
        file.write_text(make_page(head, read_steps(lines), title="capture.eio.jsonl", remarks=remarks), encoding="utf-8")
        await page.look_like(*size, dark=dark)
        await page.goto(file.as_uri() + link)
        await page.wait_for("document.documentElement.dataset.ready === 'yes'")
        return page

    yield opened_page
    assert (page.errors, page.console) == ([], [])
    assert {request.partition("#")[0] for request in page.requests} == {file.as_uri()}


async def _numbers(page: Page) -> list[int]:
    """The numbers of the rows that are drawn, from the top."""
    rows = "[...document.querySelectorAll('.row')].sort((a, b) => a.dataset.index - b.dataset.index)"
    found: list[int] = await page.evaluate(f"{rows}.map((row) => Number(row.querySelector('.number').textContent))")
    return found


async def _text(page: Page, selector: str) -> str:
    found: str = await page.evaluate(f"document.querySelector({selector!r}).innerText")
    return found


async def _selected(page: Page) -> int | None:
    """The number of the packet that is selected, as every part of the page has to say it."""
    found: dict[str, Any] = await page.evaluate(
        """({
          rows: [...document.querySelectorAll('.row[aria-selected=true]')].map((row) => Number(row.querySelector('.number').textContent)),
          link: location.hash,
          active: document.getElementById('scroller').getAttribute('aria-activedescendant'),
          details: document.getElementById('details').getAttribute('aria-label'),
        })"""
    )
    if not found["rows"]:
        assert (found["link"], found["active"], found["details"]) == ("", None, "Summary of the capture")
        return None
    [number] = found["rows"]
    assert (found["link"], found["active"], found["details"]) == (f"#p{number}", f"row-{number}", f"Details of {number}")
    return int(number)


async def _choose(page: Page, control: str, value: str) -> None:
    await page.evaluate(f"{{ const c = document.getElementById({control!r}); c.value = {value!r}; c.dispatchEvent(new Event('change')) }}")


# --- What is drawn.


async def test_every_step_is_a_row_with_its_arrow(show: Show) -> None:
    page = await show()
    assert await _numbers(page) == list(range(1, len(UPGRADED) + 1))
    assert await page.evaluate("document.querySelectorAll('.row.up .arrow').length") == 9
    assert await page.evaluate("document.querySelectorAll('.row.down .arrow').length") == 11
    assert "labs" in await _text(page, "#row-11 .label")
    assert "‹48 B›" in await _text(page, "#row-15 .label")
    assert await _text(page, "#row-14 .latency") == "↩ #11 47 ms"
    assert await _text(page, "#about") == "1 session · 23 rows · 2026-11-20T20:15:20Z"


async def test_the_bands_say_how_the_session_travels(show: Show) -> None:
    page = await show()
    bands = await page.evaluate("[...document.querySelectorAll('.band')].map((band) => [band.className, band.offsetHeight / 34])")
    assert bands == [["band polling", 2], ["band both", 8], ["band websocket", 13]]
    assert await _text(page, "#carrier") == "polling"


async def test_what_went_wrong_stands_out_and_is_listed(show: Show) -> None:
    page = await show(TROUBLED, remarks=["the last line is torn"])
    assert await page.evaluate("[...document.querySelectorAll('.row.error, .row.gap')].length") == 6
    assert await page.evaluate("getComputedStyle(document.querySelector('.row.gap .stage')).backgroundImage.startsWith('repeating-linear-gradient')")
    links = await page.evaluate("[...document.querySelectorAll('.links a')].map((link) => link.hash)")
    assert links == ["#p4", "#p5", "#p6", "#p8", "#p9", "#p10"]
    assert "torn" in await _text(page, "#details")
    await page.click(".links a")
    assert await _selected(page) == 4


async def test_a_capture_without_packets_is_a_page_too(show: Show) -> None:
    page = await show([])
    assert await _numbers(page) == []
    for key in ("j", "k", "g", "End", "Enter", "p", "n"):
        await page.press(key)
    assert await _selected(page) is None


# --- What is in a packet.


async def test_a_packet_opens_with_its_content(show: Show) -> None:
    page = await show()
    await page.click("#row-15")
    assert await _selected(page) == 15
    details = await _text(page, "#details")
    for told in (
        "#15 EVENT blob",
        "#16 ACK blob after 6 ms",
        "client → server",
        "0.359 s · 2026-11-20T20:15:20.359Z",
        '"name": "x.bin"',
        "attachment 1 · 48 B",
    ):
        assert told in details
    dump = await _text(page, "#attachment-0 .hex")
    assert dump.splitlines()[0] == "000000  00 01 02 03 04 05 06 07  ········"
    assert await page.evaluate("document.querySelectorAll('.bracket').length") == 1
    assert await _text(page, ".bracket span") == "6 ms"


async def test_a_pair_is_one_key_and_one_link_away(show: Show) -> None:
    page = await show(link="#p11")
    assert await _selected(page) == 11
    assert await page.evaluate("[...document.querySelectorAll('.partner')].map((row) => row.id)") == ["row-14"]
    await page.press("p")
    assert await _selected(page) == 14
    await page.click("#details .facts a")
    await page.wait_for("document.querySelector('#row-11')?.getAttribute('aria-selected') === 'true'")
    assert await _selected(page) == 11


async def test_content_can_be_copied_and_saved(show: Show) -> None:
    page = await show([up(0, "EVENT", ["e", b"\x00\xff", {"n": 12345678901234567890, "s": 'a \u202e "q"'}])], link="#p1")
    await page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }; 0")
    await page.click("#details .heading .buttons button")
    copied = await page.wait_for("window.copied")
    assert copied == '[\n  "e",\n  {"$bin": "AP8="},\n  {\n    "n": 12345678901234567890,\n    "s": "a \\u202e \\"q\\""\n  }\n]'
    await page.click("#attachment-0 .buttons button:first-child")
    assert await page.wait_for("window.copied === '00ff'")
    saved = await page.evaluate(
        """new Promise((found) => {
          URL.createObjectURL = (blob) => { blob.arrayBuffer().then((data) => found([...new Uint8Array(data)])); return '#saved'; };
          document.querySelector('#attachment-0 .buttons button:last-child').click();
        })"""
    )
    assert saved == [0, 255]


async def test_a_long_payload_and_attachment_are_shown_in_part(show: Show) -> None:
    page = await show([up(0, "EVENT", ["e", bytes(10_000), "x" * 300_000])], link="#p1")
    assert "more characters" in await _text(page, ".payload")
    assert len((await _text(page, "#attachment-0 .hex")).splitlines()) == 512
    await page.click("#attachment-0 > button")
    assert len((await _text(page, "#attachment-0 .hex")).splitlines()) == 1250


async def test_a_link_leads_to_a_packet_wherever_it_is(show: Show) -> None:
    page = await show(many(2000), link="#p1500")
    assert await _selected(page) == 1500
    assert await page.evaluate(
        "(() => { const r = document.querySelector('.selected').getBoundingClientRect(); return r.top > 100 && r.bottom < innerHeight })()"
    )
    await _choose(page, "direction", "up")
    await page.evaluate("location.hash = '#p3'")
    await page.wait_for("document.querySelector('.selected')?.id === 'row-3'")
    assert await page.evaluate("document.getElementById('direction').value") == ""


# --- Search and filters.


async def test_search_counts_marks_and_goes_on(show: Show) -> None:
    page = await show()
    await page.press("/")
    await page.type("OUTPUT")
    assert await _text(page, "#count") == "2 matches"
    assert await page.evaluate("[...document.querySelectorAll('.label mark')].map((mark) => mark.textContent)") == ["output", "output"]
    seen = []
    for _ in range(3):
        await page.press("Enter")
        seen.append((await _selected(page), await _text(page, "#count")))
    assert seen == [(12, "1 of 2"), (13, "2 of 2"), (12, "1 of 2")]
    await page.press("Escape")
    assert await _text(page, "#count") == ""
    await page.press("/")
    await page.type("nowhere")
    assert await _text(page, "#count") == "no match"
    assert await page.evaluate("document.getElementById('next').disabled")


async def test_search_shows_what_it_found_deep_in_a_payload(show: Show) -> None:
    page = await show([down(0, "EVENT", ["e", {"text": "x" * 2000 + "needle", "a": 1}])])
    await page.press("/")
    await page.type("needle")
    assert await _text(page, ".label mark") == "needle"


async def test_an_event_is_looked_for_from_the_summary(show: Show) -> None:
    page = await show()
    await page.click(".events button")
    assert await page.evaluate("document.getElementById('query').value") == "progress"
    assert await _selected(page) == 12


@pytest.mark.parametrize(
    ("control", "value", "numbers"),
    [("namespace", "/admin", [7, 8]), ("direction", "up", [2, 4, 7, 10, 11, 15, 18, 20, 21]), ("namespace", "", list(range(1, 24)))],
)
async def test_filters_leave_what_is_asked_for(show: Show, control: str, value: str, numbers: list[int]) -> None:
    page = await show()
    await _choose(page, control, value)
    assert await _numbers(page) == numbers


async def test_pings_can_be_hidden(show: Show) -> None:
    page = await show()
    await page.click("#pings")
    assert await _numbers(page) == [number for number in range(1, 24) if number not in (19, 20)]


async def test_sessions_can_be_told_apart_and_gaps_stay(show: Show) -> None:
    page = await show(TROUBLED)
    await _choose(page, "session", "1")
    assert await _numbers(page) == [1, 2, 4, 5, 6]
    await _choose(page, "direction", "up")
    assert await _numbers(page) == [2, 4]


async def test_nothing_left_is_said(show: Show) -> None:
    page = await show()
    await _choose(page, "namespace", "/admin")
    await _choose(page, "direction", "down")
    assert await _numbers(page) == [8]
    assert await page.evaluate("document.getElementById('nothing').hidden")
    page = await show([opened()])
    await _choose(page, "direction", "up")
    assert "filters hide every packet" in await _text(page, "#nothing")


# --- Keys.


async def test_keys_lead_through_the_rows(show: Show) -> None:
    page = await show()
    seen = []
    for key in ("j", "j", "ArrowDown", "k", "ArrowUp", "End", "j", "Home", "k", "G", "g"):
        await page.press(f"Shift+{key}" if key == "G" else key)
        seen.append(await _selected(page))
    assert seen == [1, 2, 3, 2, 1, 23, 23, 1, 1, 23, 1]


async def test_enter_and_escape_go_in_and_out(show: Show) -> None:
    page = await show()
    await page.press("j")
    await page.press("Enter")
    await page.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "details"
    await page.press("Escape")
    assert await page.evaluate("document.activeElement.id") == "scroller"
    assert await _selected(page) == 1
    await page.press("Escape")
    assert await _selected(page) is None


async def test_a_key_that_is_typed_is_a_letter(show: Show) -> None:
    page = await show()
    await page.press("/")
    await page.press("j")
    await page.press("t")
    assert await page.evaluate("document.getElementById('query').value") == "jt"
    assert await _selected(page) is None


async def test_the_keys_are_explained(show: Show) -> None:
    page = await show()
    await page.press("?")
    assert await page.evaluate("document.getElementById('help').open")
    await page.press("j")
    assert await _selected(page) is None
    await page.click("#help-close")
    assert not await page.evaluate("document.getElementById('help').open")


# --- Looks.

CONTRAST = """
(() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const found = numbers(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== "");
    if (!hasText || element.disabled || !element.checkVisibility()) continue;
    if (element.closest("script, noscript, option, dialog:not([open]), .hidden")) continue;
    const [one, other] = [light(numbers(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < 4.5) poor.push(`${element.className || element.tagName} "${element.textContent.slice(0, 20)}" ${ratio.toFixed(2)}`);
  }
  return poor;
})()
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("lines", [UPGRADED, TROUBLED], ids=["upgraded", "troubled"])
async def test_text_has_the_contrast_that_reading_takes(show: Show, lines: Sequence[Line], dark: bool) -> None:
    page = await show(lines, dark=dark, remarks=["a remark"])
    assert await page.evaluate(CONTRAST) == []
    for number in range(2, len(lines) + 1, 2):
        await page.evaluate(f"location.hash = '#p{number}'")
        await page.wait_for(f"document.querySelector('.selected')?.id === 'row-{number}'")
        assert await page.evaluate(CONTRAST) == []


async def test_light_and_dark_follow_the_system_until_they_are_switched(show: Show) -> None:
    background = "getComputedStyle(document.querySelector('.bar')).backgroundColor"
    page = await show(dark=True)
    dark = await page.evaluate(background)
    await page.press("t")
    light = await page.evaluate(background)
    assert sum(map(int, light[4:-1].split(","))) > 3 * 200 > 3 * 60 > sum(map(int, dark[4:-1].split(",")))
    await page.click("#theme")
    assert await page.evaluate(background) == dark


async def test_a_narrow_page_shows_content_below_when_asked(show: Show) -> None:
    page = await show(size=NARROW)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight")
    assert not await page.evaluate("document.getElementById('details').checkVisibility()")
    await page.click("#row-14")
    assert await page.evaluate("document.getElementById('details').checkVisibility()")
    assert await page.evaluate(
        "document.querySelector('.selected').getBoundingClientRect().bottom < document.getElementById('details').getBoundingClientRect().top"
    )
    await page.click(".close")
    assert not await page.evaluate("document.getElementById('details').checkVisibility()")


async def test_a_reader_of_screens_is_told_what_there_is(show: Show) -> None:
    page = await show(link="#p14")
    row = "document.getElementById('row-14')"
    label = await page.evaluate(f"{row}.getAttribute('aria-label')")
    assert label == "14, 0.215 seconds, from the server, websocket, ACK, labs, answers 11 after 47 ms"
    assert await page.evaluate(f"[{row}.getAttribute('role'), {row}.ariaPosInSet, {row}.ariaSetSize]") == ["option", "14", "23"]
    named = "(c) => c.ariaLabel || c.textContent.trim() || c.labels?.[0]?.textContent.trim()"
    assert await page.evaluate(f"[...document.querySelectorAll('button, select, input')].every({named})")
    tree = (await page.ask("Accessibility.getFullAXTree"))["nodes"]
    roles = {node["role"]["value"] for node in tree if not node.get("ignored")}
    assert {"main", "search", "listbox", "option", "complementary", "heading", "searchbox"} <= roles


async def test_all_rows_are_printed(show: Show) -> None:
    page = await show(many(300), link="#p20")
    await page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert await _numbers(page) == list(range(1, 301))
    await page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert len(await _numbers(page)) < 100


async def test_a_very_long_capture_is_printed_in_part_and_says_so(show: Show) -> None:
    page = await show(many(3200))
    await page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert await page.evaluate("[document.querySelectorAll('.row').length, document.getElementById('canvas').offsetHeight]") == [3000, 3000 * 34]
    assert "the first 3,000 are printed" in await _text(page, "#about")
    await page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert "printed" not in await _text(page, "#about")


# --- Size and malice.


async def test_ten_thousand_packets_are_a_few_elements(show: Show) -> None:
    page = await show(many(10_000))
    assert await page.evaluate("document.querySelectorAll('.row').length") < 80
    await page.press("End")
    assert await _selected(page) == 10_000
    await _choose(page, "direction", "up")
    assert await _text(page, "#about") == "1 session · 501 of 10,000 rows · 2026-11-20T20:15:20Z"
    await page.press("/")
    await page.type('number":9980')
    assert await _text(page, "#count") == "1 match"
    await _choose(page, "direction", "")
    assert await page.evaluate("document.querySelectorAll('.row').length") < 80


async def test_nothing_in_a_capture_runs_or_hides(show: Show) -> None:
    hostile = [HOSTILE, {HOSTILE: HOSTILE, "__proto__": {"polluted": 1}, "constructor": 1}, "<img src=x onerror=alert(1)>", "javascript:alert(1)"]
    lines = [opened(), up(0.1, "EVENT", hostile, namespace=f"/{HOSTILE}", id=1), down(0.2, "ACK", hostile, id=1, namespace=f"/{HOSTILE}")]
    page = await show(lines, link="#p2", remarks=[HOSTILE])
    await page.press("/")
    await page.type("</script>")
    assert await _text(page, "#count") == "1 of 2"
    await page.press("Escape")
    assert await page.evaluate("document.querySelectorAll('img, b, .details script').length") == 0
    assert await page.evaluate("({}).polluted === undefined")
    shown = await page.evaluate("document.body.innerText")
    assert not set(shown) & set("\u202e\u2028\x00")
    assert "\\u202e" in shown
    refused = await page.evaluate(
        """new Promise((found) => {
          document.addEventListener('securitypolicyviolation', (event) => found(event.effectiveDirective));
          const script = document.createElement('script');
          try { script.textContent = 'window.ran = 1'; } catch (error) { found(error.name); }
          document.body.append(script);
        })"""
    )
    assert refused in ("TypeError", "script-src-elem", "require-trusted-types-for")
    assert await page.evaluate("window.ran === undefined")
    page.console.clear()
