"""The parts of every method of binary training.

A method says how a layer's bits are had from real numbers that can be trained (the *latent*
weights), what gradient passes the jump, and what happens around the optimiser's steps. It is a
frozen value (:class:`Method`) that makes modules: one :class:`BinaryWeight` for each layer of
weights, one :class:`Activation` for each layer of activations. All that is learned lives in these
modules, as parameters and buffers; all that changes with time is a pure function of the progress of
training (:meth:`Method.schedule`), which is a buffer where a method has a schedule. So a
``state_dict`` of the model is the whole state of a method.

The layers themselves (:mod:`hwbnn.nn`) know only this file. In training they compute with what
:meth:`BinaryWeight.codes` returns; in evaluation with the same codes, hard; lowering reads these.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hwbnn.errors import HwbnnWarning
from hwbnn.methods.estimators import Estimator, Settings, quantize, sign
from hwbnn.methods.formulas import Formulas

_UNITS = 1 << 62
"""Units of progress from start to end: a float from 2^-9 on is a whole number of them."""


@dataclass(frozen=True)
class Codes:
    """A layer's weights as ``w[c] = scale[c] * integers[c] + offset[c]``.

    Attributes:
        integers: tensor ``(channels, ...)``: -1 and +1 in a binary layer, in a quantised one (see
            :mod:`hwbnn.nn.quant`) integers of few bits; in training it carries the gradient to the
            latent weights, and may be soft where the method's F is.
        scale: tensor ``(channels,)`` of any sign, or None for 1.
        offset: tensor ``(channels,)``, or None for 0.
        ratio: integers as a float tensor ``(channels,)``, or None. Where they are given,
            ``offset[c]`` is ``scale[c] * ratio[c] / 2^fraction`` exactly (and the tensor ``offset``
            that product rounded), so that the layer's sums are integers times one real number.
        fraction: how many fractional bits ``ratio`` has; None without it.
    """

    integers: Tensor
    scale: Tensor | None = None
    offset: Tensor | None = None
    ratio: Tensor | None = None
    fraction: int | None = None

    @property
    def unit(self) -> int:
        """``2^fraction``; 1 where there is no ratio."""
        return 1 << (self.fraction or 0)


@dataclass(frozen=True)
class Options:
    """How the optimiser treats a parameter.

    Attributes:
        lr_scale: factor on the learning rate.
        decay: whether weight decay acts on it.
    """

    lr_scale: float = 1.0
    decay: bool = True


class Part(nn.Module):
    """A learned part of a method, in one layer of a network.

    Where the method has a schedule, the part has a buffer ``progress``: the moment of training as
    an int64 scalar in units of 2^-62. It is an integer so that ``model.half()`` does not move it. A
    ``state_dict`` without it, of before it was part of one, loads too, and leaves the moment as it
    is.

    Attributes:
        method: the method that made it.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method
        self._settings: Settings = method.schedule(0.0)
        self._seen: tuple[Tensor | None, int] | None = None
        """The buffer and its version to which the settings belong; None without a schedule."""
        if method.has_schedule:
            self.register_buffer("progress", torch.zeros((), dtype=torch.int64))
            self._note()

    @property
    def settings(self) -> Settings:
        """The settings of the method's schedule at the part's moment of training."""
        seen = self._seen
        if seen is not None and not torch.compiler.is_compiling():
            buffer = self._buffers["progress"]
            # Loading, averaging and copying write the buffer: its version says so without a look
            # at its value, for which a GPU would be waited for.
            if buffer is not None and (
                buffer is not seen[0] or buffer.is_inference() or buffer._version != seen[1]
            ):
                self._settings = self.method.schedule(_moment(int(buffer)))
                self._note()
        return self._settings

    def set_progress(self, u: float) -> None:
        """Move to the moment ``u`` of training, 0 at the start and 1 at the end."""
        if self._seen is not None:
            units = round(u * _UNITS)
            self._buffers["progress"].fill_(units)  # type: ignore[union-attr]
            self._note()
            u = _moment(units)
        self._settings = self.method.schedule(u)

    def _note(self) -> None:
        """Hold that the settings are those of the buffer as it is now."""
        buffer = self._buffers["progress"]
        assert buffer is not None
        self._seen = buffer, _writes(buffer)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy's buffer counts its versions anew."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if self._seen is not None:
            self._seen = None, -1

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        key = f"{prefix}progress"
        if self._seen is not None and key not in state_dict:
            state_dict[key] = self._buffers["progress"]
        super()._load_from_state_dict(state_dict, prefix, *rest)
        # Read at once: a model that is compiled next asks no buffer for its version.
        _ = self.settings

    def options(self) -> Mapping[str, Options]:
        """How the optimiser treats each of the part's own parameters; those left out, as usual."""
        return {}

    def why_not_exact(self) -> str | None:
        """Why this part has no exact integer form and what to choose instead; None if it has."""
        return None

    def extra_repr(self) -> str:
        """The method, for ``print(model)``."""
        return f"method={self.method}"


