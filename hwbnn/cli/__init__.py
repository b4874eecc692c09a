"""The command line: thin commands over the package, one file for each few of them."""

from __future__ import annotations


def main() -> None:
    """Run the command line; the entry point ``hwbnn``."""
    from hwbnn.cli.app import app

    app()
