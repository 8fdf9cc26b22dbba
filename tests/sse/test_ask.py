"""The command ``ylokh-sse ask`` against the loopback server: what it asks and prints, and the exit code that it ends with.

Through click's runner where that is enough, and as a process of its own where it is about streams, signals and terminals.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.commands import LIMIT, Command
from ylokh_sse import loopback
from ylokh_sse.commands import command
from ylokh_sse.loopback import GREETING, JOKE, Call, Reply, Script

DEAD = "http://127.0.0.1:9"
KEY = "sk-a-very-secret-key"
VARIABLES = ("YLOKH_BASE_URL", "YLOKH_API_KEY")
COMMAND = Command(sys.executable, "-m", "ylokh_sse.cli", without=VARIABLES)
run, started, on_a_terminal = COMMAND.run, COMMAND.started, COMMAND.on_a_terminal


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*VARIABLES, "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def ask(*arguments: str, environment: Mapping[str, str] | None = None) -> Result:
    """Run the command in this process; an exception that is not an exit fails the test."""
    done = CliRunner(env=dict(environment or {})).invoke(command, ["ask", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    assert KEY not in done.output
    return done


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def everyone_left(server: loopback.LoopbackServer) -> bool:
    """Wait until everyone who came has left; whether the last one did so early."""
    asyncio.run(asyncio.wait_for(server.everyone_left(), LIMIT))
    return server.requests[-1].left_early


# --------------------------------------------------------------------------------------------------------------------------------- asking


@pytest.mark.parametrize("option", ["--base-url", "--url"])
def test_it_prints_the_answer(option: str) -> None:
    with loopback.serve() as server:
        done = ask(option, server.url, "Tell", "me", "a joke")
        assert (done.exit_code, done.stdout, done.stderr) == (0, f"{JOKE}\n", "")
        assert server.requests[0].json == {"model": "gpt-3.5-turbo", "messages": [{"role": "user", "content": "Tell me a joke"}], "stream": True}


def test_options_reach_the_server() -> None:
    with loopback.serve(key=KEY) as server:
        arguments = ["--base-url", server.url, "--model", "m-1", "--system", "Be brief.", "--field", "temperature=0.2", "--field", "stop=END"]
        done = ask(*arguments, "--field", 'user="7"', "--field", "x=", "--field", "y=a=b", "hi", environment={"YLOKH_API_KEY": KEY})
        assert done.exit_code == 0
        [request] = server.requests
    assert request.json == {
        "model": "m-1",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "stream": True,
        "temperature": 0.2,
        "stop": "END",
        "user": "7",
        "x": "",
        "y": "a=b",
    }


@pytest.mark.parametrize("name", ["self", "chat", "printer", "fields", "question", "kwargs", "name", "Ё"])
def test_a_field_may_have_any_name(name: str) -> None:
    for more in ([], ["--no-stream"], ["--raw"]):
        with loopback.serve() as server:
            assert ask("--base-url", server.url, "--field", f"{name}=1", *more, "hi").exit_code == 0
            assert server.requests[0].json[name] == 1


@pytest.mark.parametrize("words", ["temperature", "=1", "messages=[]", "model=x", "stream=true", "a=" + "[" * 100_000, "a=NaN"])
def test_a_field_that_makes_no_sense_is_2(words: str) -> None:
    done = ask("--base-url", DEAD, "--field", words, "hi")
    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr) < 1000 or words.startswith("a=[")


def test_url_and_key_may_come_from_the_environment() -> None:
    with loopback.serve(Script(text="yes"), key=KEY) as server:
        done = run("ask", "hi", environment={"YLOKH_BASE_URL": server.url, "YLOKH_API_KEY": KEY})
        assert (done.returncode, done.stdout, done.stderr) == (0, "yes\n", "")
        assert ask("--base-url", server.url, "--api-key", KEY, "hi").stdout == "yes\n"


def test_the_key_is_never_shown() -> None:
    with loopback.serve(Script(instead=Reply.error(401, f"Incorrect API key: {KEY}"))) as server:
        for more in ([], ["--json"], ["--raw"], ["--no-stream"]):
            done = ask("--base-url", server.url, *more, "hi", environment={"YLOKH_API_KEY": KEY})
            assert done.exit_code == 3
            assert "Incorrect API key: <redacted>" in done.output
    assert KEY not in ask("--help", environment={"YLOKH_API_KEY": KEY}).stdout


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_a_question_may_come_through_a_pipe(arguments: list[str]) -> None:
    with loopback.serve() as server:
        done = run("ask", "--base-url", server.url, *arguments, stdin="Привет?\nsecond line\n")
        assert (done.returncode, done.stdout) == (0, f"{GREETING}\n")
        assert server.requests[0].json["messages"] == [{"role": "user", "content": "Привет?\nsecond line"}]


def test_text_is_printed_as_it_comes() -> None:
    with loopback.serve(Script(text="first second", stall_after=1)) as server, started("ask", "--base-url", server.url, "hi") as (_, _, stdout, _):
        ready, _, _ = select.select([stdout], [], [], LIMIT)
        assert ready
        assert os.read(stdout.fileno(), 100) == b"first"


def test_it_can_wait_for_the_whole_answer() -> None:
    script = Script(text="one two", citations=("https://a",), reasoning="Hm.")
    with loopback.serve(script) as server:
        done = ask("--no-stream", "--base-url", server.url, "hi")
        assert (done.exit_code, done.stdout) == (0, "one two\n\n[1] https://a\n")
        assert server.requests[0].json["stream"] is False
        [whole] = objects(ask("--no-stream", "--json", "--base-url", server.url, "hi").stdout)
    assert (whole["type"], whole["choices"][0]["text"], whole["choices"][0]["reasoning"]) == ("completion", "one two", "Hm.")


def test_json_is_one_object_a_part() -> None:
    script = Script(text="да ok", citations=("https://a",), tool_calls=(Call("look", "{}", "c"),))
    with loopback.serve(script) as server:
        done = ask("--json", "--base-url", server.url, "hi")
    told = objects(done.stdout)
    assert done.stdout.isascii()
    assert {"type": "text_delta", "text": "да", "index": 0} in told
    assert {"type": "citations", "items": ["https://a"]} in told
    assert told[-2:] == [
        {"type": "tool_call", "position": 0, "id": "c", "name": "look", "arguments": "{}", "index": 0},
        {"type": "finish", "reason": "tool_calls", "index": 0},
    ]


def test_raw_is_what_came() -> None:
    with loopback.serve(Script(text="да", role="never")) as server:
        done = ask("--raw", "--base-url", server.url, "hi")
        events = objects(done.stdout)
        assert [set(event) for event in events] == [{"event", "data", "id", "retry"}] * 3
        assert json.loads(events[0]["data"])["choices"][0]["delta"] == {"content": "да"}
        assert events[-1] == {"event": "message", "data": "[DONE]", "id": "", "retry": None}
    with loopback.serve(Script(whole=True)) as server:
        [body] = objects(ask("--raw", "--base-url", server.url, "hi").stdout)
    assert json.loads(body["data"])["object"] == "chat.completion"


@pytest.mark.parametrize("reasoning_as", ["reasoning_content", "think"])
def test_thoughts_are_shown_aside_or_not_at_all(reasoning_as: Any) -> None:
    with loopback.serve(Script(text="yes", reasoning="well, hm", reasoning_as=reasoning_as)) as server:
        done = ask("--base-url", server.url, "hi")
        assert (done.stdout, done.stderr) == ("<think>\nwell, hm\n</think>\n\nyes\n" if reasoning_as == "think" else "yes\n", "")
        done = ask("--think", "--base-url", server.url, "hi")
        assert (done.stdout, done.stderr) == ("yes\n", "well, hm\n")
        done = ask("--no-think", "--base-url", server.url, "hi")
        assert (done.stdout, done.stderr) == ("yes\n", "")
        done = ask("--no-think", "--json", "--base-url", server.url, "hi")
        assert [part["type"] for part in objects(done.stdout)] == ["text_delta", "finish"]


def test_several_answers_are_printed_one_after_the_other() -> None:
    with loopback.serve(Script(text="one two")) as server:
        done = ask("--base-url", server.url, "--field", "n=2", "hi")
    assert (done.stdout, done.stderr) == ("one two\n\n2. one two\n", "(answer 2:)\n")


def test_an_answer_that_ended_for_another_reason_is_remarked_upon() -> None:
    with loopback.serve(Script(text="one two three")) as server:
        done = ask("--base-url", server.url, "--field", "max_tokens=2", "hi")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "one two\n", "(the answer ended with: length)\n")


def test_tries_and_the_proxy_are_options() -> None:
    with loopback.serve(fail_first=1, fail_with=Reply.error(429, headers={"retry-after-ms": "1"})) as server:
        assert ask("--base-url", server.url, "--retries", "0", "hi").exit_code == 1
    with loopback.serve(fail_first=1, fail_with=Reply.error(429, headers={"retry-after-ms": "1"})) as server:
        assert ask("--base-url", server.url, "hi").exit_code == 0
        done = ask("--base-url", server.url, "--proxy", "http://me:s3cret@127.0.0.1:9", "--retries", "0", "hi")
    assert done.exit_code == 3
    assert "[proxy-failed]" in done.stderr
    assert "s3cret" not in done.stderr


def test_its_help_documents_the_exit_codes() -> None:
    shown = ask("--help").stdout
    assert "Exit codes: 0 answered; 1 the answer failed" in shown
    assert "130 interrupted" in shown
    assert "YLOKH_API_KEY" in shown


# ------------------------------------------------------------------------------------------------------------------------------ failing


@pytest.mark.parametrize(
    ("script", "code", "stdout", "error"),
    [
        (Script(instead=Reply.error(400, "bad")), 1, "", "HTTP 400: bad [bad-request]"),
        (Script(instead=Reply.error(401, "no key")), 3, "", "HTTP 401: no key [unauthorized] — give a valid key"),
        (Script(instead=Reply.error(403, "not you")), 3, "", "HTTP 403: not you [forbidden]"),
        (Script(instead=Reply.page(403, headers={"cf-mitigated": "challenge"})), 3, "", "[challenge-page] — "),
        (Script(instead=Reply.error(404, "no model")), 1, "", "HTTP 404: no model [not-found]"),
        (Script(instead=Reply.error(429, "slow down", headers={"Retry-After": "600"})), 1, "", "HTTP 429: slow down [rate-limited]"),
        (Script(instead=Reply.error(500, "x\ny", headers={"x-should-retry": "false"})), 1, "", "HTTP 500: x y [server-error]"),
        (Script(instead=Reply.page()), 1, "", "[not-sse] — "),
        (Script(instead=Reply()), 1, "", "[empty-response] — "),
        (Script(redirect=307), 1, "", "the server redirects to /moved/v1/chat/completions (HTTP 307) [redirected]"),
        (Script(text="one two", error="boom", error_after=1), 1, "one\n", "error: boom [stream-error]"),
        (Script(text="one two", cut_after=1), 1, "one\n", "[answer-truncated] — "),
        (Script(text="one two", cut_after=1, cut="chunked"), 4, "one\n", "[connection-lost]"),
        (Script(text="one two", cut_after=1, cut="length"), 4, "one\n", "[connection-lost]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_failure_has_its_exit_code_and_one_line(script: Script, code: int, stdout: str, error: str) -> None:
    with loopback.serve(script) as server:
        done = ask("--base-url", server.url, "hi")
        assert (done.exit_code, done.stdout) == (code, stdout)
        assert error in done.stderr
        assert re.fullmatch(r"error: [^\n]+\n", done.stderr)
        done = ask("--base-url", server.url, "--json", "hi")
        last = objects(done.stdout)[-1]
        assert (done.exit_code, last["type"], last["partial"]) == (code, "error", stdout.strip())
        assert last["cause"] in error


def test_no_connection_is_3(unused_tcp_port: int) -> None:
    done = ask("--base-url", f"http://127.0.0.1:{unused_tcp_port}", "--retries", "0", "hi")
    assert done.exit_code == 3
    assert done.stderr == (f"error: nobody listens at 127.0.0.1:{unused_tcp_port} [connect-refused] — start the server, or correct host and port\n")


def test_a_time_limit_is_4_after_the_text_so_far() -> None:
    with loopback.serve(Script(text="one two", stall_after=1)) as server:
        done = ask("--base-url", server.url, "--timeout", "0.2", "hi")
        assert everyone_left(server)
    assert (done.exit_code, done.stdout) == (4, "one\n")
    assert done.stderr.startswith("error: no end of the answer within 0.2 s [total-timeout] — ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--base-url", DEAD, ""],
        ["--base-url", DEAD, " "],
        ["--base-url", "gopher://host", "hi"],
        ["--base-url", "http://me:mine@host", "hi"],
        ["--base-url", DEAD, "--api-key", "a b", "hi"],
        ["--base-url", DEAD, "--proxy", "nonsense", "hi"],
        ["--base-url", DEAD, "--timeout", "0", "hi"],
        ["--base-url", DEAD, "--timeout", "x", "hi"],
        ["--base-url", DEAD, "--retries", "-1", "hi"],
        ["--base-url", DEAD, "--model", "", "hi"],
        ["--base-url", DEAD, "--no-such-option", "hi"],
        ["--raw", "--json", "hi"],
        ["--raw", "--no-stream", "hi"],
        ["--raw", "--think", "hi"],
        ["hi"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_2(arguments: list[str]) -> None:
    done = ask(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "rror: " in done.stderr


def test_no_server_is_2_and_says_what_to_do() -> None:
    done = run("ask", "hi")
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: there is no server to ask: this client has no default one [no-base-url] — give base_url=, or set YLOKH_BASE_URL"
    )


def test_a_pipe_that_is_empty_or_not_utf8_is_2() -> None:
    for data, words in ((b" \n", "The question is empty."), (b"\xff\xfe", "Standard input is not UTF-8")):
        done = run("ask", "--base-url", DEAD, stdin=data)
        assert done.returncode == 2
        assert words in done.stderr


# --------------------------------------------------------------------------------------------------------------- streams, signals, terminals


def test_streams_that_are_closed_are_no_traceback() -> None:
    def shell(redirections: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return COMMAND.in_a_shell("ask", *arguments, then=redirections)

    done = shell("<&-", "--base-url", DEAD)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, b"Error: Give a question, or pipe one in.")
    with loopback.serve(Script(text="yes")) as server:
        for more in ([], ["--raw"]):
            done = shell(">&-", "--base-url", server.url, *more, "hi")
            assert (done.returncode, done.stderr.partition(" — ".encode())[0]) == (
                1,
                b"error: standard output cannot be written: Bad file descriptor",
            )
        done = shell("2>&-", "--base-url", server.url, "hi")
        assert (done.returncode, done.stdout) == (0, b"yes\n")
    assert shell("2>&-", "--base-url", DEAD, "--retries", "0", "hi").returncode == 3


def test_ctrl_c_is_130_and_the_server_is_left() -> None:
    with loopback.serve(Script(text="first second", stall_after=1)) as server:
        with started("ask", "--base-url", server.url, "hi") as (process, _, stdout, stderr):
            assert stdout.read(5) == b"first"
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT) == 130
            assert (stdout.read(), stderr.read()) == (b"", b"\n")
        assert everyone_left(server)


def test_ctrl_c_between_two_tries_is_130() -> None:
    with loopback.serve(Script(instead=Reply.error(429, headers={"Retry-After": "50"}))) as server:
        with started("ask", "--base-url", server.url, "hi") as (process, _, _, stderr):
            asyncio.run(asyncio.wait_for(server.until(lambda: bool(server.requests)), LIMIT))
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT) == 130
            assert stderr.read() == b"\n"


@pytest.mark.parametrize("more", [[], ["--json"], ["--raw"], ["--no-stream"]], ids=str)
def test_a_reader_that_leaves_is_no_traceback(more: list[str]) -> None:
    with loopback.serve(Script(pieces=("word\n" * 20,) * 2000)) as server:
        done = COMMAND.in_a_shell("ask", "--base-url", server.url, *more, "hi", then="| head -1")
        assert (done.stdout.count(b"\n"), done.stderr) == (1, b"")
        everyone_left(server)


def test_the_exit_code_when_the_reader_leaves_is_1() -> None:
    with loopback.serve(Script(pieces=("word\n" * 20,) * 2000)) as server:
        with started("ask", "--base-url", server.url, "hi") as (process, _, stdout, stderr):
            stdout.read(10)
            stdout.close()
            assert process.wait(LIMIT) == 1
            assert stderr.read() == b""


def test_without_the_cli_extra_it_says_so_in_one_line() -> None:
    code = "import sys; sys.modules['click'] = None; from ylokh_sse.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr) == (2, "ylokh-sse: the command line needs the cli extra: pip install 'engineio-lite[cli]'\n")


def test_half_a_surrogate_pair_and_an_ascii_terminal_lose_no_answer() -> None:
    with loopback.serve(Script(pieces=("\ud83d", " да"))) as server:
        done = run("ask", "--base-url", server.url, "hi", environment={"PYTHONIOENCODING": "ascii"})
        assert (done.returncode, done.stdout) == (0, "\\ufffd \\u0434\\u0430\n")


def test_colour_only_on_a_terminal_and_only_if_it_is_wanted() -> None:
    with loopback.serve(Script(text="hi", citations=("https://a",))) as server:
        assert on_a_terminal("ask", "--base-url", server.url, "hi") == (0, "hi\n\n\x1b[2m[1] https://a\x1b[0m\n")
        assert on_a_terminal("ask", "--base-url", server.url, "hi", environment={"NO_COLOR": "1"}) == (0, "hi\n\n[1] https://a\n")
        assert ask("--base-url", server.url, "hi").stdout == "hi\n\n[1] https://a\n"
    with loopback.serve(Script(instead=Reply.error(400, "no"))) as server:
        assert on_a_terminal("ask", "--base-url", server.url, "hi") == (1, "\x1b[31m\x1b[1merror:\x1b[0m HTTP 400: no [bad-request]\n")


def test_the_cost_is_told_on_a_terminal_only() -> None:
    with loopback.serve(Script(text="hi there", usage="own")) as server:
        assert on_a_terminal("ask", "--base-url", server.url, "hi", environment={"NO_COLOR": "1"}) == (0, "hi there\n(tokens: 1 asked, 2 answered)\n")
        assert ask("--base-url", server.url, "hi").stderr == ""


def test_the_server_cannot_command_the_terminal() -> None:
    script = Script(pieces=("a\x1b[2Jb\x9b2Jc\x07\td",), citations=("x\x1b]0;y\x07",), reasoning="t\x1b[1m")
    with loopback.serve(script) as server:
        plain = {"NO_COLOR": "1"}
        assert on_a_terminal("ask", "--base-url", server.url, "hi", environment=plain) == (0, "a␛[2Jb\ufffd2Jc␇\td\n\n[1] x␛]0;y␇\n")
        assert "t␛[1m" in on_a_terminal("ask", "--think", "--base-url", server.url, "hi", environment=plain)[1]
        assert ask("--base-url", server.url, "hi").stdout.startswith("a\x1b[2Jb\x9b2Jc\x07\td\n")
    with loopback.serve(Script(instead=Reply.error(400, "\x1b[31mred"))) as server:
        assert ask("--base-url", server.url, "hi").stderr == "error: HTTP 400: ␛[31mred [bad-request]\n"


def test_a_terminal_without_a_question_is_asked_for_one() -> None:
    code, shown = on_a_terminal("ask", "--base-url", DEAD)
    assert code == 2
    assert "Give a question, or pipe one in." in shown
