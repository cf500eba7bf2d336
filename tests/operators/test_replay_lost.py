"""tradewind replay after a loss: a part whose database is gone refuses to start, and comes back from its topics alone."""

import re
import shlex

import pytest
from dead_letters import listed, set_aside, told_of
from local_stack import CHECKOUT
from records import number_of
from parts import PARTS
from replays import equal, lose_database, refused, replay
from tails import ends_told, lose_tail


def test_a_part_whose_database_was_lost_comes_back(clean, shop, ends):
    """In the middle of everything: orders that are asked for, held, taken and given back at that moment."""
    mug = shop.product(stock=1000)
    shop.sandbox(latency_ms=300)
    orders = [shop.order((mug, 1)) for _ in range(20)]
    clean.wait_until(lambda: any(shop.booked(order) for order in orders), what="the provider having booked one")
    lose_database(clean, "payment")
    clean.wait_until(lambda: clean.log_lines("payment", "stopped"), what="payment refusing to start")
    late = [shop.order((mug, 1)) for _ in range(5)]
    shop.sandbox(latency_ms=0)

    assert "older than its topic" in clean.log_lines("payment", "stopped")[-1]["err"]
    assert "nothing to compare with" in refused(clean, "payment", "--compare")
    assert "older than its topic" in refused(clean, "payment", "--undo") or "no swap" in refused(clean, "payment", "--undo")
    answer = replay(clean, "payment", "--swap")
    assert answer["lost"] and answer["swapped"]
    clean.wait_ready("payment")

    shop.wait_for_all(orders + late, "fulfilled")
    for order in orders + late:
        assert [kind for kind, outcome in shop.booked(order) if outcome == "done"] == ["authorize", "capture"]
    equal(clean, "payment")
    audit = clean.tradewind("audit", "--wait", "30", "--json")
    assert audit["violations"] == 0


def test_all_other_parts_come_back_too(clean, shop):
    mug = shop.product(stock=1000)
    orders = [shop.order((mug, 1)) for _ in range(10)]
    others = [part for part in PARTS if part != "payment"]
    for part in others:
        lose_database(clean, part)

    for part in others:
        if part != "analytics":  # it publishes nothing, so it starts, and reads everything again by itself
            assert replay(clean, part, "--swap")["lost"]
    clean.wait_ready(*others)

    clean.wait_until(lambda: shop.has_price(mug), what="the order service being back")
    orders += [shop.order((mug, 1)) for _ in range(3)]
    shop.wait_for_all(orders, "fulfilled")
    for part in others:
        equal(clean, part)
    assert clean.tradewind("audit", "--wait", "30", "--json")["violations"] == 0


def test_what_the_loss_left_undecided_is_decided_many_orders_at_a_time(clean, shop):
    """Else a shop that goes on would wait behind each of them."""
    mug = shop.product(stock=1000)
    clean.mail_behaviour("refuse")
    orders = [shop.order((mug, 1)) for _ in range(300)]
    shop.wait_for_all(orders, "fulfilled")
    lose_database(clean, "email")

    assert replay(clean, "email", "--swap")["undecided"] >= len(orders)
    clean.wait_ready("email")
    clean.wait_until(lambda: not listed(clean, "email", "--reason", "undecided"), what="all being decided")

    assert units_of(clean, "email") < len(orders) / 10
    clean.mail_behaviour("accept")
    clean.wait_until(lambda: all(clean.mails(order=order)["count"] == 1 for order in orders), what="all mails being out")
    assert clean.tradewind("audit", "--wait", "30", "--json")["violations"] == 0


def units_of(stack, part):
    """Transactions that the part has made since it started."""
    text = stack.http("GET", f"/parts/{part}/metrics", role="operator").text
    return int(text.split("\ntradewind_units_total ")[1].split()[0])


@pytest.mark.parametrize("part", ("payment", "inventory"))
def test_what_strangers_wrote_is_a_dead_letter_again(clean, shop, part):
    """Their records have no number, so no state shows that the part has set them aside. One that was dropped stays dropped."""
    shop.wait_for(shop.order((shop.product(), 1)), "fulfilled")
    kept, dropped = (set_aside(clean, part, "shop.orders.v1", 7) for _ in range(2))
    clean.tradewind("dlq", "drop", part, dropped["id"])
    clean.wait_until(lambda: told_of(clean, part, dropped), what="the drop being told")
    lose_database(clean, part)

    replay(clean, part, "--swap")
    clean.wait_ready(part)

    letters = {(letter["partition"], letter["offset"]): letter for letter in listed(clean, part)}
    again = letters[kept["partition"], kept["offset"]]
    assert [again[name] for name in ("topic", "reason", "error")] == [kept[name] for name in ("topic", "reason", "error")]
    assert (dropped["partition"], dropped["offset"]) not in letters


@pytest.mark.parametrize("part", ("payment", "inventory"))
def test_it_waits_for_what_it_has_answered_and_the_topic_has_lost(clean, shop, part):
    """The part's own events answer inputs of a lost end. Their writer sends them again: behind those the part must stand, or
    it would answer twice."""
    mug = shop.product(stock=1000)
    orders = [shop.order((mug, 1)) for _ in range(20)]
    shop.wait_for_all(orders, "fulfilled")
    clean.tradewind("audit", "--wait", "30")
    topic = "shop.orders.v1"
    partition = shop.records(topic, orders[0])[0].partition()
    before = shop.stock(mug)
    lose_database(clean, part)
    clean.stop("orders")
    whole = ends_told(clean, topic)[topic, partition]
    lose_tail(clean, topic, partition, 1 << 30)
    assert ends_told(clean, topic)[topic, partition] < whole

    why = refused(clean, part, "--swap", code=3)
    assert re.search(rf"{topic}/{partition} ends with number \d+, but {part} has answered number \d+ of it", why)
    assert "see that orders runs" in why
    clean.start("orders")
    assert replay(clean, part, "--swap")["swapped"]
    clean.wait_ready(part)

    late = shop.order((mug, 1))
    shop.wait_for(late, "fulfilled")
    assert shop.stock(mug) == {**before, "on_hand": before["on_hand"] - 1, "sold": before["sold"] + 1}
    assert all(len(shop.booked(order)) == 2 for order in orders)
    audit = clean.tradewind("audit", "--wait", "30", "--json")
    assert audit["violations"] == 0
    assert not {letter["key"] for letter in listed(clean, part)} & {*orders, late}


def test_the_commands_of_the_runbook_do_what_it_says(clean, shop, ends, tmp_path):
    """From the page alone: prove, swap, undo, look back; then lose the database and come back."""
    section = (CHECKOUT / "docs" / "runbook.md").read_text().split("## Rebuild a part's state")[1].split("\n## ")[0]
    commands = [shlex.split(line)[1:] for line in re.findall(r"^ +(tradewind .*)$", section, re.M)]
    lost = next(i for i, words in enumerate(commands) if words == ["replay", "payment", "--swap"])
    event = shop.records("shop.payments.v1", ends["fulfilled"][0])[0]
    position = f"payment/{event.partition()}/{number_of(event)}"
    known = {"TIME": "2026-01-01T00:00:00Z", "POSITION": position, "FILE": str(tmp_path / "snapshot")}

    for i, words in enumerate(commands):
        if i == lost:
            lose_database(clean, "payment")
        done = clean.run_tradewind(*[known.get(word, word) for word in words])
        assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        if words == ["replay", "payment", "--swap"]:
            clean.wait_ready("payment")

    assert len(commands) >= 12 and "0 violations" in done.stdout
