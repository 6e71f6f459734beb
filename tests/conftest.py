"""What every test relies on: one thread, no global default left changed."""

import os
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest
import torch

torch.set_num_threads(1)


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
