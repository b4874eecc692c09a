"""Makes docs/report.png, the picture of a report's page in the documentation.

Usage: python -m scripts.page_picture      needs chromium, chromedriver and Pillow
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from PIL import Image

from hwbnn.flow import with_nodes
from hwbnn.graph import load
from hwbnn.report import Report, page
from tests.report.browser import browser

REPOSITORY = Path(__file__).resolve().parent.parent
NETWORK = REPOSITORY / "models" / "lenet"
PICTURE = REPOSITORY / "docs" / "report.png"
WIDTH, HEIGHT = 1200, 860


def main() -> None:
    """Write the picture: the upper part of the page of a published network."""
    core, network = (Report.read(NETWORK / name) for name in ("build.json", "report.json"))
    report = with_nodes(core.joined(network), load(NETWORK / "graph.npz"))
    with tempfile.TemporaryDirectory(prefix="hwbnn-page-") as scratch, browser(Path(scratch)) as b:
        file = Path(scratch) / "report.html"
        file.write_text(page(report), encoding="utf-8")
        b.open(file, WIDTH)
        shot = Path(scratch) / "shot.png"
        b.picture(shot, HEIGHT)
        few = Image.open(io.BytesIO(shot.read_bytes())).convert("RGB").quantize(64)
        few.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
