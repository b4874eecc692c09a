"""Everything that is made from the description of the control registers (see scripts/registers)."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

from peakrdl_cheader.exporter import CHeaderExporter
from peakrdl_markdown import MarkdownExporter
from peakrdl_regblock import RegblockExporter
from peakrdl_regblock.cpuif.axi4lite import AXI4Lite_Cpuif_flattened
from peakrdl_regblock.udps import ALL_UDPS
from systemrdl import RDLCompiler
from systemrdl.node import AddrmapNode, RegNode

RTL = Path(__file__).resolve().parent.parent / "rtl"
SOURCE = RTL / "control" / "hwbnn_control.rdl"
ADDRESS = 12
"""Bits of an address: a block takes 4 KiB, the least that processors map."""
LICENSE = "// SPDX-License-Identifier: Apache-2.0\n"
UNUSED = """
// Bits of the bus that no register has, and strobes of registers that are only read.
/* verilator lint_off UNUSEDSIGNAL */
"""


def files(source: Path = SOURCE) -> dict[str, str]:
    """The files by their paths in ``rtl/``."""
    compiler = RDLCompiler()
    for extension in ALL_UDPS:
        compiler.register_udp(extension, soft=False)
    compiler.compile_file(str(source))
    block = compiler.elaborate().top
    made = {
        "hwbnn_control_regs.sv": _block(block),
        "control/hwbnn_registers.h": _exported(CHeaderExporter(), block, "hwbnn_registers.h"),
        "control/registers.md": _exported(
            MarkdownExporter(), block, "registers.md", input_files=[]
        ),
        "control/registers.json": json.dumps(_listed(block), indent=2) + "\n",
    }
    return {name: re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE) for name, text in made.items()}


def _exported(exporter: object, block: AddrmapNode, name: str, **options: object) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        exporter.export(block, str(path), **options)  # type: ignore[attr-defined]
        text = path.read_text()
    return text.rstrip() + "\n"


def _listed(block: AddrmapNode) -> dict[str, object]:
    """The registers for programs: the description of an IP core, drivers, tests."""
    return {
        "name": block.get_property("name"),
        "description": block.get_property("desc"),
        "address_bits": ADDRESS,
        "registers": [_register(child) for child in block.registers()],
    }


def _register(register: RegNode) -> dict[str, object]:
    fields = [
        {
            "name": field.inst_name,
            "description": field.get_property("desc"),
            "low": field.low,
            "bits": field.width,
            "access": "write" if field.is_sw_writable else "read",
            "reset": field.get_property("reset"),
        }
        for field in register.fields()
    ]
    return {
        "name": register.inst_name,
        "title": register.get_property("name"),
        "description": register.get_property("desc"),
        "offset": register.address_offset,
        "fields": fields,
    }


def _block(block: AddrmapNode) -> str:
    """The register block as one module, without structures: Icarus Verilog 11 reads none."""
    with tempfile.TemporaryDirectory() as folder:
        RegblockExporter().export(
            block,
            folder,
            cpuif_cls=AXI4Lite_Cpuif_flattened,
            module_name="hwbnn_control_regs",
            address_width=ADDRESS,
            default_reset_activelow=True,
            err_if_bad_addr=True,
            err_if_bad_rw=True,
        )
        text = (Path(folder) / "hwbnn_control_regs.sv").read_text()
    comment, module = _flat(text, block).split("\nmodule", 1)
    return f"{LICENSE}{comment}{UNUSED}module{module}"


def _flat(text: str, block: AddrmapNode) -> str:
    ports, strobes, fields = [], [], []
    for register in block.registers():
        strobes.append(f"    logic decoded_{register.inst_name};")
        for field in register.fields():
            name = f"{register.inst_name}_{field.inst_name}"
            span = f" [{field.width - 1}:0]" if field.width > 1 else ""
            if field.is_hw_writable:
                ports.append(f"        input wire{span} {name}_i")
            if field.is_hw_readable:
                ports.append(f"        output logic{span} {name}_o")
            if field.implements_storage:
                fields += [f"    logic{span} {name}_{part};" for part in ("next", "load", "q")]
    # Port structures become ports, structures become variables.
    text, declared = re.subn(
        r"        input \w+_pkg::\w+ hwif_in,\n        output \w+_pkg::\w+ hwif_out",
        ",\n".join(ports),
        text,
    )
    text, decoded = re.subn(
        r"    typedef struct \{\n(?:        logic \w+;\n)*    \} decoded_reg_strb_t;\n.*\n",
        "\n".join(strobes) + "\n",
        text,
    )
    text, stored = re.subn(
        r"    typedef struct \{\n.*?    \} field_combo_t;\n.*?    field_storage_t field_storage;\n",
        "\n".join(fields) + "\n",
        text,
        flags=re.DOTALL,
    )
    assert declared == decoded == stored == 1, "regblock writes its structures in another way"
    for found, instead in (
        (r"hwif_in\.(\w+)\.(\w+)\.next", r"\1_\2_i"),
        (r"hwif_out\.(\w+)\.(\w+)\.value", r"\1_\2_o"),
        (r"field_combo\.(\w+)\.(\w+)\.load_next", r"\1_\2_load"),
        (r"field_combo\.(\w+)\.(\w+)\.next", r"\1_\2_next"),
        (r"field_storage\.(\w+)\.(\w+)\.value", r"\1_\2_q"),
        (r"decoded_reg_strb\.(\w+)", r"decoded_\1"),
        (r"\bautomatic ", ""),
    ):
        text = re.sub(found, instead, text)
    assert "struct" not in text, "a structure is left"
    return text


def main() -> int:
    """Write the files, or with ``--check`` name those that differ."""
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        print(f"registers: unknown argument {sys.argv[1]!r}; expected --check or nothing")
        return 2
    old = []
    for name, text in files().items():
        path = RTL / name
        if path.is_file() and path.read_text() == text:
            continue
        old.append(name)
        if not check:
            path.write_text(text)
    print(f"registers: {', '.join(old) or 'nothing'} {'out of date' if check else 'written'}")
    return int(check and bool(old))


if __name__ == "__main__":
    raise SystemExit(main())
