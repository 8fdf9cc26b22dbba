"""The command ``perplexity-labs ask``, as a process of its own, against the loopback server: what it prints, and the exit code that it ends with."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
from typing import Any

import pytest

from perplexity_labs import encode_request, loopback
from perplexity_labs.loopback import JOKE, REWRITTEN, SOURCES
from tests.commands import LIMIT, Command

DEAD = "http://127.0.0.1:9"
SOURCE_LIST = "".join(f"[{number}] {source}\n" for number, source in enumerate(SOURCES, 1))
COMMAND = Command(sys.executable, "-m", "perplexity_labs.cli", without=["PERPLEXITY_LABS_URL"])
SERVER = Command(sys.executable, "-m", "perplexity_labs.loopback")
run, started, on_a_terminal = COMMAND.run, COMMAND.started, COMMAND.on_a_terminal


def interrupt(process: subprocess.Popen[bytes]) -> int:
    """Press Ctrl-C as a person does: again, if nothing happens. Python overlooks a signal that falls between its look and its read."""
    while True:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(2)


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


# --------------------------------------------------------------------------------------------------------------------------------- asking


def test_it_prints_the_answer_and_its_sources() -> None:
    with loopback.serve(pace=0) as server:
        done = run("ask", "--url", server.url, "Tell me a joke")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{JOKE}\n\n{SOURCE_LIST}", "")
    assert server.questions == [encode_request("Tell me a joke")]


def test_words_need_no_quotes_and_options_reach_the_server() -> None:
    with loopback.serve(pace=0, citations=()) as server:
        done = run("ask", "--url", server.url, "--model", "sonar", "--system", "Be brief.", "--transport", "polling", "Tell", "me", "a joke")
    assert (done.returncode, done.stdout) == (0, f"{JOKE}\n")
    assert server.questions == [
        encode_request([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me a joke"}], model="sonar")
    ]
    assert server.visitors[0].transport == "polling"
    assert server.visitors[0].left == "client disconnect"


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_a_question_may_come_through_a_pipe(arguments: list[str]) -> None:
    with loopback.serve(text="да", pace=0, citations=()) as server:
        done = run("ask", "--url", server.url, *arguments, stdin="Привет?\nsecond line\n")
    assert (done.returncode, done.stdout) == (0, "да\n")
    assert server.questions[0]["messages"] == [{"role": "user", "content": "Привет?\nsecond line"}]


def test_the_address_may_come_from_the_environment() -> None:
    with loopback.serve(text="yes", pace=0, citations=()) as server:
        done = run("ask", "hi", environment={"PERPLEXITY_LABS_URL": server.url})
    assert (done.returncode, done.stdout) == (0, "yes\n")


def test_json_is_one_object_a_part() -> None:
    with loopback.serve(text="да ok", rewrite_at=1, citations=["https://a"], pace=0) as server:
        done = run("ask", "--json", "--url", server.url, "hi")
    assert objects(done) == [
        {"type": "text_delta", "text": "да", "index": 0},
        {"type": "text_reset", "text": f"{REWRITTEN} ok", "index": 0},
        {"type": "citations", "items": ["https://a"]},
        {"type": "finish", "reason": "stop", "index": 0},
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_text_is_printed_as_it_comes() -> None:
    replies: list[loopback.Reply] = [("x", ({"output": "first"},))]
    with loopback.serve(replies=replies) as server, started("ask", "--url", server.url, "hi") as (_, _, stdout, _):
        ready, _, _ = select.select([stdout], [], [], LIMIT)
        assert ready
        assert os.read(stdout.fileno(), 100) == b"first"


def test_a_rewritten_answer_is_printed_anew_with_a_note() -> None:
    with loopback.serve(text="one two three", rewrite_at=1, citations=(), pace=0) as server:
        done = run("ask", "--url", server.url, "hi")
    assert done.stdout == f"one\n{REWRITTEN} two three\n"
    assert done.stderr == "(the service rewrote its answer; from the beginning:)\n"


def test_sources_that_are_no_text_are_named_too() -> None:
    with loopback.serve(text="hi", citations=[{"url": "https://a", "title": "A"}, {"title": "B"}, 3, "two\nlines"], pace=0) as server:
        done = run("ask", "--url", server.url, "hi")
    assert done.stdout == 'hi\n\n[1] https://a\n[2] {"title":"B"}\n[3] 3\n[4] two lines\n'


def test_half_a_surrogate_pair_and_an_ascii_terminal_lose_no_answer() -> None:
    with loopback.serve(pieces=["\ud83d", " да"], citations=(), pace=0) as server:
        done = run("ask", "--url", server.url, "hi", environment={"PYTHONIOENCODING": "ascii"})
        assert (done.returncode, done.stdout) == (0, "\\ufffd \\u0434\\u0430\n")
        assert objects(run("ask", "--json", "--url", server.url, "hi"))[0] == {"type": "text_delta", "text": "\ufffd да", "index": 0}


def test_base_url_is_another_name_of_url() -> None:
    with loopback.serve(text="yes", pace=0, citations=()) as server:
        done = run("ask", "--base-url", server.url, "hi")
    assert (done.returncode, done.stdout) == (0, "yes\n")


def test_it_can_wait_for_the_whole_answer() -> None:
    with loopback.serve(text="one two three", rewrite_at=1, citations=["https://a"], pace=0) as server:
        done = run("ask", "--no-stream", "--url", server.url, "hi")
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{REWRITTEN} two three\n\n[1] https://a\n", "")
        [whole] = objects(run("ask", "--no-stream", "--json", "--url", server.url, "hi"))
    assert (whole["type"], whole["choices"][0]["text"], whole["citations"]) == ("completion", f"{REWRITTEN} two three", ["https://a"])


def test_events_can_be_seen_as_they_came() -> None:
    replies: list[loopback.Reply] = [("news", ()), ("x", ({"output": "да"}, b"\x00\xff")), ("x", ({"final": True},))]
    with loopback.serve(replies=replies, pace=0) as server:
        done = run("ask", "--raw", "--url", server.url, "hi")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [["news"], ["x", {"output": "да"}, "00ff"], ["x", {"final": True}]]
    assert (done.returncode, done.stderr) == (0, "")


def test_events_are_shown_up_to_the_one_that_failed() -> None:
    with loopback.serve(fail="no", pace=0) as server:
        done = run("ask", "--raw", "--url", server.url, "hi")
    assert (done.returncode, done.stderr) == (1, "error: no [answer-failed]\n")
    assert json.loads(done.stdout)[1]["status"] == "failed"


def test_thoughts_are_shown_aside_or_not_at_all() -> None:
    with loopback.serve(text="yes", think="well, hm", citations=(), pace=0) as server:
        done = run("ask", "--url", server.url, "hi")
        assert (done.stdout, done.stderr) == ("<think>\nwell, hm\n</think>\n\nyes\n", "")
        done = run("ask", "--think", "--url", server.url, "hi")
        assert (done.stdout, done.stderr) == ("yes\n", "well, hm\n")
        done = run("ask", "--no-think", "--url", server.url, "hi")
        assert (done.stdout, done.stderr) == ("yes\n", "")
        kinds = [part["type"] for part in objects(run("ask", "--json", "--think", "--url", server.url, "hi"))]
        assert kinds == ["reasoning_delta", "reasoning_delta", "text_delta", "finish"]
        assert [part["type"] for part in objects(run("ask", "--json", "--no-think", "--url", server.url, "hi"))] == ["text_delta", "finish"]


def test_its_help_documents_the_exit_codes() -> None:
    shown = run("ask", "--help").stdout
    assert "Exit codes: 0 answered; 1 the answer failed" in shown
    assert "130 interrupted" in shown


# ------------------------------------------------------------------------------------------------------------------------------ failing


def test_a_failed_answer_is_1() -> None:
    with loopback.serve(fail="Too many\nrequests", fail_after=2, pace=0) as server:
        done = run("ask", "--url", server.url, "hi")
    assert (done.returncode, done.stdout, done.stderr) == (1, "A long\n", "error: Too many requests [answer-failed]\n")


def test_a_failed_answer_in_json_is_the_last_object() -> None:
    with loopback.serve(fail="Too many requests", fail_after=2, pace=0) as server:
        done = run("ask", "--json", "--url", server.url, "hi")
    assert done.returncode == 1
    assert objects(done)[-1] == {"type": "error", "cause": "answer-failed", "message": "Too many requests", "fix": None, "partial": "A long"}
    assert done.stderr == "error: Too many requests [answer-failed]\n"


def test_an_unknown_dialect_is_1() -> None:
    with loopback.serve(replies=[("x", ({"answer": "hi", "final": True},))]) as server:
        done = run("ask", "--url", server.url, "hi")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: the answer ended without any text: expected `output`, saw keys 'answer', 'final' in 'x' [answer-unexpected] — "
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["ask", "--url", DEAD, ""],
        ["ask", "--url", DEAD, " "],
        ["ask", "--url", DEAD],
        ["ask", "--url", DEAD, "-"],
        ["ask", "--no-such-option", "hi"],
        ["ask", "--timeout", "0", "hi"],
        ["ask", "--transport", "pigeon", "hi"],
        ["ask", "--raw", "--json", "hi"],
        ["ask", "--raw", "--no-stream", "hi"],
        ["ask", "--raw", "--no-think", "hi"],
        ["ask", "--url", "gopher://127.0.0.1", "hi"],
        ["tell"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_a_wrong_call_is_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "rror: " in done.stderr


def test_a_pipe_that_is_not_utf8_is_2() -> None:
    done = run("ask", "--url", DEAD, stdin=b"\xff\xfe")
    assert done.returncode == 2
    assert "Standard input is not UTF-8" in done.stderr


def test_the_retired_service_is_called_gone() -> None:
    done = run("ask", "--proxy", DEAD, "hi")  # a proxy that is not there, so that nothing leaves this machine
    assert done.returncode == 3
    assert done.stderr.startswith(
        "error: the Labs service was retired in 2025, and no other server is known [service-retired] — give the URL of a server, "
    )


def test_streams_that_are_closed_are_no_traceback() -> None:
    def shell(redirections: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return COMMAND.in_a_shell("ask", *arguments, then=redirections)

    done = shell("<&-", "--url", DEAD)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, b"Error: Give a question, or pipe one in.")
    with loopback.serve(pace=0) as server:
        done = shell(">&-", "--url", server.url, "hi")
    assert (done.returncode, done.stderr.partition(" — ".encode())[0]) == (1, b"error: standard output cannot be written: Bad file descriptor")


def test_a_dead_server_is_3() -> None:
    done = run("ask", "--url", DEAD, "hi")
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(r"error: nobody listens at 127.0.0.1:9 \[connect-refused\] — start the server, or correct host and port\n", done.stderr)


def test_a_dead_proxy_is_3() -> None:
    with loopback.serve() as server:
        done = run("ask", "--url", server.url, "--proxy", DEAD, "hi")
    assert done.returncode == 3
    assert "[proxy-failed]" in done.stderr


def test_a_refusal_is_3_with_the_servers_words() -> None:
    with loopback.serve(refuse="come back later") as server:
        done = run("ask", "--url", server.url, "hi")
    assert (done.returncode, done.stdout) == (3, "")
    assert "come back later" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_lost_connection_is_4_after_the_text_so_far() -> None:
    with loopback.serve(disconnect_after=2, pace=0) as server:
        done = run("ask", "--url", server.url, "hi")
    assert (done.returncode, done.stdout) == (4, "A long\n")
    assert re.fullmatch(r"error: the connection ended in the middle of the answer: [^\n]*\[server-disconnected\][^\n]*\n", done.stderr)


def test_a_time_limit_is_4() -> None:
    with loopback.serve(delay_first=60) as server:
        done = run("ask", "--url", server.url, "--timeout", "0.5", "hi")
        assert server.visitors[0].left == "client disconnect"
    assert done.returncode == 4
    assert done.stderr.startswith("error: no end of the answer within 0.5 s [total-timeout] — ")


def test_ctrl_c_is_130_and_the_server_is_told() -> None:
    with loopback.serve(replies=[("x", ({"output": "first"},))]) as server:
        with started("ask", "--url", server.url, "hi") as (process, _, stdout, stderr):
            assert stdout.read(5) == b"first"
            process.send_signal(signal.SIGINT)
            assert process.wait(LIMIT) == 130
            assert stderr.read() == b"\n"
        assert [visitor.left for visitor in server.visitors] == ["client disconnect"]


def test_ctrl_c_takes_no_longer_because_the_server_is_stuck() -> None:
    with SERVER.started("--pace", "0.01") as (server, _, printed, _):
        url = printed.readline().decode().strip()
        with started("ask", "--url", url, "hi") as (process, _, stdout, stderr):
            assert stdout.read(5)
            server.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGINT)
            assert process.wait(5) == 130
            assert b"Traceback" not in stderr.read()


def test_ctrl_c_while_it_reads_the_question_is_130() -> None:
    with started("ask", "--url", DEAD, "-") as (process, stdin, _, stderr):
        stdin.write(b"x" * 200_000)  # more than a pipe holds: it is being read once this is written
        stdin.flush()
        assert interrupt(process) == 130
        assert b"Traceback" not in stderr.read()


def test_a_reader_that_leaves_is_no_traceback() -> None:
    with loopback.serve(text="word " * 2000, pace=0) as server:
        with started("ask", "--url", server.url, "hi") as (process, _, stdout, stderr):
            stdout.read(10)
            stdout.close()
            assert process.wait(LIMIT) == 1
            assert stderr.read() == b""


def test_without_the_cli_extra_it_says_so_in_one_line() -> None:
    code = "import sys; sys.modules['click'] = None; from perplexity_labs.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr) == (2, "perplexity-labs: the command line needs the cli extra: pip install 'engineio-lite[cli]'\n")


# --------------------------------------------------------------------------------------------------------------------------- on a terminal


def test_colour_only_on_a_terminal_and_only_if_it_is_wanted() -> None:
    with loopback.serve(text="hi", pace=0, citations=["https://a"]) as server:
        assert on_a_terminal("ask", "--url", server.url, "hi") == (0, "hi\n\n\x1b[2m[1] https://a\x1b[0m\n")
        assert on_a_terminal("ask", "--url", server.url, "hi", environment={"NO_COLOR": "1"}) == (0, "hi\n\n[1] https://a\n")
    with loopback.serve(fail="no") as server:
        assert on_a_terminal("ask", "--url", server.url, "hi") == (1, "\x1b[31m\x1b[1merror:\x1b[0m no [answer-failed]\n")


def test_thoughts_are_dim_on_a_terminal() -> None:
    with loopback.serve(pieces=["yes"], think="hm", citations=(), pace=0) as server:
        assert on_a_terminal("ask", "--think", "--url", server.url, "hi") == (0, "\x1b[2mhm\x1b[0m\nyes\n")


def test_the_server_cannot_command_the_terminal() -> None:
    with loopback.serve(pieces=["a\x1b[2Jb\x9b2Jc\x07\td"], pace=0, citations=["x\x1b]0;y\x07"]) as server:
        assert on_a_terminal("ask", "--url", server.url, "hi", environment={"NO_COLOR": "1"}) == (0, "a␛[2Jb�2Jc␇\td\n\n[1] x␛]0;y␇\n")
        assert run("ask", "--url", server.url, "hi").stdout.startswith("a\x1b[2Jb\x9b2Jc\x07\td\n")
    with loopback.serve(fail="\x1b[31mred") as server:
        assert run("ask", "--url", server.url, "hi").stderr == "error: ␛[31mred [answer-failed]\n"


def test_a_terminal_without_a_question_is_asked_for_one() -> None:
    code, shown = on_a_terminal("ask", "--url", DEAD)
    assert code == 2
    assert "Give a question, or pipe one in." in shown
