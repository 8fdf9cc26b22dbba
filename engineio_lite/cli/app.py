"""The group of commands: `engineio-lite NAME`.

Every module of this package whose name does not begin with an underscore is one command and calls it `command`: a new module is a new command, with
nothing to register. A command is imported only when it is run or listed, so that ``engineio-lite decode`` does not pay for what the demo needs.
"""

from __future__ import annotations

import importlib
import pkgutil

import click

import engineio_lite.cli as package

__all__ = ["command"]


class _Commands(click.Group):
    """A group that finds its commands in the modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        modules = (module.name for module in pkgutil.iter_modules(package.__path__))
        return sorted(name.replace("_", "-") for name in modules if name != "app" and not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        found = importlib.import_module(f"{package.__name__}.{cmd_name.replace('-', '_')}").command
        assert isinstance(found, click.Command)
        return found


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="engineio-lite", message="%(package)s %(version)s")
def command() -> None:
    """See, drive and understand Engine.IO and Socket.IO conversations."""
