"""Faults of what a part keeps: its database as it was before."""

import subprocess

from local_stack import Failed

from .bench import kind, loses, stopped

REBUILT_S = 900  # of a run of an hour, with the other faults that strike meanwhile
KEPT = ("catalog", "payment", "fraud", "email", "analytics")  # orders has promised what only its database may know
SILENT = "analytics"  # it publishes nothing, so nothing tells that its database is old: it reads on from there


def back_up(bench, fault):
    part = fault.target
    path = bench.backups / f"{fault.number}.sql"
    path.write_text(bench.stack.wait_until(lambda: dump(bench.stack, part), what=f"a backup of {part}"))
    path.rename(path.with_suffix(".whole"))


@kind(KEPT, ahead=(300, back_up))
def database_restored(bench, fault):
    """Somebody puts back a backup, five minutes old, or as old as the run. The part sees that its topic knows more, and does
    not start until it is rebuilt."""
    part = fault.target
    path = bench.backups / f"{fault.number}.whole"
    bench.stack.wait_until(path.exists, what=f"the backup of {part} being made")
    backup = path.read_text()
    with loses(bench, part):
        with stopped(bench, part):
            bench.stack.wait_until(lambda: restore(bench.stack, part, backup), 60, f"the backup of {part} being back")
        path.unlink()
        if part != SILENT:
            bench.stack.wait_until(lambda: rebuilt(bench.stack, part), REBUILT_S, f"{part} being rebuilt")


def dump(stack, part):
    """None while the server is away."""
    command = ["pg_dump", "--no-owner", "--schema=public", stack.database_uri(part)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def restore(stack, part, backup):
    """All of it or nothing."""
    text = "drop schema public cascade;\n" + backup
    command = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f", "-", stack.database_uri(part)]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0 and "connect" not in done.stderr and "terminat" not in done.stderr:
        raise Failed(f"restoring {part}: {done.stderr}")
    return done.returncode == 0


def rebuilt(stack, part):
    done = stack.run_tradewind("replay", part, "--swap", timeout=REBUILT_S)
    if done.returncode != 0:
        print(f"          {part} is not rebuilt yet: {done.stderr.strip().rpartition(chr(10))[2]}", flush=True)
    return done.returncode == 0
