"""tradewind replay on real servers: a part's state is rebuilt beside the live one, compared, put in place, taken back;
lost databases come back; and whatever is wrong ends in one sentence and leaves the live state as it was."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from local_stack import CHECKOUT
from records import number_of
from replays import equal, many_ends, refused, replay

PARTS = ("orders", "payment", "fraud", "email", "catalog", "analytics", "inventory")


def program():
    return Path(os.environ.get("TRADEWIND_BUILD", CHECKOUT / "build")) / "ops" / "replay" / "tradewind-replay"


def lose_database(stack, part):
    """As an operator does it, and what the local stack makes of it: an empty database."""
    stack.stop(part)
    if part == "inventory":
        database = stack.mongodb()
        database.client.drop_database(database.name)
        stack.command("up")
        return
    uri = stack.database_uri(part).rpartition("/")[0] + "/postgres"
    stack.sql(part, f"DROP DATABASE {part} WITH (FORCE)", uri)
    stack.command("up")


@pytest.fixture
def ends(shop):
    return many_ends(shop)


@pytest.fixture
def clean(stack):
    yield stack
    for part in PARTS:
        stack.run_tradewind("replay", part, "--drop")


# --- What is linked in ------------------------------------------------------------------------------------------------


def test_nothing_that_could_send_a_mail_or_charge_a_card_is_linked_in():
    symbols = subprocess.run(["nm", program()], capture_output=True, text=True, check=True).stdout
    linked = subprocess.run(["readelf", "-d", program()], capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r" [A-Za-z] (\w+)", symbols))

    # libmongoc is the store of inventory's state, as libpq is of the others'.
    effects = r"^(curl_|evhttp|evconnlistener|http_|smtp_|mail_(?!kind)|mailer_|payment_calls|payment_provider|registry_[a-z]+_http)"
    assert {name for name in names if re.match(effects, name)} == set()
    assert not re.search(r"NEEDED.*(curl|event)", linked)
    assert {"payment_fold", "tally_fold"} <= names  # it is the right program
    assert "inventory_decide" not in names and "ledger_store_open" not in names


def test_a_replay_connects_to_kafka_and_its_database_only(clean, ends):
    """Provider, mail server and door have other addresses now: nobody comes there."""
    doors = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    for door in doors:
        door.settimeout(0)
    addresses = ["127.0.0.1:%d" % door.getsockname()[1] for door in doors]
    settings = {
        "TRADEWIND_PROVIDER": f"http://{addresses[0]}",
        "TRADEWIND_SMTP": f"smtp://{addresses[1]}",
        "TRADEWIND_DOOR": f"http://{addresses[2]}",
    }
    clean.tradewind("audit", "--wait", "30")  # email has heard of every order, and its mails are out
    before = clean.mails()["count"]

    for part in PARTS:
        done = clean.run_tradewind("replay", part, "--fresh", "--compare", settings=settings)
        assert done.returncode == 0, done.stdout + done.stderr

    for door in doors:
        with pytest.raises(BlockingIOError):
            door.accept()
        door.close()
    assert clean.mails()["count"] == before


# --- Equal, different, swapped ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", PARTS)
def test_a_rebuilt_state_is_equal_to_the_live_one(clean, ends, part):
    answer = equal(clean, part)

    may_be_empty = ("tombstones", "open_orders", "orders" if part == "inventory" else "")  # it forgets what is closed
    assert all(table["rows"] > 0 for table in answer["tables"] if table["table"] not in may_be_empty)
    assert {table["differing"] for table in answer["tables"]} == {0}


def test_it_is_compared_while_orders_go_on(clean, shop, ends):
    mug = shop.product(stock=1000)
    orders = []
    writer = threading.Thread(target=lambda: orders.extend(shop.order((mug, 1)) for _ in range(100)))
    writer.start()

    while writer.is_alive():
        for part in PARTS:
            equal(clean, part)
    writer.join()

    shop.wait_for_all(orders, "fulfilled")


def flip(stack):
    """One byte of one live row of payment; gives order and what it was."""
    order, number, ref = stack.sql(
        "payment", "SELECT order_id, number, provider_ref FROM payment_events WHERE state = 6 ORDER BY random() LIMIT 1"
    )[0]
    stack.sql(
        "payment",
        f"UPDATE payment_events SET provider_ref = overlay(provider_ref placing 'X' from 3 for 1)"
        f" WHERE order_id = '{order}' AND number = {number}",
    )
    return order, number, ref


def test_a_flipped_byte_is_found_by_name_and_mended_by_a_swap_that_can_be_undone(clean, shop, ends):
    order, number, ref = flip(clean)

    found = replay(clean, "payment", "--compare", code=1)

    (difference,) = found["differences"]
    assert difference["table"] == "payment_events" and difference["column"] == "provider_ref"
    assert difference["row"] == f"order_id={order} number={number}"
    assert difference["topics"] == ref and difference["live"] == ref[:2] + "X" + ref[3:]
    event = difference["event"]
    record = next(message for message in shop.records("shop.payments.v1", order) if message.offset() == event["offset"])
    assert event["type"] == "payment.captured" and event["id"].endswith(f"/{number}") and number_of(record) == int(number)

    assert replay(clean, "payment", "--swap")["swapped"]
    equal(clean, "payment")
    assert replay(clean, "payment", "--undo")["swapped"]
    assert replay(clean, "payment", "--compare", code=1)["differences"] == found["differences"]
    assert replay(clean, "payment", "--undo")["swapped"]
    equal(clean, "payment")

    shop.cancel(order)  # the part goes on with what it was given
    shop.wait_for(order, "closed")
    assert shop.booked(order)[-1] == ("refund", "done")
    equal(clean, "payment")


def test_a_row_too_many_and_a_row_too_few_are_named(clean, ends):
    gone = clean.sql("payment", "DELETE FROM payment_requests WHERE order_id = (SELECT min(order_id) FROM payment_requests) RETURNING *")[0]
    clean.sql("payment", "INSERT INTO payment_requests VALUES ('NOBODY', 1, 1, 'GBP', 'x')")

    found = replay(clean, "payment", "--compare", code=1)

    rows = {difference["row"] for difference in found["differences"]}
    assert rows == {f"order_id={gone[0]}", "order_id=NOBODY"}
    assert replay(clean, "payment", "--swap")["swapped"]
    equal(clean, "payment")


def test_what_is_set_aside_is_not_in_the_shadow_either(clean, shop):
    """Payment refuses an order.confirmed over another amount than it was asked for; mended, it takes it."""
    mug = shop.product()
    clean.stop("fraud")  # the order stays between its authorization and its confirmation
    order = shop.order((mug, 1))
    authorized = f"SELECT 1 FROM payment_events WHERE order_id = '{order}'"
    clean.wait_until(lambda: clean.sql("payment", authorized), what="the payment being authorized")
    clean.sql("payment", f"UPDATE payment_requests SET amount_minor = amount_minor + 1 WHERE order_id = '{order}'")
    clean.start("fraud")
    letter = clean.wait_until(lambda: [row for row in shop.dead_letters("payment") if row["key"] == order], what="a dead letter")[0]
    clean.sql("payment", f"UPDATE payment_requests SET amount_minor = amount_minor - 1 WHERE order_id = '{order}'")

    equal(clean, "payment")
    assert replay(clean, "payment", "--swap")["swapped"]
    equal(clean, "payment")
    clean.tradewind("dlq", "redrive", "payment", letter["id"])
    shop.wait_for(order, "fulfilled")

    assert letter["reason"] == "impossible"
    assert replay(clean, "payment", "--compare")["equal"]  # with a shadow that was begun without it
    equal(clean, "payment")


def test_what_an_operator_dropped_is_not_in_the_shadow_either(clean, shop):
    """Payment cannot store an order.created, and does without it for good: its state and the topics are equal all the same."""
    dear = shop.product(price=31337)
    clean.sql("payment", "ALTER TABLE payment_requests ADD CONSTRAINT none_of_it CHECK (amount_minor <> 31337)")
    order = shop.order((dear, 1))
    letter = clean.wait_until(lambda: [row for row in shop.dead_letters("payment") if row["key"] == order], what="a dead letter")[0]
    clean.sql("payment", "ALTER TABLE payment_requests DROP CONSTRAINT none_of_it")
    clean.tradewind("dlq", "drop", "payment", letter["id"])
    told = lambda: any(record["data"]["subject"] == str(letter["id"]) for record in log_of(clean, "payment"))
    clean.wait_until(told, what="the drop being told")

    equal(clean, "payment")
    assert replay(clean, "payment", "--swap")["swapped"]
    equal(clean, "payment")
    shop.cancel(order)
    shop.wait_for(order, "closed")
    equal(clean, "payment")


def test_what_is_done_is_told_with_the_reason_and_without_a_gap(clean, ends):
    for part in ("payment", "analytics"):
        replay(clean, part, "--fresh", "--compare")
        replay(clean, part, "--swap", "--because", "a test of the swap")
        replay(clean, part, "--undo")
        replay(clean, part, "--drop")
        replay(clean, part, "--drop")  # nothing is there: nothing is told

    wanted = [("state.rebuild", ""), ("state.swap", "a test of the swap"), ("state.undo", ""), ("state.drop", "")]
    for part in ("payment", "analytics"):
        clean.wait_until(lambda: told(clean, part)[-4:] == wanted, what=f"{part} having told all of it")
    rebuilt = log_of(clean, "payment")[-4]["data"]
    before, after = json.loads(rebuilt["before"]), json.loads(rebuilt["after"])
    assert before == {"lost": False, "differing": 0} and after["folded"] > 0 and len(after["payment_events"]) == 16


def log_of(stack, part):
    return stack.tradewind("ops", "log", "--part", part, "--json")  # exit 1 would tell of a gap


def told(stack, part):
    return [(record["data"]["action"], record["data"]["reason"]) for record in log_of(stack, part)]


# --- A lost database --------------------------------------------------------------------------------------------------


def test_a_part_whose_database_was_lost_comes_back(clean, shop, ends):
    """In the middle of everything: orders that are asked for, held, taken and given back at that moment."""
    mug = shop.product(stock=1000)
    shop.sandbox(latency_ms=300)
    orders = [shop.order((mug, 1)) for _ in range(20)]
    clean.wait_until(lambda: any(shop.booked(order) for order in orders), what="the provider having booked one")
    lose_database(clean, "payment")
    clean.wait_until(lambda: clean.log_lines("payment", "stopped"), what="payment refusing to start")
    late = [shop.order((mug, 1)) for _ in range(5)]
    shop.sandbox(latency_ms=0)

    assert "older than its topic" in clean.log_lines("payment", "stopped")[-1]["err"]
    assert "nothing to compare with" in refused(clean, "payment", "--compare")
    assert "older than its topic" in refused(clean, "payment", "--undo") or "no swap" in refused(clean, "payment", "--undo")
    answer = replay(clean, "payment", "--swap")
    assert answer["lost"] and answer["swapped"]
    clean.wait_ready("payment")

    shop.wait_for_all(orders + late, "fulfilled", 60)
    for order in orders + late:
        assert [kind for kind, outcome in shop.booked(order) if outcome == "done"] == ["authorize", "capture"]
    equal(clean, "payment")
    audit = clean.tradewind("audit", "--wait", "30", "--json")
    assert audit["violations"] == 0


def test_all_other_parts_come_back_too(clean, shop):
    mug = shop.product(stock=1000)
    orders = [shop.order((mug, 1)) for _ in range(10)]
    others = [part for part in PARTS if part != "payment"]
    for part in others:
        lose_database(clean, part)

    for part in others:
        if part != "analytics":  # it publishes nothing, so it starts, and reads everything again by itself
            assert replay(clean, part, "--swap")["lost"]
    clean.wait_ready(*others)

    clean.wait_until(lambda: shop.has_price(mug), what="the order service being back")
    orders += [shop.order((mug, 1)) for _ in range(3)]
    shop.wait_for_all(orders, "fulfilled", 60)
    for part in others:
        equal(clean, part)
    assert clean.tradewind("audit", "--wait", "30", "--json")["violations"] == 0


def test_the_commands_of_the_runbook_do_what_it_says(clean, shop, ends):
    """From the page alone: prove, swap, undo, look back; then lose the database and come back."""
    section = (CHECKOUT / "docs" / "runbook.md").read_text().split("## Rebuild a part's state")[1].split("\n## ")[0]
    commands = [shlex.split(line)[1:] for line in re.findall(r"^ +(tradewind .*)$", section, re.M)]
    lost = next(i for i, words in enumerate(commands) if words == ["replay", "payment", "--swap"])
    event = shop.records("shop.payments.v1", ends["fulfilled"][0])[0]
    known = {"TIME": "2026-01-01T00:00:00Z", "POSITION": f"payment/{event.partition()}/{number_of(event)}"}

    for i, words in enumerate(commands):
        if i == lost:
            lose_database(clean, "payment")
        done = clean.run_tradewind(*[known.get(word, word) for word in words])
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        if words == ["replay", "payment", "--swap"]:
            clean.wait_ready("payment")

    assert len(commands) >= 12 and "0 violations" in done.stdout


# --- Interrupted, twice at once, slow ---------------------------------------------------------------------------------


def start_slow(stack, part="payment", rate=200):
    """A replay that takes its time."""
    environment = {**os.environ, **stack.settings}
    command = [program(), "replay", part, "--fresh", "--rate", str(rate)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    shadow = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tradewind replay, process {process.pid}'"
    stack.wait_until(lambda: stack.sql(part, shadow) == [("1",)], what="the replay having its session")
    return process


def test_a_replay_that_was_killed_goes_on_where_it_stood(clean, shop, ends):
    equal(clean, "payment")  # makes and fills a shadow
    stored = "SELECT sum(high_water)::text FROM replay_shadow.replay_position"
    before = int(clean.sql("payment", stored)[0][0])
    mug = shop.product(stock=1000)
    shop.wait_for_all([shop.order((mug, 1)) for _ in range(10)], "fulfilled")
    environment = {**os.environ, **clean.settings}
    process = subprocess.Popen(
        [program(), "replay", "payment", "--rate", "20"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert "events" in process.stderr.readline()  # it says how far it is
    process.send_signal(signal.SIGKILL)
    process.wait()

    answer = clean.wait_until(lambda: goes_on(clean), what="the killed one's session having ended")

    assert answer["equal"]
    assert 0 < answer["folded"] <= 60 and int(clean.sql("payment", stored)[0][0]) > before


def goes_on(stack):
    done = stack.run_tradewind("replay", "payment", "--compare", "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def test_two_operators_do_not_replay_one_part_at_once(clean, ends):
    first = start_slow(clean)
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

    when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(refunded.timestamp()[1] / 1000 + 1)) + "Z"
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
