"""Neurons that read few inputs: which ones is learned.

A layer with ``fan_in = k`` has ``k`` weights of -1 or +1 in each row and zeros elsewhere. Unrolled
hardware pays for the inputs that are read alone: a threshold neuron of six inputs is one LUT of six
inputs, whatever the width of the layer in front.

Which inputs a neuron reads is learned by the size of latent weights. Each neuron has a set of
*candidates*, drawn at random, and a latent weight for each of them. It reads the ``k`` candidates
of the largest ``|w| * spread``, with the real weight ``w`` and the standard deviation of the input
over the last batches (Sun et al., "A simple and effective pruning approach for large language
models", ICLR 2024, with the spread in place of the norm: an input that never changes is worth
nothing, and Adam would let its weight grow as fast as any). The method of training makes bits of
the latent weights as in any other layer, and does not know which of them are read. The gradient of
the bits is

    dL/db[i] = sum over the batch of dL/dy * x[i]         for candidates that are read
    dL/db[i] = share * the same sum                       for the others
    share    = first * max(0, 1 - u / explored)           at progress u

so that a candidate that would help grows until it is read (Jayakumar et al., "Top-KAST: Top-K
Always Sparse Training", NeurIPS 2020, with a smaller gradient for what is not read). While the
share is above 0, the choice is made anew every few steps, and some of the weakest candidates are
exchanged for others, drawn at random in proportion to the variance of the inputs (as Mocanu et al.,
"Scalable training of artificial neural networks with adaptive sparse connectivity inspired by
network science", 2018, do with weights). At progress ``explored`` the choice becomes final: from
then on only what is read gets a gradient.

Every method can train such a layer, but those whose bits depend on one latent weight each suit it.
ProxyBNN's basis mixes candidates that have nothing in common from neuron to neuron, and the term of
Binary-L2 draws the weights of all candidates to one size. With both the loss rose again from the
third or fourth epoch on, in the few trials that we made (3000-1500 neurons, MNIST).

Work and memory of a step are proportional to the candidates and not to the inputs of the layer.
Positions of candidates and choice are buffers, hence part of the network's state.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwbnn.errors import InputError
from hwbnn.methods import BinaryWeight

CANDIDATES = 48
"""Candidates of a neuron, if its layer has as many inputs; at least twice the fan-in."""
FIRST_SHARE = 0.5
"""Share of the gradient that candidates get that are not read, at the start of training."""
EXPLORED = 0.6
"""Progress of training at which the choice becomes final."""
CHOOSE_EVERY = 4
"""Steps of the optimiser from one choice to the next."""
EXCHANGE_EVERY = 100
"""Steps of the optimiser from one exchange of candidates to the next."""
EXCHANGED = 0.2
"""Share of the candidates that an exchange replaces."""
FORGOTTEN = 0.05
"""Share of the statistics of the inputs that each batch replaces."""


class Connections(nn.Module):
    """The inputs that each neuron of a layer reads, and the candidates among which it chooses.

    Args:
        inputs: number of the layer's inputs.
        neurons: number of its neurons.
        fan_in: inputs that a neuron reads.

    Attributes:
        candidates: positions of the candidates, distinct in a row, int64 ``(neurons, c)``.
        chosen: columns of ``candidates`` that are read, rising, int64 ``(neurons, fan_in)``.
        steps: steps of the optimiser so far, int64 scalar.
        mean: running mean of each input, float32 ``(inputs,)``.
        square: running mean of each input's square, float32 ``(inputs,)``.
        share: share of the gradient for candidates that are not read; 0 from
            :data:`EXPLORED` on.

    Raises:
        InputError: if a neuron cannot read that many inputs.
    """

    candidates: Tensor
    chosen: Tensor
    steps: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, inputs: int, neurons: int, fan_in: int) -> None:
        super().__init__()
        if isinstance(fan_in, bool) or not isinstance(fan_in, int) or not 1 <= fan_in <= inputs:
            raise InputError(
                f"fan_in: expected a number of inputs from 1 to {inputs}, found {fan_in!r}"
            )
        self.inputs = inputs
        self.fan_in = fan_in
        self.share = FIRST_SHARE
        count = min(inputs, max(CANDIDATES, 2 * fan_in))
        rows = torch.rand(neurons, inputs).topk(count, dim=1).indices
        self.register_buffer("candidates", rows)
        self.register_buffer("chosen", torch.arange(fan_in).repeat(neurons, 1))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        # Until data comes, all inputs count the same.
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("square", torch.ones(inputs))
        self.register_load_state_dict_post_hook(_check_loaded)  # type: ignore[no-untyped-call]

    @property
    def shape(self) -> tuple[int, int]:
        """Neurons and candidates of each, the shape of the latent weights."""
        neurons, count = self.candidates.shape
        return neurons, count

    @property
    def read(self) -> Tensor:
        """Positions of the inputs that each neuron reads, int64 ``(neurons, fan_in)``."""
        return self.candidates.gather(1, self.chosen)

    def of_read(self, numbers: Tensor) -> Tensor:
        """The numbers ``(neurons, fan_in)`` of the inputs that are read.

        Args:
            numbers: of all candidates, ``(neurons, c)``.
        """
        return numbers.gather(1, self.chosen)

    def matrix(self, numbers: Tensor) -> Tensor:
        """Numbers of the candidates as ``(neurons, inputs)``, 0 for every input not read."""
        whole = numbers.new_zeros(len(numbers), self.inputs)
        return whole.scatter(1, self.read, self.of_read(numbers))

    def sums(self, x: Tensor, numbers: Tensor) -> Tensor:
        """For each neuron the sum of ``numbers * x`` over the inputs that it reads.

        Args:
            x: floats ``(batch, inputs)``.
            numbers: of all candidates, ``(neurons, c)``.

        Returns:
            ``(batch, neurons)``.
        """
        columns: Tensor = _SumsOfRead.apply(x.t().contiguous(), numbers, self)  # type: ignore[no-untyped-call]
        return columns.t()

    @property
    def variance(self) -> Tensor:
        """The variance of each input over the last batches, float32 ``(inputs,)``."""
        return (self.square - self.mean.square()).clamp(min=0)

    @torch.no_grad()
    def watch(self, x: Tensor) -> None:
        """Take a batch ``(batch, inputs)`` of training into the statistics of the inputs."""
        if self.share:
            x = x.detach().float()
            self.mean.lerp_(x.mean(dim=0), FORGOTTEN)
            self.square.lerp_(x.square().mean(dim=0), FORGOTTEN)

    def set_progress(self, u: float) -> None:
        """Set the share of the gradient for the progress ``u`` of training, 0 to 1."""
        self.share = FIRST_SHARE * max(0.0, 1 - u / EXPLORED)

    @torch.no_grad()
    def after_step(self, weight: BinaryWeight) -> None:
        """Choose anew and exchange candidates, where it is time; call after each step.

        Args:
            weight: the layer's weights, of :attr:`shape`.
        """
        self.steps += 1
        if not self.share:
            return
        step = int(self.steps)
        if step % EXCHANGE_EVERY == 0:
            self._exchange(weight)
        if step % CHOOSE_EVERY == 0:
            self.choose(weight)

    @torch.no_grad()
    def choose(self, weight: BinaryWeight) -> None:
        """Read the candidates of the largest ``|w| * spread``."""
        largest = self._worth(weight).topk(self.fan_in, dim=1).indices
        self.chosen.copy_(largest.sort(dim=1).values)

    def _worth(self, weight: BinaryWeight) -> Tensor:
        """``|w| * spread`` of each candidate, ``(neurons, c)``."""
        return weight.real().abs() * self.variance.sqrt()[self.candidates]

    @torch.no_grad()
    def _exchange(self, weight: BinaryWeight) -> None:
        """Replace the weakest candidates that are not read by inputs that are none yet."""
        neurons, count = self.shape
        number = int(EXCHANGED * count)
        latent: Any = getattr(weight, "latent", None)
        if not number or count == self.inputs or latent is None:
            return
        worth = self._worth(weight).scatter(1, self.chosen, torch.inf)
        weakest = worth.topk(number, dim=1, largest=False).indices
        device = self.candidates.device
        chances = self.variance + 1e-6  # none is 0: there may be few inputs that change
        drawn = chances.multinomial(neurons * number, replacement=True).view(neurons, number)
        # What is a candidate already, or was drawn twice, changes nothing.
        known = (drawn[:, :, None] == self.candidates[:, None, :]).any(dim=2)
        earlier = torch.ones(number, number, dtype=torch.bool, device=device).tril(-1)
        known |= ((drawn[:, :, None] == drawn[:, None, :]) & earlier).any(dim=2)
        old = self.candidates.gather(1, weakest)
        self.candidates.scatter_(1, weakest, torch.where(known, old, drawn))
        # A new candidate starts as small as the one that it replaces, with a sign by chance.
        kept = latent.gather(1, weakest)
        turned = torch.where(torch.rand_like(kept) < 0.5, kept, -kept)
        latent.scatter_(1, weakest, torch.where(known, kept, turned))

    def check(self) -> None:
        """Refuse positions of a loaded state that no layer can read.

        Raises:
            InputError: naming the first wrong neuron.
        """
        count = self.candidates.shape[1]
        for what, rows, most in (
            ("inputs", self.candidates, self.inputs),
            ("candidates", self.chosen, count),
        ):
            ordered = rows.sort(dim=1).values
            wrong = (ordered[:, 0] < 0) | (ordered[:, -1] >= most)
            wrong |= (ordered[:, 1:] == ordered[:, :-1]).any(dim=1)
            if bool(wrong.any()):
                neuron = int(wrong.int().argmax())
                raise InputError(
                    f"fan_in: neuron {neuron}: expected distinct {what} from 0 to {most - 1}, "
                    f"found {rows[neuron].tolist()}"
                )

    def extra_repr(self) -> str:
        """Sizes, for ``print(model)``."""
        return f"{self.fan_in} of {self.inputs}, chosen from {self.candidates.shape[1]}"


def _check_loaded(connections: Connections, _: object) -> None:
    connections.check()


class _SumsOfRead(torch.autograd.Function):
    """Sums over the inputs that are read, of an input ``(inputs, batch)``.

    Rows of the transposed input are contiguous, so that each neuron adds up whole rows. The
    gradient of the input is the same kind of sum, over the neurons that read an input.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, numbers: Tensor, connections: Connections) -> Tensor:
        read = connections.read
        weights = connections.of_read(numbers).to(x.dtype)
        ctx.save_for_backward(x, weights, read, connections.candidates, connections.chosen)
        ctx.share = connections.share
        return functional.embedding_bag(read, x, per_sample_weights=weights, mode="sum")

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weights, read, candidates, chosen = ctx.saved_tensors
        grad = grad.contiguous()
        of_x = of_numbers = None
        if ctx.needs_input_grad[0]:
            flat = read.flatten()
            order = flat.argsort(stable=True)
            readers = torch.bincount(flat, minlength=len(x))
            of_x = functional.embedding_bag(
                order // read.shape[1],
                grad,
                readers.cumsum(0) - readers,
                per_sample_weights=weights.flatten()[order],
                mode="sum",
            )
        if ctx.needs_input_grad[1]:
            if ctx.share:
                own = _products(x, candidates, grad)
                factor = own.new_full(own.shape, ctx.share).scatter_(1, chosen, 1.0)
                of_numbers = own * factor
            else:
                of_numbers = grad.new_zeros(candidates.shape)
                of_numbers.scatter_(1, chosen, _products(x, read, grad))
        return of_x, of_numbers, None


def _products(x: Tensor, positions: Tensor, grad: Tensor) -> Tensor:
    """``sum_b x[positions[n, j], b] * grad[n, b]``, ``(neurons, j)``, column by column."""
    columns = [(x.index_select(0, column) * grad).sum(dim=1) for column in positions.unbind(1)]
    return torch.stack(columns, dim=1)
