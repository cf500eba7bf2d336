"""What operators' tests share: a stack that stands still and an archive of it, so that its topics may be emptied; orders
that have met every end there is; a stack without anything that a replay has left."""

import pytest
from archives import done, empty_topics, in_files, missing, strange_records, sums_of
from parts import PARTS
from replays import many_ends


@pytest.fixture(scope="module")
def still(running_stack, tmp_path_factory):
    """A stack with orders in its topics whose parts are stopped, and an archive of all it holds."""
    from shop import Shop

    stack = running_stack
    stack.whole()
    stack.mail_behaviour("accept")
    shop = Shop(stack)
    shop.sandbox(latency_ms=0, slow_ms=1000, lost_ms=10000, down=False)
    mug = shop.product(stock=1000)
    orders = [shop.order((mug, 1), token=token) for token in ("tok_approve", "tok_decline") * 15]
    shop.wait_for_all(orders[::2], "fulfilled")
    shop.wait_for_all(orders[1::2], "closed")
    strange_records(stack)
    stack.tradewind("audit", "--wait", "30")
    sums = {part: sums_of(stack, part) for part in PARTS if part != "inventory"}
    for part in PARTS:
        stack.stop(part)
    stack.archived = tmp_path_factory.mktemp("archived") / "archive"
    done(stack, "archive", stack.archived)
    stack.was = in_files(stack.archived)
    stack.sums = sums
    yield stack
    stack.whole()
    stack.wait_ready()
    audit = stack.tradewind("audit", "--wait", "30", "--json")
    assert audit["violations"] == 0, audit


@pytest.fixture
def emptied(still):
    """The same without topics; afterwards they are there again, as they were."""
    empty_topics(still)
    yield still
    if missing(still):
        empty_topics(still)
        for mark in still.archived.glob("restoring-*"):
            mark.unlink()
        done(still, "restore", still.archived)


@pytest.fixture
def ends(shop):
    return many_ends(shop)


@pytest.fixture
def clean(stack):
    yield stack
    for part in PARTS:
        stack.run_tradewind("replay", part, "--drop")
