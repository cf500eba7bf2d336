"""An order hangs because the parts never heard of it: what they could not read was dropped. The operator nudges it, the order
service says the order in full once more, and it goes on. Whatever is decided stays decided, however often anybody nudges."""

import getpass
import json
import re

import pytest
import schemas
from replays import equal

VERDICTS = ("inventory", "payment", "fraud")
NUDGES = "orders:TRADEWIND_NUDGE_EVERY_MS"
DEADLINE = "orders:TRADEWIND_ORDER_DEADLINE_MS"


def nudge(stack, order, *options):
    return stack.run_tradewind("saga", "nudge", order, *options)


def clean(stack):
    audit = stack.tradewind("audit", "--wait", "30", "--json")
    assert audit["violations"] == 0, audit


def waits_for(stack, order):
    """Which parts owe the order an answer, as `saga stuck` says it."""
    done = stack.run_tradewind("saga", "stuck", "--longer-than", "1s", "--json")
    assert done.returncode in (0, 1), done.stderr
    rows = [row for row in json.loads(done.stdout)["orders"] if row["order_id"] == order]
    return {part["part"]: part for row in rows for part in row["waits_for"]}


# --- Nobody has heard of it -------------------------------------------------------------------------------------------


@pytest.fixture
def deaf_shop(shop):
    """The three parts run with a list of schemas that does not have order.created."""
    stack = shop.stack
    with schemas.without(stack, "order.created") as folder:
        stack.up(settings={f"{part}:TRADEWIND_SCHEMAS": str(folder) for part in VERDICTS})
        yield shop
        stack.up(settings={f"{part}:TRADEWIND_SCHEMAS": None for part in VERDICTS})


def letters_of(shop, part, *orders):
    return [letter["id"] for letter in shop.dead_letters(part) if letter["key"] in orders]


def drop_what_they_could_not_read(shop, *orders):
    for part in VERDICTS:
        letters = shop.stack.wait_until(
            lambda: len(found := letters_of(shop, part, *orders)) == len(orders) and found, 90, f"{part}'s dead letters"
        )
        for letter in letters:
            shop.stack.tradewind("dlq", "drop", part, str(letter))


def test_an_order_that_nobody_heard_of_goes_on(deaf_shop):
    shop, stack = deaf_shop, deaf_shop.stack
    mug, rare = shop.product(stock=10), shop.product(stock=1)
    goes_on, too_many = shop.order((mug, 2)), shop.order((rare, 2))
    stack.wait_until(lambda: all(letters_of(shop, part, goes_on) for part in VERDICTS), what="three dead letters")
    waits = waits_for(stack, goes_on)
    assert {part: row["dead_letter"]["reason"] for part, row in waits.items()} == dict.fromkeys(VERDICTS, "unknown_schema")
    drop_what_they_could_not_read(shop, goes_on, too_many)

    assert shop.get(goes_on)["waits_for"] == list(VERDICTS), "nobody will ever answer"
    assert all(row["dead_letter"] is None for row in waits_for(stack, goes_on).values())
    assert "order.reminded" not in shop.events(goes_on)
    assert "operator_nudge" in stack.tradewind("saga", "explain", goes_on), "what may come next"
    foretold = nudge(stack, goes_on, "--dry-run").stdout
    assert "it would stay placed, publishing order.reminded" in foretold
    assert "order.reminded" not in shop.events(goes_on)

    done = nudge(stack, goes_on, "--because", "it was dropped", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["state"], answer["waits_for"]) == (0, "placed", list(VERDICTS))
    stack.tradewind("saga", "nudge", too_many)

    shop.wait_for(goes_on, "fulfilled")
    assert shop.wait_for(too_many, "closed")["reason"] == "out_of_stock"
    assert shop.booked(goes_on) == [("authorize", "done"), ("capture", "done")]
    assert shop.stock(mug) == {"on_hand": 8, "held": 0, "sold": 2, "received": 10}
    assert shop.stock(rare) == {"on_hand": 1, "held": 0, "sold": 0, "received": 1}
    assert shop.events(goes_on).count("order.reminded") == 1
    told = [record["data"] for record in stack.tradewind("ops", "log", "--action", "order.nudge", "--json")]
    told = [(event["actor"], event["reason"], event["before"]) for event in told if event["subject"] == goes_on]
    assert told == [(getpass.getuser(), "it was dropped", '{"state":"placed"}')]
    clean(stack)
    for part in ("orders", *VERDICTS):
        equal(stack, part)


def test_a_cancelled_order_that_nobody_heard_of_stays_cancelled(deaf_shop):
    """The tombstones are there before the reminder comes."""
    shop, stack = deaf_shop, deaf_shop.stack
    mug = shop.product(stock=10)
    order = shop.order((mug, 2))
    stack.wait_until(lambda: all(letters_of(shop, part, order) for part in VERDICTS), what="three dead letters")
    shop.cancel(order)
    stack.tradewind("saga", "nudge", order)
    for part in VERDICTS:
        stack.wait_until(lambda: len(letters_of(shop, part, order)) == 3, what=f"{part} having parked the reminder, too")
    for part in VERDICTS:
        stack.tradewind("dlq", "drop", part, str(min(letters_of(shop, part, order))))

    shop.wait_for(order, "closed")
    assert shop.booked(order) == []
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}
    clean(stack)
    for part in ("orders", *VERDICTS):
        equal(stack, part)


