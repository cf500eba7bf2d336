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

    if trouble == "stopped":
        shop.stack.start("mails")
        shop.stack.wait_ready("mails")
    else:
        assert shop.stack.mails(order=good)["count"] == 0
        shop.stack.mail_behaviour("accept")
    for order, kind in ((good, "confirmation"), (short, "cancellation")):
        wait_for_mail(shop, order)
        mails = shop.stack.mails(order=order)["mails"]
        assert [mail["message_id"] for mail in mails] == [f"<{kind}.{order}@example.test>"]


def wait_for_mail(shop, order):
    shop.stack.wait_until(lambda: shop.stack.mails(order=order)["count"], 60, f"the mail about {order}")


def test_a_refund_is_told_besides_the_confirmation_and_the_cancellation(shop):
    order = shop.order((shop.product(), 1))
    shop.wait_for(order, "fulfilled")
    shop.cancel(order)
    shop.wait_for(order, "closed")

    shop.stack.wait_until(lambda: shop.stack.mails(order=order)["count"] >= 3, what="three mails")

    ids = sorted(mail["message_id"] for mail in shop.stack.mails(order=order)["mails"])
    assert ids == [f"<{kind}.{order}@example.test>" for kind in ("cancellation", "confirmation", "refund")]
