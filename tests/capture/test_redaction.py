"""Secrets are learnt once and then found wherever and in whatever form they come back."""

from __future__ import annotations

import json
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from engineio_lite.capture.redaction import MIN_SEARCHED, REDACTED, Secrets, head, masked, strings

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def _knowing(*secrets: str) -> Secrets:
    known = Secrets()
    for secret in secrets:
        known.learn(secret)
    return known


def test_who_knows_no_secrets_hides_nothing() -> None:
    assert Secrets().hide("anything <at> all") == "anything <at> all"
    assert Secrets().hide("") == ""


def test_a_secret_is_hidden_as_often_as_it_comes() -> None:
    assert _knowing("token").hide("token=token&tok=en") == f"{REDACTED}={REDACTED}&tok=en"


def test_what_is_shown_in_place_of_a_secret_can_be_chosen() -> None:
    known = Secrets()
    known.learn("lv_VI97HAXpY6yYWAAAB", head("lv_VI97HAXpY6yYWAAAB"))
    assert known.hide("sid=lv_VI97HAXpY6yYWAAAB") == "sid=lv_V…"


def test_what_is_learnt_first_stays() -> None:
    known = _knowing("token")
    known.learn("token", "token")
    assert known.hide("token") == REDACTED


def test_secrets_can_be_learnt_after_some_were_hidden() -> None:
    known = _knowing("first")
    assert known.hide("first second") == f"{REDACTED} second"
    known.learn("second")
    assert known.hide("first second") == f"{REDACTED} {REDACTED}"


def test_of_two_secrets_that_overlap_the_longer_is_hidden_whole() -> None:
    for order in (("pass", "password"), ("password", "pass")):
        assert _knowing(*order).hide("password pass") == f"{REDACTED} {REDACTED}"


def test_what_was_put_in_place_of_a_secret_is_not_searched_again() -> None:
    assert _knowing("token", "redacted").hide("token redacted") == f"{REDACTED} {REDACTED}"


def test_a_secret_that_looks_like_a_pattern_is_taken_literally() -> None:
    assert _knowing("a.*b+").hide("a.*b+ axxb") == f"{REDACTED} axxb"


def test_what_is_too_short_to_be_a_secret_is_not_looked_for() -> None:
    short = "x" * (MIN_SEARCHED - 1)
    assert _knowing(short, "").hide(f"{short}yz") == f"{short}yz"
    assert _knowing(short + "x").hide(f"{short}xyz") == f"{REDACTED}yz"


@given(st.text(min_size=MIN_SEARCHED), st.text(), st.text())
def test_a_secret_is_found_in_each_form_in_which_it_may_come_back(secret: str, before: str, after: str) -> None:
    known = _knowing(secret)
    for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="", errors="replace")):
        shown = known.hide(f"{before}{form}{after}")
        assert REDACTED in shown
    assert known.hide(secret) == REDACTED


def test_the_head_of_an_id_is_never_more_than_half_of_it() -> None:
    assert [head("abcdefghij"[:length]) for length in (0, 1, 2, 3, 6, 8, 10)] == ["…", "…", "a…", "a…", "abc…", "abcd…", "abcd…"]


def test_a_masked_value_has_its_shape_and_none_of_its_strings() -> None:
    value = {"token": "t", "list": ["a", 1, 2.5, None, True, {"deep": "b"}], "empty": {}}
    assert masked(value) == {"token": REDACTED, "list": [REDACTED, 1, 2.5, None, True, {"deep": REDACTED}], "empty": {}}
    assert list(strings(value)) == ["t", "a", "b"]


@given(_json)
def test_masking_leaves_no_string_but_the_mask(value: object) -> None:
    assert set(strings(masked(value))) <= {REDACTED}
    assert len(list(strings(masked(value)))) == len(list(strings(value)))
