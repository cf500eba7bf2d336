"""tradewind replay on real servers: a part's state is rebuilt beside the live one, compared, put in place, taken back."""

import json
import re
import socket
import subprocess
import threading

import pytest
from records import number_of
from parts import PARTS
from replays import equal, log_of, program, replay


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


def told(stack, part):
    return [(record["data"]["action"], record["data"]["reason"]) for record in log_of(stack, part)]
