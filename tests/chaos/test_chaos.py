"""The shop is open, orders come in, and things fail: processes of ours are killed, frozen and terminated, servers too,
the network, the provider and the mail server misbehave, records come twice or are rubbish, and more.

Whoever was told 201 has an order that ended, fulfilled or fully undone, once; and all else that was promised holds.
"""

import os

import chaos

SEED = int(os.environ.get("CHAOS_SEED", "20101201"))
ORDERS, FAULTS, KINDS = 20000, 40, 25


def test_every_promise_is_kept_whatever_fails(running_stack):
    struck, found = chaos.run(running_stack, SEED, ORDERS, FAULTS)

    assert not any(found.values()), {rule: texts[:3] for rule, texts in found.items() if texts}
    assert len(struck) >= KINDS
    assert sum(struck.values()) >= FAULTS - 5, "most of the faults have struck"
    assert struck["all_killed"], "each part has been killed"
    assert said(running_stack, "gap"), "no gap was noticed"
    assert said(running_stack, "relay_nack"), "no NACK was obeyed"


def said(stack, what):
    return any(f'"{what}"' in log.read_text(errors="replace") for log in (stack.state / "log").glob("*.log"))
