"""One write, one connect, one request for memory of a part fails, or one fsync of PostgreSQL, and orders are on their way. All
cases there are take an hour (tests/faults/run); here are some of each program and kind, drawn by a seed. And one fsync of an
archive fails."""

import random

import counting
import pytest
from fail_plan import Plan
from local_stack import BUILD

KINDS, SEED, CASES = ("write", "connect", "malloc", "fsync"), 20101201, 38
SYNCS = 12  # of an archive


@pytest.fixture(scope="module")
def run(running_stack):
    running_stack.whole()
    run = counting.Run(running_stack, BUILD)
    yield run
    run.leave()


def test_every_order_is_fulfilled_once_whichever_call_fails(run):
    cases = list(run.cases(KINDS))
    chosen = counting.sample(cases, CASES, SEED)

    struck, wrong = run.fail(chosen)

    assert not wrong, wrong[:5]
    assert {(part, "write") for part in counting.READERS} | {("postgres", "fsync")} <= {case[:2] for case in chosen}
    assert struck >= len(chosen) // 2, "most of the faults have struck"


def test_an_archive_is_whole_whichever_sync_fails(run, tmp_path):
    """It says so, and the next run goes on to the end."""
    stack = run.stack
    tmp_path.chmod(0o755)
    plan = Plan(tmp_path, BUILD / "tests" / "faults" / "libfail.so", "archive")
    failing = {"LD_PRELOAD": plan.library, "FAIL_PLAN": plan.path}
    plan.arm("fsync", 0)
    assert stack.run_tradewind("archive", tmp_path / "0", settings=failing).returncode == 0
    count = plan.seen

    for k in sorted(random.Random(SEED).sample(range(1, count + 1), SYNCS)):
        folder = tmp_path / str(k)
        plan.arm("fsync", k)
        failed = stack.run_tradewind("archive", folder, settings=failing)
        assert plan.struck and failed.returncode != 0, f"fsync {k} of {count}: {failed.stdout}"
        assert failed.stderr.splitlines()[-1].startswith("tradewind archive: "), failed.stderr
        plan.disarm()
        stack.tradewind("archive", folder, as_json=False)
        stack.tradewind("archive", "--verify", folder, as_json=False)
