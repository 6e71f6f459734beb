"""The command line: each command, each way in which it can fail, and that it starts without any extra."""

import gzip
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from importlib.abc import MetaPathFinder
from pathlib import Path
from urllib.request import urlopen

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner, Result

from weightlore import __version__, cli
from weightlore.errors import DataError, ParameterError

ROOT = Path(__file__).parents[1]


class Absent(MetaPathFinder):
    """Lets some libraries look as if they were not installed."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def hide(*names: str) -> None:
        for module in [name for name in sys.modules if name.partition(".")[0] in names]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setattr(sys, "meta_path", [Absent(names), *sys.meta_path])

    return hide


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """What would have been run; every run succeeds."""
    made: list[list[str]] = []

    def pretend(command: list[str], cwd: Path, check: bool) -> subprocess.CompletedProcess[str]:
        made.append([*command, f"in {cwd}"])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(cli.subprocess, "run", pretend)
    return made


def weightlore(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments))


def one_line(result: Result) -> str:
    """Return the error if it is a single line with exit code 1 and no traceback."""
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stderr.startswith("Error: ")
    assert len(result.stderr.splitlines()) == 1
    return result.stderr


# --- without any library -------------------------------------------------------------------------------------------


def run_without(names: tuple[str, ...], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a fresh interpreter that lacks some libraries."""
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from weightlore.cli import main
main({list(arguments)!r})
"""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


ALL = ("torch", "numpy", "scipy", "sklearn", "pooch", "tqdm", "safetensors", "matplotlib", "nbformat", "jupyter_book")


@pytest.mark.parametrize(
    "arguments", [("--help",), ("data", "--help"), ("book", "--help"), ("notebooks", "check", "-h"), ("--version",)]
)
def test_limit_help_needs_no_library_but_click(arguments: tuple[str, ...]) -> None:
    result = run_without(ALL, *arguments)
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout or __version__ in result.stdout


def test_error_a_needed_library_that_is_absent_is_one_line() -> None:
    result = run_without(("torch",), "data", "list")
    assert result.returncode == 1
    assert result.stderr == "Error: No module named 'torch'; `weightlore doctor` says how to get it\n"


def test_error_doctor_examines_an_environment_without_torch() -> None:
    result = run_without(("torch",), "doctor")
    assert result.returncode == 1
    assert "torch cannot be imported: No module named 'torch'" in result.stderr
    assert "Traceback" not in result.stderr


# --- doctor --------------------------------------------------------------------------------------------------------


def test_oracle_doctor_agrees_with_the_interpreter() -> None:
    import torch

    result = weightlore("doctor", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    versions = {library["name"]: library["version"] for library in found["libraries"]}
    assert versions["numpy"] == np.__version__
    assert torch.__version__.startswith(versions["torch"])
    assert found["version"] == __version__
    assert found["clone"] == str(ROOT)
    assert found["problems"] == []
    assert found["threads"].startswith("1 of ")


def test_property_doctor_speaks_of_every_extra() -> None:
    result = weightlore("doctor")
    assert result.exit_code == 0
    for extra in ("book", "lab", "fast", "images", "scale", "peers", "dev"):
        assert f"\n[{extra}]" in result.stdout


def pretend_versions(monkeypatch: pytest.MonkeyPatch, **versions: str | None) -> None:
    from weightlore import doctor

    real = doctor.metadata.version

    def version(name: str) -> str:
        pretended = versions.get(name.replace("-", "_"), "real")
        if pretended is None:
            raise doctor.metadata.PackageNotFoundError(name)
        return real(name) if pretended == "real" else pretended

    monkeypatch.setattr(doctor.metadata, "version", version)


def test_property_a_missing_extra_is_named_with_its_command_and_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_versions(monkeypatch, numba=None)
    result = weightlore("doctor")
    assert result.exit_code == 0
    assert 'numba missing: pip install "weightlore[fast]"' in result.stdout


def test_error_a_missing_needed_library_fails_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_versions(monkeypatch, pooch=None)
    result = weightlore("doctor")
    assert result.exit_code == 1
    assert 'pooch is missing; weightlore needs pooch>=1.8: pip install "pooch>=1.8"' in result.stderr


def test_error_a_library_out_of_range_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_versions(monkeypatch, click="7.0")
    result = weightlore("doctor")
    assert result.exit_code == 1
    assert "click 7.0 is out of range" in result.stderr


def test_error_a_mirror_that_is_no_folder_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEIGHTLORE_DATA_MIRROR", str(tmp_path / "nowhere"))
    result = weightlore("doctor")
    assert result.exit_code == 1
    assert "WEIGHTLORE_DATA_MIRROR" in result.stderr
    assert "unset it or correct it" in result.stderr


def test_limit_doctor_finds_no_browser_and_no_clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from weightlore import doctor

    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    monkeypatch.setattr(doctor, "MAC_BROWSER", tmp_path / "none")
    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "weightlore/doctor.py"))
    monkeypatch.chdir(tmp_path)
    found = json.loads(weightlore("doctor", "--json").stdout)
    assert (found["browser"], found["clone"]) == (None, None)


# --- book and lab --------------------------------------------------------------------------------------------------


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from weightlore import doctor

    monkeypatch.setattr(doctor, "__file__", str(tmp_path / "weightlore/doctor.py"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def small_clone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, outside: None) -> Path:
    (tmp_path / "pkg/weightlore").mkdir(parents=True)
    (tmp_path / "pkg/weightlore/doctor.py").touch()
    (tmp_path / "_build/html").mkdir(parents=True)
    (tmp_path / "_build/html/index.html").write_text("theta", encoding="utf-8")
    (tmp_path / "tutorials").mkdir()
    monkeypatch.chdir(tmp_path / "tutorials")
    return tmp_path


@pytest.mark.parametrize("command", ["book", "lab"])
def test_error_outside_a_clone_says_what_to_clone(command: str, outside: None, calls: list[list[str]]) -> None:
    error = one_line(weightlore(command))
    assert "git clone https://github.com/weightlore/weightlore" in error
    assert calls == []


@pytest.mark.parametrize(
    ("command", "library", "extra"), [("book", "jupyter_book", "book"), ("lab", "jupyterlab", "lab")]
)
def test_error_a_missing_extra_is_one_line(
    command: str, library: str, extra: str, absent: Callable[..., None], small_clone: Path, calls: list[list[str]]
) -> None:
    absent(library)
    error = one_line(weightlore(command))
    assert f'{library} is not installed. It comes with the extra "{extra}": pip install "weightlore[{extra}]"' in error
    assert calls == []


def test_property_book_builds_the_clone_around_the_current_folder(small_clone: Path, calls: list[list[str]]) -> None:
    result = weightlore("book")
    assert result.exit_code == 0, result.output
    assert (small_clone / "_build/html/index.html").as_uri() in result.output
    assert [command[0] for command in calls] == [sys.executable] * 2
    assert [command[-1] for command in calls] == [f"in {small_clone}"] * 2
    assert "vendor.py" in calls[0][1]
    assert calls[1][3:5] == ["build", str(small_clone)]


def test_error_a_failed_build_ends_with_its_exit_code(small_clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 3))
    result = weightlore("book", "--serve")
    assert result.exit_code == 3
    assert "Serving" not in result.output


def test_property_serve_answers_on_loopback_only(
    small_clone: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}

    def serve_once(server: ThreadingHTTPServer) -> None:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with urlopen(f"http://127.0.0.1:{server.server_port}/index.html") as answer:
            seen.update(host=server.server_address[0], page=answer.read())
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", serve_once)
    result = weightlore("book", "--serve")
    assert result.exit_code == 0, result.output
    assert seen == {"host": "127.0.0.1", "page": b"theta"}
    assert "http://127.0.0.1:" in result.output
    assert result.output.endswith("Ended.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets two servers share a port")
def test_error_a_port_in_use_is_one_line(small_clone: Path, calls: list[list[str]]) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), cli._Quiet) as server:
        error = one_line(weightlore("book", "--serve", "--port", str(server.server_port)))
    assert "--port" in error


def test_property_lab_opens_the_tutorials(small_clone: Path, calls: list[list[str]]) -> None:
    assert weightlore("lab").exit_code == 0
    assert calls == [[sys.executable, "-m", "jupyterlab", str(small_clone / "tutorials"), f"in {small_clone}"]]


# --- data ----------------------------------------------------------------------------------------------------------


def idx(path: Path, values: np.ndarray) -> None:
    """Write unsigned bytes as the originals of Fashion-MNIST are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(gzip.compress(head + values.astype(np.uint8).tobytes()))


