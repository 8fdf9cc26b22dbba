"""Which of the three waits runs out next, by a clock that the test turns."""

from __future__ import annotations

import pytest

from perplexity_labs import Phase, ResponseTimeout, Timeout
from perplexity_labs.timeouts import Patience


def test_connecting_counts_towards_the_whole_only() -> None:
    patience = Patience(Timeout(first_token=1, idle=1, total=100), begun=10.0)
    assert patience.wait == (110.0, Phase.TOTAL, 100)


def test_the_first_token_is_waited_for_from_the_question_whatever_else_is_heard() -> None:
    patience = Patience(Timeout(first_token=5, idle=1, total=100), begun=0.0)
    patience.asked(2.0)
    assert patience.wait[:2] == (7.0, Phase.FIRST_TOKEN)
    patience.heard(6.0, text_seen=False)
    assert patience.wait[:2] == (7.0, Phase.FIRST_TOKEN)


def test_each_reply_with_text_seen_starts_the_idle_wait_again() -> None:
    patience = Patience(Timeout(first_token=5, idle=1, total=100), begun=0.0)
    patience.asked(0.0)
    patience.heard(3.0, text_seen=True)
    assert patience.wait[:2] == (4.0, Phase.IDLE)
    patience.heard(3.5, text_seen=True)
    assert patience.wait[:2] == (4.5, Phase.IDLE)


def test_the_whole_ends_before_a_wait_that_would_last_longer() -> None:
    patience = Patience(Timeout(first_token=5, idle=5, total=6), begun=0.0)
    patience.asked(2.0)
    assert patience.wait[:2] == (6.0, Phase.TOTAL)
    patience.heard(3.0, text_seen=True)
    assert patience.wait[:2] == (6.0, Phase.TOTAL)


def test_none_is_no_limit() -> None:
    patience = Patience(Timeout(first_token=None, idle=None, total=None), begun=0.0)
    assert patience.wait.until is None
    patience.asked(0.0)
    assert patience.wait.until is None
    patience.heard(0.0, text_seen=True)
    assert patience.wait.until is None


@pytest.mark.parametrize(
    ("phase", "message", "cause"),
    [
        (Phase.FIRST_TOKEN, "no text within 2.5 s", "first-token-timeout"),
        (Phase.IDLE, "no further reply within 2.5 s", "idle-timeout"),
        (Phase.TOTAL, "no end of the answer within 2.5 s", "total-timeout"),
    ],
)
def test_a_timeout_names_its_wait_and_its_remedy(phase: Phase, message: str, cause: str) -> None:
    error = ResponseTimeout(phase, 2.5, partial="so far")
    assert (str(error), error.cause, error.phase, error.seconds, error.partial) == (message, cause, phase, 2.5, "so far")
    assert f"timeout.{phase}" in (error.fix or "")


def test_a_timeout_can_say_what_came_instead() -> None:
    assert str(ResponseTimeout(Phase.FIRST_TOKEN, 60, hint="what came is no reply: 'x' with null")).endswith(
        "60 s; what came is no reply: 'x' with null"
    )
