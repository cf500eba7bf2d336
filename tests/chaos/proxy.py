"""A TCP proxy between the parts and what they talk to, which can be told to be a bad network. A process of its own.

    proxy.py NAME=PORT:PORT ...         listens on the first port of each, on loopback, and passes on to the second

It takes orders from standard input, a line of JSON each: {"route": NAME, "does": WORD, ...}, and ends with it.

    pass       everything, from now on
    delay      each piece of data waits for ms
    stall      nothing is passed on
    swallow    what the server says is thrown away; what it is told still reaches it
    flip       one bit of each so manieth piece is another one, both drawn by seed; pieces: 1 in how many
    refuse     who connects is hung up on
    cut        all connections are closed, now, as by a polite end
    reset      all connections are reset, now
    count      says on standard output what flip did since the start: {"pieces": n, "connections": n, "alive": n}, alive
               being connections that had a bit flipped and have not ended
"""

import asyncio
import json
import random
import socket
import struct
import sys

import uvloop

PIECE = 1 << 16
RECORD_HEADER = 5  # bytes of TLS


class Route:
    def __init__(self, port, target):
        self.port, self.target = port, target
        self.does, self.order = "pass", {}
        self.connections = set()  # of writers
        self.flipped = {"pieces": 0, "connections": 0}
        self.hit = set()  # connections with a flipped bit that have not ended, each by its two writers
        self.flows = asyncio.Event()
        self.flows.set()

    async def serve(self):
        self.server = await asyncio.start_server(self.take, "127.0.0.1", self.port, limit=PIECE)

    def obey(self, order):
        if order["does"] in ("cut", "reset"):
            for writer in tuple(self.connections):
                hang_up(writer, order["does"] == "reset")
            return
        if order["does"] == "count":
            print(json.dumps({**self.flipped, "alive": len(self.hit)}), flush=True)
            return
        self.does, self.order = order["does"], order
        self.draw = random.Random(order.get("seed"))
        if self.does == "stall":
            self.flows.clear()
        else:
            self.flows.set()

    async def take(self, reader, writer):
        if self.does == "refuse":
            hang_up(writer, True)
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=PIECE)
        except OSError:
            hang_up(writer, True)
            return
        both = frozenset((writer, server_writer))
        for one in both:
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections |= both
        try:
            await asyncio.gather(
                self.pump(reader, server_writer, True, both), self.pump(server_reader, writer, False, both)
            )
        finally:
            self.connections -= both
            self.hit.discard(both)

    async def pump(self, reader, writer, is_request, both):
        try:
            while data := await reader.read(PIECE):
                data = await self.travel(data, is_request, both)
                writer.write(data)
                await writer.drain()
        except (OSError, RuntimeError):  # uvloop says the second of a connection that was closed here
            hang_up(writer, True)
        else:
            writer.close()

    async def travel(self, data, is_request, both):
        await self.flows.wait()
        if self.does == "delay":
            await asyncio.sleep(self.order["ms"] / 1000)
        elif self.does == "swallow" and not is_request:
            return b""
        elif self.does == "flip" and self.draw.randrange(self.order["pieces"]) == 0:
            self.flipped["pieces"] += 1
            self.flipped["connections"] += both not in self.hit
            self.hit.add(both)
            return with_one_bit_flipped(data, self.draw)
        return data


def with_one_bit_flipped(data, draw):
    """Half of them among the first bytes, where TLS says how many follow: who believes that waits for more."""
    most = RECORD_HEADER if draw.random() < 0.5 else len(data)
    flipped = bytearray(data)
    flipped[draw.randrange(min(most, len(data)))] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def hang_up(writer, with_reset):
    try:
        if with_reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()
    except (OSError, ValueError):
        pass  # it has gone by itself; then its socket's number is no number


async def main(words):
    routes = {}
    for name, _, ports in (word.partition("=") for word in words):
        routes[name] = Route(*map(int, ports.split(":")))
        await routes[name].serve()
    print("ready", flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while line := await orders.readline():
        order = json.loads(line)
        routes[order["route"]].obey(order)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))  # with less than half the CPU of asyncio's own loop, which would be a third of a run's
