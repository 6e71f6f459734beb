"""JupyterHub for a class on one machine: two students log in and each runs a kernel on a copy of their own."""

import asyncio
import contextlib
import http.cookiejar
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect
from traitlets.config import Config

pytest.importorskip("jupyterhub", reason="the hub is in the extra classroom")

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "book" / "instructors" / "jupyterhub_config.py"
PASSWORD = "eight at least"


def free_port() -> int:
    """The first of three ports in a row that nobody uses."""
    for _ in range(50):
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        if port < 65000 and not any(_open(port + i) for i in range(3)):
            return port
    raise AssertionError("no three free ports in a row")


def _open(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


class Student:
    """A browser without a screen: keeps cookies, sends the token that the hub's forms ask for."""

    def __init__(self, base: str, name: str):
        self.base, self.name, self.jar = base, name, http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.jar), urllib.request.ProxyHandler({})
        )

    def get(self, path: str, data: bytes | None = None, **headers: str):
        request = urllib.request.Request(self.base + path, data=data, headers=headers)
        with self.opener.open(request, timeout=60) as answer:
            return answer.geturl(), answer.read().decode()

    def token(self, path: str) -> str:
        _, page = self.get(path)
        return re.search(r'name="_xsrf"\s+value="([^"]+)"', page)[1]

    def log_in(self, password: str) -> str:
        form = {"username": self.name, "password": password, "_xsrf": self.token("/hub/login")}
        return self.get("/hub/login?next=%2Fhub%2Fhome", urllib.parse.urlencode(form).encode())[1]

    def start(self) -> None:
        self.get("/hub/spawn")
        for _ in range(240):
            address, _ = self.get("/hub/spawn")
            if f"/user/{self.name}/" in address and "/hub/" not in address:
                return
            time.sleep(0.5)
        raise AssertionError(f"the server of {self.name} does not start")

    def api(self, path: str, body: dict | None = None):
        xsrf = next(c.value for c in self.jar if c.name == "_xsrf" and c.path.startswith(f"/user/{self.name}"))
        headers = {"X-XSRFToken": xsrf, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        return json.loads(self.get(f"/user/{self.name}/api/{path}", data, **headers)[1])

    def printed(self, kernel: str, code: str) -> str:
        """What a kernel prints, asked as JupyterLab asks it: through a web socket, and so through the proxy."""
        path = f"/user/{self.name}"
        cookies = "; ".join(f"{c.name}={c.value}" for c in self.jar if c.path.rstrip("/") in ("", path))
        address = f"ws{self.base.removeprefix('http')}{path}/api/kernels/{kernel}/channels"
        header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "1", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}

        async def ask() -> str:
            socket = await websocket_connect(HTTPRequest(address, headers={"Cookie": cookies}))
            await socket.write_message(json.dumps(asked))
            while said := await socket.read_message():
                message = json.loads(said)
                if message["msg_type"] == "stream":
                    return message["content"]["text"]
            raise AssertionError("the kernel's socket was closed")

        with ThreadPoolExecutor(1) as apart:  # a browser of other tests may have an event loop on this thread
            return apart.submit(asyncio.run, asyncio.wait_for(ask(), 120)).result()


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("hub"), free_port()
    environment = os.environ | {
        "WEIGHTLORE_CLASS_PASSWORD": PASSWORD,
        "WEIGHTLORE_HUB_PORT": str(port),
        "WEIGHTLORE_HUB_FOLDER": str(folder),
        "WEIGHTLORE_HUB_NOTEBOOKS": str(ROOT / "tutorials" / "0_healthy"),
        "WEIGHTLORE_HUB_ALLOW_ROOT": "1",  # a container's tests may run as root
    }
    command = [str(Path(sys.executable).with_name("jupyterhub")), "-f", str(CONFIG)]
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
    )
    base = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            Student(base, "nobody").get("/hub/login")
            break
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.5)
    yield base, folder
    process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    finally:
        _kill_group(process.pid)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="JupyterHub does not run on Windows")
@pytest.mark.timeout(400)
def test_property_two_students_work_side_by_side(hub):
    base, folder = hub
    students = [Student(base, name) for name in ("ada", "grace")]
    for student in students:
        student.log_in(PASSWORD)
        student.start()
    for student in students:
        found = student.api("contents/weightlore/healthy.ipynb?content=1")
        assert found["content"]["cells"], "each finds the notebook"
        kernel = student.api("kernels", {"name": "python3"})["id"]
        printed = student.printed(kernel, "import os, weightlore; print(os.environ['OMP_NUM_THREADS'], os.getcwd())")
        assert printed == f"1 {folder / 'students' / student.name}\n", "and a kernel that has the package"
    ada, grace = (folder / "students" / name / "weightlore" / "healthy.ipynb" for name in ("ada", "grace"))
    ada.write_text("changed")
    assert grace.read_text() == (ROOT / "tutorials" / "0_healthy" / "healthy.ipynb").read_text()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        students[0].get("/user/grace/api/contents")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="JupyterHub does not run on Windows")
