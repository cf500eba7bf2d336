"""A customer orders two mugs and a plate. Stock is held, money is held, nothing looks odd, so the order is confirmed;
then the stock is sold and the money taken, and the order is fulfilled. Nobody has to ask anybody anything."""

STORY = {"order.created", "inventory.reserved", "payment.authorized", "fraud.cleared", "order.confirmed"}


def test_an_order_ends_fulfilled(shop):
    mug, plate = shop.product(stock=10, price=450), shop.product(stock=5, price=1200)

    order = shop.order((mug, 2), (plate, 1))

    ended = shop.wait_for(order, "fulfilled")
    assert ended["total_minor"] == 2 * 450 + 1200
    assert ended["waits_for"] == []
    assert shop.stock(mug) == {"on_hand": 8, "held": 0, "sold": 2, "received": 10}
    assert shop.stock(plate) == {"on_hand": 4, "held": 0, "sold": 1, "received": 5}
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done")]


def test_its_history_tells_what_led_to_what(shop):
    mug = shop.product()

    order = shop.order((mug, 1))

    history = shop.wait_for(order, "fulfilled")["history"]
    types = [event["type"] for event in history]
    causes = {event["type"]: event["cause"] for event in history}
    ids = {event["type"]: event["id"] for event in history}
    assert types[0] == "order.created" and types[-1] == "order.closed"
    assert set(types[:5]) == STORY and types[4] == "order.confirmed"
    assert set(types[5:7]) == {"inventory.committed", "payment.captured"}
    assert causes["order.created"] is None
    assert {causes[verdict] for verdict in ("inventory.reserved", "payment.authorized", "fraud.cleared")} == {
        ids["order.created"]
    }
    assert causes["order.confirmed"] in (ids["inventory.reserved"], ids["payment.authorized"], ids["fraud.cleared"])
    assert causes["inventory.committed"] == causes["payment.captured"] == ids["order.confirmed"]


def test_all_its_records_lie_at_one_partition_number(shop):
    order = shop.order((shop.product(), 1))
    shop.wait_for(order, "fulfilled")

    events = shop.stack.tradewind("order", order, "--json")["events"]

    assert len({event["partition"] for event in events}) == 1
    assert {event["topic"] for event in events} >= {
        "shop.orders.v1",
        "shop.inventory.v1",
        "shop.payments.v1",
        "shop.fraud.v1",
    }


def test_an_order_of_postage_alone_holds_no_stock(shop):
    postage = shop.product(kind="charge", price=395)

    order = shop.order((postage, 1))

    shop.wait_for(order, "fulfilled")
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done")]
    assert shop.stack.http("GET", f"/stock/{postage}", role="service").status_code == 404


def test_lines_of_one_sku_are_one_amount_of_stock_at_the_price_of_each_line(shop):
    mug = shop.product(stock=5, price=450)
    cart = shop.cart((mug, 2), (mug.lower(), 3))
    cart["lines"][1]["unit_price_minor"] = 400

    order = shop.ask("POST", "/orders", json=cart).json()["order_id"]

    ended = shop.wait_for(order, "fulfilled")
    assert ended["total_minor"] == 2 * 450 + 3 * 400
    assert [line["code"] for line in ended["lines"]] == [mug, mug.lower()]
    assert shop.stock(mug) == {"on_hand": 0, "held": 0, "sold": 5, "received": 5}
