"""Who looks after the shop acts on what a part says once, whoever else says it, and not on what was said before."""

from types import SimpleNamespace

import oncall
import pytest
from local_stack import wait_until

LINE = '{"level":"error","what":"no_partitions","msg":"..."}\n'


@pytest.fixture
def bench(tmp_path, monkeypatch):
    (tmp_path / "log").mkdir()
    monkeypatch.setattr(oncall, "EVERY_S", 0.05)
    ended = []
    return SimpleNamespace(
        stack=SimpleNamespace(state=tmp_path),
        network=SimpleNamespace(brokers=("kafka",)),
        signal=lambda program, number: ended.append(program),
        ended=ended,
        log=tmp_path / "log",
    )


def test_the_brokers_are_started_again_once_for_all_who_say_it(bench):
    told = []
    with oncall.OnCall(bench, told.append) as on_call:
        for instance in ("orders", "orders-2"):
            (bench.log / f"{instance}.log").write_text('{"what":"started"}\n' + LINE)
        wait_for(lambda: on_call.restarts)
        (bench.log / "payment.log").write_text(LINE)
        wait_for(lambda: on_call.read.get("payment") == len(LINE))
    assert bench.ended == ["kafka"]
    assert len(told) == 1 and "orders" in told[0]


def test_nothing_is_done_while_nobody_complains(bench):
    with oncall.OnCall(bench, print) as on_call:
        (bench.log / "orders.log").write_text('{"level":"error","what":"dead_letter"}\n')
        wait_for(lambda: on_call.read.get("orders"))
    assert on_call.restarts == 0 and bench.ended == []


def wait_for(holds):
    wait_until(holds, 10)
