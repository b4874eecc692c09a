"""Verification: every way of computing a Graph is held, bit for bit, to the plain simulator."""

from __future__ import annotations
