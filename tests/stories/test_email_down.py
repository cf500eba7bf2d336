"""The mail server is gone for a while. Orders go on as if nothing had happened; their mails wait. When it is back each mail
arrives once."""

import pytest


@pytest.mark.parametrize("trouble", ["refuse", "stopped"])
def test_orders_go_on_and_mails_wait(shop, trouble):
    mug = shop.product(stock=10)
    if trouble == "stopped":
        shop.stack.stop("mails")
    else:
        shop.stack.mail_behaviour(trouble)
    good, short = shop.order((mug, 1)), shop.order((mug, 99))

    shop.wait_for(good, "fulfilled")
    shop.wait_for(short, "closed")

    for order in (good, short):
        shop.stack.wait_until(lambda: tried(shop, order), what=f"a mail about {order} being tried in vain")
    if trouble == "stopped":
        shop.stack.start("mails")
        shop.stack.wait_ready("mails")
    else:
        assert shop.stack.mails(order=good)["count"] == 0
        shop.stack.mail_behaviour("accept")
    for order, kind in ((good, "confirmation"), (short, "cancellation")):
        all_sent(shop, order, 1)
        mails = shop.stack.mails(order=order)["mails"]
        assert [mail["message_id"] for mail in mails] == [f"<{kind}.{order}@example.test>"]


def told(shop, order):
    """What the email part says of the mails about an order."""
    answer = shop.stack.http("GET", f"/parts/email/emails/{order}", role="operator")
    return answer.json()["mails"] if answer.status_code == 200 else []


def tried(shop, order):
    return [mail for mail in told(shop, order) if mail.get("attempts")]


def all_sent(shop, order, count):
    """Wait until so many mails about the order are sent, for the email part too: it sends none of them again."""

    def states():
        return [mail["state"] for mail in told(shop, order)]

    shop.stack.wait_until(lambda: states() == ["sent"] * count, what=f"{count} mails about {order} being sent")


def test_a_refund_is_told_besides_the_confirmation_and_the_cancellation(shop):
    order = shop.order((shop.product(), 1))
    shop.wait_for(order, "fulfilled")
    shop.cancel(order)
    shop.wait_for(order, "closed")

    all_sent(shop, order, 3)

    ids = sorted(mail["message_id"] for mail in shop.stack.mails(order=order)["mails"])
    assert ids == [f"<{kind}.{order}@example.test>" for kind in ("cancellation", "confirmation", "refund")]
