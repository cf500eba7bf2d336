"""The whole shop with TLS on the wires, as docs/how-to/speak-tls.md says."""

import re
from urllib.parse import urlsplit

import pytest
from local_stack import CHECKOUT

GUIDE = (CHECKOUT / "docs" / "how-to" / "speak-tls.md").read_text()


@pytest.fixture
def tls_shop(shop):
    shop.stack.up(tls=True)
    try:
        yield shop
    finally:
        shop.stack.up(tls=False)


def test_an_order_goes_its_way_over_tls_and_nobody_else_is_trusted(tls_shop, tmp_path):
    stack = tls_shop.stack
    for name, shape in re.findall(r"^    (TRADEWIND_\w+)=(\S+)", GUIDE, re.M):
        assert in_short(stack.settings[name]) == in_short(shape), name

    order = tls_shop.order((tls_shop.product(), 1))
    tls_shop.wait_for(order, "fulfilled")
    stack.wait_until(lambda: stack.mails(order=order)["count"], what="the mail")
    assert stack.run_tradewind("topics", "verify").returncode == 0

    strangers = "/etc/ssl/certs/ca-certificates.crt"
    assert "TRADEWIND_CA has to name a file" in complaint(stack, strangers, "groups", "pause", "fraud")
    assert "TRADEWIND_CA has to name a PEM file" in complaint(stack, "/etc/hostname", "topics", "verify")
    assert "want a path that can be read" in complaint(stack, tmp_path / "none", "topics", "verify")


def in_short(address):
    """What an address says of TLS: its protocol, and what is asked for behind it but for paths."""
    url = urlsplit(address)
    return url.scheme, re.sub(r"/[^&]*", "", url.query)


def complaint(stack, ca, *command):
    done = stack.run_tradewind(*command, settings={"TRADEWIND_CA": str(ca)})
    assert done.returncode != 0
    return done.stderr
