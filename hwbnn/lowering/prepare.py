"""The float reference: a private copy of a model, taken out of its wrappers, in evaluation mode.

What lowering is exact against is this copy, run eagerly on a CPU in float32 by the torch that is
installed.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import fx, nn

from hwbnn.errors import CannotLower

_INNER: dict[str, tuple[str, ...]] = {
    "OptimizedModule": ("_orig_mod",),  # torch.compile
    "DistributedDataParallel": ("module",),
    "DataParallel": ("module",),
}
_LIGHTNING = ("model", "network", "net")


@contextmanager
def reference_mode() -> Iterator[None]:
    """Run torch as the float reference does: no gradients, no autocast."""
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        yield


def unwrap(model: nn.Module) -> nn.Module:
    """The network inside ``torch.compile``, data-parallel wrappers and Lightning modules.

    Raises:
        CannotLower: if a LightningModule does not say which of its modules is the network, or its
            own ``forward`` does more than call it.
    """
    while True:
        lightning = any(base.__name__ == "LightningModule" for base in type(model).__mro__)
        names = _LIGHTNING if lightning else _INNER.get(type(model).__name__, ())
        name = next((n for n in names if isinstance(getattr(model, n, None), nn.Module)), None)
        if name is None:
            break
        if lightning:
            _expect_passed_through(model, name)
        model = getattr(model, name)
    if lightning:
        raise CannotLower(
            f"{type(model).__name__}: expected the network of a LightningModule as its attribute "
            f"{' or '.join(map(repr, _LIGHTNING))}; give that module to lower()"
        )
    return model


class _Shallow(fx.Tracer):
    """Sees what a module's own ``forward`` does and nothing inside of what it calls."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def _expect_passed_through(model: nn.Module, name: str) -> None:
    """Refuse a LightningModule that computes something else than its network."""
    owner = next(base for base in type(model).__mro__ if "forward" in vars(base))
    if owner.__name__ == "LightningModule" or owner is nn.Module:
        return
    try:
        nodes = list(_Shallow().trace(model).nodes)
    except (Exception, SystemExit):  # whatever a forward raises, it is not the one call expected
        nodes = []
    if [n.op for n in nodes] != ["placeholder", "call_module", "output"] or nodes[1].target != name:
        raise CannotLower(
            f"{type(model).__name__}: its forward does more than call '{name}'; give that module "
            f"to lower(), with what forward adds moved into it"
        )


def prepare(model: nn.Module) -> nn.Module:
    """A copy of the network in a model: unwrapped, float32, CPU, evaluation mode.

    Args:
        model: any torch module; it is not changed.

    Raises:
        CannotLower: if it is no module or cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise CannotLower(f"expected a torch module, found {type(model).__name__}")
    network = unwrap(model)
    if any(t.is_meta for t in network.state_dict().values() if isinstance(t, torch.Tensor)):
        raise CannotLower("the model's parameters are on the meta device; load its weights first")
    try:
        network = copy.deepcopy(network)
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0][:120]
        raise CannotLower(f"{type(network).__name__}: cannot be copied ({reason})") from None
    return network.to(device="cpu", dtype=torch.float32).eval()


def parameter_digest(network: nn.Module) -> str:
    """SHA-256 over the names, shapes and values of all parameters and buffers."""
    sha = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):  # a module's extra state
            continue
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()
