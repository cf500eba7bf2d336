"""Records come twice: a producer repeats itself, a tool copies a topic back. Each record has its number, so a repeat changes
nothing anywhere: no stock moves twice, no card is charged twice, no mail is sent twice."""

from groups import shown
from records import again, renumbered

TOPICS = ("shop.orders.v1", "shop.inventory.v1", "shop.payments.v1", "shop.fraud.v1")


def test_every_record_of_an_order_written_again_changes_nothing(shop):
    mug = shop.product(stock=10)
    order = shop.order((mug, 2))
    before = shop.wait_for(order, "fulfilled")
    shop.stack.wait_until(lambda: shop.stack.mails(order=order)["count"] == 1, what="the confirmation")
    records = [record for topic in TOPICS for record in shop.records(topic, order)]
    assert len(records) == 8

    for _ in range(2):
        for record in records:
            again(shop.stack, record)

    all_read(shop, records[0].partition())
    assert shop.get(order) == before
    assert shop.stock(mug) == {"on_hand": 8, "held": 0, "sold": 2, "received": 10}
    assert shop.booked(order) == [("authorize", "done"), ("capture", "done")]
    assert shop.stack.mails(order=order)["count"] == 1


def test_copies_at_the_end_of_a_log_are_no_lag(shop):
    """Nothing follows the copies, so there is nothing to be stored; that they are read shows all the same."""
    mug = shop.product(stock=10)
    order = shop.order((mug, 1))
    shop.wait_for(order, "fulfilled")
    records = shop.records("shop.orders.v1", order)

    ends = {record.partition(): again(shop.stack, record) + 1 for record in records}

    for group in ("inventory", "payment", "fraud", "email", "analytics"):
        shop.stack.wait_until(lambda group=group: are_committed(shop.stack, group, ends), what=f"{group} having read the copies")


def are_committed(stack, group, ends):
    places = {place["partition"]: place for place in shown(stack, group)["positions"] if place["topic"] == "shop.orders.v1"}
    return all(places[partition]["committed"] == end for partition, end in ends.items())


def test_a_copy_under_a_higher_number_is_no_news_either(shop):
    """A tool that numbers copies itself opens a gap that nobody can fill; the true records of those numbers close it."""
    mug = shop.product(stock=100)
    order = shop.order((mug, 2))
    shop.wait_for(order, "fulfilled")
    last = shop.records("shop.orders.v1", order)[-1]
    number = int(dict(last.headers())["ce_sequence"])

    again(shop.stack, last, headers=renumbered(last, number + 2))

    all_read(shop, last.partition())
    assert shop.stock(mug) == {"on_hand": 98, "held": 0, "sold": 2, "received": 100}


def all_read(shop, partition):
    """New orders go through that partition: what was written before them has been read."""
    thing = shop.product(stock=1000)

    def one_came_through():
        order = shop.order((thing, 1))
        shop.wait_for(order, "fulfilled")
        return shop.get(order)["history"][0]["id"].split("/")[1] == str(partition)

    shop.stack.wait_until(one_came_through, what=f"an order in partition {partition}")
