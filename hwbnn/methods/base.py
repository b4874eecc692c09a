"""The parts of every method of binary training.

A method defines how a layer's bits follow from real numbers that can be trained (the *latent*
weights), which gradient replaces the derivative of the sign, and what happens around the
optimiser's steps. It is a frozen value (:class:`Method`) that makes modules: one
:class:`BinaryWeight` for each layer of weights, one :class:`Activation` for each layer of
activations. Everything that is learned is a parameter or buffer of these modules. Everything that
changes with time is a pure function of the training progress (:meth:`Method.schedule`); the
progress is a buffer if the method has a schedule. A ``state_dict`` of the model is therefore the
whole state of a method.

The layers themselves (:mod:`hwbnn.nn`) know only this file. In training they compute with the
result of :meth:`BinaryWeight.codes`. In evaluation they compute with the hard codes, -1 and +1, and
lowering reads these.
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
"""Units of progress from start to end; every float from 2^-9 on is a multiple of a unit."""


@dataclass(frozen=True)
class Codes:
    """A layer's weights as ``w[c] = scale[c] * integers[c] + offset[c]``.

    Attributes:
        integers: tensor ``(channels, ...)``: -1 and +1 in a binary layer, in a quantised one (see
            :mod:`hwbnn.nn.quant`) integers of few bits. In training it carries the gradient to the
            latent weights, and its values may be soft if the estimator's F is.
        scale: tensor ``(channels,)`` of any sign, or None for 1.
        offset: tensor ``(channels,)``, or None for 0.
        ratio: integers as a float tensor ``(channels,)``, or None. If given, the exact offset is
            ``scale[c] * ratio[c] / 2^fraction`` (the tensor ``offset`` holds the rounded product),
            so that the layer's sums are integers times one real number.
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

    If the method has a schedule, the part has a buffer ``progress``: the progress of training as an
    int64 scalar in units of 2^-62. It is an integer so that ``model.half()`` does not change it.
    Older files have a ``state_dict`` without this buffer; loading one keeps the current progress.

    Attributes:
        method: the method that made it.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method
        self._settings: Settings = method.schedule(0.0)
        self._seen: tuple[Tensor | None, int] | None = None
        """The buffer and its version for which ``_settings`` is valid; None without a schedule."""
        if method.has_schedule:
            self.register_buffer("progress", torch.zeros((), dtype=torch.int64))
            self._note()

    @property
    def settings(self) -> Settings:
        """The settings of the method's schedule at the current progress of training."""
        seen = self._seen
        if seen is not None and not torch.compiler.is_compiling():
            buffer = self._buffers["progress"]
            # Loading, averaging and copying write the buffer. Its version shows this without
            # reading its value, which would wait for a GPU.
            if buffer is not None and (
                buffer is not seen[0] or buffer.is_inference() or buffer._version != seen[1]
            ):
                self._settings = self.method.schedule(_moment(int(buffer)))
                self._note()
        return self._settings

    def set_progress(self, u: float) -> None:
        """Set the progress of training to ``u``, 0 at the start and 1 at the end."""
        if self._seen is not None:
            units = round(u * _UNITS)
            self._buffers["progress"].fill_(units)  # type: ignore[union-attr]
            self._note()
            u = _moment(units)
        self._settings = self.method.schedule(u)

    def _note(self) -> None:
        """Record that the settings belong to the buffer's current version."""
        buffer = self._buffers["progress"]
        assert buffer is not None
        self._seen = buffer, _writes(buffer)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Forget the recorded version: the buffer of a copy counts its versions from 0."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if self._seen is not None:
            self._seen = None, -1

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        key = f"{prefix}progress"
        if self._seen is not None and key not in state_dict:
            state_dict[key] = self._buffers["progress"]
        super()._load_from_state_dict(state_dict, prefix, *rest)
        # Update the settings now: a compiled model does not look at the buffer's version.
        _ = self.settings

    def options(self) -> Mapping[str, Options]:
        """Optimiser options of the part's own parameters, by name; others have the defaults."""
        return {}

    def why_not_exact(self) -> str | None:
        """Why this part has no exact integer form, with an alternative; None if it has one."""
        return None

    def extra_repr(self) -> str:
        """The method, for ``print(model)``."""
        return f"method={self.method}"


def _writes(tensor: Tensor) -> int:
    """How often a tensor was written; -1 for a tensor of inference mode, which has no count."""
    return -1 if tensor.is_inference() else tensor._version


_STEPS = 3
"""Number of optimiser steps without the method's hook after which a warning is given."""
_forgotten: set[str] = set()
"""Names of methods whose missing hook was reported: once, not for each layer."""


