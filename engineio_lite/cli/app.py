"""The group of commands: `engineio-lite NAME`.

Every module of this package whose name does not begin with an underscore is one command and calls it `command`: a new module is a new command, with
nothing to register. An underscore at the end of a name that Python keeps for itself (`import_`) is no part of the command's. A command is imported
only when it is run or listed, so that ``engineio-lite decode`` does not pay for what the demo needs.
"""

from __future__ import annotations

import importlib
import pkgutil

import click

import engineio_lite.cli as package
from chat_answers.process import loading

__all__ = ["command"]


class _Commands(click.Group):
    """A group that finds its commands in the modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._modules())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = self._modules().get(cmd_name)
        if module is None:
            return None
        with loading():
            found = importlib.import_module(f"{package.__name__}.{module}").command
        assert isinstance(found, click.Command)
        return found

    @staticmethod
    def _modules() -> dict[str, str]:
        """The modules by the names of their commands."""
        modules = (module.name for module in pkgutil.iter_modules(package.__path__))
        return {name.rstrip("_").replace("_", "-"): name for name in modules if name != "app" and not name.startswith("_")}


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="engineio-lite", message="%(package)s %(version)s")
def command() -> None:
    """See, drive and understand Engine.IO and Socket.IO conversations."""
