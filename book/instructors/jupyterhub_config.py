"""JupyterHub for one class on one machine.

Start it in the clone, after `make env`:

    WEIGHTLORE_CLASS_PASSWORD='at least eight' .venv/bin/jupyterhub -f book/instructors/jupyterhub_config.py

Every student opens http://MACHINE:8000, gives any name and the password of the class, and finds a copy of the tutorials
of their own. One password for all protects nobody from anybody: right for an afternoon, wrong for graded work. With
accounts of the operating system instead, each with its own password and its own files (start it as root):

    WEIGHTLORE_HUB=accounts .venv/bin/jupyterhub -f book/instructors/jupyterhub_config.py

Other settings, as environment variables: WEIGHTLORE_HUB_PORT (8000), WEIGHTLORE_HUB_STUDENTS, how many may work at the
same time (30; plan one gigabyte of memory for each), WEIGHTLORE_HUB_FOLDER, where the hub keeps what it knows and, with
a password for the class, the students' files (hub/ beside this clone's folder), and WEIGHTLORE_HUB_NOTEBOOKS, what each
student gets a copy of (_build/student where `make student` has made it, else tutorials). With a password for the class
the hub refuses to run as root, unless WEIGHTLORE_HUB_ALLOW_ROOT is 1, as in a container that holds nothing else.
"""

import os
import subprocess
import sys
from pathlib import Path

from jupyterhub.spawner import Spawner
from traitlets.config import get_config

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("WEIGHTLORE_HUB_FOLDER", ROOT.parent / "hub")).resolve()
PORT = int(os.environ.get("WEIGHTLORE_HUB_PORT", "8000"))
MADE = ROOT / "_build" / "student"
NOTEBOOKS = Path(os.environ.get("WEIGHTLORE_HUB_NOTEBOOKS", MADE if MADE.is_dir() else ROOT / "tutorials")).resolve()
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
ACCOUNTS = os.environ.get("WEIGHTLORE_HUB", "password") == "accounts"
ROOT_USER = hasattr(os, "getuid") and os.getuid() == 0


COPY = "import shutil as s, sys; s.copytree(*sys.argv[1:], ignore=s.ignore_patterns('.ipynb_checkpoints'))"


def give_notebooks(spawner: Spawner) -> None:
    """Copy what the student has not yet; nothing that is there is ever overwritten."""
    if ACCOUNTS:
        import pwd  # not on Windows

        # The student's own rights do it: in a folder of theirs, root could be led anywhere by a link.
        account = pwd.getpwnam(spawner.user.name)
        home, become = Path(account.pw_dir), {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()}
    else:
        home, become = FOLDER / "students" / spawner.user.name, {}
        home.mkdir(parents=True, exist_ok=True)
    if not (home / "weightlore").exists():
        command = [sys.executable, "-I", "-c", COPY, str(NOTEBOOKS), str(home / "weightlore")]
        subprocess.run(command, check=True, cwd="/", **become)


c = get_config()

if ACCOUNTS:
    if not ROOT_USER:
        sys.exit("Only root can start servers for other accounts. Begin the command with sudo.")
    c.JupyterHub.authenticator_class = "pam"
    c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
else:
    c.JupyterHub.authenticator_class = "shared-password"
    c.SharedPasswordAuthenticator.user_password = os.environ.get("WEIGHTLORE_CLASS_PASSWORD", "")
    if len(c.SharedPasswordAuthenticator.user_password) < 8:
        sys.exit("Set WEIGHTLORE_CLASS_PASSWORD to at least eight characters, or WEIGHTLORE_HUB=accounts.")
    if ROOT_USER and os.environ.get("WEIGHTLORE_HUB_ALLOW_ROOT") != "1":
        sys.exit("With one password for all, every student would be root here. Start the hub as an ordinary user.")
    c.Authenticator.username_pattern = r"[a-z][a-z0-9_-]{0,30}"  # a name becomes a folder
    c.JupyterHub.spawner_class = "simple"
    c.SimpleLocalProcessSpawner.home_dir_template = str(FOLDER / "students" / "{username}")

try:
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
except PermissionError:
    sys.exit(f"{FOLDER} cannot be made. Let WEIGHTLORE_HUB_FOLDER name a folder that you may write to.")
c.Authenticator.allow_all = True
c.JupyterHub.bind_url = f"http://:{PORT}"
c.JupyterHub.hub_port = PORT + 1
c.JupyterHub.active_server_limit = int(os.environ.get("WEIGHTLORE_HUB_STUDENTS", "30"))
c.JupyterHub.db_url = f"sqlite:///{FOLDER / 'hub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(FOLDER / "cookie_secret")

# The proxy in Python: a hub usually asks for node's.
c.ConfigurableHTTPProxy.command = [str(Path(sys.executable).with_name("configurable-http-proxy"))]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{PORT + 2}"
c.ConfigurableHTTPProxy.pid_file = str(FOLDER / "proxy.pid")

c.Spawner.cmd = [str(Path(sys.executable).with_name("jupyterhub-singleuser"))]
c.Spawner.default_url = "/lab/tree/weightlore"
c.Spawner.environment = {**ONE_THREAD, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
c.Spawner.pre_spawn_hook = give_notebooks
c.Spawner.start_timeout = c.Spawner.http_timeout = 120  # thirty servers that start at once are slow
# A notebook that nobody uses for half an hour gives its memory back; a server, after two hours.
c.Spawner.args = [
    "--MappingKernelManager.cull_idle_timeout=1800",
    "--ServerApp.shutdown_no_activity_timeout=7200",
    *(["--allow-root"] if ROOT_USER and not ACCOUNTS else []),
]
