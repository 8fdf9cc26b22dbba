"""The group of commands: ``ylokh-sse NAME``. Each command has a module of its own and is only listed here.

A command is imported only when it is run or listed, so that ``ylokh-sse decode`` does not wait for what asking needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from chat_answers.process import loading

__all__ = ["command"]

_MODULES: Final = {"ask": "ask", "decode": "decode", "replay": "play", "show": "show"}
"""The modules of this package by the names of their commands."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        with loading():
            found = getattr(import_module(f"ylokh_sse.{_MODULES[cmd_name]}"), cmd_name)
        assert isinstance(found, click.Command)
        return found


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="engineio-lite", message="%(package)s %(version)s")
def command() -> None:
    """Ask OpenAI-compatible servers, look into their event streams, and play them back.

    To see it work: python -m ylokh_sse.loopback
    """