def _writes(tensor: Tensor) -> int:
    """How often a tensor was written; -1 for a tensor of inference mode, which counts nothing."""
    return -1 if tensor.is_inference() else tensor._version


_STEPS = 3
"""Steps of an optimiser without the method's hook after which a loop has forgotten it."""
_forgotten: set[str] = set()
"""Names of methods whose forgotten hook was said: once, not for each layer."""


class BinaryWeight(Part, ABC):
    """The weights of one layer: latent numbers, and the codes that they stand for."""

    shape: tuple[int, ...]
    """Shape of the bits, output channels first."""
    is_watched: bool = True
    """Whether to look out for steps without the method's hook; no longer once it was called."""
    _steps: int = -1
    _version: int = -1

    def watch(self) -> None:
        """Look, in a pass of training, whether weights are stepped and the hook is forgotten.

        Parameters count the writes to them; a step is several writes between two passes.

        Warns:
            HwbnnWarning: once for all layers of a method, after three steps without a call of
                :func:`hwbnn.nn.after_step`, if the method has such a hook.
        """
        if not self.is_watched or not torch.is_grad_enabled():
            return
        if not self.method.has_step_hook:
            self.is_watched = False
            return
        version = self._written()
        if version == self._version:
            return
        self._version = version
        self._steps += 1
        if self._steps >= _STEPS:
            self.is_watched = False
            if self.method.name in _forgotten:
                return
            _forgotten.add(self.method.name)
            warnings.warn(
                f"{self.method.name}: the weights were stepped {self._steps} times and "
                "hwbnn.nn.after_step(model) was never called, which this method needs behind each "
                "optimiser.step(): it keeps the weights where they can learn",
                HwbnnWarning,
                stacklevel=6,
            )

    def _written(self) -> int:
        """How often the part's parameters were written."""
        return sum(_writes(p) for p in self._parameters.values() if p is not None)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if self._steps >= 0:  # what is loaded is no step
            self._version = self._written()

    @abstractmethod
    def real(self) -> Tensor:
        """The real numbers whose signs are the bits, of their shape: latent and transformed.

        What is observed in the course of training: their distance from the codes, their margins.
        """

    @abstractmethod
    def codes(self) -> Codes:
        """The weights as the layer uses them now.

        In training mode with gradients, by the settings of the moment. In evaluation mode always
        the *final* form: ``integers`` exactly -1 and +1, whatever the schedule says. A network in
        evaluation is then what hardware will compute, at every moment of training.
        """


class Activation(Part, ABC):
    """The activations of one layer: small integers, and the numbers that they stand for.

    A code ``q`` in ``0 .. levels`` stands for ``scale * s + centre``, where ``s`` is -1 or +1 for a
    bit (``levels`` 1) and ``q`` itself else. ``forward`` returns these numbers, in training with
    the method's gradient.
    """

    levels: int = 1

    @abstractmethod
    def codes(self, x: Tensor) -> Tensor:
        """The codes of ``x``, by the same comparisons that ``forward`` makes.

        Args:
            x: floating point tensor ``(batch, channels, ...)``.

        Returns:
            uint8 tensor of the shape of ``x``, elements ``0 .. levels``, ``levels`` at most 255.

        Raises:
            InputError: if an element is NaN.
        """

    def affine(self) -> tuple[float, float]:
        """``(scale, centre)`` of what the codes stand for."""
        return 1.0, 0.0

    @property
    def is_mapped(self) -> bool:
        """Whether the codes may stand for other numbers than ``s`` and ``q``, now or once trained.

        The layer behind must then be told: ``BinaryLinear(..., source=activation)``.
        """
        return type(self).affine is not Activation.affine


