"""tradewind replay inventory on real servers: its state is a ledger of documents, not tables. What holds for all parts is in
test_replay.py; here is what is the ledger's own."""

import re
import signal
import threading

import pytest
from bson.int64 import Int64
from records import number_of
from replays import equal, many_ends, refused, replay, start_slow

SNAPSHOT_EVERY = 256  # documents: consumers/inventory/ledger_store_chain.c


@pytest.fixture
def clean(stack):
    yield stack
    stack.run_tradewind("replay", "inventory", "--drop")


def documents(stack):
    """All documents of the ledger, in their order, with their collections."""
    database = stack.mongodb()
    names = sorted(name for name in database.list_collection_names() if name.startswith("ledger_"))
    found = [(name, document) for name in names for document in database[name].find()]
    return sorted(found, key=lambda pair: pair[1]["_id"])


def before_a_snapshot(stack, shop, room=100):
    """Orders, until so many documents will be written before the next snapshot: who reads the ledger begins at the newest."""
    mug = shop.product(stock=1000)
    while since_snapshot(stack) > SNAPSHOT_EVERY - room:
        shop.wait_for(shop.order((mug, 1)), "fulfilled")


def since_snapshot(stack):
    """How many documents lie behind the newest snapshot."""
    names = stack.mongodb().list_collection_names()
    snapshots = [int(name.split("_")[1]) for name in names if name.startswith("snapshot_")]
    return documents(stack)[-1][1]["number"] - max(snapshots, default=0)


def change_entry(stack, kind, order, change):
    """Change one entry of the ledger in its place; gives the SKU of its first item."""
    start = f"{kind}\t{order}\t"
    for name, document in documents(stack):
        lines = document["entries"].splitlines()
        at = next((i for i, line in enumerate(lines) if line.startswith(start)), None)
        if at is not None:
            sku = lines[at].split("\t")[2]
            lines[at : at + 1] = change(lines[at])
            entries = "".join(line + "\n" for line in lines)
            stack.mongodb()[name].update_one({"_id": document["_id"]}, {"$set": {"entries": entries}})
            return sku
    raise AssertionError(f"no entry {start!r}")


def lose_ledger(stack):
    """As an operator loses it: the database is gone, and an empty one comes by itself."""
    stack.stop("inventory")
    database = stack.mongodb()
    database.client.drop_database(database.name)
    stack.start("inventory")


# --- Found by name ----------------------------------------------------------------------------------------------------


def test_a_flipped_byte_is_found_by_name_and_mended_by_a_swap_that_can_be_undone(clean, shop):
    before_a_snapshot(clean, shop)
    order = many_ends(shop)["fulfilled"][0]
    reserved = next(record for record in shop.records("shop.inventory.v1", order))
    sku = change_entry(clean, "hold", order, lambda line: [line[:-1] + "3"])

    found = replay(clean, "inventory", "--compare", code=1)

    rows = {(each["table"], each["row"], each["column"], each["live"], each["topics"]) for each in found["differences"]}
    stock = shop.stock(sku)  # the part has it in memory as it was
    held, on_hand = stock["held"], stock["on_hand"]
    assert rows == {
        ("skus", f"sku={sku}", "held", str(held + 2), str(held)),
        ("skus", f"sku={sku}", "on_hand", str(on_hand - 2), str(on_hand)),
    }
    for each in found["differences"]:  # not the last event of that SKU, but the one whose entry was changed
        event = each["event"]
        assert event["type"] == "inventory.reserved" and event["offset"] == reserved.offset()
        assert event["id"] == f"inventory/main/{reserved.partition()}/{number_of(reserved)}"

    assert replay(clean, "inventory", "--swap")["swapped"]
    assert replay(clean, "inventory", "--compare")["equal"]
    clean.restart("inventory")  # who reads the ledger now takes the stock from there, not from the changed entry
    clean.wait_ready("inventory")
    assert shop.stock(sku) == stock
    assert replay(clean, "inventory", "--undo")["swapped"]
    again = replay(clean, "inventory", "--compare", code=1)
    assert {(each["row"], each["column"], each["live"]) for each in again["differences"]} == {(row, column, live) for _, row, column, live, _ in rows}
    assert replay(clean, "inventory", "--undo")["swapped"]
    equal(clean, "inventory")

    shop.cancel(order)  # the part goes on with what it was given
    shop.wait_for(order, "closed")
    equal(clean, "inventory")


