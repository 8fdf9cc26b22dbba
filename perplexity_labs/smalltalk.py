"""What the loopback server says when nobody has told it: something that goes with the question, for the questions that people try first.

No model, and no pretence of one: the first pattern that fits the last message of the user decides, and everything else gets a joke.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from chat_answers.parts import JSON


class Answer(NamedTuple):
    """A text and its sources."""

    text: str
    sources: tuple[str, ...] = ()


JOKE = Answer(
    "A long poll walks into a bar and asks for news. The barman says nothing for twenty-five seconds, then leans over and whispers: "
    '"ping." "Pong!" says the poll. "Right answer," says the barman. "Your socket is ready: you have been upgraded." [1][2]',
    ("https://socket.io/docs/v4/engine-io-protocol/", "https://socket.io/docs/v4/how-it-works/"),
)

JOKE_IN_RUSSIAN = Answer("Заходит долгий опрос в бар и спрашивает: «Есть новости?» Бармен молчит двадцать пять секунд и шепчет: «Ping».")

PARIS = Answer("The capital of France is Paris. [1]", ("https://en.wikipedia.org/wiki/Paris",))

PARIS_IN_RUSSIAN = Answer("Столица Франции — Париж. [1]", ("https://ru.wikipedia.org/wiki/Париж",))

GREETING_IN_RUSSIAN = Answer("Привет! Всё хорошо, спасибо: соединение открыто, на каждый ping вовремя приходит pong. А как ваши дела?")

_ANSWERS = tuple(
    (re.compile(pattern, re.IGNORECASE), answer)
    for pattern, answer in (
        (r"\bcapital of france\b|\bfrance's capital\b", PARIS),
        (r"\bстолиц\w* франции\b", PARIS_IN_RUSSIAN),
        (r"\bпривет|\bздравствуй|\bдобр\w+ (?:день|утро|вечер)|\bкак дела\b", GREETING_IN_RUSSIAN),
        (r"[а-яё]", JOKE_IN_RUSSIAN),
    )
)


def answer_to(messages: Sequence[JSON]) -> Answer:
    """Choose the answer to a conversation of ``{"role": …, "content": …}`` objects with text as content."""
    question = next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")
    return next((answer for pattern, answer in _ANSWERS if pattern.search(question)), JOKE)
