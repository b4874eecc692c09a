"""Runs :mod:`benchmarks.circuits.measure`."""

from __future__ import annotations

from benchmarks.circuits.measure import main

main()
