"""How long the browser works when a reader turns a knob, beside one frame of a screen: ``python -m benchmarks.redraw``.

The chapters of the built book are opened in Chromium without a network. Every knob of every figure is moved to each of
its places; the time from the event to the finished layout is taken. What the screen then needs to paint is not in it.
"""

import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.race import RESULTS, machine, versions
from benchmarks.tables import update

FRAME = 1000 / 60  # ms
ROUNDS = 5
BOOK = Path(__file__).resolve().parents[1] / "_build" / "html"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
NAMES = ("chromium", "chromium-browser", "google-chrome")

TURN = """(figure, rounds) => {
  const taken = [];
  for (let round = 0; round < rounds; round++)
    for (const knob of figure.querySelectorAll('input.wl-turn')) {
      const there = knob.value;
      for (let place = 0; place <= Number(knob.max); place++) {
        knob.value = place;
        const start = performance.now();
        knob.dispatchEvent(new Event('input', { bubbles: true }));
        figure.getBoundingClientRect();
        if (round) taken.push(performance.now() - start);
      }
      knob.value = there;
      knob.dispatchEvent(new Event('input', { bubbles: true }));
    }
  return taken;
}"""


def figures(browser: Any, page: Path) -> list[dict[str, Any]]:
    """Measure every figure of one page."""
    tab = browser.new_page(viewport={"width": 1200, "height": 900})
    tab.goto(page.as_uri())
    wanted = page.read_text(encoding="utf-8").count("application/vnd.jupyter.widget-view+json")
    if wanted:
        tab.wait_for_function("document.querySelectorAll('.wl-figure .wl-say:not(:empty)').length > 0")
        tab.wait_for_timeout(3000)
    found = []
    for figure in tab.locator(".wl-figure").all():
        title = figure.get_attribute("aria-label")
        found.append(entry(f"{page.stem}: {title}", figure.evaluate(TURN, ROUNDS + 1)))
    tab.close()
    return found


def entry(title: str, taken: list[float]) -> dict[str, Any]:
    """Return one figure's times in the form of a race against a frame."""
    ratios = [FRAME / max(ms, 0.1) for ms in taken]  # browsers round their clock to a tenth of a millisecond
    middle = statistics.median(ratios)
    frame = {"ratio": round(middle, 2), "lowest": round(min(ratios), 2), "highest": round(max(ratios), 2)}
    frame |= {"median_ms": round(FRAME, 2), "peak_mb": None, "target": 1.0, "met": middle >= 1}
    mine = {"ratio": 1.0, "lowest": 1.0, "highest": 1.0, "median_ms": round(statistics.median(taken), 2)}
    mine |= {"peak_mb": None, "target": None, "met": None}
    what = f"one turn of a knob, over {len(taken)} turns"
    contestants = {"one frame at 60 Hz": frame, "redraw": mine}
    return {"name": title, "what": what, "candidate": "redraw", "contestants": contestants}


def main() -> int:
    """Measure every chapter and write the file that the book reads."""
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)), None)
    pages = sorted((BOOK / "tutorials").rglob("*.html"))
    if path is None or not pages:
        print("redraw: skipped, " + ("there is no Chromium" if pages else "build the book first: make book"))
        return 0
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=path, args=QUIET)
        races = [race for page in pages for race in figures(browser, page)]
        browser.close()
    for race in races:
        numbers = race["contestants"]
        print(f"{numbers['redraw']['median_ms']:8.2f} ms a redraw  {race['name']}")
    content = {
        "workload": "redraw",
        "command": "python -m benchmarks.redraw",
        "machine": machine(),
        "versions": versions(),
        "rounds": ROUNDS,
        "races": races,
    }
    (RESULTS / "redraw.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    update()
    return 0


if __name__ == "__main__":
    sys.exit(main())
