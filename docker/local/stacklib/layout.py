"""Where everything of a local stack lies: ports, folders, user. All of it follows from four settings."""

import filecmp
import getpass
import glob
import hashlib
import os
import pwd
import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
CHECKOUT = HERE.parent.parent

SETTINGS = """\
settings (environment):
  TRADEWIND_PORT_BASE   first of the 100 ports of a stack (default 17000)
  TRADEWIND_STATE       folder for data, logs and keys (default: one for each checkout and port base)
  TRADEWIND_CACHE       folder for downloads and builds (default: one for each user)
  TRADEWIND_BUILD       folder with the built programs (default: build, in the checkout)"""

# Offsets from the port base. The parts have theirs in docker/compose.yaml.
PORTS = {
    "door": 0,
    "door-tls": 1,
    "kafka": 2,
    "kafka-controller": 3,
    "postgres": 4,
    "mongodb": 5,
    "smtp": 6,
    "mails": 7,
    "registry": 8,
    "registry-management": 9,
    "kafka-2": 30,
    "kafka-3": 32,
    "provider-tls": 34,
}

# What a folder of the cache is made from. A changed recipe is another folder.
RECIPES = {
    "kafka": ["kafka/pom.xml"],
    "ferretdb": ["ferretdb/go.mod", "ferretdb/go.sum", "ferretdb/main.go"],
    "python-run": ["requirements-run.txt"],
    "python-test": ["requirements-run.txt", "requirements-test.txt"],
    "registry": ["registry/pom.xml", "registry/requirements.txt"],
}

# Servers refuse to run as root; there they run as this user, whom docker/local/setup makes.
SERVICE_USER = "tradewind"


class StackError(Exception):
    """Something a person has to mend; the text says what and how."""


def _port_base():
    text = os.environ.get("TRADEWIND_PORT_BASE", "17000")
    if not text.isdigit() or not 1024 <= int(text) <= 65400:
        raise StackError(f"TRADEWIND_PORT_BASE {text}: want a number from 1024 to 65400")
    return int(text)


def _folder(setting, default):
    text = os.environ.get(setting) or default
    # The names go into configuration files of five servers, each with its own idea of quoting.
    if not re.fullmatch(r"/[\w./+@:~-]*", text):
        raise StackError(f"{setting} {text}: want an absolute path of letters, digits and . _ / + @ : ~ -")
    return Path(text)


def _home(variable, below_home):
    return Path(os.environ.get(variable) or Path.home() / below_home) / "tradewind"


class Layout:
    def __init__(self):
        self.is_root = os.geteuid() == 0
        self.base = _port_base()
        # Root's home is closed to the service user, so root's folders are the system's.
        cache = "/var/cache/tradewind" if self.is_root else _home("XDG_CACHE_HOME", ".cache")
        states = "/var/lib/tradewind" if self.is_root else _home("XDG_STATE_HOME", ".local/state")
        self.cache = _folder("TRADEWIND_CACHE", str(cache))
        self.state = _folder("TRADEWIND_STATE", str(Path(states) / self._state_name()))
        self.build = _folder("TRADEWIND_BUILD", str(CHECKOUT / "build"))
        self.etc = self.state / "etc"
        self.keys = self.state / "keys"
        self.log = self.state / "log"
        self.mails = self.state / "mails"
        # Names of Unix sockets may have some 95 bytes, so they lie in a short folder.
        self.run = Path(f"/run/tradewind-{self.base}" if self.is_root else f"/tmp/tradewind-{os.getuid()}-{self.base}")

    def _state_name(self):
        digest = hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:6]
        name = re.sub(r"[^\w.-]", "_", CHECKOUT.name)
        return f"{name}-{digest}-{self.base}"

    def port(self, name):
        return self.base + PORTS[name]

    def address(self, name):
        return f"127.0.0.1:{self.port(name)}"

    def cached(self, name):
        digest = hashlib.sha256()
        for part in RECIPES[name]:
            digest.update((HERE / part).read_bytes())
        return self.cache / f"{name}-{digest.hexdigest()[:12]}"

    def user(self):
        return SERVICE_USER if self.is_root else getpass.getuser()

    def identity(self):
        """Keyword arguments that make subprocess run a program as the user of the servers."""
        if not self.is_root:
            return {}
        try:
            entry = pwd.getpwnam(SERVICE_USER)
        except KeyError:
            raise StackError(f"there is no user {SERVICE_USER}: run docker/local/setup first") from None
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def own(self, path):
        """Give a file or folder to the user of the servers."""
        if self.is_root:
            identity = self.identity()
            os.chown(path, identity["user"], identity["group"])

    def folder(self, path, mode=0o755):
        path.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or path.stat().st_uid not in (os.geteuid(), self.identity().get("user")):
            raise StackError(f"{path} belongs to somebody else: remove it, or use another TRADEWIND_PORT_BASE")
        path.chmod(mode)
        self.own(path)
        return path

    def write(self, path, text, mode=0o644):
        """Put a file there as a whole, or leave what was there."""
        new = path.with_name(path.name + ".new")
        new.touch(mode=mode)
        new.chmod(mode)
        new.write_text(text)
        self.own(new)
        new.rename(path)
        return path

    def installed(self, path):
        """The path under which the service user finds a file of the checkout; for root it is a copy: see install."""
        return self.state / "installed" / path.name if self.is_root else path

    def install(self, path):
        copy = self.installed(path)
        if copy == path:
            return
        self.folder(copy.parent)
        if path.is_dir():
            self._copy_folder(path, copy)
        else:
            _copy_file(path, copy)

    def _copy_folder(self, path, copy):
        """File by file: somebody may be reading."""
        self.folder(copy)
        for entry in path.iterdir():
            if entry.is_dir():
                self._copy_folder(entry, copy / entry.name)
            else:
                _copy_file(entry, copy / entry.name)
        for entry in copy.iterdir():
            if not (path / entry.name).exists():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _copy_file(path, copy):
    if (
        copy.exists()
        and filecmp.cmp(path, copy, shallow=False)
        and os.access(copy, os.X_OK) == os.access(path, os.X_OK)
    ):
        return
    new = copy.with_name(copy.name + ".new")
    shutil.copy(path, new)
    new.rename(copy)


def find_program(name, *patterns):
    """The path of a program that a Debian package brings: from the patterns, newest version first, else from PATH."""
    for pattern in patterns:
        for path in sorted(glob.glob(pattern), reverse=True):
            return path
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        raise StackError(f"there is no program {name} on this machine: run docker/local/setup first")
    return path


def say(text):
    print(text, file=sys.stderr, flush=True)
