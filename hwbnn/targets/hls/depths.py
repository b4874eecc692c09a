"""Depths of HLS streams between calls, so that no shortcut comes to a deadlock.

Behind a fork one branch may have to keep tokens until the other gives its first one. The order of a
process's reads and writes never depends on data. So whether a network deadlocks depends only on the
depths, not on the speeds: one run in any order decides it. :func:`depths` runs them token by token
and deepens a stream when none of them can move (Parks' algorithm). A frame leaves every stream
empty, so one frame decides for all frames.

This holds for the processes as they are written in ``hls/``. A pipeline that Vitis builds may hold
tokens back while it waits for the next one; :data:`SLACK` more places make up for these tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from hwbnn.errors import PlanError
from hwbnn.targets.hls.calls import FORK, Call

SHALLOW = 2
"""Depth of an image's stream, unless a shortcut needs a deeper one."""
SLACK = 64
"""Places of a deepened stream beyond those that the run needs."""

MOVES_LIMIT = 1 << 23
"""Limit of the reads and writes of a frame that are run; so many take about ten seconds."""

Move = tuple[str, int]
"""A stream and +1 for a token written to it, -1 for one read."""


def depths(calls: tuple[Call, ...]) -> dict[str, int]:
    """The depth of each stream between the calls, by name."""
    least = least_depths(calls)
    return {
        name: depth + SLACK if depth > start else depth
        for (name, depth), start in zip(least.items(), _starts(calls).values(), strict=True)
    }


def least_depths(calls: tuple[Call, ...]) -> dict[str, int]:
    """The depths, without slack, with which the processes of all calls finish a frame.

    Raises:
        PlanError: if a frame has more tokens than :data:`MOVES_LIMIT` allows.
    """
    depth = _starts(calls)
    if any(call.kind == FORK for call in calls):
        count = sum(call.tokens * len(call.streams) for call in calls)
        if 2 * count > MOVES_LIMIT:
            raise PlanError(
                f"the depths of streams behind shortcuts: HLS takes up to {MOVES_LIMIT >> 1} "
                f"tokens a frame over all streams, found {count}; use smaller images, or the "
                "target 'rtl'"
            )
        run = Processes.of(calls, depth)
        while blocked := run.go():
            # Joins are full streams whose readers wait for another stream, which is empty. All
            # other full streams wait for these. Of several joins, deepen the shallowest.
            full = [name for name, sign in blocked.values() if sign > 0]
            joins = [name for name in full if blocked[run.reader[name]][1] < 0]
            run.deepen(min(joins, key=lambda name: depth[name]))
    return depth


def _starts(calls: tuple[Call, ...]) -> dict[str, int]:
    """The initial depth of each stream: a value of one token needs one place."""
    return {name: min(SHALLOW, call.tokens) for call in calls[:-1] for name in call.streams}


@dataclass
class Processes:
    """The state of all calls' processes in the middle of a frame.

    Attributes:
        processes: the remaining moves of each process.
        waiting: the next move of each process that has not finished.
        fill: tokens in each stream.
        depth: the most tokens that each stream holds; it may grow during the run.
        writer: the process that writes each stream.
        reader: the process that reads each stream.
        ready: a heap of the negated numbers of processes that may be able to move. Processes next
            to the output come first: they drain the streams, which then hold few tokens.
    """

    processes: list[Iterator[Move]]
    waiting: dict[int, Move]
    fill: dict[str, int]
    depth: dict[str, int]
    writer: dict[str, int]
    reader: dict[str, int]
    ready: list[int]

    @classmethod
    def of(cls, calls: tuple[Call, ...], depth: dict[str, int]) -> Processes:
        """The state at the beginning of a frame, when all streams are empty."""
        tokens = {name: call.tokens for call in calls for name in call.streams}
        processes = [moves(call, tokens, last=call is calls[-1]) for call in calls]
        waiting = {i: first for i, p in enumerate(processes) if (first := next(p, None))}
        writer = {name: i for i, call in enumerate(calls) for name in call.streams}
        reader = {name: i for i, call in enumerate(calls) for name in call.reads}
        ready = sorted(-i for i in waiting)
        return cls(processes, waiting, dict.fromkeys(depth, 0), depth, writer, reader, ready)

    def go(self) -> dict[int, Move]:
        """Run until all processes have finished or none can move.

        The final state does not depend on the order of the moves. Only the neighbours of a process
        that moved are tried again, so the time grows with the moves, not with moves times calls.

        Returns:
            The move that each unfinished process waits for; empty if all have finished.
        """
        while self.ready:
            self._advance(-heappop(self.ready))
        return dict(self.waiting)

    def deepen(self, name: str) -> None:
        """Add one place to a full stream, and let the process that writes it try again."""
        self.depth[name] += 1
        heappush(self.ready, -self.writer[name])

    def _advance(self, i: int) -> None:
        """Let one process move as far as it can, and let those that waited for it try again."""
        move, fill, depth = self.waiting.get(i), self.fill, self.depth
        while move is not None:
            name, sign = move
            filled = fill[name] + sign
            if not 0 <= filled <= depth[name]:
                self.waiting[i] = move
                return
            fill[name] = filled
            # A reader waits for a token in an empty stream, a writer for a place in a full one.
            other = self.reader[name] if sign > 0 else self.writer[name]
            if self.waiting.get(other) == (name, -sign):
                heappush(self.ready, -other)
            move = next(self.processes[i], None)
        self.waiting.pop(i, None)


def moves(call: Call, tokens: dict[str, int], *, last: bool = False) -> Iterator[Move]:
    """The reads and writes of a call's function for one frame, in its order.

    Args:
        call: the call; accesses to the ports of the top function never wait and are left out.
        tokens: tokens of a frame, for each stream.
        last: whether it is the last call, which writes to the output port.
    """
    writes = [] if last else [(name, 1) for name in call.streams]
    if "grid_rows" in call.numbers:
        yield from _window_moves(call, tokens[call.reads[0]], writes)
        return
    n = call.numbers
    if "n_pixels" in n:  # pixel by pixel
        steps = n["n_pixels"]
    elif "n_tokens" in n:  # token by token
        steps = n["n_tokens"]
    else:  # the whole frame
        steps = 1
    calls = [call.tokens // steps] * len(writes)
    for t in range(steps):
        for name in call.reads:
            count, rest = divmod(tokens[name], steps)
            # A source of one channel may have one token for several steps, read in the first.
            period = steps // tokens[name] if rest or not count else 1
            if t % period == 0:
                yield from ((name, -1) for _ in range(max(1, count)))
        for (name, sign), count in zip(writes, calls, strict=True):
            yield from ((name, sign) for _ in range(count))


def _window_moves(call: Call, tokens: int, writes: list[Move]) -> Iterator[Move]:
    n = call.numbers
    chunks_in = tokens // (n["rows"] * n["columns"])
    places = _places(n["grid_rows"], n["kernel_rows"], n["stride_rows"])
    across = _places(n["grid_columns"], n["kernel_columns"], n["stride_columns"])
    chunks_out = call.tokens // (len(places) * len(across))
    rows = range(n["top"], n["top"] + n["rows"])
    columns = range(n["left"], n["left"] + n["columns"])
    for row in range(n["grid_rows"]):
        for column in range(n["grid_columns"]):
            if row in rows and column in columns:
                yield from ((call.reads[0], -1) for _ in range(chunks_in))
            if row in places and column in across:
                yield from (move for move in writes for _ in range(chunks_out))


def _places(grid: int, kernel: int, stride: int) -> range:
    """The grid rows, or columns, that complete a window of the output."""
    return range(kernel - 1, grid, stride)
