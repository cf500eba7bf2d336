"""Every command of docs/runbook.md, run as it stands there, section by section, on a stack with what the section is about."""

import re
import shlex

import pytest
from groups import commit
from local_stack import CHECKOUT
from records import number_of

SECTIONS = dict(
    part.split("\n", 1) for part in (CHECKOUT / "docs" / "runbook.md").read_text().split("\n## ")[1:]
)


def commands(section):
    """The commands of a section, each as its words without the first."""
    return [shlex.split(line, comments=True)[1:] for line in re.findall(r"^    (tradewind .*)$", SECTIONS[section], re.M)]


def run(stack, words, **known):
    """Run a command with what stands for the words in capitals; a command that does not work is exit 2 or 3."""
    words = [known.get(word, word) for word in words]
    done = stack.run_tradewind(*words)
    assert done.returncode in (0, 1), f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def test_every_section_with_commands_has_a_test():
    sections = {name for name in SECTIONS if commands(name)}

    assert sections == set(TESTS) | ELSEWHERE


def dead_letters(shop):
    place = shop.stack.produce("shop.orders.v1", b"nothing", key=b"runbook", partition=1)
    letter = shop.stack.wait_until(
        lambda: [row for row in shop.dead_letters("payment") if (row["partition"], row["offset"]) == place],
        what="payment having set it aside",
    )[0]
    return {"ID": str(letter["id"])}


def nothing(shop):
    return {}


def an_order(shop):
    return {"ORDER": shop.order((shop.product(), 1))}


def a_payment(shop):
    order = shop.order((shop.product(), 1))
    shop.wait_for(order, "fulfilled")
    event = shop.records("shop.payments.v1", order)[0]
    position = f"payment/{event.partition()}/{number_of(event)}"
    return {"TIME": "2026-01-01T00:00:00Z", "POSITION": position, "FILE": str(shop.stack.state / f"snapshot-{order}")}


def an_order_that_was(shop):
    mug = shop.product()
    order = shop.order((mug, 1))
    shop.wait_for(order, "fulfilled")
    event = shop.records("shop.orders.v1", order)[0]
    return {"ORDER": order, "SKU": mug, "POSITION": f"orders/{event.partition()}/{number_of(event)}"}


def a_group(shop):
    shop.wait_for(shop.order((shop.product(), 1)), "fulfilled")
    commit(shop.stack, "runbook", ("shop.orders.v1", 0, 0), ("shop.orders.v1", 1, 0))
    return {"GROUP": "runbook"}


TESTS = {"How it was": an_order_that_was, "Rebuild a part's state": a_payment, "Orders that wait": an_order, "Setting a group's offsets": a_group, "How far the parts have read, and stopping them": nothing, "Dead letters": dead_letters, "Topics": nothing, "Who did what": nothing}


# test_archive.py runs these, where topics may be emptied.
ELSEWHERE = {"Archive and restore"}


@pytest.mark.parametrize("section", TESTS)
def test_the_commands_of_a_section_run(shop, section):
    known = TESTS[section](shop)

    for words in commands(section):
        run(shop.stack, words, **known)
