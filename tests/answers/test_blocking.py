"""Ordinary code that iterates over what is asynchronous: what it gets, what it is told, and that no thread is left behind."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Callable, Iterator

import pytest

from chat_answers import ConfigurationError
from chat_answers.blocking import BlockingIterator, refuse_running_loop, run
from tests.commands import heeding_ctrl_c

WAIT = 30.0
"""Seconds that a test waits for a thread which is about to end; only a failing test takes them."""


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "chat-answer"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    assert threads() == []
    yield
    for thread in threads():
        thread.join(WAIT)
    assert threads() == []


class Numbers:
    """Makes a generator of numbers and notes how it fares."""

    def __init__(self, *, then: Callable[[], object] = lambda: None) -> None:
        self.notes: list[str] = []
        self._then = then

    async def __call__(self, count: int = 3) -> AsyncGenerator[int, None]:
        try:
            for number in range(count):
                self.notes.append(f"make {number}")
                yield number
            self._then()
        except GeneratorExit:
            self.notes.append("closed")
            raise
        finally:
            await asyncio.sleep(0)
            self.notes.append("left")


def test_all_is_given_in_order_and_the_thread_ends_with_it() -> None:
    numbers = Numbers()
    iterator = BlockingIterator(numbers)
    assert iter(iterator) is iterator
    assert list(iterator) == [0, 1, 2]
    assert threads() == []
    assert numbers.notes[-1] == "left"
    assert list(iterator) == []


def test_nothing_begins_before_it_is_asked_for_and_nothing_is_read_ahead() -> None:
    numbers = Numbers()
    with BlockingIterator(numbers) as iterator:
        assert threads() == []
        assert next(iterator) == 0
        assert numbers.notes == ["make 0"]
        assert next(iterator) == 1
        assert numbers.notes == ["make 0", "make 1"]


def test_closing_ends_the_generator_and_is_harmless_afterwards() -> None:
    numbers = Numbers()
    iterator = BlockingIterator(numbers)
    assert next(iterator) == 0
    iterator.close()
    assert threads() == []
    assert numbers.notes == ["make 0", "closed", "left"]
    iterator.close()
    with pytest.raises(StopIteration):
        next(iterator)


def test_closing_what_never_began_begins_nothing() -> None:
    numbers = Numbers()
    BlockingIterator(numbers).close()
    assert numbers.notes == []


def test_leaving_a_block_ends_the_generator() -> None:
    numbers = Numbers()
    with BlockingIterator(numbers) as iterator:
        assert next(iterator) == 0
    assert threads() == []
    assert numbers.notes == ["make 0", "closed", "left"]


def test_a_break_out_of_the_loop_ends_the_generator() -> None:
    numbers = Numbers()

    def first() -> int:
        for number in BlockingIterator(numbers):
            return number
        raise AssertionError

    assert first() == 0
    gc.collect()
    assert threads() == []
    assert numbers.notes == ["make 0", "closed", "left"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()], ids=repr)
def test_what_the_generator_raises_is_raised_here(error: BaseException) -> None:
    def fail() -> None:
        raise error

    iterator = BlockingIterator(Numbers(then=fail))
    assert [next(iterator) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(type(error)) as caught:
        next(iterator)
    assert caught.value is error
    assert threads() == []
    assert list(iterator) == []


def test_what_making_the_generator_raises_is_raised_here() -> None:
    def make() -> AsyncGenerator[int, None]:
        raise ZeroDivisionError

    iterator = BlockingIterator(make)
    with pytest.raises(ZeroDivisionError):
        next(iterator)
    assert threads() == []
    assert list(iterator) == []


def test_what_closing_the_generator_raises_is_raised_here() -> None:
    async def make() -> AsyncGenerator[int, None]:
        try:
            yield 1
        finally:
            raise ZeroDivisionError

    iterator = BlockingIterator(make)
    assert next(iterator) == 1
    with pytest.raises(ZeroDivisionError):
        iterator.close()
    iterator.close()


def test_ctrl_c_ends_a_generator_that_waits_for_ever() -> None:
    notes = []

    async def make() -> AsyncGenerator[int, None]:
        yield 1
        try:
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            notes.append("left")

    iterator = BlockingIterator(make)
    with heeding_ctrl_c(), pytest.raises(KeyboardInterrupt):
        list(iterator)
    iterator.close()
    assert threads() == []
    assert notes == ["left"]


def test_a_thread_that_cannot_start_leaves_nothing_to_close(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "Thread", NoThread)
    with pytest.raises(RuntimeError, match="can't start"), BlockingIterator(Numbers()) as iterator:
        next(iterator)


def test_a_loop_that_ended_by_itself_can_be_closed() -> None:
    async def make() -> AsyncGenerator[int, None]:
        def interrupt() -> None:
            raise KeyboardInterrupt

        asyncio.get_running_loop().call_soon(interrupt)
        yield 1

    iterator = BlockingIterator(make)
    assert next(iterator) == 1
    for thread in threads():
        thread.join(WAIT)
    with pytest.raises(KeyboardInterrupt):
        iterator.close()
    iterator.close()


def test_an_iterator_that_is_collected_in_its_own_thread_ends_it() -> None:
    """A garbage collection runs wherever it happens to begin, and finds there what hangs together in a circle."""
    loops: list[asyncio.AbstractEventLoop] = []

    async def make() -> AsyncGenerator[int, None]:
        loops.append(asyncio.get_running_loop())
        yield 1

    def drop() -> None:
        iterator = BlockingIterator(make)
        circle: list[object] = [iterator]
        circle.append(circle)
        assert next(iterator) == 1

    gc.disable()
    try:
        drop()
        [thread] = threads()
        loops[0].call_soon_threadsafe(gc.collect)
        thread.join(WAIT)
    finally:
        gc.enable()
    assert threads() == []


def test_a_wrong_call_is_a_type_error_and_no_more() -> None:
    with pytest.raises(TypeError):
        BlockingIterator()  # type: ignore[call-arg]
    gc.collect()


async def test_a_running_loop_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"ask_sync would stop the event loop") as caught:
        refuse_running_loop("ask_sync", "ask")
    assert (caught.value.cause, caught.value.fix) == ("running-loop", "use ask there")


def test_without_a_running_loop_a_result_is_waited_for() -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    refuse_running_loop("ask_sync", "ask")
    assert run(answer) == 42


def test_a_program_that_ends_in_the_middle_lets_the_generator_leave() -> None:
    code = """
from chat_answers.blocking import BlockingIterator

async def numbers():
    try:
        while True:
            yield 1
    finally:
        print("left")

iterator = BlockingIterator(numbers)
next(iterator)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "left\n", "")
