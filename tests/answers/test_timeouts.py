"""Which wait runs out next, by a clock that is an argument; and which waits make sense."""

from __future__ import annotations

import math

import pytest

from chat_answers import ConfigurationError, Phase, ResponseTimeout
from chat_answers.timeouts import Patience, Wait, check_seconds


def test_until_something_is_awaited_only_the_whole_is_bounded() -> None:
    assert Patience(10.0, begun=1.0).wait == Wait(11.0, Phase.TOTAL, 10.0)
    assert Patience(None, begun=1.0).wait == Wait(None, Phase.TOTAL, math.inf)


def test_the_wait_that_runs_out_first_counts() -> None:
    patience = Patience(10.0, begun=0.0)
    patience.await_next(Phase.FIRST_BYTE, 4.0, now=1.0)
    assert patience.wait == Wait(5.0, Phase.FIRST_BYTE, 4.0)
    patience.await_next(Phase.IDLE, 4.0, now=7.0)
    assert patience.wait == Wait(10.0, Phase.TOTAL, 10.0)


def test_none_waits_as_long_as_the_whole_may_take() -> None:
    patience = Patience(10.0, begun=0.0)
    patience.await_next(Phase.IDLE, None, now=7.0)
    assert patience.wait == Wait(10.0, Phase.TOTAL, 10.0)
    patience = Patience(None, begun=0.0)
    patience.await_next(Phase.IDLE, 1.0, now=7.0)
    assert patience.wait == Wait(8.0, Phase.IDLE, 1.0)
    patience.await_next(Phase.IDLE, None, now=8.0)
    assert patience.wait.until is None


@pytest.mark.parametrize("seconds", [None, 1, 0.5, 1e9])
def test_a_sensible_wait_passes(seconds: float | None) -> None:
    check_seconds(idle=seconds, total=None)


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan, True, "1", [], 1j], ids=repr)
def test_any_other_is_refused_by_name(seconds: object) -> None:
    with pytest.raises(ConfigurationError, match=r"^timeout\.idle is a number of seconds above 0, or None for no limit, not ") as caught:
        check_seconds(total=1, idle=seconds)
    assert isinstance(caught.value, ValueError)
    assert caught.value.cause == "bad-option"


@pytest.mark.parametrize("phase", Phase)
def test_a_timeout_names_its_wait(phase: Phase) -> None:
    error = ResponseTimeout(phase, 2.5, partial="so far", hint="only pings came")
    assert str(error).endswith(" within 2.5 s; only pings came")
    assert (error.phase, error.seconds, error.partial, error.cause) == (phase, 2.5, "so far", f"{phase.replace('_', '-')}-timeout")
    assert error.fix
    assert str(ResponseTimeout(phase, 60)).endswith(" within 60 s")
