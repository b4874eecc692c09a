"""What every method of binary training is made of.

A method says how a layer's bits are had from real numbers that can be trained (the *latent*
weights), what gradient passes the jump, and what happens around the optimiser's steps. It is a
frozen value (:class:`Method`) that makes modules: one :class:`BinaryWeight` for each layer of
weights, one :class:`Activation` for each layer of activations. All that is learned lives in these
modules, as parameters and buffers; all that changes with time is a pure function of the progress of
training (:meth:`Method.schedule`). So a checkpoint of the model is the whole state of a method.

The layers themselves (:mod:`hwbnn.nn`) know only this file. In training they compute with what
:meth:`BinaryWeight.codes` returns; in evaluation with the same codes, hard; lowering reads these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from hwbnn.methods.quantizer import Quantizer, Settings, quantize, sign


@dataclass(frozen=True)
class Codes:
    """A layer's weights as ``w[c] = scale[c] * signs[c] + offset[c]``.

    Attributes:
        signs: tensor ``(channels, ...)`` of -1 and +1; in training it carries the gradient to the
            latent weights, and may be soft where the method's F is.
        scale: tensor ``(channels,)`` of any sign, or None for 1.
        offset: tensor ``(channels,)``, or None for 0.
        ratio: integers as a float tensor ``(channels,)``, or None. Where they are given,
            ``offset[c]`` is ``scale[c] * ratio[c] / 2^fraction`` exactly (and the tensor ``offset``
            that product rounded), so that the layer's sums are integers times one real number.
        fraction: how many fractional bits ``ratio`` has; None without it.
    """

    signs: Tensor
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

    Attributes:
        method: the method that made it.
        settings: what its schedule says now; :meth:`set_progress` keeps it.
    """

    def __init__(self, method: Method) -> None:
        super().__init__()
        self.method = method
        self.settings: Settings = method.schedule(0.0)

    def set_progress(self, u: float) -> None:
        """Move to the moment ``u`` of training, 0 at the start and 1 at the end."""
        self.settings = self.method.schedule(u)

    def options(self) -> Mapping[str, Options]:
        """How the optimiser treats each of the part's own parameters; those left out, as usual."""
        return {}

    def obstacle(self) -> str | None:
        """Why this part has no exact integer form and what to choose instead; None if it has."""
        return None

    def extra_repr(self) -> str:
        """The method, for ``print(model)``."""
        return f"method={self.method}"


class BinaryWeight(Part, ABC):
    """The weights of one layer: latent numbers, and the codes that they stand for."""

    shape: tuple[int, ...]
    """Shape of the bits, output channels first."""

    @abstractmethod
    def real(self) -> Tensor:
        """The real numbers whose signs are the bits, of their shape: latent and transformed.

        What is observed in the course of training: their distance from the codes, their margins.
        """

    @abstractmethod
    def codes(self) -> Codes:
        """The weights as the layer uses them now.

        In training mode with gradients, by the settings of the moment. In evaluation mode always
        the *final* form: ``signs`` exactly -1 and +1, whatever the schedule says. A network in
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

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The function of ``x``, floats ``(batch, channels, ...)``, of its shape and dtype."""


class SignActivation(Activation):
    """Bits by the sign, with a surrogate gradient: what most methods do."""

    def __init__(self, method: Method, channels: int, pair: Quantizer) -> None:
        super().__init__(method)
        self.channels = channels
        self.pair = pair

    def forward(self, x: Tensor) -> Tensor:
        """-1 or +1 for each element of ``x``, of its shape and dtype."""
        return quantize(x, self.pair, self.settings)

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
        """What changes in the course of training, as a pure function of progress.

        Args:
            u: epochs done over all epochs, 0 to 1.
        """
        return {}

    def penalty(self, weights: Sequence[BinaryWeight]) -> Tensor | None:
        """A term of the loss, differentiable; None for none."""
        return None

    def on_epoch(self, weights: Sequence[BinaryWeight]) -> None:
        """Called once at the start of each epoch, after the progress is set."""
        return

    def after_step(self, weights: Sequence[BinaryWeight]) -> None:
        """Called after each step of the optimiser."""
        return
