"""What every test relies on: one thread, the same numbers in every run, no global default left changed."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest
import torch

torch.set_num_threads(1)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let layers that a test makes without a generator hold the same numbers in every run."""
    torch.manual_seed(20210203)


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded generator, the same for every test."""
    return torch.Generator().manual_seed(20210203)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with real data, also set as the mirror; a test that asks for it is skipped where there is none."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("WEIGHTLORE_DATA_MIRROR") or beside)
    if not folder.is_dir():
        pytest.skip("no folder with real data: let WEIGHTLORE_DATA_MIRROR name one")
    monkeypatch.setenv("WEIGHTLORE_DATA_MIRROR", str(folder))
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium that reaches nothing but this machine, one for each test process, since Playwright admits only one.

    Its absence skips the test by name, or fails it where WEIGHTLORE_REQUIRE_BROWSER is set.
    """
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        if os.environ.get("WEIGHTLORE_REQUIRE_BROWSER"):
            pytest.fail("WEIGHTLORE_REQUIRE_BROWSER is set, but there is no Chromium on the PATH")
        pytest.skip("no Chromium on the PATH; WEIGHTLORE_REQUIRE_BROWSER=1 would make this an error")
    api = pytest.importorskip("playwright.sync_api")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    quiet += [
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ]
    with api.sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=path, args=quiet)
        yield chromium
        chromium.close()
