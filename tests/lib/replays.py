"""tradewind replay in the hands of a test."""

import json
import os
import subprocess

from local_stack import BUILD


def program():
    return BUILD / "ops" / "replay" / "tradewind-replay"


def replay(stack, part, *options, code=0):
    """What the command says, with the exit code that is wanted."""
    done = stack.run_tradewind("replay", part, *options, "--json")
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    return json.loads(done.stdout)


def start_slow(stack, part, *options):
    """One that runs, at an event a second: it ends only when it is killed."""
    process = subprocess.Popen(
        [program(), "replay", part, "--rate", "1", *options],
        env={**os.environ, **stack.settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "events" in process.stderr.readline()  # it says how far it is
    return process


def refused(stack, *words, code=2, settings=None):
    """The one sentence that a refusal ends in."""
    done = stack.run_tradewind("replay", *words, settings=settings)
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    lines = [line for line in done.stderr.splitlines() if line.startswith("tradewind replay: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def equal(stack, part):
    answer = replay(stack, part, "--fresh", "--compare")
    assert answer["equal"] and answer["differences"] == []
    return answer


def many_ends(shop):
    """Orders that have walked every way there is through payment."""
    mug = shop.product(stock=1000)
    ends = {"fulfilled": [], "closed": []}
    for token, end in (("tok_approve", "fulfilled"), ("tok_decline", "closed"), ("tok_capture_fail", "closed")):
        ends[end] += [shop.order((mug, 1), token=token) for _ in range(4)]
    ends["closed"] += [shop.order((mug, 5000))]  # out of stock
    late = shop.order((mug, 1))
    shop.wait_for(late, "fulfilled")
    shop.cancel(late)
    ends["closed"] += [late]
    for state, orders in ends.items():
        shop.wait_for_all(orders, state)
    return ends


def log_of(stack, part):
    return stack.tradewind("ops", "log", "--part", part, "--json")  # exit 1 would tell of a gap


def lose_database(stack, part):
    """As an operator does it, and what the local stack makes of it: an empty database."""
    stack.stop(part)
    if part == "inventory":
        database = stack.mongodb()
        database.client.drop_database(database.name)
        stack.command("up")
        return
    uri = stack.database_uri(part).rpartition("/")[0] + "/postgres"
    stack.sql(part, f"DROP DATABASE {part} WITH (FORCE)", uri)
    stack.command("up")