class Nonlinearity(Part, ABC):
    """A learned function between BatchNorm and activation, channel by channel.

    Lowering tabulates it with its neighbours, so it must map each element by its channel alone,
    in the same way wherever the element stands in a batch.
    """

    @property
    def is_monotone(self) -> bool:
        """Whether each channel is known never to fall, and to consist of a few straight lines."""
        return False

    @property
    def has_few_lines(self) -> bool:
        """Whether each channel is known to consist of a few straight lines."""
        return self.is_monotone

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The function of ``x``, floats ``(batch, channels, ...)``, of its shape and dtype."""


class SignActivation(Activation):
    """Bits by the sign, with a surrogate gradient: what most methods do."""

    def __init__(self, method: Method, channels: int, estimator: Estimator) -> None:
        super().__init__(method)
        self.channels = channels
        self.estimator = estimator

    def forward(self, x: Tensor) -> Tensor:
        """-1 or +1 for each element of ``x``, of its shape and dtype."""
        return quantize(x, self.estimator, self.settings)

    def codes(self, x: Tensor) -> Tensor:
        """``[x >= 0]``."""
        return (sign(x) > 0).byte()


class Method(ABC):
    """How a binary network is trained: a frozen dataclass of hyper-parameters.

    A new method is one file with a subclass and one line in :mod:`hwbnn.methods`; the contract
    tests come with the name. Only :meth:`make_weight` and :meth:`make_activation` must be given.
    The hooks get all parts that one method has in a model at once, so that they may use one kernel
    for all.
    """

    name: ClassVar[str]
    """Its name in :data:`hwbnn.methods.METHODS`."""
    formulas: ClassVar[Formulas]
    """The closed formulas of its paper, to which the contract tests hold it."""
    colour: ClassVar[str] = "#555555"
    """The colour of its lines where methods are compared; another for each."""
    dashed: ClassVar[bool] = False
    """Whether these lines are dashed: colours of one kind are told apart by all eyes."""
    reestimates: ClassVar[bool] = False
    """Whether BatchNorm's statistics are taken anew over the training set after the last epoch."""

    @abstractmethod
    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """New weights of a layer, drawn from torch's generator; output channels first."""

    @abstractmethod
    def make_activation(self, channels: int) -> Activation:
        """A new activation of this many channels."""

    def make_nonlinearity(self, channels: int) -> Nonlinearity | None:
        """A new function in front of an activation of this many channels; None for none."""
        return None

    def logits(self) -> Method:
        """The method of the layer that makes logits: this one, or a variant of it.

        Logits are compared with each other, across channels; a method whose weights differ in more
        than sign and scale from channel to channel may need another form there to be exact.
        """
        return self

    def schedule(self, u: float) -> Settings:
        """The settings that change in the course of training, a pure function of progress.

        Args:
            u: epochs done over all epochs, 0 to 1.
        """
        return {}

    @property
    def has_step_hook(self) -> bool:
        """Whether something is to be done after each step of the optimiser."""
        return type(self).after_step is not Method.after_step

    @property
    def has_schedule(self) -> bool:
        """Whether anything changes in the course of training."""
        return type(self).schedule is not Method.schedule

    def penalty(self, weights: Sequence[BinaryWeight]) -> Tensor | None:
        """A term of the loss, differentiable; None for none."""
        return None

    def on_epoch(self, weights: Sequence[BinaryWeight]) -> None:
        """Called once at the start of each epoch, after the progress is set."""
        return

    def after_step(self, weights: Sequence[BinaryWeight]) -> None:
        """Called after each step of the optimiser."""
        return


def _moment(units: int) -> float:
    """Progress, 0 to 1, whatever a file says."""
    return min(max(units / _UNITS, 0.0), 1.0)