def test_error_a_wrong_password_and_a_strange_name_are_refused(hub):
    base, folder = hub
    for name, password in (("eve", "a wrong one"), ("../eve", PASSWORD)):
        with pytest.raises(urllib.error.HTTPError, match=r"403|400|401"):
            Student(base, name).log_in(password)
    assert not (folder / "eve").exists()
    assert not (folder / "students" / "eve").exists()


def loaded(monkeypatch, tmp_path, **settings: str) -> Config:
    monkeypatch.setattr("os.getuid", lambda: 1000, raising=False)
    return loaded_as_is(monkeypatch, tmp_path, **settings)


def loaded_as_is(monkeypatch, tmp_path, **settings: str) -> Config:
    config = Config()
    for name in ("WEIGHTLORE_HUB", "WEIGHTLORE_CLASS_PASSWORD", "WEIGHTLORE_HUB_ALLOW_ROOT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"WEIGHTLORE_HUB_FOLDER": str(tmp_path / "hub")} | settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("traitlets.config.get_config", lambda: config)
    runpy.run_path(str(CONFIG))
    return config


def test_error_no_password_is_no_class(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="WEIGHTLORE_CLASS_PASSWORD to at least eight"):
        loaded(monkeypatch, tmp_path, WEIGHTLORE_CLASS_PASSWORD="short")


def test_error_a_class_of_roots_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("os.getuid", lambda: 0, raising=False)
    with pytest.raises(SystemExit, match="Start the hub as an ordinary user"):
        loaded_as_is(monkeypatch, tmp_path, WEIGHTLORE_CLASS_PASSWORD=PASSWORD)


def test_error_accounts_need_root(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="Begin the command with sudo"):
        loaded(monkeypatch, tmp_path, WEIGHTLORE_HUB="accounts")


def test_error_a_folder_that_cannot_be_made_is_named(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(SystemExit, match=r"hub cannot be made\. Let WEIGHTLORE_HUB_FOLDER name"):
        loaded(monkeypatch, tmp_path, WEIGHTLORE_CLASS_PASSWORD=PASSWORD)


def as_root(monkeypatch, tmp_path) -> Config:
    monkeypatch.setattr("os.getuid", lambda: 0, raising=False)
    return loaded_as_is(monkeypatch, tmp_path, WEIGHTLORE_HUB="accounts")


def test_property_with_accounts_the_copy_is_made_with_the_rights_of_the_student(monkeypatch, tmp_path):
    config, asked = as_root(monkeypatch, tmp_path), []
    account = SimpleNamespace(pw_dir=str(tmp_path / "ada"), pw_uid=1234, pw_gid=5678)
    monkeypatch.setattr("pwd.getpwnam", lambda name: account)
    monkeypatch.setattr("subprocess.run", lambda command, **options: asked.append((command, options)))
    config.Spawner.pre_spawn_hook(SimpleNamespace(user=SimpleNamespace(name="ada")))
    ((command, options),) = asked
    assert command[-1] == str(tmp_path / "ada" / "weightlore")
    assert (options["user"], options["group"], options["extra_groups"]) == (1234, 5678, ())


def test_property_accounts_use_those_of_the_machine(monkeypatch, tmp_path):
    config = as_root(monkeypatch, tmp_path)
    assert config.JupyterHub.authenticator_class == "pam"
    assert config.JupyterHub.spawner_class.endswith(".LocalProcessSpawner")
    assert "user_password" not in config.SharedPasswordAuthenticator


def test_property_a_copy_is_made_once(monkeypatch, tmp_path):
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    (notebooks / "a.ipynb").write_text("as it was")
    settings = {"WEIGHTLORE_CLASS_PASSWORD": PASSWORD, "WEIGHTLORE_HUB_NOTEBOOKS": str(notebooks)}
    config = loaded(monkeypatch, tmp_path, **settings)
    spawner = type("Spawner", (), {"user": type("User", (), {"name": "ada"})})
    config.Spawner.pre_spawn_hook(spawner)
    copy = tmp_path / "hub" / "students" / "ada" / "weightlore" / "a.ipynb"
    assert copy.read_text() == "as it was"
    copy.write_text("the student's work")
    config.Spawner.pre_spawn_hook(spawner)
    assert copy.read_text() == "the student's work"
