"""One write, one connect, one request for memory of a part fails, and orders are on their way. All cases there are take
an hour (tests/faults/run); here are some of each part and kind, drawn by a seed."""


import counting
import pytest
from local_stack import BUILD

KINDS, SEED, CASES = ("write", "connect", "malloc"), 20101201, 36


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
    assert {(part, "write") for part in counting.PARTS} <= {case[:2] for case in chosen}
    assert struck >= len(chosen) // 2, "most of the faults have struck"
