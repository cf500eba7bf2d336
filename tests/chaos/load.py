"""An open-loop load of orders through the public door, which keeps a log of what it was promised (promises.py).

Orders leave at their time, however late earlier ones are answered. Each is sent again under its key until the shop says
yes or no; some keys are sent once more after the yes, and some orders are cancelled, at once or in the midst of it.
"""

import asyncio
import json
import random
import threading
import time
from dataclasses import dataclass

ANSWER_S = 15
RETRY_S = (0.2, 0.4, 0.8, 1.5)
PATIENCE_S = 90  # for an answer, once nothing fails any more
CONNECTIONS = 256
TRY_AGAIN = (408, 409, 429, 500, 502, 503, 504)
TOKENS = (("tok_approve", 90), ("tok_decline", 5), ("tok_capture_fail", 3), ("tok_timeout_once", 2))


class Door:
    """As much HTTP/1.1 as talking to our own door takes, on kept connections."""

    def __init__(self, address, token, tls=None):
        self.host, self.port = address.split(":")
        self.token, self.tls = token, tls
        self.idle = []
        self.room = asyncio.Semaphore(CONNECTIONS)

    async def post(self, path, body=None, key=None):
        """(status, body) or (0, reason) when there was no whole answer."""
        async with self.room:
            streams = None
            try:
                streams = self.idle.pop() if self.idle else await self._connect()
                status, text, stays = await asyncio.wait_for(self._ask(*streams, path, body, key), ANSWER_S)
                if stays:
                    self.idle.append(streams)
                    streams = None
                return status, text
            except (OSError, EOFError, ValueError, asyncio.TimeoutError) as problem:
                return 0, repr(problem)
            finally:
                if streams:
                    streams[1].close()

    async def _connect(self):
        opened = asyncio.open_connection(self.host, self.port, ssl=self.tls)
        return await asyncio.wait_for(opened, ANSWER_S)

    async def _ask(self, reader, writer, path, body, key):
        head = f"POST {path} HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {self.token}\r\n"
        head += f"Idempotency-Key: {key}\r\n" if key else ""
        data = json.dumps(body).encode() if body is not None else b""
        head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(answer.partition("content-length:")[2].split("\r\n")[0])
        text = await reader.readexactly(length)
        return int(answer.split(" ", 2)[1]), text.decode(), "connection: close" not in answer

    def close(self):
        for _, writer in self.idle:
            writer.close()


@dataclass(frozen=True)
class Orders:
    """What is ordered."""

    count: int
    rate: float  # a second
    seed: int


class Load:
    def __init__(self, door, prices, orders, run, log):
        self.door, self.rate, self.orders, self.run, self.log = door, orders.rate, orders.count, run, log
        self.prices = prices  # sku -> price
        self.skus = sorted(prices)
        self.random = random.Random(f"load {orders.seed}")
        self.sent = self.accepted = 0
        self.calm_at = None
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self):
        self.thread.start()

    def calm(self):
        """Nothing fails any more: from now on answers have to come."""
        self.calm_at = time.monotonic()

    def join(self):
        self.thread.join()

    @property
    def is_over(self):
        return not self.thread.is_alive()

    async def _run(self):
        started = time.monotonic()
        under_way = set()
        while self.sent < self.orders:
            if time.monotonic() - started < self.sent / self.rate:
                await asyncio.sleep(0.002)
                continue
            self.sent += 1
            task = asyncio.create_task(self._order(self.sent, self._draw(self.sent)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.gather(*under_way)
        self.door.close()

    def _draw(self, number):
        draw = self.random
        lines = [{"sku": sku, "quantity": draw.randint(1, 3)} for sku in draw.sample(self.skus, draw.randint(1, 3))]
        cancel = draw.random() < 0.05
        order = {
            "key": f"{self.run}-{number}",
            "total": sum(self.prices[line["sku"]] * line["quantity"] for line in lines),
            "again": draw.random() < 0.03,
            "cancel_after_s": draw.choice((0, 0, draw.uniform(0, 3))) if cancel else None,
            "body": {
                "customer_id": f"{self.run}-{number}",
                "currency": "GBP",
                "payment_token": draw.choices(*zip(*TOKENS))[0],
                "lines": lines,
            },
        }
        if draw.random() < 0.25:
            order["body"]["contact"] = {"name": f"Customer {number}", "email": f"c{number}@example.test"}
        return order

    async def _order(self, number, order):
        body, key = order["body"], order["key"]
        mail = "contact" in body
        self.log.write(asked=number, customer=body["customer_id"], key=key, total=order["total"], mail=mail)
        order_id = await self._place(number, body, key)
        if order_id is None:
            return
        self.accepted += 1
        if order["again"]:
            await self._place(number, body, key)
        if order["cancel_after_s"] is not None:
            await asyncio.sleep(order["cancel_after_s"])
            await self._cancel(order_id)

    async def _place(self, number, body, key):
        status, text = await self._until_answered("/orders", body, key)
        if status == 201:
            order_id = json.loads(text)["order_id"]
            self.log.write(promised=number, order=order_id)
            return order_id
        if status in (0, *TRY_AGAIN):
            self.log.write(unanswered=number)
        else:
            self.log.write(refused=number, status=status, body=text)
        return None

    async def _cancel(self, order_id):
        status, text = await self._until_answered(f"/orders/{order_id}/cancel")
        if status in (200, 202):
            self.log.write(cancelled=order_id)
        elif status not in (0, *TRY_AGAIN):
            self.log.write(refused=order_id, status=status, body=text)

    async def _until_answered(self, path, body=None, key=None):
        """The first answer that no repeat would change, or the last one when patience is at its end."""
        tries = 0
        while True:
            status, text = await self.door.post(path, body, key)
            late = self.calm_at and time.monotonic() > self.calm_at + PATIENCE_S
            if late or status not in (0, *TRY_AGAIN):
                return status, text
            await asyncio.sleep(RETRY_S[min(tries, len(RETRY_S) - 1)])
            tries += 1
