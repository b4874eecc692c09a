"""An RTL core as a product: the design with its benches, its packaging and its description."""

from __future__ import annotations

from hwbnn.targets.ip.core_folder import generate

__all__ = ["generate"]
