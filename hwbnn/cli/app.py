"""The Typer application: its commands, and what becomes of errors."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hwbnn import __version__
from hwbnn.cli.build import register as build
from hwbnn.cli.hardware import register as hardware
from hwbnn.cli.info import register as info
from hwbnn.cli.lower import register as lower
from hwbnn.cli.output import complain
from hwbnn.cli.simulate import register as simulate
from hwbnn.cli.train import register as train
from hwbnn.errors import HwbnnError, Mismatch

_EPILOG = """
Exit status: 0 good; 1 the hardware differs or a goal was missed; 2 bad input or a missing tool.
"""

_EARLIER = {"ways": "backends"}
"""Earlier names of options, which are taken as before and no longer shown."""


class _Group(TyperGroup):
    """Commands whose foreseen errors become one line; others are defects and keep their trace."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command; 1 for a mismatch, 2 for whatever the user can mend."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            from hwbnn.tools.packages import explained

            found = explained(error)
            if found is error:
                raise
            complain(str(found))
            raise typer.Exit(2) from None
        except HwbnnError as error:
            complain(str(error))
            raise typer.Exit(1 if isinstance(error, Mismatch) else 2) from None


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
