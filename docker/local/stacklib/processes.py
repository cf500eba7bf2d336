"""Who listens where: foreign programs on our ports, and our own that outlived their process manager."""

import os
import signal
import socket
import time
from pathlib import Path

from .layout import StackError
from .supervisor import alive

LISTENING = "0A"  # in /proc/net/tcp


def port_is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
            return True
        except OSError:
            return False


def _listening_inodes(port):
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _holds(pid, sockets):
    try:
        folder = f"/proc/{pid}/fd"
        return any(os.readlink(f"{folder}/{name}") in sockets for name in os.listdir(folder))
    except OSError:
        return False


def _pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def port_holder(port):
    """Text that names the program listening on a port, as far as this user may see it."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for pid in _pids():
        if sockets and _holds(pid, sockets):
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            return f"{name} (pid {pid})"
    return "a program of another user or system"


def orphans(layout):
    """Pids of this stack's programs, wherever their manager went. Only asked when the manager is gone."""
    mark = f"TRADEWIND_STACK={layout.state}".encode()
    found = []
    for pid in _pids():
        try:
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") and alive(pid):
                found.append(pid)
        except OSError:
            continue
    return found


def _send(pid, sign):
    try:
        os.kill(pid, sign)
    except ProcessLookupError:
        pass  # it has ended, or somebody else has ended it


def end_orphans(layout):
    for sign, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 5)):
        pids = orphans(layout)
        for pid in pids:
            _send(pid, signal.SIGCONT)
            _send(pid, sign)
        deadline = time.monotonic() + seconds
        while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not orphans(layout):
            return
    raise StackError(f"pids {orphans(layout)} of this stack do not end")


def check_ports(layout, ports):
    """Complain about every port that is taken, before anything is changed."""
    taken = [port for port in ports if not port_is_free(port)]
    if not taken:
        return
    ports_of = {}
    for port in taken:
        ports_of.setdefault(port_holder(port), []).append(str(port))
    lines = [f"port {', '.join(ports)}: taken by {holder}" for holder, ports in ports_of.items()]
    if orphans(layout):
        advice = "these are left from an earlier run of this stack: run docker/local/stack down, then start again"
    else:
        advice = f"stop it, or use other ports, for example: TRADEWIND_PORT_BASE={layout.base + 1000}"
    raise StackError("\n".join([*lines, advice]))
