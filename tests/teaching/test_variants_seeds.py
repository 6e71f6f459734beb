"""The seed of a class is read from a private file, and no file of the repository holds one."""

import re
import subprocess
from pathlib import Path

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.teaching.variants import class_seed
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.seeds import LINE, outside

ROOT = Path(__file__).parents[2]
TEXT = "0123456789abcdef"  # no class has it
OF_TESTS = {"another-line-of-text-0001", "moss-owl-lantern-4711-thistle"}  # nor these, which tests write down


def written(folder, text, name="class.seed"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def line(text=TEXT):
    return "weightlore-class-seed" + f": {text}"


def leaks(texts):
    """The paths whose text holds the seed of a class."""
    found = {path: {re.match(r"[\w-]*", one)[0] for one in LINE.findall(text)} for path, text in texts.items()}
    return [path for path, seeds in found.items() if seeds - OF_TESTS]


def test_property_a_seed_is_a_number_that_belongs_to_the_text(tmp_path):
    one = class_seed(written(tmp_path, line() + "\n"))
    assert one == class_seed(str(written(tmp_path, "\ufeff" + line() + "\r\n", "other.seed")))
    assert one != class_seed(written(tmp_path, line(TEXT + "0")))
    assert 2**200 < one < 2**256


@pytest.mark.parametrize(
    "text", ["", "0123456789abcdef0123456789abcdef", line("short"), line("two words of it all"), f"{line()}\n{line()}"]
)
def test_error_a_file_without_a_seed_says_how_to_make_one(tmp_path, text):
    with pytest.raises(ParameterError, match=r"secrets\.token_hex") as caught:
        class_seed(written(tmp_path, text))
    assert TEXT not in str(caught.value), "what is in the file is private"


def test_error_no_file_says_how_to_make_one(tmp_path):
    for path in (tmp_path / "none.seed", tmp_path):
        with pytest.raises(ParameterError, match=r"class\.seed makes one"):
            class_seed(path)


def test_error_a_file_that_cannot_be_read_says_so(tmp_path, monkeypatch):
    path = written(tmp_path, line())

    def locked(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", locked)
    with pytest.raises(ParameterError, match=r"cannot be read \(Permission denied\); give yourself the right"):
        class_seed(path)


def test_limit_bytes_that_are_no_text_are_no_seed(tmp_path):
    path = tmp_path / "class.seed"
    path.write_bytes(b"\xff\xfe\x00" * 20)
    with pytest.raises(ParameterError, match="must hold one line"):
        class_seed(path)


def test_property_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = written(tmp_path, line())
    assert class_seed("~/class.seed") == class_seed(path)


def test_error_a_seed_in_a_repository_is_refused(tmp_path):
    clone = tmp_path / "clone"
    (clone / ".git").mkdir(parents=True)
    (clone / "deep" / "er").mkdir(parents=True)
    inside = written(clone / "deep" / "er", line())
    with pytest.raises(ParameterError, match="repository clone"):
        class_seed(inside)
    (tmp_path / "linked.seed").symlink_to(inside)
    with pytest.raises(ParameterError, match="repository clone"):
        class_seed(tmp_path / "linked.seed")
    with pytest.raises(ParameterError, match="could publish it"):
        class_seed(ROOT / "class.seed")


def test_error_an_unpacked_archive_of_the_book_is_a_repository_too(tmp_path):
    (tmp_path / "pkg" / "weightlore").mkdir(parents=True)
    with pytest.raises(ParameterError, match="The key"):
        outside(tmp_path / "new" / "folder", "The key")


def test_property_the_command_that_is_shown_makes_a_seed(tmp_path):
    with pytest.raises(ParameterError) as caught:
        class_seed(tmp_path / "none.seed")
    code = re.search(r'python -c "(.*?)" >', str(caught.value))[1]
    made = subprocess.run(["python3", "-c", code], capture_output=True, text=True, check=True).stdout
    assert class_seed(written(tmp_path, made)) != class_seed(written(tmp_path, line(), "other.seed"))


def test_property_no_file_of_the_repository_holds_a_seed():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git clone")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert leaks({p: p.read_text("utf-8", errors="replace") for p in paths if p.is_file()}) == []
    assert "*.seed" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_property_a_seed_in_a_file_is_found():
    texts = {"a": f"x\n  {line()} y", "b": f'"{line()}"', "c": line("short"), "d": TEXT, "e": line(min(OF_TESTS))}
    assert leaks(texts) == ["a", "b"]


def test_property_draws_are_spread_over_what_they_may_be():
    generator = torch.Generator().manual_seed(0)
    assert {integer(generator, 2, 4) for _ in range(60)} == {2, 3, 4}
    assert {one_of(generator, "abc") for _ in range(60)} == set("abc")
    drawn = [several(generator, range(4), 2) for _ in range(200)]
    assert len(set(drawn)) == 12
    assert all(a != b for a, b in drawn)


def test_error_draws_from_nothing():
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ParameterError, match="between 3 and 2"):
        integer(generator, 3, 2)
    with pytest.raises(ParameterError, match="nothing to choose from"):
        one_of(generator, "")
    with pytest.raises(ParameterError, match="there are 2"):
        several(generator, "ab", 3)
