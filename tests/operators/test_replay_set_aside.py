"""tradewind replay and dead letters: what a part has set aside, or does without for good, is not in its state, so it is not
in the shadow either."""

from replays import equal, log_of, replay


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
    clean.sql("payment", "ALTER TABLE payment_requests ADD CONSTRAINT none_of_it CHECK (amount_minor <> 31337) NOT VALID")
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
