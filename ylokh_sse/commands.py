"""The group of commands: ``ylokh-sse NAME``. Each command has a module of its own and is only listed here."""

from __future__ import annotations

import click

from ylokh_sse.decode import decode

__all__ = ["command"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="engineio-lite", message="%(package)s %(version)s")
def command() -> None:
    """Read and understand chat streams over server-sent events."""


command.add_command(decode)
