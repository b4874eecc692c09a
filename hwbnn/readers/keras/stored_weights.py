"""The arrays of each layer, in either of the two ways in which Keras stores weights.

- By names (``.h5`` of Keras 2 and 3): HDF5 group ``<layer>`` with an attribute ``weight_names``,
  where the last part of each name is the role: ``dense/kernel:0``.
- By class counter (``.keras``, ``.weights.h5``): ``layers/<key>/vars/0, 1, ...``; the key is the
  class in snake case with a counter in the order of the layers. Later versions store the layer's
  name as an attribute ``name`` of ``vars``; if it exists, it is used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hwbnn.graph.arrays import Array
from hwbnn.readers.keras.architecture import LayerConfig
from hwbnn.tools.hdf5 import Hdf5File

_NAMED = ("", "model_weights")


class StoredWeights:
    """The weights of a file, by layer.

    Args:
        file: the HDF5 file.
        layers: the layers of the network, in the order of its configuration.
    """

    def __init__(self, file: Hdf5File, layers: Sequence[LayerConfig]) -> None:
        self.file = file
        self._root = next(
            (root for root in _NAMED if "layer_names" in file.attributes.get(root, {})), None
        )
        self._keys = {} if self._root is not None else self._counted(layers)

    def of(
        self,
        layer: LayerConfig,
        roles: Sequence[str],
        inner: Sequence[str] = (),
        *,
        counter: str = "",
    ) -> list[Array]:
        """The arrays of a layer, in the order of ``roles``.

        Args:
            layer: the layer.
            roles: roles of its arrays, in the order in which the layer creates them, such as
                ``("kernel", "bias")``.
            inner: roles of the arrays of a layer inside this layer, such as a folded BatchNorm.
            counter: role of an array that may be stored behind ``roles`` and is left out.

        Raises:
            InputError: if the file does not have the arrays of these roles.
        """
        wanted = (*roles, *inner)
        if self._root is not None:
            found = self._by_role(layer)
            missing = [role for role in wanted if role not in found]
            if missing:
                raise layer.damaged(
                    f"expected weights {', '.join(wanted)}; the file has no {missing[0]} for it"
                )
            return [found[role] for role in wanted]
        key = self._keys.get(layer.name)
        arrays = self._counted_arrays(f"layers/{key}/vars")
        if inner:
            parts = sorted(
                path
                for path in self.file.arrays
                if path.startswith(f"layers/{key}/") and not path.startswith(f"layers/{key}/vars/")
            )
            part = parts[0].rpartition("/")[0] if parts else ""
            if counter and len(arrays) == len(roles) + 1:
                arrays = arrays[:-1]
            arrays += self._counted_arrays(part)
        if len(arrays) != len(wanted):
            raise layer.damaged(
                f"expected {len(wanted)} weights ({', '.join(wanted)}), the file has {len(arrays)} "
                "for it"
            )
        return arrays

    def _by_role(self, layer: LayerConfig) -> dict[str, Array]:
        path = f"{self._root}/{layer.name}" if self._root else layer.name
        names = self.file.attributes.get(path, {}).get("weight_names", [])
        found: dict[str, Array] = {}
        for name in names:
            array = self.file.arrays.get(f"{path}/{name}")
            role = name.rpartition("/")[2].partition(":")[0]
            if array is None:
                raise layer.damaged(f"the file names weights {ascii(name)[:60]} but has none")
            if role in found:
                raise layer.damaged(f"the file has two weights for {ascii(role)[:40]}")
            found[role] = array
        return found

    def _counted_arrays(self, path: str) -> list[Array]:
        arrays: list[Array] = []
        while (array := self.file.arrays.get(f"{path}/{len(arrays)}")) is not None:
            arrays.append(array)
        return arrays

    def _counted(self, layers: Sequence[LayerConfig]) -> dict[str, str]:
        """The key of each layer in the file, by the layer's name."""
        noted: dict[str, str] = {}
        for path, attributes in self.file.attributes.items():
            parts = path.split("/")
            if len(parts) == 3 and parts[0] == "layers" and parts[2] == "vars":
                name = attributes.get("name")
                if isinstance(name, str):
                    noted.setdefault(name, parts[1])
        counts: dict[str, int] = {}
        keys: dict[str, str] = {}
        for layer in layers:
            base = snake_case(layer.kind)
            number = counts.get(base, 0)
            counts[base] = number + 1
            keys[layer.name] = noted.get(layer.name, f"{base}_{number}" if number else base)
        return keys


def snake_case(name: str) -> str:
    """A class name as Keras 3 writes it in its files.

    >>> snake_case("QConv2DBatchnorm"), snake_case("QDense"), snake_case("BatchNormalization")
    ('q_conv2d_batchnorm', 'q_dense', 'batch_normalization')
    """
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
