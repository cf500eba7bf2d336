"""Whether programs can do their work, asked of the programs themselves."""

import csv
import json
import socket
import time
import urllib.error
import urllib.request

from .layout import StackError, say


def answers(port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ready(program):
    """A part says so itself; a server answers on its ports."""
    if program.part is None:
        return all(map(answers, program.ports))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{program.ports[0]}/readyz", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def door_sees(layout):
    """Names of the parts that the door hands requests to now."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(2)
            door.connect(str(layout.run / "haproxy.sock"))
            door.sendall(b"show stat\n")
            table = door.makefile().read()
    except OSError:
        return set()
    rows = csv.DictReader(table.removeprefix("# ").splitlines())
    return {row["pxname"] for row in rows if row["svname"] == "BACKEND" and row["status"] == "UP"}


def _unready(layout, programs):
    is_ready = {program.name: ready(program) for program in programs}
    by_part = {program.part.name for program in programs if program.part and is_ready[program.name]}
    seen = door_sees(layout) if any(program.name == "door" for program in programs) else by_part
    for program in programs:
        part = program.part
        # Of the instances of some parts one works, and the others are ready to take over, which is not /readyz.
        stands_by = part is not None and part.one_leads and part.name in by_part
        behind_door = part is None or not part.routes or part.name in seen
        if not (is_ready[program.name] or stands_by) or not behind_door:
            yield program.name


def _last_complaint(layout, name):
    """What a part's log last said at level error, in a line; "" when it said nothing of the kind."""
    try:
        lines = (layout.log / f"{name}.log").read_bytes()[-20000:].decode(errors="replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("level") == "error":
            return f"\n  {name} says: {said.get('err') or said.get('msg')}"
    return ""


def wait_ready(layout, programs, seconds):
    """Until all are ready, and the door hands requests to those that have routes."""
    deadline, spoken, said = time.monotonic() + seconds, time.monotonic(), []
    while waiting := list(_unready(layout, programs)):
        now = time.monotonic()
        if now > deadline:
            complaints = "".join(_last_complaint(layout, name) for name in waiting)
            names = ", ".join(waiting)
            raise StackError(f"not ready after {seconds:g} s: {names}; logs are in {layout.log}{complaints}")
        if now - spoken > 2 and waiting != said:
            say(f"waiting for {', '.join(waiting)}")
            spoken, said = now, waiting
        time.sleep(0.05)
