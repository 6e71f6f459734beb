"""The form of a module, of an ``__init__`` and of a test."""

import pytest
from tests.contracts import house
from tests.contracts.files import ROOT, modules, package

TESTS = {p.relative_to(ROOT).as_posix(): p.read_text("utf-8") for p in sorted((ROOT / "tests").rglob("test_*.py"))}
INITS = {path: text for path, text in package().items() if path.endswith("__init__.py")}
SHOWN = set().union(*(house.names_shown(text) for text in INITS.values()))
# Each exception has its reason.
LONGER = {
    "pkg/weightlore/data/converters.py": "one small converter for each kind of original file",
}


@pytest.mark.parametrize("path", modules())
def test_property_a_module_is_one_idea(path):
    found = house.too_long(path, modules()[path])
    assert [line for line in found if not line.startswith(tuple(LONGER))] == []


def test_property_no_exception_outlives_its_reason():
    found = [line for path, text in modules().items() for line in house.too_long(path, text)]
    assert [name for name in LONGER if not any(line.startswith(name) for line in found)] == []


@pytest.mark.parametrize("path", modules())
def test_property_a_module_says_what_is_public(path):
    assert house.unlisted(path, modules()[path]) == []


@pytest.mark.parametrize("path", modules())
def test_property_calls_can_be_read(path):
    assert house.passed_through(path, modules()[path]) == []
    assert house.by_position(path, modules()[path], SHOWN) == []


@pytest.mark.parametrize("path", INITS)
def test_property_an_init_lists_names_only(path):
    assert house.only_names(path, INITS[path]) == []


def test_property_names_say_something():
    assert house.vague_names(package()) == []


@pytest.mark.parametrize("path", TESTS)
def test_property_tests_say_their_kind_and_can_fail(path):
    timing = path.startswith("tests/benchmarks/")  # the one place whose subject is time
    assert [line for line in house.test_form(path, TESTS[path]) if not (timing and "no times" in line)] == []


def test_property_long_modules_and_functions_are_found():
    many = "\n".join(f"a{i} = {i}" for i in range(300))
    body = "\n".join(f"    a{i} = {i}" for i in range(40))
    names = "__all__ = [" + ", ".join(f'"n{i}"' for i in range(11)) + "]"
    assert any("300 lines of code" in line for line in house.too_long("x.py", many))
    assert any("f has 40 lines" in line for line in house.too_long("x.py", f"def f():\n{body}"))
    assert any("11 public names" in line for line in house.too_long("x.py", names))
    documented = 'def f():\n    """' + "\n    word" * 400 + '\n    """\n    # why\n\n    return 1\n'
    assert house.too_long("x.py", documented) == [], "words are not code"


@pytest.mark.parametrize(
    ("checker", "text"),
    [
        (house.unlisted, "def f(): ..."),
        (house.passed_through, "def f(x, **options):\n    return g(x, **options)"),
        (house.passed_through, "class A:\n    def f(self, **options):\n        return g(**options)"),
        (lambda path, text: house.by_position(path, text, ["f"]), "def f(a, b, c, d): ..."),
        (house.only_names, '"""Doc."""\nfrom weightlore.data import digits\n'),
        (house.only_names, '"""Doc."""\nfrom weightlore.data.toys import *\n'),
        (house.only_names, '"""Doc."""\nLIMIT = 3\n'),
        (house.only_names, "from weightlore.data.toys import stripes as stripes\n"),
        (house.test_form, "def test_it():\n    assert True"),
        (house.test_form, "def test_oracle_it():\n    run()"),
        (house.test_form, "def test_limit_it():\n    t = time.perf_counter()\n    assert t < 1"),
    ],
)
def test_property_each_breach_is_found(checker, text):
    assert checker("pkg/weightlore/x.py", text)


@pytest.mark.parametrize(
    "path", ["pkg/weightlore/utils.py", "pkg/weightlore/data/helpers/x.py", "pkg/weightlore/common.py"]
)
def test_property_vague_names_are_found(path):
    assert house.vague_names([path])


def test_limit_good_form_passes():
    assert house.only_names("x", '"""Doc."""\n\nfrom a.b import c as c\n') == []
    assert house.by_position("x", "def f(a, b, c, d=1, *, e): ...", ["f"]) == []
    assert house.test_form("x", "def test_error_it():\n    with pytest.raises(ValueError):\n        f()") == []
