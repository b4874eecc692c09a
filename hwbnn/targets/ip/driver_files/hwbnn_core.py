"""Drives a core of hwbnn from Python on a board with PYNQ: arrays in, values or classes out.

    from hwbnn_core import Accelerator
    core = Accelerator("system.bit")            # with core.json beside this file, or core_json=...
    classes = core.classify(images)

This file needs numpy, and pynq on the board; nothing of hwbnn. It fits every core: ``core.json``
says how frames are laid out.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np

IDENTITY = 0x4857424E
MAJOR = 1
CLEAR_ERROR = 1
RESET = 4
"""The bit of the DMA's first register that resets it."""


class CoreError(RuntimeError):
    """The core, its bitstream or an array is not what core.json says; the message has one line."""


class FrameLayout:
    """The layout of frames on one of the two streams, as core.json describes it."""

    def __init__(self, said: dict[str, Any], name: str) -> None:
        self.name = name
        self.shape: tuple[int, ...] = tuple(said["shape"])
        self.elements, self.lanes, self.tokens = said["elements"], said["lanes"], said["tokens"]
        self.width, self.beat, self.signed = said["width"], said["beat"], said["signed"]
        self.low, self.high, self.bit = said["low"], said["high"], said["bit"]
        self.beat_bytes = self.beat // 8
        self.frame_bytes = self.tokens * self.beat_bytes
        in_last = self.elements - (self.tokens - 1) * self.lanes
        self.last_bytes = -(-in_last * self.width // 8)
        """Bytes of the last beat that hold elements: those that a DMA stores."""

    @property
    def packet_bytes(self) -> int:
        """Bytes of a frame that is alone in its packet, as a DMA counts them."""
        return int(self.frame_bytes - self.beat_bytes + self.last_bytes)

    def checked(self, x: Any) -> np.ndarray:
        """Frames as an array ``(frames, elements)``.

        Args:
            x: integers or bools ``(frames, *shape)``, or ``(frames, elements)``.

        Raises:
            CoreError: if the shape or a value is not what the core takes.
        """
        x = np.asarray(x)
        if x.dtype.kind not in "biu":
            raise CoreError(f"{self.name}: expected integers, found {x.dtype}")
        frames = x.shape[0] if x.ndim else 0
        if x.shape[1:] not in (self.shape, (self.elements,)):
            raise CoreError(
                f"{self.name}: expected an array (frames, {', '.join(map(str, self.shape))}), "
                f"found {x.shape}"
            )
        low, high = (0, 1) if self.bit else (self.low, self.high)
        if frames and (x.min() < low or x.max() > high):
            raise CoreError(
                f"{self.name}: expected values from {low} to {high}, found {x.min()} to {x.max()}"
            )
        return np.asarray(x.reshape(frames, self.elements))

    def pack(self, x: Any) -> np.ndarray:
        """The beats of frames, uint8 ``(frames, frame_bytes)``; ``x`` as for :meth:`checked`."""
        x = self.checked(x)
        frames = len(x)
        slots = self.tokens * self.lanes
        codes = np.zeros((frames, slots), np.int64)
        codes[:, : self.elements] = x
        bits = (codes[..., None] >> np.arange(self.width) & 1).astype(np.uint8)
        beats = np.zeros((frames, self.tokens, self.beat), np.uint8)
        used = self.lanes * self.width
        beats[..., :used] = bits.reshape(frames, self.tokens, used)
        packed = np.packbits(beats, axis=-1, bitorder="little")
        return packed.reshape(frames, self.frame_bytes)

    def unpack(self, beats: np.ndarray) -> np.ndarray:
        """The values of beats, int64 ``(frames, *shape)``; of single bits 0 and 1."""
        frames = beats.size // self.frame_bytes
        bits = np.unpackbits(
            beats.reshape(frames, self.tokens, self.beat_bytes), axis=-1, bitorder="little"
        )
        used = bits[..., : self.lanes * self.width]
        codes = used.reshape(frames, self.tokens * self.lanes, self.width)[:, : self.elements]
        values = (codes.astype(np.int64) << np.arange(self.width)).sum(axis=-1)
        if self.signed:
            values -= (values >> (self.width - 1)) << self.width
        return np.asarray(values.reshape(frames, *self.shape))


class Accelerator:
    """A core behind an AXI DMA.

    Args:
        overlay: the overlay, or the path of its bitstream, which is then loaded.
        core_json: the path of the core's ``core.json``; by default beside this file or one folder
            above it.
        dma: the DMA; by default that of ``zynq.tcl``, ``overlay.dma``.
        control: the registers of the core, with ``read(offset)`` and ``write(offset, value)``; by
            default ``overlay.core`` if the core has a control block.
        allocate: makes buffers that the DMA reaches; by default ``pynq.allocate``.
        batch: the most frames in a transfer. Only a core with the framing ``batch`` takes several.
        timeout: seconds that a transfer may take.

    Raises:
        CoreError: if the bitstream does not fit ``core.json``.
    """

    def __init__(
        self,
        overlay: Any,
        core_json: str | Path | None = None,
        *,
        dma: Any = None,
        control: Any = None,
        allocate: Any = None,
        batch: int = 256,
        timeout: float = 5.0,
    ) -> None:
        self.about = _described(core_json)
        self.input = FrameLayout(self.about["input"], "input")
        self.output = FrameLayout(self.about["output"], "output")
        self.build: str = self.about["build"]
        self.timeout = timeout
        if isinstance(overlay, str | Path):
            import pynq  # type: ignore[import-not-found]

            overlay = pynq.Overlay(str(overlay))
        if allocate is None:
            import pynq

            allocate = pynq.allocate
        self._dma: Any = dma if dma is not None else getattr(overlay, "dma", None)
        if self._dma is None:
            raise CoreError("overlay: it has no DMA named dma; say which with dma=...")
        self._registers: dict[str, int] = self.about.get("control", {}).get("registers", {})
        self._control = control
        if self._registers and control is None:
            self._control = getattr(overlay, "core", None)
            if self._control is None:
                raise CoreError("overlay: it has no registers named core; say which: control=...")
        self.batch = self._frames_together(batch)
        self._check_widths()
        if self._control is not None and self._registers:
            self.verify()
        self._send = allocate(self.batch * self.input.frame_bytes, dtype=np.uint8)
        self._receive = allocate(self.batch * self.output.frame_bytes, dtype=np.uint8)

    def _frames_together(self, batch: int) -> int:
        if batch < 1:
            raise CoreError(f"batch: expected at least 1 frame in a transfer, found {batch}")
        # A DMA ends at tlast, which is behind each result unless the framing is batch; and it
        # stores no beat in the middle of a packet whose last bytes are unused.
        together = self.about["framing"]["mode"] == "batch"
        whole = self.output.last_bytes == self.output.beat_bytes
        return batch if together and whole else 1

    def _check_widths(self) -> None:
        """Compare the widths of the DMA's streams, where the overlay says them, with the core's."""
        said = (getattr(self._dma, "description", None) or {}).get("parameters", {})
        names = {k.lower(): v for k, v in said.items()}
        for layout, name in (
            (self.input, "c_m_axis_mm2s_tdata_width"),
            (self.output, "c_s_axis_s2mm_tdata_width"),
        ):
            if name in names and int(names[name]) != layout.beat:
                raise CoreError(
                    f"overlay: its DMA has {names[name]} bits at the {layout.name} of the core, "
                    f"core.json says {layout.beat}; take bitstream and core.json of one build"
                )

    def read(self, register: str) -> int:
        """The value of a register of the control block by its name."""
        if not self._registers:
            raise CoreError(f"{register}: this core has no control block (--control axi4lite)")
        return int(self._control.read(self._registers[register]))

    def verify(self) -> None:
        """Compare identity, version and build of the core in the FPGA with core.json.

        Raises:
            CoreError: if one differs.
        """
        identity = self.read("IDENTITY")
        if identity != IDENTITY:
            raise CoreError(
                f"registers: identity {identity:#010x}, expected {IDENTITY:#010x}; these are not "
                "the registers of a core of hwbnn"
            )
        major = self.read("VERSION") >> 16
        if major != MAJOR:
            raise CoreError(f"registers: version {major}, this driver knows {MAJOR}")
        build = f"{self.read('BUILD_HIGH'):08x}{self.read('BUILD_LOW'):08x}"
        if build != self.build:
            raise CoreError(
                f"registers: the bitstream has the core of build {build}, core.json is of build "
                f"{self.build}; take both of one build"
            )

    @property
    def errors(self) -> int:
        """Packets of a wrong length since :meth:`clear_errors`."""
        return self.read("ERRORS")

    def clear_errors(self) -> None:
        """Clear the flag and the count of packets of a wrong length."""
        self.read("STATUS")
        self._control.write(self._registers["CONTROL"], CLEAR_ERROR)

    def run(self, x: Any) -> np.ndarray:
        """Send frames through the core, as many in a transfer as it takes.

        Args:
            x: integers or bools ``(frames, *shape of the input)``.

        Returns:
            int64 array ``(frames, *shape of the output)``.

        Raises:
            CoreError: if an array, a transfer or the core is wrong.
        """
        # All frames are checked first. They are packed for one transfer at a time, to save memory.
        x = self.input.checked(x)
        parts = [
            self._transfer(x[start : start + self.batch]) for start in range(0, len(x), self.batch)
        ]
        return np.concatenate(parts) if parts else np.zeros((0, *self.output.shape), np.int64)

    def classify(self, x: Any) -> np.ndarray:
        """The class of each frame, int64 ``(frames,)``; of equal scores the lowest class.

        Raises:
            CoreError: as :meth:`run`, and if the output of the core says no class.
        """
        y, result = self.run(x), self.about["output"]["result"]
        flat = y.reshape(len(y), self.output.elements)
        if result in ("scores", "logits"):
            return np.asarray(flat.argmax(axis=1))
        if result in ("class", "decision") and flat.shape[1] == 1:
            return flat[:, 0]
        raise CoreError(f"classify: the output of this core is {result} of shape {y.shape[1:]}")

    def _transfer(self, x: np.ndarray) -> np.ndarray:
        """The values of one transfer's frames."""
        frames = len(x)
        size = frames * self.input.frame_bytes
        wanted = (frames - 1) * self.output.frame_bytes + self.output.packet_bytes
        self._send[:size] = self.input.pack(x).ravel()
        self._receive[:] = 0
        send, receive = self._dma.sendchannel, self._dma.recvchannel
        if hasattr(self._receive, "flush"):
            self._receive.flush()  # the zeros: nothing may be written over the results later
        receive.transfer(self._receive, 0, frames * self.output.frame_bytes)
        send.transfer(self._send, 0, size)
        self._finish(send, "the input")
        self._finish(receive, "the output")
        self._check_status()
        got = int(receive.transferred)
        if got != wanted:
            raise CoreError(
                f"output: {got} bytes arrived, expected {wanted} for {frames} frames; the "
                f"bitstream is not of build {self.build}, or frames were sent by others too"
            )
        received = self._receive[: frames * self.output.frame_bytes]
        return self.output.unpack(np.array(received, np.uint8))

    def _finish(self, channel: Any, what: str) -> None:
        deadline = time.monotonic() + self.timeout
        while not channel.idle:
            if channel.error:
                self._restart()
                raise CoreError(
                    f"{what}: the DMA reports an error; the packet is longer than expected, so the "
                    f"bitstream is not of build {self.build}, or a buffer is not reached by the DMA"
                )
            if time.monotonic() > deadline:
                self._check_status()
                self._restart()
                raise CoreError(
                    f"{what}: not done after {self.timeout:g} s; the bitstream is not of build "
                    f"{self.build}, or the core has no clock or is held in reset"
                )
        channel.wait()  # which makes the processor see what the DMA wrote

    def _check_status(self) -> None:
        if self._registers and self.read("STATUS") & 1:
            raise CoreError(
                f"core: {self.errors} packets of a wrong length arrived, so results may be wrong; "
                "find out who sent them, call clear_errors(), and send again"
            )

    def _restart(self) -> None:
        """Reset the DMA, which alone ends an error or a transfer, and start both channels."""
        self._dma.write(0, RESET)
        deadline = time.monotonic() + self.timeout
        while self._dma.read(0) & RESET and time.monotonic() < deadline:
            pass
        for channel in (self._dma.sendchannel, self._dma.recvchannel):
            channel.start()


def _described(path: str | Path | None) -> dict[str, Any]:
    here = Path(__file__).resolve().parent
    tried = [Path(path)] if path is not None else [here / "core.json", here.parent / "core.json"]
    for file in tried:
        if file.is_file():
            try:
                about = dict(json.loads(file.read_text()))
                known = about["hwbnn core"] == 1 and "result" in about["output"]
                known = known and {"input", "build", "framing"} <= set(about)
            except (ValueError, TypeError, KeyError):  # no JSON, or not this kind of file
                known = False
            if not known:
                raise CoreError(f"{file}: no core.json of a core that this driver knows")
            return about
    raise CoreError(f"{tried[0]}: no such file; copy core.json from the folder of the core")
