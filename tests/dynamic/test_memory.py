"""Each part walks the golden path under valgrind, on the release build: no memory is used that nobody wrote, none beyond
its end or after it was freed, and none is lost."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from local_stack import BUILD
from parts import PARTS

OPTIONS = "--leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --num-callers=30"
ALL = (*PARTS, "provider")


def told(log):
    """The number of errors that valgrind counted, and its words."""
    text = log.read_text(errors="replace")
    ends = re.findall(r"ERROR SUMMARY: (\d+) errors", text)
    assert ends, f"{log}: it has not come to its end\n{text[-2000:]}"
    return int(ends[-1]), text


@pytest.fixture(scope="module")
def watched(running_stack):
    """The stack with each part under valgrind, whose words go to log/PART.memory."""
    state = running_stack.state
    under = {part: f"valgrind {OPTIONS} --log-file={state}/log/{part}.memory" for part in ALL}
    running_stack.up(under=under)
    yield running_stack
    running_stack.up(under={part: "" for part in ALL})


def test_planted_mistakes_are_found(tmp_path):
    log = tmp_path / "planted.memory"
    command = ["valgrind", *OPTIONS.split(), f"--log-file={log}"]
    subprocess.run([*command, BUILD / "tests" / "dynamic" / "planted_memory"], check=True)

    errors, text = told(log)

    assert errors == 2, text
    assert "depends on uninitialised value" in text and "100 bytes in 1 blocks are definitely lost" in text


def test_no_part_misuses_or_loses_memory_on_the_golden_path(watched):
    from shop import Shop

    shop = Shop(watched)
    shop.sandbox(latency_ms=0, slow_ms=1000, lost_ms=10000, down=False)
    mug, plate = shop.products(2, stock=50)
    with ThreadPoolExecutor(8) as pool:
        orders = list(pool.map(lambda _: shop.order((mug, 1), (plate, 2)), range(8)))
    declined = shop.order((mug, 1), token="tok_decline")
    fulfilled = shop.wait_for_all(orders, "fulfilled")
    shop.cancel(orders[0])
    shop.wait_for(orders[0], "closed")
    shop.wait_for(declined, "closed")
    watched.tradewind("audit", "--wait", "60")
    assert len(fulfilled) == 8

    for part in ALL:
        watched.stop(part)

    found = {part: told(watched.state / "log" / f"{part}.memory") for part in ALL}
    assert not any(errors for errors, _ in found.values()), "\n".join(text for errors, text in found.values() if errors)