def test_property_data_list_names_every_set_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weightlore.data import datasets

    monkeypatch.setenv("WEIGHTLORE_DATA", str(tmp_path))
    result = weightlore("data", "list")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [record.name for record in datasets()]
    assert all("not fetched" in line and "license: " in line for line in lines)
    first = datasets()[0]
    for file in first.originals:
        (tmp_path / file.keep).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.keep).touch()
    assert "not fetched" not in weightlore("data", "list").stdout.splitlines()[0]


def test_property_fetch_says_what_it_got(monkeypatch: pytest.MonkeyPatch) -> None:
    from weightlore import data

    asked = []

    def fetch(name: str, *, progress: bool) -> dict[str, range]:
        asked.append((name, progress))
        return {"train": range(5), "test": range(2)}

    monkeypatch.setattr(data, "fetch", fetch)
    result = weightlore("data", "fetch", "usps", "cifar10")
    assert (result.exit_code, result.stdout) == (0, "usps: 5 in train, 2 in test\ncifar10: 5 in train, 2 in test\n")
    assert asked == [("usps", True), ("cifar10", True)]
    asked.clear()
    assert weightlore("data", "fetch", "--all").exit_code == 0
    assert [name for name, _ in asked] == [record.name for record in data.datasets()]


def test_error_a_set_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from weightlore import data

    def fetch(name: str, *, progress: bool) -> dict[str, range]:
        if name == "usps":
            raise DataError("half a file:\n run it again")
        return {"all": range(3)}

    monkeypatch.setattr(data, "fetch", fetch)
    result = weightlore("data", "fetch", "usps", "cifar10")
    assert result.exit_code == 1
    assert result.stdout == "cifar10: 3 in all\n"
    assert result.stderr == "usps: half a file: run it again\nError: not fetched: usps\n"


