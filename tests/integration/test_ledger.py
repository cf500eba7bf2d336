"""Inventory's ledger against the real document store; the tests themselves are in ledger.c."""

import os
import subprocess

from local_stack import BUILD


def test_the_ledger_keeps_its_promises(stack):
    program = BUILD / "tests" / "integration" / "test_ledger"
    environment = dict(os.environ, TRADEWIND_MONGODB=stack.settings["TRADEWIND_MONGODB"])

    done = subprocess.run([program, "-j1"], env=environment, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stdout + done.stderr
