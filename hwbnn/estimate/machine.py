"""What the state machines of all stages share: the wires between them, and what a cycle is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from hwbnn.plan.stages import Stage


class Wires:
    """The handshakes of all streams of a circuit, by number.

    Attributes:
        numbers: of each stream by its name; 0 is the one that enters the circuit.
        valid: whether its driver offers a token in this cycle.
        ready: whether its reader takes one.
        passed: whether one passes.
    """

    def __init__(self, stages: Sequence[Stage]) -> None:
        names = ["", *(name for stage in stages for name in stage.outputs)]
        self.numbers = {name: i for i, name in enumerate(names)}
        self.valid = [False] * len(names)
        self.ready = [False] * len(names)
        self.passed = [False] * len(names)


class Machine:
    """One stage: what it offers on its wires, and what a cycle does to it.

    What it offers in a cycle depends on its registers alone, as in the hardware.

    Attributes:
        stage: the stage it stands for.
        inputs: numbers of the streams that it takes.
        outputs: numbers of the streams that it drives.
        most: the most tokens that it held at each output.
    """

    def __init__(self, stage: Stage, wires: Wires) -> None:
        self.stage = stage
        self.wires = wires
        self.inputs = [wires.numbers[name] for name in stage.inputs or ("",)]
        self.outputs = [wires.numbers[name] for name in stage.outputs]
        self.taken, self.given = self.inputs[0], self.outputs[0]
        self.most = [0] * len(self.outputs)
        for number in self.inputs:
            wires.ready[number] = True

    def step(self, now: int) -> int | None:
        """One cycle.

        It needs to be called where a token passes at one of its streams, and in the cycles that it
        asked for.

        Returns:
            The next cycle in which it will move by itself, if no token comes or goes until then.
        """
        raise NotImplementedError

    def state(self, now: int) -> Hashable:
        """Everything that its future depends on."""
        raise NotImplementedError

    def offer(self, *, valid: bool, ready: bool) -> None:
        """Set the wires of a machine of one stream each way."""
        self.wires.valid[self.given] = valid
        self.wires.ready[self.taken] = ready

    def held(self, tokens: int, output: int = 0) -> None:
        """Note how many tokens it holds."""
        if tokens > self.most[output]:
            self.most[output] = tokens
