"""Orders from many threads at once, on a build with the thread sanitizer, and then the parts leave. What it has seen of
our code is in the logs, which ./check reads with tests/lib/races.py; here is shown that this reading finds a race."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import races
from local_stack import BUILD

LIBRARY = """\
==================
WARNING: ThreadSanitizer: data race (pid=1)
  Write of size 8 at 0x7b by thread T3:
    #0 free <null> (libtsan.so.2+0x41)
    #1 {writer}

  Previous read of size 8 at 0x7b by main thread:
    #0 read_record ../runtime/intake.c:1 (tradewind-orders+0x1b)

==================
"""


def test_a_planted_race_is_found():
    """A program with one, which goes on after it as the parts do."""
    program = BUILD / "tests" / "dynamic" / "planted_race"
    ran = subprocess.run([program], env=os.environ | {"TSAN_OPTIONS": ""}, capture_output=True, text=True)

    assert len(races.found(ran.stderr)) == 1, ran.stderr


def test_only_what_the_named_libraries_do_is_passed_over():
    assert races.found(LIBRARY.format(writer="<null> (librdkafka.so.1+0x5)")) == []
    assert len(races.found(LIBRARY.format(writer="<null> (libpq.so.5+0x5)"))) == 1
    assert len(races.found(LIBRARY.format(writer="drop_record ../runtime/intake.c:2 (tradewind-orders+0x2)"))) == 1
    assert len(races.found(LIBRARY.format(writer="on_report ../runtime/relay.c:2 (tradewind-orders+0x2)"
                                                 "\n    #2 <null> (librdkafka.so.1+0x5)"))) == 1


def test_many_at_once_are_placed_asked_for_and_cancelled(shop):
    mugs = shop.products(5, stock=1000)

    def work(number):
        order = shop.order((mugs[number % 5], 1), (mugs[(number + 1) % 5], 2))
        shop.get(order)
        if number % 4 == 0:
            shop.cancel(order)
        return order

    with ThreadPoolExecutor(16) as pool:
        orders = list(pool.map(work, range(80)))

    kept = [order for number, order in enumerate(orders) if number % 4]
    shop.wait_for_all(kept, "fulfilled")
    shop.stack.tradewind("audit", "--wait", "60")