def test_error_a_broken_mirror_is_told_by_the_real_fetcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHTLORE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("WEIGHTLORE_DATA_MIRROR", str(tmp_path))
    for part, count in (("train", 6), ("t10k", 2)):
        idx(tmp_path / f"fashion-mnist/{part}-images-idx3-ubyte.gz", np.zeros((count, 28, 28)))
        idx(tmp_path / f"fashion-mnist/{part}-labels-idx1-ubyte.gz", np.zeros(count))
    result = weightlore("data", "fetch", "fashion-mnist")
    assert result.exit_code == 1
    assert "fashion-mnist from the mirror is not the pinned set" in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_error_an_unknown_set_is_answered_with_the_names() -> None:
    result = weightlore("data", "fetch", "mnist-of-dreams")
    assert result.exit_code == 1
    assert "there is no set 'mnist-of-dreams'; the names are " in result.stderr


@pytest.mark.parametrize("arguments", [(), ("usps", "--all")])
def test_error_fetch_wants_names_or_all(arguments: tuple[str, ...]) -> None:
    result = weightlore("data", "fetch", *arguments)
    assert result.exit_code == 2
    assert "weightlore data list" in result.stderr


# --- notebooks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    setup = "import torch\n\ntorch.set_num_threads(1)\ntorch.set_default_dtype(torch.float64)"
    first = nbformat.v4.new_code_cell(setup, id="setup", metadata={"tags": ["setup"]})
    cells = [first, nbformat.v4.new_code_cell("6 * 7", id="answer")]
    made = nbformat.v4.new_notebook(cells=cells)
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made.metadata["weightlore"] = {"minutes": 1, "seconds": 60, "memory_mb": 500, "objectives": ["multiply"],
                                   "prerequisites": ["none"], "paper": None}  # fmt: skip
    path = tmp_path / "small.ipynb"
    nbformat.write(made, path)
    return path


@pytest.mark.slow
def test_property_a_frozen_notebook_is_as_stored_until_it_is_tampered_with(notebook: Path) -> None:
    frozen = weightlore("notebooks", "freeze", str(notebook))
    assert frozen.exit_code == 0, frozen.output
    assert '"42"' in notebook.read_text(encoding="utf-8")
    checked = weightlore("notebooks", "check", str(notebook))
    assert (checked.exit_code, checked.output) == (0, f"{notebook}: as stored\n")
    notebook.write_text(notebook.read_text(encoding="utf-8").replace('"42"', '"43"'), encoding="utf-8")
    checked = weightlore("notebooks", "check", str(notebook))
    assert checked.exit_code == 1
    assert "1 complaints" in checked.output
    assert "cell 2" in checked.output


@pytest.mark.slow
def test_error_tags_that_contradict_each_other_are_named_by_the_check(notebook: Path) -> None:
    stored = nbformat.read(notebook, as_version=4)
    stored.cells[1].metadata["tags"] = ["exercise", "solution"]
    nbformat.write(stored, notebook)
    checked = weightlore("notebooks", "check", str(notebook))
    assert checked.exit_code == 1
    assert "cell 2 is both 'exercise' and 'solution'" in checked.output


@pytest.mark.parametrize("command", ["freeze", "check"])
def test_error_notebooks_need_the_extra_book(command: str, notebook: Path, absent: Callable[..., None]) -> None:
    absent("nbclient")
    before = notebook.read_bytes()
    assert 'pip install "weightlore[book]"' in one_line(weightlore("notebooks", command, str(notebook)))
    assert notebook.read_bytes() == before


def test_error_a_notebook_that_is_absent_is_named(tmp_path: Path) -> None:
    result = weightlore("notebooks", "check", str(tmp_path / "none.ipynb"))
    assert result.exit_code == 2
    assert "none.ipynb" in result.stderr


# --- errors of the package -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [DataError("half a file:\n fetch it again"), ParameterError("no such name")])
def test_error_of_the_package_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch, small_clone: Path) -> None:
    monkeypatch.setattr(cli, "_run", lambda *_: (_ for _ in ()).throw(error))
    assert one_line(weightlore("lab")) == f"Error: {' '.join(str(error).split())}\n"


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), OSError("a disk"), ModuleNotFoundError("x", name="weightlore.x")]
)
def test_error_of_another_kind_is_not_hidden(
    error: Exception, monkeypatch: pytest.MonkeyPatch, small_clone: Path
) -> None:
    monkeypatch.setattr(cli, "_run", lambda *_: (_ for _ in ()).throw(error))
    assert weightlore("lab").exception is error
