"""Mails: nobody waits for the mail server, no mail is lost, and a repeat can be told by its Message-ID."""

import itertools
import threading
import time
from datetime import datetime

import pytest

CHARGE = "TEST-MAIL"
STALL_S = 1.5  # before it is too much for the part
RUN, placed = time.time_ns(), itertools.count()


@pytest.fixture(scope="module", autouse=True)
def product(running_stack):
    product = {"sku": CHARGE, "name": "A charge", "kind": "charge", "unit_price_minor": 500, "currency": "GBP"}
    assert running_stack.http("POST", "/products", role="service", json=[product]).status_code == 200
    running_stack.wait_until(
        lambda: running_stack.http("GET", f"/orders/prices/{CHARGE}", role="service").status_code == 200,
        what="the order service knowing the price",
    )


def place(stack, *, contact={"name": "Ada", "email": "ada@example.test"}, token="tok_approve"):
    key = f"mail-{RUN}-{next(placed)}"
    order = {
        "customer_id": key,
        "currency": "GBP",
        "payment_token": token,
        "lines": [{"sku": CHARGE, "quantity": 2}],
    }
    if contact:
        order["contact"] = contact
    answer = stack.http("POST", "/orders", role="service", headers={"Idempotency-Key": key}, json=order)
    assert answer.status_code == 201, answer.text
    return answer.json()["order_id"]


def state(stack, order):
    return stack.http("GET", f"/orders/{order}", role="service").json()["state"]


def told(stack, order):
    """{kind: what the part knows of the mail}"""
    answer = stack.http("GET", f"/parts/email/emails/{order}", role="operator")
    return {mail["kind"]: mail for mail in answer.json().get("mails", [])}


def wait_for(stack, order, kind, wanted):
    stack.wait_until(
        lambda: told(stack, order).get(kind, {}).get("state") == wanted, what=f"{kind} of {order} {wanted}"
    )
    return told(stack, order)[kind]


def mails(stack, order):
    return stack.mails(order=order)["mails"]


def test_a_confirmed_order_is_told_once_with_its_stable_id(stack):
    order = place(stack)

    mail = wait_for(stack, order, "confirmation", "sent")

    (taken,) = mails(stack, order)
    assert taken["message_id"] == f"<{mail['message_id']}>" == f"<confirmation.{order}@example.test>"
    assert taken["to"] == ["ada@example.test"]
    assert "confirmed" in taken["subject"]


def test_a_declined_order_is_told_why(stack):
    order = place(stack, token="tok_decline")

    wait_for(stack, order, "cancellation", "sent")

    assert [mail["subject"] for mail in mails(stack, order)] == [f"Your order is cancelled ({order})"]


def test_a_fulfilled_order_that_is_cancelled_is_told_all_three(stack):
    order = place(stack)
    stack.wait_until(lambda: state(stack, order) == "fulfilled", what=f"order {order} fulfilled")

    assert stack.http("POST", f"/orders/{order}/cancel", role="service").status_code in (200, 202)

    for kind in ("confirmation", "cancellation", "refund"):
        wait_for(stack, order, kind, "sent")
    assert len(mails(stack, order)) == 3


def test_an_order_without_a_contact_is_given_up_with_the_reason(stack):
    order = place(stack, contact=None)

    mail = wait_for(stack, order, "confirmation", "given_up")

    assert mail["reason"] == "no contact"
    assert mails(stack, order) == []


def test_while_the_mail_server_is_down_orders_go_on_and_mails_wait(stack):
    stack.stop("mails")
    try:
        orders = [place(stack) for _ in range(5)]
        for order in orders:
            stack.wait_until(lambda: state(stack, order) == "fulfilled", what=f"order {order} fulfilled")
        wait_for(stack, orders[0], "confirmation", "queued")
        stack.wait_until(
            lambda: stack.http("GET", "/parts/email/health", role="operator").status_code == 503,
            what="the part saying that it is unwell",
        )
    finally:
        stack.start("mails")

    for order in orders:
        wait_for(stack, order, "confirmation", "sent")
        assert len(mails(stack, order)) == 1
    assert stack.http("GET", "/parts/email/health", role="operator").status_code == 200