class BinaryWeight(Part, ABC):
    """The weights of one layer: latent numbers, and the codes that they stand for."""

    shape: tuple[int, ...]
    """Shape of the bits, output channels first."""
    is_watched: bool = True
    """Whether to watch for steps without the method's hook; false once the hook was called."""
    _steps: int = -1
    _version: int = -1

    def watch(self) -> None:
        """Check, in a training pass, whether weights change and the method's hook is not called.

        Torch counts the writes to a parameter; any writes between two passes count as one step.

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
        """The real numbers whose signs are the bits: the transformed latent weights, of ``shape``.

        Training reports observe them: their distance from the codes, and their margins.
        """

    @abstractmethod
    def codes(self) -> Codes:
        """The weights as the layer uses them now.

        In training mode the codes carry gradients and follow the current settings. In evaluation
        mode they always have the *final* form: ``integers`` are exactly -1 and +1, whatever the
        schedule says. A network in evaluation mode therefore always computes as hardware will.
        """


class Activation(Part, ABC):
    """The activations of one layer: small integers, and the numbers that they stand for.

    A code ``q`` in ``0 .. levels`` stands for ``scale * s + centre``. For a bit (``levels`` is 1)
    ``s`` is -1 or +1, else ``s`` is ``q``. ``forward`` returns these numbers, in training with the
    method's gradient.
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
        """``(scale, centre)`` of the numbers that the codes stand for."""
        return 1.0, 0.0

    @property
    def is_mapped(self) -> bool:
        """Whether the codes may stand for numbers other than ``s``, now or after training.

        The next layer then needs it as its source: ``BinaryLinear(..., source=activation)``.
        """
        return type(self).affine is not Activation.affine


class Nonlinearity(Part, ABC):
    """A learned function between BatchNorm and activation, channel by channel.

    Lowering tabulates it together with the modules around it, so its result for an element may
    depend on the element's value and channel only, not on its position in the batch.
    """

    @property
    def is_monotone(self) -> bool:
        """Whether each channel is known to be non-decreasing and piecewise linear (few pieces)."""
        return False

    @property
    def has_few_lines(self) -> bool:
        """Whether each channel is known to be piecewise linear, with few pieces."""
        return self.is_monotone

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The function of ``x``, floats ``(batch, channels, ...)``, of its shape and dtype."""


class SignActivation(Activation):
    """Bits by the sign, with a surrogate gradient, as in most methods."""

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

    A new method is one file with a subclass, and one line in :mod:`hwbnn.methods`; the contract
    tests then cover it by its name. Only :meth:`make_weight` and :meth:`make_activation` are
    required. A hook gets all weights of its method in a model at once, so that it can use one
    kernel for all.
    """

    name: ClassVar[str]
    """Its name in :data:`hwbnn.methods.METHODS`."""
    formulas: ClassVar[Formulas]
    """The closed formulas of its paper, against which the contract tests compare it."""
    colour: ClassVar[str] = "#555555"
    """The colour of its lines in plots that compare methods; each method has its own."""
    dashed: ClassVar[bool] = False
    """Whether these lines are dashed, so that similar colours can be told apart by everyone."""
    reestimates: ClassVar[bool] = False
    """Whether to re-estimate BatchNorm's statistics on the training set after the last epoch."""

    @abstractmethod
    def make_weight(self, shape: tuple[int, ...]) -> BinaryWeight:
        """New weights of this shape (output channels first), drawn from torch's generator."""

    @abstractmethod
    def make_activation(self, channels: int) -> Activation:
        """A new activation of this many channels."""

    def make_nonlinearity(self, channels: int) -> Nonlinearity | None:
        """A new function before an activation of this many channels; None for none."""
        return None

    def logits(self) -> Method:
        """The method of the layer that makes logits: this one, or a variant of it.

        Logits are compared with each other, across channels; a method whose weights differ in more
        than sign and scale from channel to channel may need another form there to be exact.
        """
        return self

    def schedule(self, u: float) -> Settings:
        """The settings that change during training, as a pure function of the progress.

        Args:
            u: completed epochs over all epochs, 0 to 1.
        """
        return {}

    @property
    def has_step_hook(self) -> bool:
        """Whether the method needs :meth:`after_step` after each step of the optimiser."""
        return type(self).after_step is not Method.after_step

    @property
    def has_schedule(self) -> bool:
        """Whether any setting changes during training."""
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
    """Progress as a float, clipped to 0 to 1 in case a file holds another value."""
    return min(max(units / _UNITS, 0.0), 1.0)
