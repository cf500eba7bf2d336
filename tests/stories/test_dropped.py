"""Payment runs with a list of schemas that does not have order.created yet: somebody upgraded the wrong way round. It waits
half a minute for the list, then sets the record aside, and what follows for that order waits behind it. The orders do
not wait for ever: their deadline cancels them. The operator drops one of the dead letters, and redrives the other once
the list is right: both end with nothing away."""

import pytest
import schemas

OLD = "payment:TRADEWIND_SCHEMAS"
DEADLINE = "orders:TRADEWIND_ORDER_DEADLINE_MS"


@pytest.fixture
def outdated_shop(shop):
    stack = shop.stack
    with schemas.without(stack, "order.created") as folder:
        stack.up(settings={OLD: str(folder), DEADLINE: "3000"})
        yield shop
        stack.up(settings={OLD: None, DEADLINE: None})


def test_a_dropped_order_created_and_a_late_redrive(outdated_shop):
    shop, stack = outdated_shop, outdated_shop.stack
    mug = shop.product(stock=10)
    dropped = shop.order((mug, 1))
    redriven = shop.order((mug, 2))
    cancelled = shop.wait_for_all([dropped, redriven], "cancelled")
    assert {order["reason"] for order in cancelled} == {"deadline"}

    first, second = (wait_for_letters(shop, order) for order in (dropped, redriven))
    for letters in (first, second):
        assert [letter["reason"] for letter in letters] == ["unknown_schema", "parked"]
    assert shop.get(dropped)["waits_for"] == shop.get(redriven)["waits_for"] == ["payment"]
    explained = stack.tradewind("saga", "explain", dropped)
    assert "order.created in the dead letters (unknown_schema" in explained and f"dlq show payment {first[0]['id']}" in explained

    would = stack.tradewind("dlq", "drop", "payment", first[0]["id"], "--dry-run")
    assert "would be dropped" in would and f"behind it {first[1]['id']}: would be applied" in would
    stack.tradewind("dlq", "drop", "payment", first[0]["id"])
    shop.wait_for(dropped, "closed")
    assert shop.booked(dropped) == []
    assert "payment.voided" in shop.events(dropped)  # nothing was held, and it says so

    refused = stack.run_tradewind("dlq", "redrive", "payment", second[0]["id"])
    assert refused.returncode == 1 and "cannot be read" in refused.stderr
    again = wait_for_letters(shop, redriven)
    assert [letter["id"] for letter in again] == [letter["id"] for letter in second], "a try that fails changes no id"
    assert [letter["attempts"] for letter in again] == [2, 0]
    parked = stack.run_tradewind("dlq", "redrive", "payment", second[1]["id"])
    assert parked.returncode == 1 and f"parked behind {second[0]['id']}" in parked.stderr

    stack.up(settings={OLD: None})
    shown = stack.tradewind("dlq", "show", "payment", second[0]["id"], "--json")
    assert shown["event"]["order_id"] == redriven
    stack.tradewind("dlq", "redrive", "payment", "--key", redriven)
    shop.wait_for(redriven, "closed")
    assert shop.booked(redriven) == [("authorize", "done"), ("void", "done")]

    assert not [letter for letter in shop.dead_letters("payment") if letter["key"] in (dropped, redriven)]
    assert shop.stock(mug) == {"on_hand": 10, "held": 0, "sold": 0, "received": 10}


def wait_for_letters(shop, order):
    def letters():
        found = [letter for letter in shop.dead_letters("payment") if letter["key"] == order]
        return found if len(found) == 2 else None

    return shop.stack.wait_until(letters, what=f"the dead letters of {order}")
