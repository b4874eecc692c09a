"""Runs :mod:`benchmarks.methods.compare`."""

from __future__ import annotations

from benchmarks.methods.compare import main

main()
