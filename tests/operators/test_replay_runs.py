"""tradewind replay while it runs: killed, twice at once, slow, stopped at a time; and what it refuses ends in one sentence
and leaves the live state as it was."""

import json
import re
import signal
import time

import pytest
from records import number_of
from replays import equal, refused, replay, start_slow


# --- Interrupted, twice at once, slow ---------------------------------------------------------------------------------


def test_a_replay_that_was_killed_goes_on_where_it_stood(clean, shop, ends):
    equal(clean, "payment")  # makes and fills a shadow
    stored = "SELECT sum(high_water)::text FROM replay_shadow.replay_position"
    before = int(clean.sql("payment", stored)[0][0])
    mug = shop.product(stock=1000)
    shop.wait_for_all([shop.order((mug, 1)) for _ in range(10)], "fulfilled")
    process = start_slow(clean, "payment")
    process.send_signal(signal.SIGKILL)
    process.wait()

    answer = clean.wait_until(lambda: goes_on(clean), what="the killed one's session having ended")

    assert answer["equal"]
    assert 0 < answer["folded"] <= 60 and int(clean.sql("payment", stored)[0][0]) > before


def goes_on(stack):
    done = stack.run_tradewind("replay", "payment", "--compare", "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def test_two_operators_do_not_replay_one_part_at_once(clean, ends):
    first = start_slow(clean, "payment", "--fresh")
    try:
        assert re.search(rf"somebody else replays payment: tradewind replay, process {first.pid}, since", refused(clean, "payment"))
    finally:
        first.kill()
        first.wait()


def test_a_slow_replay_keeps_its_rate(clean, ends):
    records = replay(clean, "payment", "--fresh")["folded"]
    rate = max(records // 2, 1)
    started = time.monotonic()

    replay(clean, "payment", "--fresh", "--rate", rate)

    assert time.monotonic() - started > 1.5


# --- Until ------------------------------------------------------------------------------------------------------------


def test_until_a_position_or_a_time(clean, shop, ends):
    order = ends["closed"][-1]  # fulfilled, then cancelled
    events = shop.records("shop.payments.v1", order)
    captured, refunded = events[-2], events[-1]
    partition, number = captured.partition(), number_of(captured)

    replay(clean, "payment", "--fresh", "--until", f"payment/{partition}/{number}")
    states = clean.sql("payment", f"SELECT state FROM replay_shadow.payment_events WHERE order_id = '{order}' ORDER BY number")
    assert states == [("2",), ("6",)]

    second = refunded.timestamp()[1] // 1000 + 1
    clean.wait_until(lambda: time.time() > second, what="the second after it")  # what is still to come is refused
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
    replay(clean, "payment", "--fresh", "--until", when)
    states = clean.sql("payment", f"SELECT state FROM replay_shadow.payment_events WHERE order_id = '{order}' ORDER BY number")
    assert states == [("2",), ("6",), ("12",)]


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["paiment"], "there is no part paiment"),
        (["provider"], "provider cannot be replayed"),
        (["payment", "--until", "2999-01-01T00:00:00Z"], "is still to come"),
        (["payment", "--until", "yesterday"], "want a time like"),
        (["payment", "--until", "payment/0/999999999"], "payment/0/999999999 is past the end"),
        (["payment", "--until", "payment/99/1"], "has no partition 99"),
        (["payment", "--until", "2020-01-01T00:00:00Z", "--swap"], "--until stops before the present"),
        (["payment", "--swap", "--undo"], "want one of"),
        (["payment", "--undo"], "there is no swap of payment to be undone"),
        (["payment", "--rate", "fast"], "want a whole number"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(clean, words, sentence):
    assert sentence in refused(clean, *words)


def test_a_swap_while_the_shadow_cannot_follow_changes_nothing(clean, ends):
    """A number was given out and never comes into the topic."""
    clean.stop("payment")
    tables = "SELECT oid FROM pg_class WHERE relname LIKE 'payment_%' AND relnamespace = 'public'::regnamespace ORDER BY 1"
    before = clean.sql("payment", tables)
    clean.sql("payment", "UPDATE shards SET last_number = last_number + 1 WHERE shard = 3")
    try:
        sentence = refused(clean, "payment", "--swap")
    finally:
        clean.sql("payment", "UPDATE shards SET last_number = last_number - 1 WHERE shard = 3")

    assert re.search(r"shop.payments.v1/3: number \d+ is committed and not in the topic yet: start payment", sentence)
    assert clean.sql("payment", tables) == before


def test_a_topic_that_is_not_there_and_servers_that_do_not_answer(clean):
    nowhere = {"TRADEWIND_PAYMENT_DATABASE": "postgresql://127.0.0.1:1/payment?connect_timeout=2"}
    assert "connection" in refused(clean, "payment", code=3, settings=nowhere)
    assert "kafka" in refused(clean, "payment", code=3, settings={"TRADEWIND_KAFKA": "127.0.0.1:1"})
    more = {"TRADEWIND_PARTITIONS": "13"}
    assert re.search("begun by another version|its end", refused(clean, "payment", code=2, settings=more))


def test_a_dry_run_does_nothing(clean, ends):
    clean.run_tradewind("replay", "payment", "--drop")

    answer = replay(clean, "payment", "--swap", "--dry-run")

    assert answer["dry_run"] and answer["to_read"] > 0 and not answer["swapped"]
    assert clean.sql("payment", "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replay%'") == []
