"""The page in a real browser: no complaint, no request, no sideways scrolling, keys reach all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hwbnn.report import Report, page
from tests.report.browser import Browser, browser
from tests.report.sample import report
from tests.report.test_page import HOSTILE, hostile, residual

WIDTHS = (320, 768, 1920)
PAGES = {
    "sample": report(),
    "residual": replace(report(), nodes=residual()),
    "bare": Report("bare", "d"),
    **{f"hostile {i}": hostile(text) for i, text in enumerate(HOSTILE) if i in (0, 1, 5, 7)},
}
WIDE = """
const limit = document.documentElement.clientWidth;
const inside = e => e.parentElement && (e.parentElement.closest(".scroll, pre") !== null);
return [...document.body.querySelectorAll("*")]
  .filter(e => !inside(e) && e.getBoundingClientRect().right > limit + 0.5)
  .map(e => e.outerHTML.slice(0, 80));
"""
LISTEN = """
window.reached = [];
const all = [...document.querySelectorAll("*")];
addEventListener("focusin", ({target: e}) => {
  const r = e.getBoundingClientRect(), s = getComputedStyle(e);
  const outlined = parseFloat(s.outlineWidth) > 0 && s.outlineStyle !== "none";
  reached.push([all.indexOf(e), e.tagName, e.textContent, r.width * r.height, outlined]);
});
"""
FOCUSABLE = """
return [...document.querySelectorAll("a[href], summary, [tabindex='0']")]
  .filter(e => e.checkVisibility()).length;
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def written(folder: Path, given: Report) -> Path:
    file = folder / "report.html"
    file.write_text(page(given), encoding="utf-8")
    return file


@pytest.mark.parametrize("name", PAGES)
def test_no_complaint_no_request_no_overflow(chromium: Browser, tmp_path: Path, name: str) -> None:
    file = written(tmp_path, PAGES[name])
    chromium.open(file, WIDTHS[0])
    chromium.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    for width in WIDTHS:
        chromium.resize(width)
        whole = chromium.run("return document.documentElement.scrollWidth")
        assert (whole, chromium.run(WIDE)) == (width, []), width
    assert chromium.complaints() == []
    assert chromium.requests() == [file.as_uri()]


def test_what_would_be_wrong_is_noticed(chromium: Browser, tmp_path: Path) -> None:
    text = page(report())
    file = tmp_path / "broken.html"
    broken = '<p style="width: 2000px">wide</p><script>alert(1)</script><img src="other.png">'
    file.write_text(text.replace("<main", f"{broken}<main"), encoding="utf-8")
    chromium.open(file, 768)
    assert chromium.run(WIDE)
    assert len(chromium.complaints()) == 2  # the policy refuses the script and the picture
    assert chromium.requests() == [file.as_uri()]
    file.write_text(
        text.replace("<main", f"{broken}<main").replace("Content-Security-Policy", "x"),
        encoding="utf-8",
    )
    chromium.open(file, 768)
    chromium.driver.switch_to.alert.accept()
    assert len(chromium.requests()) == 2


def test_keys_reach_everything_from_top_to_bottom(chromium: Browser, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    chromium.open(written(tmp_path, report()), 1280)
    chromium.run(LISTEN)
    count = chromium.run(FOCUSABLE)
    chromium.driver.switch_to.active_element.send_keys(Keys.TAB * count)
    reached = chromium.run("return reached")
    assert reached[0][1:3] == ["A", "To the content"]
    assert len(reached) == count > 50
    order = [place for place, *_ in reached]
    assert order == sorted(set(order))  # the order of the document, nothing twice
    assert all(area > 0 and outlined for *_, area, outlined in reached)


def test_dark_and_printed(chromium: Browser, tmp_path: Path) -> None:
    file = written(tmp_path, report())
    paper = "return getComputedStyle(document.body).backgroundColor"
    chromium.open(file)
    assert chromium.run(paper) == "rgb(255, 255, 255)"
    chromium.open(file, dark=True)
    assert chromium.run(paper) == "rgb(20, 23, 26)"
    printed = chromium.pdf()
    assert printed.startswith(b"%PDF")
    assert 1 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 6
