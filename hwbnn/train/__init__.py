"""Training: data sets, recipes, the loop, and the folders of trained networks."""

from __future__ import annotations
