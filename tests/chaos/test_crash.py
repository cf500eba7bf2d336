"""The shop is open, a hundred orders a second come in, and things die.

Every part is killed with -9 several times at random moments, and so are the broker, PostgreSQL and the document
store. One instance is frozen for longer than its session, so that another takes over and it comes back as a
zombie. One part's position is moved past records it has not read, so that it must notice the gap and ask for them.

Whoever was told 201 has an order that ended, fulfilled or fully undone, and the audit finds nothing.
"""

import os
import random
import time

from load import Load

PARTS = ["orders", "catalog", "inventory", "payment", "fraud", "email", "analytics", "provider"]
SERVERS = ["kafka", "postgres", "mongodb"]
KILLS_PER_PART = 3
ORDERS_PER_S = 110
ZOMBIE_S = 9  # the session is 6 s
SEED = int(os.environ.get("CRASH_SEED", "20101201"))


def stock_up(stack, run):
    skus = [f"{run}-{i}" for i in range(40)]
    products = [
        {"sku": sku, "name": sku, "kind": "goods", "unit_price_minor": 250 + i, "currency": "GBP"}
        for i, sku in enumerate(skus)
    ]
    # The last few run out during the test.
    receipts = [
        {"receipt_id": f"{run}-{i}", "sku": sku, "quantity": 100_000 if i < 36 else 150} for i, sku in enumerate(skus)
    ]
    assert stack.http("POST", "/products", role="service", json=products).ok
    assert stack.http("POST", "/stock/receipts", role="service", json=receipts).ok
    for sku in skus:
        stack.wait_until(
            lambda: stack.http("GET", f"/orders/prices/{sku}", role="service").status_code == 200, 60, f"price of {sku}"
        )
    return skus


def kill(stack, program, log):
    try:
        stack.kill(program)
        log.append(program)
    except (AssertionError, ProcessLookupError):
        pass  # it was dead already: the process manager is on it


def kill_at_random(stack, moments, log):
    victims = PARTS * KILLS_PER_PART
    moments.shuffle(victims)
    for place, victim in enumerate(victims):
        kill(stack, victim, log)
        if place == len(victims) // 4:
            kill(stack, "postgres", log)
        elif place == len(victims) // 2:
            kill(stack, "mongodb", log)
        elif place == 3 * len(victims) // 4:
            kill(stack, "kafka", log)
        time.sleep(moments.uniform(0.3, 1.2))


def make_a_zombie(stack):
    """Freeze one of two instances of payment; the other takes its partitions; then it wakes up."""
    pid = stack.freeze("payment")
    try:
        time.sleep(ZOMBIE_S)
    finally:
        stack.thaw(pid)


def skip_records(stack, part, topic):
    """Stop a part and move its stored positions past records that it has not read."""
    before = sum(int(n) for (n,) in stack.sql("orders", "select last_number from shards"))
    stack.stop(part)
    stack.wait_until(
        lambda: sum(int(n) for (n,) in stack.sql("orders", "select last_number from shards")) > before + 200,
        60,
        "orders going on without it",
    )
    stack.sql(part, f"update positions set next_offset = next_offset + 3 where topic = '{topic}' and next_offset >= 0")
    stack.start(part)


def count_of(stack, program, what):
    return len(stack.log_lines(program, what))


def states(stack):
    return dict(stack.sql("orders", "select state, count(*) from order_states group by state"))


def unended(stack, order_ids):
    """Orders among those promised that are neither fulfilled nor closed, or are not there at all."""
    rows = stack.sql("orders", "select id from order_states where state in (3, 5)")
    return set(order_ids) - {order_id for (order_id,) in rows}


def test_every_promise_is_kept_whatever_dies(stack):
    moments = random.Random(SEED)
    print(f"CRASH_SEED={SEED}")
    stack.up(instances=2)
    skus = stock_up(stack, f"CRASH{int(time.time())}")
    load = Load(stack, skus, ORDERS_PER_S, SEED)
    killed = []

    load.start()
    time.sleep(3)
    skip_records(stack, "fraud", "shop.orders.v1")
    kill_at_random(stack, moments, killed)
    make_a_zombie(stack)
    kill_at_random(stack, moments, killed)
    time.sleep(2)
    load.stop()

    print(f"{len(load.promised)} orders promised, {len(load.refused)} refused, killed: {' '.join(killed)}")
    assert not load.refused, load.refused[:3]
    assert not load.unanswered
    assert len([victim for victim in killed if victim in PARTS]) >= 20
    assert set(SERVERS) <= set(killed)
    assert count_of(stack, "fraud", "gap") > 0, "no gap was noticed"
    assert count_of(stack, "orders", "relay_nack") + count_of(stack, "orders-2", "relay_nack") > 0, "no NACK was obeyed"

    stack.wait_until(lambda: not unended(stack, load.promised), 120, "every promised order having ended")
    report = stack.run_tradewind("audit", "--json", "--wait", "60", timeout=180)
    assert report.returncode == 0, report.stdout + report.stderr