# --- Everybody has ----------------------------------------------------------------------------------------------------


@pytest.fixture
def nudged_at_will(shop):
    shop.stack.up(settings={NUDGES: "0"})
    yield shop
    shop.stack.up(settings={NUDGES: None})


def test_nudging_all_the_way_changes_nothing_that_is_decided(nudged_at_will):
    shop, stack = nudged_at_will, nudged_at_will.stack
    mug = shop.product(stock=1000)
    shop.sandbox(down=True)  # none of them ends before it was nudged
    ends = {}
    for token, end in (("tok_approve", "fulfilled"), ("tok_decline", "closed"), ("tok_capture_fail", "closed")):
        ends.update({shop.order((mug, 1), token=token): end for _ in range(4)})
    for order in ends:
        assert stack.http("POST", f"/orders/{order}/nudge", role="operator").status_code == 202
    shop.sandbox(down=False, latency_ms=300)
    cancelled = [order for order, end in ends.items() if end == "fulfilled"][:2]

    def all_ended():
        states = {order: shop.get(order)["state"] for order in ends}
        for order, state in states.items():
            if order in cancelled and ends[order] == "fulfilled" and state in ("confirmed", "fulfilled"):
                shop.cancel(order)
                ends[order] = "closed"
            answer = stack.http("POST", f"/orders/{order}/nudge", role="operator")
            assert answer.status_code == 202 or answer.json()["type"].endswith(":waits-for-nobody"), answer.text
        return states == ends

    stack.wait_until(all_ended, what="all of them ending")
    nudges = {order: shop.events(order).count("order.reminded") for order in ends}
    assert all(nudges.values()), nudges
    for order in ends:
        kinds = [kind for kind, outcome in shop.booked(order)]
        assert len(kinds) == len(set(kinds)), "the provider did each thing once"
    sold = sum(end == "fulfilled" for end in ends.values())
    assert shop.stock(mug) == {"on_hand": 1000 - sold, "held": 0, "sold": sold, "received": 1000}
    clean(stack)
    for order, end in ends.items():
        mails = stack.http("GET", f"/parts/email/emails/{order}", role="operator").json()["mails"]
        kinds = [mail["kind"] for mail in mails]
        assert len(kinds) == len(set(kinds)), mails
        assert stack.wait_until(lambda: stack.mails(order=order)["count"], what="its mails") <= len(kinds)
    for part in ("orders", *VERDICTS):
        equal(stack, part)


def test_a_call_that_the_provider_does_not_answer_is_made_again_at_once(nudged_at_will):
    """By itself payment waits longer and longer: its eighth try would come after 25 seconds."""
    shop, stack = nudged_at_will, nudged_at_will.stack
    shop.sandbox(down=True)
    order = shop.order((shop.product(), 1))
    stack.wait_until(lambda: shop.get(order)["waits_for"] == ["payment"], what="the others having answered")
    before = tries(stack)

    def nudged_again():
        stack.tradewind("saga", "nudge", order)
        return tries(stack) - before >= 12

    stack.wait_until(nudged_again, 20, "a dozen tries")
    shop.sandbox(down=False)
    shop.wait_for(order, "fulfilled")
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done")]


def tries(stack):
    text = stack.http("GET", "/parts/payment/metrics", role="operator").text
    found = re.findall(r'^tradewind_payment_provider_calls_total\{operation="authorize",outcome="no_answer"\} (\d+)', text, re.M)
    return int(found[0])


# --- Refused, and without effect on the deadline ----------------------------------------------------------------------


def test_what_is_refused(shop):
    stack = shop.stack
    nobody = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    for words in ((nobody,), (nobody, "--dry-run")):
        done = nudge(stack, *words)
        assert done.returncode == 1 and f"no order {nobody}" in done.stderr, words

    ended = shop.order((shop.product(), 1))
    shop.wait_for(ended, "fulfilled")
    done = nudge(stack, ended)
    assert done.returncode == 1 and f"order {ended} is fulfilled: it waits for nobody" in done.stderr
    assert nudge(stack, ended, "--dry-run").returncode == 1
    assert stack.http("POST", f"/orders/{ended}/nudge", role="customer", subject="c-1").status_code == 403
    assert stack.http("POST", f"/orders/{ended}/nudge", role="service").status_code == 403

    stack.stop("fraud")
    waits = shop.order((shop.product(), 1))
    assert nudge(stack, waits).returncode == 0
    again = stack.http("POST", f"/orders/{waits}/nudge", role="operator")
    assert (again.status_code, again.json()["type"]) == (409, "urn:tradewind:problem:nudged-lately")
    assert 1 <= int(again.headers["Retry-After"]) <= 11
    assert "want 10000 ms between two nudges" in nudge(stack, waits).stderr
    stack.start("fraud")
    shop.wait_for(waits, "fulfilled")
    assert shop.events(waits).count("order.reminded") == 1


def test_the_deadline_of_a_nudged_order_passes_as_ever(shop):
    stack = shop.stack
    stack.stop("fraud")
    stack.up(settings={DEADLINE: "3000"})
    stack.stop("fraud")
    try:
        order = shop.order((shop.product(), 1))
        stack.tradewind("saga", "nudge", order)
        cancelled = shop.wait_for(order, "closed")
        assert cancelled["reason"] == "deadline" and "order.reminded" in shop.events(order)
    finally:
        stack.up(settings={DEADLINE: None})
    clean(stack)