def test_an_order_that_the_ledger_has_lost_is_mended_and_its_dead_letter_applied(clean, shop):
    """The ledger forgets that it held something, so order.confirmed cannot be; a swap brings it back, a redrive ends it."""
    before_a_snapshot(clean, shop)
    mug = shop.product()
    clean.stop("fraud")  # the order stays between its reservation and its confirmation
    order = shop.order((mug, 2))
    clean.wait_until(lambda: shop.stock(mug)["held"] == 2, what="the goods being held")
    clean.stop("inventory")
    change_entry(clean, "hold", order, lambda line: [])
    clean.start("inventory")
    clean.wait_ready("inventory")
    clean.start("fraud")
    letter = clean.wait_until(lambda: [row for row in shop.dead_letters("inventory") if row["key"] == order], what="a dead letter")[0]
    assert letter["reason"] == "impossible"

    found = replay(clean, "inventory", "--compare", code=1)
    rows = {(each["table"], each["row"], each["column"]): (each["live"], each["topics"]) for each in found["differences"]}
    assert rows["orders", f"order_id={order}", "state"] == (None, "reserved") or rows["orders", f"order_id={order}", "state"][1] == "reserved"
    assert rows["skus", f"sku={mug}", "held"] == ("0", "2")

    assert replay(clean, "inventory", "--swap")["swapped"]
    assert replay(clean, "inventory", "--compare")["equal"]
    clean.tradewind("dlq", "redrive", "inventory", letter["id"])
    shop.wait_for(order, "fulfilled")
    assert replay(clean, "inventory", "--compare")["equal"]  # with a shadow that was begun without it
    equal(clean, "inventory")


# --- Beside a part that works -----------------------------------------------------------------------------------------


def test_it_is_swapped_while_orders_go_on_and_nothing_is_lost(clean, shop):
    mug = shop.product(stock=5000)
    orders = []
    writer = threading.Thread(target=lambda: orders.extend(shop.order((mug, 1)) for _ in range(150)))
    writer.start()
    equal(clean, "inventory")
    swaps = 0
    while writer.is_alive() or swaps < 2:
        assert replay(clean, "inventory", "--swap")["swapped"]
        assert replay(clean, "inventory", "--compare")["equal"]
        assert replay(clean, "inventory", "--undo")["swapped"]
        assert replay(clean, "inventory", "--compare")["equal"]
        swaps += 1
    writer.join()

    shop.wait_for_all(orders, "fulfilled")
    clean.wait_until(lambda: shop.stock(mug) == {"on_hand": 4850, "held": 0, "sold": 150, "received": 5000}, what="all being sold")
    equal(clean, "inventory")
    assert clean.tradewind("audit", "--wait", "30", "--json")["violations"] == 0


def test_a_replay_that_died_while_the_part_waits_holds_it_for_some_seconds_only(clean, shop):
    mug = shop.product()
    name, last = documents(clean)[-1]
    number = last["number"] + 1
    if number % 256 == 255:  # a replay leaves that one out
        shop.wait_for(shop.order((mug, 1)), "fulfilled")
        name, last = documents(clean)[-1]
        number = last["number"] + 1
    nothing = next(document for _, document in documents(clean) if document["event_count"] == 0)
    said = {**nothing, "_id": f"{number:020}", "number": Int64(number), "writer": "replay/dead/1", "entries": "", "aside": "wait"}
    clean.mongodb()[f"ledger_{number // 256:010}"].insert_one(said)

    order = shop.order((mug, 1))
    clean.wait_until(lambda: clean.log_lines("inventory", "unit_retry"), what="the part waiting")

    shop.wait_for(order, "fulfilled")
    assert "asks to wait" in clean.log_lines("inventory", "unit_retry")[-1]["err"]
    equal(clean, "inventory")


def test_the_last_document_of_a_collection_is_a_whole_one(clean, shop):
    """What is trimmed, and where a record lies, is told by the last document of each collection: a replay's own never is that."""
    mug = shop.product()
    while left := (254 - documents(clean)[-1][1]["number"]) % 256:
        for _ in range(max(1, left - 2)):  # the part writes one now and then by itself
            shop.receive((mug, 1))

    number = documents(clean)[-1][1]["number"] + 1
    answer = replay(clean, "inventory", "--compare", "--swap")

    assert answer["equal"] and answer["swapped"]
    written = {document["number"]: document for _, document in documents(clean)}
    assert "aside" not in written[number] and written[number]["last_numbers"] == written[number - 1]["last_numbers"]
    assert written[number + 1]["aside"] == "wait" and written[number + 2]["state"]
    clean.restart("inventory")
    clean.wait_ready("inventory")
    shop.wait_for(shop.order((mug, 1)), "fulfilled")
    equal(clean, "inventory")


# --- A lost ledger ----------------------------------------------------------------------------------------------------


