"""The fetching of others' JavaScript: only the pinned bytes, all or nothing, and an error that says what to do."""

import io
import json
import re
import tarfile

import pytest
import vendor

pytestmark = pytest.mark.book


def archive(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """An npm that sells one package from a folder, and a manifest that pins it."""

    def npm(arguments, *, folder):
        path = archive(folder / "thing-1.0.0.tgz", {"dist/a.js": "a", "dist/deep/b.js": "b", "c.woff": "c"})
        return json.dumps([{"name": "thing", "filename": path.name}])

    monkeypatch.setattr(vendor, "sha512", lambda path: "sha512-pinned")
    monkeypatch.setattr(vendor, "npm", npm)
    manifest = tmp_path / "vendor.json"
    monkeypatch.setattr(vendor, "MANIFEST", manifest)
    package = {"name": "thing", "version": "1.0.0", "integrity": "sha512-pinned", "take": {"dist/*.js": "js/"}}

    def write(**changes):
        manifest.write_text(json.dumps({"packages": [package | changes]}))
        return tmp_path / "static" / "vendor", tmp_path / "testing"

    return write


def test_property_the_chosen_files_and_the_widget_loader_are_put_in_place(shop):
    target, testing = shop()
    vendor.fetch(target, testing=testing)
    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert found == {"js/a.js", "anywidget.js"}
    assert (target / "js" / "a.js").read_text() == "a"


def test_error_another_hash_is_refused_and_nothing_is_changed(shop):
    target, testing = shop(integrity="sha512-other")
    target.mkdir(parents=True)
    (target / "old.js").write_text("old")
    with pytest.raises(SystemExit, match="not the file that was pinned"):
        vendor.fetch(target, testing=testing)
    assert [path.name for path in target.parent.rglob("*")] == ["vendor", "old.js"]


def test_error_a_pattern_that_finds_nothing_is_named(shop):
    target, testing = shop(take={"lib/*.js": "js/"})
    with pytest.raises(SystemExit, match=re.escape("lib/*.js")):
        vendor.fetch(target, testing=testing)
    assert not target.exists()


def test_error_without_a_network_the_message_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    monkeypatch.setenv("NPM_CONFIG_FETCH_RETRIES", "0")
    monkeypatch.setenv("NPM_CONFIG_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SystemExit, match="make vendor"):
        vendor.fetch(tmp_path / "vendor", testing=tmp_path / "testing")
    assert not (tmp_path / "vendor").exists()


def test_oracle_hash_is_the_form_that_npm_prints(tmp_path):
    path = tmp_path / "empty"
    path.write_bytes(b"")
    assert vendor.sha512(path) == (
        "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
    )


def test_property_every_package_is_pinned_by_version_and_hash():
    for package in json.loads(vendor.MANIFEST.read_text())["packages"]:
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", package["integrity"])
