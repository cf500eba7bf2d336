"""The sweep of a swap beside a state that was intact: what wrong rows have hidden from the part is decided again when the
rebuilt ones are in their place, and nothing else is."""

import os
import subprocess
import threading
from contextlib import contextmanager

from replays import equal, program, refused, replay


def authorized(stack, shop, mug):
    """An order that waits for fraud, its money authorized."""
    order = shop.order((mug, 1))
    found = f"SELECT 1 FROM payment_events WHERE order_id = '{order}' AND state = 2"
    stack.wait_until(lambda: stack.sql("payment", found), what="the payment being authorized")
    return order


@contextmanager
def held_shards(stack, part):
    """Somebody is in the way of a swap."""
    held = "BEGIN; SELECT 1 FROM shards FOR UPDATE; SELECT pg_sleep(600)"
    lock = "SELECT 1 FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowShareLock' AND relation = 'shards'::regclass AND pid <> pg_backend_pid()"
    process = subprocess.Popen(["psql", "-Xqc", held, stack.database_uri(part)], stdout=subprocess.DEVNULL)
    try:
        stack.wait_until(lambda: stack.sql(part, lock), what="the lock")
        yield
    finally:
        stack.sql(part, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()")
        process.wait()


def set_aside_in_shadow(stack, part):
    made = stack.sql(part, "SELECT 1 FROM pg_tables WHERE schemaname = 'replay_shadow' AND tablename = 'replay_aside'")
    return made and stack.sql(part, "SELECT 1 FROM replay_shadow.replay_aside WHERE reason = 'undecided'")


def cancelled_unseen(stack, shop):
    """Payment holds an authorized payment for declined, so it does nothing when the order is cancelled."""
    mug = shop.product()
    stack.stop("fraud")
    order = authorized(stack, shop, mug)
    stack.sql("payment", f"UPDATE payment_events SET state = 3 WHERE order_id = '{order}'")
    shop.cancel(order)
    heard = f"SELECT 1 FROM payment_requests WHERE order_id = '{order}' AND seen & 4 <> 0"
    stack.wait_until(lambda: stack.sql("payment", heard), what="payment having heard of the cancellation")
    stack.start("fraud")
    assert shop.booked(order) == [("authorize", "done")]
    return order


def test_money_that_a_wrong_row_has_hidden_is_given_back(clean, shop):
    order = cancelled_unseen(clean, shop)

    assert replay(clean, "payment", "--compare", code=1)["differences"][0]["column"] == "state"
    answer = replay(clean, "payment", "--swap")

    assert answer["swapped"] and answer["undecided"] == 1
    shop.wait_for(order, "closed")
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]
    equal(clean, "payment")
    assert clean.tradewind("audit", "--wait", "30", "--json")["violations"] == 0


def test_a_call_that_is_owed_and_was_forgotten_is_made(clean, shop):
    mug = shop.product()
    shop.sandbox(down=True)
    order = shop.order((mug, 1))
    owed = f"SELECT 1 FROM owed_calls WHERE order_id = '{order}'"
    clean.wait_until(lambda: clean.sql("payment", owed), what="the call being owed")
    clean.stop("payment")
    clean.sql("payment", f"DELETE FROM owed_calls WHERE order_id = '{order}'")
    clean.start("payment")
    clean.wait_ready("payment")
    shop.sandbox(down=False)

    answer = replay(clean, "payment", "--swap")

    assert answer["undecided"] == 1
    shop.wait_for(order, "fulfilled")
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done")]


def test_an_order_that_a_wrong_row_has_stopped_goes_on(clean, shop):
    mug = shop.product()
    clean.stop("fraud")
    order = authorized(clean, shop, mug)
    clean.wait_until(lambda: len(shop.events(order)) == 3, what="two verdicts having come")
    clean.sql("orders", f"UPDATE order_states SET state = 4 WHERE id = '{order}'")  # cancelled: verdicts cross it
    clean.start("fraud")
    clean.wait_until(lambda: "fraud.cleared" in shop.events(order), what="the third verdict having come")
    assert shop.get(order)["state"] == "cancelled"

    answer = replay(clean, "orders", "--swap")

    assert answer["undecided"] == 3
    shop.wait_for(order, "fulfilled")
    equal(clean, "orders")


def test_nothing_is_decided_again_beside_a_state_that_is_right(clean, shop):
    """Each part is swapped while orders are on their way: what they owe lies where it should."""
    mug = shop.product(stock=1000)
    shop.sandbox(latency_ms=200)
    orders = []
    writer = threading.Thread(target=lambda: orders.extend(shop.order((mug, 1)) for _ in range(150)))
    writer.start()
    swaps = 0

    while writer.is_alive() or swaps == 0:
        for part in ("payment", "orders", "fraud", "email"):
            answer = replay(clean, part, "--swap")
            assert answer["swapped"] and answer["undecided"] == 0, part
        swaps += 1
    writer.join()

    shop.sandbox(latency_ms=0)
    shop.wait_for_all(orders, "fulfilled")
    assert {tuple(shop.booked(order)) for order in orders} == {(("authorize", "done"), ("capture", "done"))}
    clean.tradewind("audit", "--wait", "60")
    for part in ("payment", "orders", "fraud", "email"):
        equal(clean, part)


def test_a_swap_that_was_killed_hides_nothing_whatever_fails_behind_it(clean, shop):
    """It has set an input aside; the next replay begins with putting it back, and dies over that."""
    order = cancelled_unseen(clean, shop)
    with held_shards(clean, "payment"):
        words = [program(), "replay", "payment", "--swap"]
        process = subprocess.Popen(words, env={**os.environ, **clean.settings}, stderr=subprocess.DEVNULL)
        clean.wait_until(lambda: set_aside_in_shadow(clean, "payment"), what="the input being set aside")
        process.kill()
        process.wait()

    replay(clean, "payment", "--dry-run")
    assert set_aside_in_shadow(clean, "payment"), "a dry run has put it back"
    refused(clean, "payment", code=3, settings={"TRADEWIND_KAFKA": "127.0.0.1:1"})
    assert replay(clean, "payment", "--swap")["undecided"] == 1

    shop.wait_for(order, "closed")
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]
    equal(clean, "payment")


def test_a_swap_that_did_not_come_about_leaves_the_shadow_as_it_was(clean, shop):
    order = cancelled_unseen(clean, shop)
    found = replay(clean, "payment", "--compare", code=1)["differences"]
    with held_shards(clean, "payment"):
        assert clean.run_tradewind("replay", "payment", "--swap").returncode == 3

    assert clean.sql("payment", f"SELECT 1 FROM dead_letters WHERE convert_from(key, 'UTF8') = '{order}'") == []
    assert replay(clean, "payment", "--compare", code=1)["differences"] == found
    assert replay(clean, "payment", "--swap")["undecided"] == 1
    shop.wait_for(order, "closed")
    assert shop.booked(order) == [("authorize", "done"), ("void", "done")]