def test_a_mail_that_is_refused_for_now_is_tried_again(stack):
    stack.mail_behaviour("refuse")
    order = place(stack)
    stack.wait_until(
        lambda: told(stack, order).get("confirmation", {}).get("attempts", 0) >= 1, what="a try that is refused"
    )
    assert "451" in told(stack, order)["confirmation"]["last_error"]

    stack.mail_behaviour("accept")

    wait_for(stack, order, "confirmation", "sent")
    assert len(mails(stack, order)) == 1


def test_a_mail_whose_answer_was_lost_comes_again_under_the_same_id(stack):
    stack.mail_behaviour("hang-up-after-250")
    order = place(stack)
    stack.wait_until(lambda: len(mails(stack, order)) >= 1, what="the mail being taken")
    stack.mail_behaviour("accept")

    wait_for(stack, order, "confirmation", "sent")

    assert {mail["message_id"] for mail in mails(stack, order)} == {f"<confirmation.{order}@example.test>"}
    published = [
        event
        for event in stack.tradewind("order", order, "--json")["events"]
        if event["type"].startswith("email.")
    ]
    assert [event["type"] for event in published] == ["email.sent"]


def test_a_killed_part_sends_what_it_owes(stack):
    stack.mail_behaviour("refuse")
    orders = [place(stack) for _ in range(5)]
    for order in orders:
        wait_for(stack, order, "confirmation", "queued")

    stack.kill("email")
    stack.mail_behaviour("accept")

    stack.wait_ready("email")
    for order in orders:
        wait_for(stack, order, "confirmation", "sent")


def test_an_address_stands_in_no_event_and_in_no_log(stack):
    order = place(stack, contact={"name": "Grace", "email": "grace.hopper@example.test"})
    wait_for(stack, order, "confirmation", "sent")

    assert "grace.hopper" not in stack.tradewind("order", order, "--json", as_json=False)
    for part in ("orders", "email", "payment"):
        assert "grace.hopper" not in stack.log(part)


def test_a_slow_mail_server_is_given_several_mails_at_the_same_time(stack):
    stack.mail_behaviour(f"stall {STALL_S}")

    orders = [place(stack) for _ in range(4)]

    for order in orders:
        wait_for(stack, order, "confirmation", "sent")
    taken = sorted(received(mail) for order in orders for mail in mails(stack, order))
    assert len(taken) == len(orders)
    # One at a time, there would be as much between any two of them as the server takes for one.
    assert min(later - earlier for earlier, later in itertools.pairwise(taken)) < STALL_S


@pytest.fixture
def many_orders(stack):
    """Comes in all the time; begins when it is called."""
    ended = threading.Event()

    def go_on():
        while not ended.is_set():
            place(stack)

    threads = [threading.Thread(target=go_on) for _ in range(2)]
    yield lambda: [thread.start() for thread in threads]
    ended.set()
    for thread in threads:
        thread.join()


def test_the_mail_of_an_older_order_is_not_put_off_by_newer_ones(stack, many_orders):
    """It is owed when those of orders that were placed after it are sent already, and more come all the time."""
    stack.mail_behaviour("stall 0.3")
    older = [place(stack, token="tok_slow") for _ in range(6)]
    many_orders()

    for order in older:
        stack.wait_until(lambda order=order: mails(stack, order), seconds=15, what=f"the mail of {order}")


def test_a_mail_that_is_under_way_when_the_part_is_asked_to_leave_is_sent_once(stack):
    stack.mail_behaviour(f"stall {STALL_S}")
    begun = stack.mails(limit=1)["begun"]
    order = place(stack)
    stack.wait_until(lambda: stack.mails(limit=1)["begun"] > begun, what="the mail server being given the mail")

    stack.restart("email")

    stack.mail_behaviour("accept")
    wait_for(stack, order, "confirmation", "sent")
    assert len(mails(stack, order)) == 1


def received(mail):
    return datetime.fromisoformat(mail["received_at"]).timestamp()
