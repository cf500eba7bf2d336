"""From nothing to a running stack, and back. Every step looks first whether its work is done."""

import shutil
import time

from . import processes, servers
from .door import door_prepare
from .layout import StackError, say
from .options import save_options
from .programs import all_programs, built, install
from .readiness import answers
from .settings import SCHEMAS, stack_settings
from .supervisor import PATIENCE_S, Supervisor, wait_until, write_config

UNREACHABLE = 3  # exit code of tradewind: a server does not answer


def up(layout, options, parts, servers_only=False):
    supervisor = Supervisor(layout)
    check(layout, all_programs(layout, options, parts))
    prepare(layout, options, parts)
    programs = all_programs(layout, options, parts)
    install(layout, programs)
    write_config(layout, [program for program in programs if not program.missing])
    if supervisor.is_running():
        supervisor.reread()
    else:
        supervisor.start_manager()
    start_servers(layout, options, supervisor, programs)
    if options.registry:
        wait_until(lambda: servers.registry_answers(layout), PATIENCE_S, silent(layout, "registry"))
    servers.postgres_databases(layout, options, parts)
    make_topics(layout, options, parts)
    if not servers_only:
        start_parts(supervisor, programs)


def check(layout, programs):
    """All that can be refused is refused here, where nothing has been changed."""
    layout.identity()
    supervisor = Supervisor(layout)
    ours = supervisor.processes() if supervisor.is_running() else {}
    ports = [port for program in programs if not _runs(ours.get(program.name)) for port in program.ports]
    processes.check_ports(layout, ports)


def _runs(info):
    return info is not None and info["statename"] in ("RUNNING", "STARTING", "STOPPING", "BACKOFF")


def prepare(layout, options, parts):
    layout.folder(layout.state)
    layout.folder(layout.run, 0o755 if layout.is_root else 0o700)
    save_options(layout, options)
    servers.prepare_servers(layout, options)
    if make_keys(layout, options, parts):
        door_prepare(layout, options, parts)


def start_servers(layout, options, supervisor, programs):
    ours = [program for program in programs if not program.part and not program.missing]
    for program in ours:
        if not supervisor.is_up(program.name):
            supervisor.start(program.name)
    for program in ours:
        wait_until(lambda: all(map(answers, program.ports)), PATIENCE_S, silent(layout, program.name))
    wait_until(lambda: postgres_ready(layout, options), PATIENCE_S, silent(layout, "postgres"))


def silent(layout, name):
    """The complaint about a server, with what it said last."""
    log = layout.log / f"{name}.log"

    def complaint():
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n  ".join([f"{name} does not answer: see {log}", *lines[-5:]])

    return complaint


def postgres_ready(layout, options):
    try:
        return servers.postgres_sql(layout, options, "SELECT 1").strip() == "1"
    except StackError:
        return False


def start_parts(supervisor, programs):
    for program in programs:
        if program.missing:
            say(f"  not started: {program.name}: {program.missing}")
        elif program.part and not supervisor.is_up(program.name):
            supervisor.start(program.name)


def tradewind(layout, options, parts, *arguments):
    """Run the built command with the stack's settings, as the user of the servers; False when it is not built."""
    binary = built(layout, "tradewind")
    if binary is None:
        return False
    settings = stack_settings(layout, options, parts)
    for path in (binary, SCHEMAS):
        layout.install(path)
    servers.run_quietly(layout, [str(layout.installed(binary)), *arguments], env=settings)
    return True


def make_keys(layout, options, parts):
    names = ("--signing-key", "signing.jwk"), ("--jwks", "jwks.json"), ("--contact-key", "contact.key")
    if all((layout.keys / name).exists() for _, name in names):
        return True
    arguments = [word for option, name in names for word in (option, str(layout.keys / name))]
    return tradewind(layout, options, parts, "keys", *arguments)


def make_topics(layout, options, parts):
    """A broker that has just started answers on its port before it can make topics."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if not tradewind(layout, options, parts, "topics", "apply"):
                say("  no topics made: tradewind is not built")
            return
        except servers.ToolFailed as failed:
            if failed.code != UNREACHABLE or time.monotonic() > deadline:
                raise
        time.sleep(1)


def down(layout):
    supervisor = Supervisor(layout)
    if supervisor.is_running():
        supervisor.shutdown()
    processes.end_orphans(layout)
    shutil.rmtree(layout.run, ignore_errors=True)


def empty(layout):
    if Supervisor(layout).is_running() or processes.orphans(layout):
        raise StackError("the stack runs: run docker/local/stack down first")
    marker = layout.state / "options.json"
    if layout.state.exists() and not marker.exists() and any(layout.state.iterdir()):
        raise StackError(f"{layout.state} does not look like a stack's folder (no options.json): it is left alone")
    shutil.rmtree(layout.state, ignore_errors=True)
