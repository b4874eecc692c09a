"""Comparative measurements; each script prints a table and writes it to ``results/``."""

from __future__ import annotations
