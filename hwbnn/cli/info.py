"""Commands that show information: list, doctor, report."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from hwbnn.cli import options
from hwbnn.cli.files import read_bytes, writable, write_file
from hwbnn.cli.inputs import bundled, read_graph
from hwbnn.cli.output import finish, table, tell_report
from hwbnn.errors import InputError, nearest
from hwbnn.report import Report, page

_Columns = tuple[tuple[str, ...], Sequence[tuple[object, ...]]]


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command("report")(report)
    app.command("list")(list_)
    app.command("doctor")(doctor)


def list_(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHAT]", help="networks, methods, models, targets, data, devices or boards."
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List what there is of a kind: networks, methods, models, targets, data, devices or boards.

    Without a kind, all of them by their names.

    For example:

        hwbnn list

        hwbnn list models

        hwbnn list devices

        hwbnn list data --json
    """
    if what is None:
        names = {kind: [str(row[0]) for row in listed()[1]] for kind, listed in KINDS.items()}
        if not as_json:
            kinds = [(kind, ", ".join(known)) for kind, known in names.items()]
            table("", ("hwbnn list", "names"), kinds)
        finish("'hwbnn list models' tells more of a kind", names, as_json=as_json)
        return
    if what not in KINDS:
        raise InputError(f"list: expected one of {nearest(what, KINDS)}, found {what!r}")
    columns, rows = KINDS[what]()
    if not as_json:
        table("", columns, rows)
    facts = {what: [dict(zip(columns, row, strict=True)) for row in rows]}
    finish(f"{what}: {len(rows)}", facts, as_json=as_json)


def doctor(as_json: options.Json = False) -> None:
    """List tools and packages: which are installed, and what each missing one is needed for.

    For example:

        hwbnn doctor
    """
    from hwbnn.tools import doctor as examine

    rows = examine()
    if not as_json:
        table(
            "",
            ("", "tool", "version", "needed to", "to get it"),
            [
                (
                    "yes" if row.found else "no",
                    row.name,
                    row.found.version if row.found else row.remark,
                    row.purpose,
                    "" if row.found else row.get,
                )
                for row in rows
            ],
        )
    facts = [
        {
            "name": row.name,
            "version": row.found.version if row.found else None,
            "path": str(row.found.path) if row.found else None,
            "purpose": row.purpose,
            "get": row.get,
            "remark": row.remark,
        }
        for row in rows
    ]
    count_found = sum(row.found is not None for row in rows)
    line = f"{count_found} of {len(rows)} tools found"
    finish(f"{line}; hwbnn works without the others", {"tools": facts}, as_json=as_json)


def _networks() -> _Columns:
    from hwbnn.nn.named import NAMES, hidden_layers

    return ("network", "hidden layers"), [(name, hidden_layers(name)) for name in NAMES]


def _methods() -> _Columns:
    from hwbnn import methods

    rows = []
    for name in methods.METHODS:
        method = methods.get(name)
        rows.append((name, _about(type(method)), str(method)))
    return ("method", "what it is", "hyper-parameters"), rows


def _models() -> _Columns:
    rows = []
    for name, folder in bundled().items():
        data = reached = digest = ""
        if (folder / "report.json").is_file():
            known = Report.read(folder / "report.json")
            data = known.provenance.data if known.provenance else ""
            reached = f"{known.accuracy[0].integer_graph.value:.2f}%" if known.accuracy else ""
            digest = known.digest[:12]
        rows.append((name, _method_of(folder), data, reached, digest, str(folder)))
    return ("model", "method", "data", "accuracy", "graph", "folder"), rows


def _method_of(folder: Path) -> str:
    """The method that a recipe names, read as plain TOML, because ``Recipe`` needs torch."""
    try:
        method = tomllib.loads((folder / "recipe.toml").read_text()).get("method", "bnn_ste")
    except (OSError, ValueError):
        return ""
    return str(method)


def _about(documented: object) -> str:
    """The first line of a docstring."""
    return plain((documented.__doc__ or "").partition("\n")[0])


def plain(text: str) -> str:
    """Text of a docstring without the markup of reStructuredText."""
    named = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text)
    return named.replace("`", "")


def _targets() -> _Columns:
    from hwbnn.targets import TARGETS

    return ("target", "what it is"), [
        (name, _about(generate)) for name, generate in TARGETS.items()
    ]


def _data() -> _Columns:
    from hwbnn.training.data import PUBLISHED

    return ("data", "shape", "training", "classes"), [
        (name, "x".join(map(str, known.shape)), known.train_size, len(known.classes))
        for name, known in PUBLISHED.items()
    ]


def _devices() -> _Columns:
    from hwbnn.devices import DEVICES, FAMILIES

    columns = ("device", "LUT", "FF", "BRAM_36K", "URAM", "DSP", "document")
    return columns, [
        (
            d.name + "/".join(d.variants),
            *(d.lut, d.ff, d.bram18 // 2, d.uram, d.dsp),
            FAMILIES[d.family].document,
        )
        for d in DEVICES.values()
    ]


def _boards() -> _Columns:
    from hwbnn.devices import BOARDS

    return ("board", "part", "clock, MHz", "maker"), [
        (b.name, b.part, "" if b.mhz is None else f"{b.mhz:g}", b.maker) for b in BOARDS.values()
    ]


KINDS: dict[str, Callable[[], _Columns]] = {
    "networks": _networks,
    "methods": _methods,
    "models": _models,
    "targets": _targets,
    "data": _data,
    "devices": _devices,
    "boards": _boards,
}


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder that `build` or `demo` made.")
    ],
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as a page for browsers.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show the report of a build: accuracy, equality, cycles, resources, each with its source.

    With --html it becomes one page that needs nothing else: to open in a browser, to print, to
    send. In the folder of a published network the page has the reports of network and core.

    For example:

        hwbnn report hwbnn-demo

        hwbnn report hwbnn-demo --json

        hwbnn report models/lenet --html lenet.html
    """
    path = folder / "report.json" if folder.is_dir() else folder
    report_read = Report.from_json(read_bytes(path), str(path))
    if html is not None:
        _write_page(report_read, path, writable(html, ".html"), as_json=as_json)
        return
    tell_report(report_read, path, as_json=as_json, what=f"report of {report_read.network}")


def _write_page(given: Report, path: Path, html: Path, *, as_json: bool) -> None:
    """Write the page of a report, with what the files beside it say of the same Graph."""
    whole = given
    names = ("build.json",) if path.name == "report.json" else ("report.json",)
    for other in (path.parent / name for name in names):
        if other.is_file():
            beside = Report.from_json(read_bytes(other), str(other))
            if beside.digest == given.digest:
                core, network = (given, beside) if given.cores else (beside, given)
                whole = core.joined(network)
    graph_file = path.parent / "graph.npz"
    if not whole.nodes and graph_file.is_file():
        from hwbnn.flow import with_nodes

        whole = with_nodes(whole, read_graph(str(graph_file)))
    write_file(html, page(whole).encode())
    size = html.stat().st_size
    facts = {"page": str(html), "bytes": size, "ok": whole.ok}
    line = f"page of {whole.network}, {size:,} bytes -> {html}"
    finish(line, facts, as_json=as_json, failed=not whole.ok)
