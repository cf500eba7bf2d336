"""The process manager (supervisord) of one stack: its configuration, and talking to it over its private socket."""

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import time
import xmlrpc.client
from pathlib import Path

from .layout import StackError, find_program

LIBRARY = Path(__file__).resolve().parent.parent  # where supervisord finds stacklib.restarts

HEAD = """\
# Written by docker/local/stack.
[supervisord]
identifier={state}
nodaemon=false
{user_line}
logfile={log}/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile={run}/supervisord.pid
childlogdir={log}
directory={state}
minfds=8192
environment=TRADEWIND_STACK="{state}",TZ="UTC",LANG="C.UTF-8"

[unix_http_server]
file={run}/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[rpcinterface:restarts]
supervisor.rpcinterface_factory=stacklib.restarts:make
"""

# startsecs=0: a part that exits early, because a server it needs is not there, is started again for ever.
PROGRAM = """
[program:{name}]
command={command}
environment={environment}
directory={state}
{user_line}
priority={priority}
autostart={autostart}
autorestart=true
startsecs=0
stopsignal={stop_signal}
stopwaitsecs=30
redirect_stderr=true
stdout_logfile={log}/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


def _quoted(text):
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _digest(paths):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()[:16]


def _program_section(layout, program):
    # The digest makes a changed file a changed program, which reread starts anew.
    environment = {**program.environment, "TRADEWIND_MADE_FROM": _digest(program.made_from)}
    return PROGRAM.format(
        name=program.name,
        command=" ".join(_quoted(word) for word in program.command),
        environment=",".join(f"{name}={_quoted(value)}" for name, value in environment.items()),
        state=layout.state,
        user_line=f"user={layout.user()}" if layout.is_root else "",
        # Parts are stopped before the servers they stand on, and started by `stack up` when topics are there.
        priority=200 if program.part else 50 if program.outlives_others else 100,
        autostart="false" if program.part else "true",
        stop_signal=program.stop_signal,
        log=layout.log,
    )


def write_config(layout, programs):
    head = HEAD.format(
        user_line="user=root" if layout.is_root else "", log=layout.log, run=layout.run, state=layout.state
    )
    sections = [_program_section(layout, program) for program in programs]
    # The passwords of the parts stand in their environment.
    return layout.write(layout.etc / "supervisord.conf", head + "".join(sections), 0o600)


# For what will come, on a machine that is busy with other things.
PATIENCE_S = 180


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def make_connection(self, host):
        return _Connection(self.path)


class Supervisor:
    """Every method assumes that the process manager runs, except is_running and start."""

    def __init__(self, layout):
        self.layout = layout
        self.socket = str(layout.run / "supervisor.sock")
        self.rpc = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_Transport(self.socket)).supervisor

    def is_running(self):
        try:
            state = self.rpc.getIdentification()
        except (OSError, http.client.HTTPException):
            return False
        except xmlrpc.client.Fault as fault:
            if "SHUTDOWN_STATE" not in fault.faultString:
                raise StackError(f"supervisord: {fault.faultString}") from None
            self._wait_for_end(self._pid())  # somebody else ends it
            return False
        if state != str(self.layout.state):
            raise StackError(
                f"port base {self.layout.base} is taken by the stack in {state}: "
                f"use another, for example TRADEWIND_PORT_BASE={self.layout.base + 1000}"
            )
        return True

    def start_manager(self):
        config = self.layout.etc / "supervisord.conf"
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(LIBRARY)}
        command = ["/usr/bin/python3", "-B", find_program("supervisord", "/usr/bin/supervisord"), "-c", str(config)]
        done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True)
        if done.returncode != 0:
            raise StackError(f"supervisord does not start: {(done.stdout + done.stderr).strip()}")
        wait_until(self.is_running, PATIENCE_S, lambda: "supervisord does not answer on its socket")

    def reread(self):
        """Take in a changed list of programs; those that changed are stopped, and started by the caller."""
        priority = {program["name"]: program["process_prio"] for program in self.rpc.getAllConfigInfo()}
        added, changed, removed = self.rpc.reloadConfig()[0]
        for name in sorted(removed + changed, key=lambda name: priority.get(name, 0), reverse=True):
            self._stop_and_forget(name)
        for name in added + changed:
            self.rpc.addProcessGroup(name)

    def _stop_and_forget(self, name):
        if self.rpc.getProcessInfo(name)["statename"] in ("RUNNING", "STARTING", "BACKOFF"):
            self.rpc.stopProcess(name)
        self.rpc.removeProcessGroup(name)

    def processes(self):
        return {info["name"]: info for info in self.rpc.getAllProcessInfo()}

    def is_up(self, name):
        info = self.processes().get(name)
        return info is not None and info["statename"] in ("RUNNING", "STARTING")

    def start(self, name):
        try:
            self.rpc.startProcess(name)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise StackError(f"{name}: {fault.faultString}") from None

    def stop(self, name):
        try:
            self.rpc.stopProcess(name)
        except xmlrpc.client.Fault as fault:
            if "NOT_RUNNING" not in fault.faultString:
                raise StackError(f"{name}: {fault.faultString}") from None

    def signal(self, name, signal_name):
        try:
            self.rpc.signalProcess(name, signal_name)
        except xmlrpc.client.Fault as fault:
            raise StackError(f"{name}: {fault.faultString}") from None

    def shutdown(self):
        """Also when somebody else does at the same moment."""
        pid = self._pid()
        try:
            self._thaw()
            self.rpc.shutdown()
        except (OSError, http.client.HTTPException):
            pass  # it has gone meanwhile
        except xmlrpc.client.Fault as fault:
            if "SHUTDOWN_STATE" not in fault.faultString:
                raise StackError(f"supervisord: {fault.faultString}") from None
        self._wait_for_end(pid)

    def _thaw(self):
        """Frozen programs (SIGSTOP) would not hear that they should stop."""
        for info in self.processes().values():
            try:
                if info["pid"]:
                    os.kill(info["pid"], signal.SIGCONT)
            except ProcessLookupError:
                pass

    def _pid(self):
        """The process manager's; None when there is none."""
        try:
            return int((self.layout.run / "supervisord.pid").read_text())
        except (OSError, ValueError):
            return None

    @staticmethod
    def _wait_for_end(pid):
        wait_until(lambda: pid is None or not alive(pid), PATIENCE_S, lambda: f"supervisord (pid {pid}) does not stop")


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(holds, seconds, complaint):
    """complaint gives the text of the error, when it comes to that."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise StackError(f"{complaint()} (waited {seconds} s)")
        time.sleep(0.05)
