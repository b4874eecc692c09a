"""Array types, one set for all rooms: names say the dtype, docstrings the shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array whose dtype is stated where it is used."""
Bools = NDArray[np.bool_]
"""Bits as codes, weights (True for +1), masks."""
Bytes = NDArray[np.uint8]
Signs = NDArray[np.int8]
"""Rows of -1, 0 and +1."""
Shorts = NDArray[np.int16]
Int32s = NDArray[np.int32]
Ints = NDArray[np.int64]
"""Integers of a Graph and whatever is computed from them: every value of a Graph fits."""
Words = NDArray[np.uint64]
"""Bits packed into words of 64."""
Float32s = NDArray[np.float32]
"""Numbers as torch computes them."""
Floats = NDArray[np.float64]
