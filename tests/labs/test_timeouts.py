"""How long an answer may take: what the numbers may be, and what a number alone means. That they are kept is tested with a server."""

from __future__ import annotations

from typing import Any

import pytest

from perplexity_labs import ConfigurationError, LabsClient, Timeout


def test_a_number_is_the_limit_for_the_whole_and_the_only_one() -> None:
    assert Timeout.of(5) == Timeout(first_token=None, idle=None, total=5)
    assert Timeout.of(Timeout(idle=1)) == Timeout(idle=1)


def test_none_is_no_limit() -> None:
    assert Timeout(first_token=None, idle=None, total=None) == Timeout(total=None, idle=None, first_token=None)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "5"])
@pytest.mark.parametrize("wait", ["first_token", "idle", "total"])
def test_what_is_no_number_of_seconds_is_refused(wait: str, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"timeout.{wait} is a number of seconds above 0, or None for no limit, not"):
        Timeout(**{wait: seconds})


def test_the_client_refuses_it_when_it_is_made() -> None:
    with pytest.raises(ConfigurationError):
        LabsClient("http://127.0.0.1:9", timeout=-1)
