"""An open-loop load of orders with a memory of its own: what it was promised, whatever happens to the shop."""

import random
import threading
import time
import uuid

import requests

ANSWER_S = 20
RETRY_S = 0.2


class Load:
    """Orders at a rate through the door, each sent again under its key until the shop says yes or no.

    promised   order id -> what was ordered, for each 201
    refused    (status, body) of each other final answer
    unanswered keys whose order was never answered when the load was stopped
    """

    def __init__(self, stack, skus, rate, seed):
        self.stack, self.skus, self.rate = stack, skus, rate
        self.random = random.Random(seed)
        self.promised, self.refused, self.unanswered = {}, [], []
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.threads = []

    def start(self, senders=24):
        self.started = time.monotonic()
        self.sent = 0
        self.threads = [threading.Thread(target=self._send, daemon=True) for _ in range(senders)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(ANSWER_S * 3)

    def _next(self):
        """The next order when its time has come; None when the load is over."""
        while not self.stopped.is_set():
            with self.lock:
                if time.monotonic() - self.started >= self.sent / self.rate:
                    self.sent += 1
                    return self._order(self.sent)
            time.sleep(0.002)
        return None

    def _order(self, number):
        token = self.random.choices(
            ["tok_approve", "tok_decline", "tok_capture_fail", "tok_timeout_once"], [90, 5, 3, 2]
        )[0]
        lines = [
            {"sku": self.random.choice(self.skus), "quantity": self.random.randint(1, 3)}
            for _ in range(self.random.randint(1, 3))
        ]
        return {
            "key": uuid.uuid4().hex,
            "cancel": self.random.random() < 0.05,
            "body": {
                "customer_id": f"crash-{number}",
                "country": "United Kingdom",
                "currency": "GBP",
                "payment_token": token,
                "contact": {"name": f"Customer {number}", "email": f"crash-{number}@example.test"},
                "lines": lines,
            },
        }

    def _send(self):
        session = requests.Session()
        door = self.stack.settings["TRADEWIND_DOOR"]
        headers = {"Authorization": f"Bearer {self.stack.token('service', 'crash-test')}"}
        while (order := self._next()) is not None:
            answer = self._until_answered(session, door, headers, order)
            with self.lock:
                if answer is None:
                    self.unanswered.append(order["key"])
                elif answer.status_code == 201:
                    self.promised[answer.json()["order_id"]] = order
                else:
                    self.refused.append((answer.status_code, answer.text))
            if answer is not None and answer.status_code == 201 and order["cancel"]:
                self._cancel(session, door, headers, answer.json()["order_id"])

    def _until_answered(self, session, door, headers, order):
        """201 or a refusal for good; the same key as often as it takes. None: the load was stopped meanwhile."""
        give_up = None
        while True:
            try:
                answer = session.post(
                    door + "/orders",
                    json=order["body"],
                    headers={**headers, "Idempotency-Key": order["key"]},
                    timeout=ANSWER_S,
                )
                if answer.status_code not in (409, 429, 502, 503, 504):
                    return answer
            except requests.RequestException:
                pass
            if self.stopped.is_set():
                give_up = give_up or time.monotonic() + ANSWER_S
                if time.monotonic() > give_up:
                    return None
            time.sleep(RETRY_S)

    def _cancel(self, session, door, headers, order_id):
        try:
            session.post(f"{door}/orders/{order_id}/cancel", headers=headers, timeout=ANSWER_S)
        except requests.RequestException:
            pass  # a cancellation that was lost is a cancellation that was not asked for
