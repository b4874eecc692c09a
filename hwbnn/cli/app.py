"""The Typer application and its commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hwbnn import __version__
from hwbnn.cli.build import register as build
from hwbnn.cli.failures import one_line
from hwbnn.cli.hardware import register as hardware
from hwbnn.cli.info import register as info
from hwbnn.cli.lower import register as lower
from hwbnn.cli.simulate import register as simulate
from hwbnn.cli.train import register as train
from hwbnn.errors import InputError, nearest

_EPILOG = """
Exit status: 0 good; 1 the hardware differs or a goal was missed; 2 bad input or a missing tool;
130 interrupted.
"""

_EARLIER = {"ways": "backends", "made": "form"}
"""Earlier names of options, which are still accepted but no longer shown."""


class _Group(TyperGroup):
    """Commands whose expected errors become one line; others are defects and keep their trace."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the program's own options."""
        with one_line():
            return super().make_context(*args, **kwargs)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; for an unknown one the error lists the existing ones."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            names = nearest(args[0], self.commands)
            raise InputError(f"no command {args[0][:60]!r}; expected one of {names}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with one_line():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={
        "help_option_names": ["-h", "--help"],
        "token_normalize_func": lambda name: _EARLIER.get(name, name),
    },
    add_completion=False,
    epilog=_EPILOG,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hwbnn {__version__}")
        raise typer.Exit


@app.callback()
def hwbnn(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Binary neural networks from PyTorch to FPGA cores that are shown to compute the same bits.

    Begin with `hwbnn demo`; `hwbnn doctor` says which tools are there; every command explains
    itself with `--help`.
    """


for register in (build, train, lower, simulate, hardware, info):
    register(app)
