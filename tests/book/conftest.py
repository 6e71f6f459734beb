"""One strict build for all tests of the book, a server for it, and pages that are visited."""

import functools
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from contents import AXE, ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))  # the modules that write the pages
VENDORED = ROOT / "book" / "_static" / "vendor" / "require.js"
LOOPBACK = ROOT / "pkg" / "weightlore" / "teaching" / "kernel"  # a sitecustomize that refuses every other host


@dataclass(frozen=True)
class Built:
    html: Path
    status: int
    output: str


@pytest.fixture(scope="session")
def built(tmp_path_factory, worker_id) -> Built:
    """The book, built strictly and without a network, once for all test processes."""
    if not VENDORED.exists() or not AXE.exists():
        pytest.fail("the JavaScript of others is not here: run `make vendor` (make book and make test do)")
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "book"
    log, lock = folder / "log.txt", folder / "lock"
    folder.mkdir(exist_ok=True)
    try:
        lock.touch(exist_ok=False)
    except FileExistsError:
        while not log.exists():
            time.sleep(0.2)
    else:
        build(folder, log)
    status, _, output = log.read_text().partition("\n")
    return Built(folder / "_build" / "html", int(status), output)


def build(folder: Path, log: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(LOOPBACK), "NO_COLOR": "1"}
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        str(ROOT),
        "--path-output",
        str(folder),
    ]
    done = subprocess.run(
        [*command, "-q", "-W", "--keep-going"], env=environment, capture_output=True, text=True, timeout=600
    )
    draft = log.with_suffix(".part")
    draft.write_text(f"{done.returncode}\n{done.stdout}{done.stderr}")
    draft.rename(log)


@pytest.fixture(scope="session")
def html(built) -> Path:
    """The folder of the built pages."""
    if built.status:
        pytest.fail(f"the book was not built:\n{built.output}")
    return built.html


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def server(html):
    """The address of the book on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Silent, directory=str(html))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


@dataclass
class Visit:
    """A page that was opened, and what went wrong or outside while it was."""

    page: object
    outside: list = field(default_factory=list)
    failed: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    def figures(self):
        return self.page.locator(".wl-figure")


READY = """async () => {
  const wanted = document.querySelectorAll('script[type="application/vnd.jupyter.widget-view+json"]').length;
  const end = Date.now() + 20000;
  while (Date.now() < end) {
    const drawn = document.querySelectorAll('.widget-subarea, .wl-figure').length;
    if (window.MathJax && MathJax.startup && MathJax.startup.promise) await MathJax.startup.promise;
    if (!wanted || (drawn && document.querySelectorAll('.wl-figure .wl-say:not(:empty)').length >= wanted)) break;
    await new Promise(go => setTimeout(go, 50));
  }
  await new Promise(go => requestAnimationFrame(() => requestAnimationFrame(go)));
}"""


@pytest.fixture
def visit(browser, html, request):
    """Return ``visit(page, origin="file", theme="light", width=1200, ...)``, which opens a page."""
    contexts = []

    def go(path, *, origin="file", base=None, theme="light", width=1200, javascript=True, settled=True) -> Visit:
        base = base or (html.as_uri() if origin == "file" else request.getfixturevalue("server"))
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            java_script_enabled=javascript,
            reduced_motion="reduce",
        )
        contexts.append(context)
        if javascript:
            context.add_init_script(f"try {{ localStorage.setItem('mode', '{theme}'); }} catch (e) {{}}")
        page = context.new_page()
        seen = Visit(page)
        own = (base, "data:", "blob:")
        page.on("request", lambda r: None if r.url.startswith(own) else seen.outside.append(r.url))
        page.on("requestfailed", lambda r: seen.failed.append(r.url))
        page.on("response", lambda r: seen.failed.append(r.url) if r.status >= 400 else None)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on("console", lambda m: seen.errors.append(m.text) if m.type == "error" else None)
        page.goto(f"{base}/{path}")
        if javascript and settled:
            page.evaluate(READY)
        return seen

    yield go
    for context in contexts:
        context.close()
