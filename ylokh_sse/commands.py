"""The group of commands: ``ylokh-sse NAME``. Each command has a module of its own and is only listed here."""

from __future__ import annotations

import click

from ylokh_sse.ask import ask
from ylokh_sse.decode import decode
from ylokh_sse.play import replay
from ylokh_sse.show import show

__all__ = ["command"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="engineio-lite", message="%(package)s %(version)s")
def command() -> None:
    """Ask OpenAI-compatible servers, look into their event streams, and play them back.

    To see it work: python -m ylokh_sse.loopback
    """


command.add_command(ask)
command.add_command(decode)
command.add_command(replay)
command.add_command(show)