def test_a_lost_ledger_comes_back_in_the_middle_of_everything(clean, shop):
    """Orders that are held, cancelled, or not yet heard of when the database goes: each comes to its end, and no unit is lost."""
    mug = shop.product(stock=1000)
    sold = [shop.order((mug, 1)) for _ in range(5)]
    shop.wait_for_all(sold, "fulfilled")
    clean.stop("fraud")
    held = [shop.order((mug, 2)) for _ in range(10)]
    clean.wait_until(lambda: shop.stock(mug)["held"] == 20, what="the goods being held")
    lose_ledger(clean)
    clean.wait_until(lambda: clean.log_lines("inventory", "stopped"), what="inventory refusing to start")
    for order in held[:3]:
        shop.cancel(order)
    clean.start("fraud")
    unheard = [shop.order((mug, 1)) for _ in range(5)]

    assert "older than its topic" in clean.log_lines("inventory", "stopped")[-1]["err"]
    assert "nothing to compare with" in refused(clean, "inventory", "--compare")
    assert "older than its topic" in refused(clean, "inventory", "--undo") or "no swap" in refused(clean, "inventory", "--undo")
    answer = replay(clean, "inventory", "--swap", "--because", "the disk burnt")
    assert answer["lost"] and answer["swapped"] and answer["undecided"] >= 8
    clean.wait_ready("inventory")

    shop.wait_for_all(held[3:] + unheard, "fulfilled")
    shop.wait_for_all(held[:3], "closed")
    clean.wait_until(lambda: shop.stock(mug) == {"on_hand": 976, "held": 0, "sold": 24, "received": 1000}, what="the stock being right")
    equal(clean, "inventory")
    assert clean.tradewind("audit", "--wait", "30", "--json")["violations"] == 0


# --- Interrupted, twice at once, until --------------------------------------------------------------------------------


def test_two_operators_do_not_replay_it_at_once_and_one_that_was_killed_is_forgotten(clean, shop):
    many_ends(shop)
    first = start_slow(clean, "inventory", "--fresh")
    try:
        assert re.search(rf"somebody else replays inventory: tradewind replay, process {first.pid}, since", refused(clean, "inventory"))
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()

    clean.wait_until(lambda: clean.run_tradewind("replay", "inventory", "--compare").returncode == 0, what="the killed one being forgotten")


def test_until_a_position_is_the_stock_as_it_was(clean, shop):
    mug = shop.product(stock=10)
    order = shop.order((mug, 4))
    shop.wait_for(order, "fulfilled")
    reserved = shop.records("shop.inventory.v1", order)[0]

    replay(clean, "inventory", "--fresh", "--until", f"inventory/main/{reserved.partition()}/{number_of(reserved)}")

    beside = clean.mongodb().client[clean.mongodb().name + "_replay_shadow"]
    saved = sorted(name for name in beside.list_collection_names() if name.startswith("save_"))[-1]
    lines = "".join(part.get("skus", "") for part in beside[saved].find()).splitlines()
    fields = next(line for line in lines if line.startswith(mug)).split("\t")
    assert [fields[1], fields[7], fields[13], fields[19]] == ["6", "4", "0", "10"]  # on hand, held, sold, received


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["inventory", "--undo"], "there is no swap of inventory to be undone"),
        (["inventory", "--until", "inventory/main/0/999999999"], "is past the end"),
        (["inventory", "--until", "2020-01-01T00:00:00Z", "--swap"], "--until stops before the present"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(clean, words, sentence):
    assert sentence in refused(clean, *words)


def test_a_dry_run_does_nothing_and_a_store_that_is_silent_is_said(clean, shop):
    many_ends(shop)
    clean.run_tradewind("replay", "inventory", "--drop")
    before = len(documents(clean))

    answer = replay(clean, "inventory", "--swap", "--dry-run")

    assert answer["dry_run"] and answer["to_read"] > 0 and not answer["swapped"]
    assert not any("replay/" in document["writer"] for _, document in documents(clean)[before:])
    nowhere = {"TRADEWIND_MONGODB": "mongodb://127.0.0.1:1/inventory"}
    assert "mongodb" in refused(clean, "inventory", code=3, settings=nowhere)


# --- Told -------------------------------------------------------------------------------------------------------------


def test_what_is_done_is_told_with_the_reason(clean, shop):
    many_ends(shop)
    replay(clean, "inventory", "--fresh", "--compare")
    replay(clean, "inventory", "--swap", "--because", "a test of the swap")
    replay(clean, "inventory", "--undo")
    replay(clean, "inventory", "--drop")

    def told():
        events = [record["data"] for record in clean.tradewind("ops", "log", "--part", "inventory", "--json")]
        return [(event["action"], event["reason"]) for event in events][-4:]

    wanted = [("state.rebuild", ""), ("state.swap", "a test of the swap"), ("state.undo", ""), ("state.drop", "")]
    clean.wait_until(lambda: told() == wanted, what="inventory having told all of it")
