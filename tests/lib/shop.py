"""The shop in the hands of a test: products with stock, orders, and what became of them.

shop = Shop(stack)
mug = shop.product(stock=10, price=450)
order = shop.order((mug, 2))                    # accepted: gives its id
shop.wait_for(order, "fulfilled")
shop.events(order)                              # ["order.created", ...] as the order service tells it
shop.stock(mug)                                 # {"on_hand": 8, "held": 0, "sold": 2, "received": 10}

Every product and customer is new, so tests do not meet each other on one stack.
"""

import uuid

import requests

COMPENSATIONS = ("inventory.released", "payment.voided", "payment.refunded")


class Shop:
    def __init__(self, stack):
        self.stack = stack

    # --- Products ----------------------------------------------------------------------------------------------------

    def product(self, *, stock=100, price=500, currency="GBP", kind="goods"):
        """The SKU of a new product, in stock and known to the order service."""
        return self.products(1, stock=stock, price=price, currency=currency, kind=kind)[0]

    def products(self, count, *, stock=100, price=500, currency="GBP", kind="goods"):
        skus = [f"T{uuid.uuid4().hex[:12].upper()}" for _ in range(count)]
        common = {"kind": kind, "unit_price_minor": price, "currency": currency}
        self.ask("POST", "/products", json=[{"sku": sku, "name": f"Thing {sku}", **common} for sku in skus])
        if stock and kind == "goods":
            self.receive(*((sku, stock) for sku in skus))
        self.stack.wait_until(lambda: all(map(self.has_price, skus)), what="the order service having heard the prices")
        return skus

    def has_price(self, sku):
        return self.stack.http("GET", f"/orders/prices/{sku}", role="service").status_code == 200

    def receive(self, *receipts):
        """As who unpacks a delivery: while inventory comes back, again; the ids keep it from being counted twice."""
        body = [{"receipt_id": uuid.uuid4().hex, "sku": sku, "quantity": quantity} for sku, quantity in receipts]
        self.ask("POST", "/stock/receipts", json=body, again=True)

    def stock(self, sku):
        units = self.ask("GET", f"/stock/{sku}").json()
        return {name: units[name] for name in ("on_hand", "held", "sold", "received")}

    # --- Orders ------------------------------------------------------------------------------------------------------

    def cart(self, *lines, token="tok_approve", currency="GBP", customer=None, **more):
        """The body of POST /orders for (sku, quantity) lines, as a service sends it."""
        return {
            "customer_id": customer or f"c-{uuid.uuid4().hex[:12]}",
            "currency": currency,
            "payment_token": token,
            "contact": {"name": "Ada", "email": "ada@example.test"},
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines],
            **more,
        }

    def order(self, *lines, **more):
        """The id of an order that was accepted. more as for cart."""
        return self.ask("POST", "/orders", json=self.cart(*lines, **more)).json()["order_id"]

    def get(self, order):
        return self.ask("GET", f"/orders/{order}").json()

    def cancel(self, order):
        return self.ask("POST", f"/orders/{order}/cancel").json()

    def wait_for(self, order, state):
        """Wait until the order is in this state; gives it as GET /orders/{id} tells it."""
        return self.wait_for_all([order], state)[0]

    def wait_for_all(self, orders, state):
        ended, seen = {}, {}

        def all_are():
            for order in orders:
                if order not in ended:
                    now = self.get(order)
                    seen[order] = now["state"]
                    if now["state"] == state:
                        ended[order] = now
            return len(ended) == len(orders)

        what = f"{', '.join(orders[:3])}{'...' if len(orders) > 3 else ''} being {state}"
        try:
            self.stack.wait_until(all_are, what=what)
        except AssertionError as late:
            left = [order for order in orders if order not in ended][:5]
            waits = {order: f"{seen.get(order)}, waits for {self.get(order)['waits_for']}" for order in left}
            raise AssertionError(f"{late}; {waits}") from None
        return [ended[order] for order in orders]

    def events(self, order):
        """Types of the events of an order that the order service has seen, oldest first."""
        return [event["type"] for event in self.get(order)["history"]]

    def undone(self, order):
        """The compensations among them."""
        return sorted(type for type in self.events(order) if type in COMPENSATIONS)

    # --- Money -------------------------------------------------------------------------------------------------------

    def provider(self, method, path, **more):
        url = self.stack.settings["TRADEWIND_PROVIDER"] + path
        answer = self.stack.wait_until(
            lambda: not_busy(requests.request(method, url, timeout=10, **more)), what=f"the provider's answer to {path}"
        )
        answer.raise_for_status()
        return answer.json()

    def sandbox(self, **knobs):
        """Turn knobs of the sandbox provider: latency_ms, slow_ms, lost_ms, down. Gives what they were."""
        before = self.provider("GET", "/v1/sandbox")
        self.provider("PUT", "/v1/sandbox", json=knobs)
        return before

    def booked(self, order):
        """What the provider's own book has of an order: kind and outcome of each operation, as they were booked."""
        operations = self.provider("GET", f"/v1/operations?merchant_ref={order}")["operations"]
        return [(operation["kind"], operation["outcome"]) for operation in operations]

    # --- Parts -------------------------------------------------------------------------------------------------------

    def dead_letters(self, part):
        """Of a part that runs or is just starting."""

        def listed():
            answer = self.stack.http("GET", f"/parts/{part}/dead-letters", role="operator")
            return answer if answer.status_code == 200 else None

        return self.stack.wait_until(listed, what=f"{part} listing its dead letters").json()

    def ask(self, method, path, *, role="service", again=False, **more):
        """A request that has to succeed; a question, or what may be said again, is repeated while what would answer it
        comes back."""
        answer = self.stack.http(method, path, role=role, **more)
        if (method == "GET" or again) and answer.status_code == 503:
            answer = self.stack.wait_until(
                lambda: not_busy(self.stack.http(method, path, role=role, **more)), what=f"an answer to {path}"
            )
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def records(self, topic, order):
        """The records of an order in a topic, as confluent_kafka messages."""
        return [message for message in self.stack.consume(topic) if message.key() == order.encode()]


def not_busy(answer):
    return answer if answer.status_code != 503 else None
