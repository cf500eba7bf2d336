"""A TCP proxy between the parts and what they talk to, which can be told to be a bad network. A process of its own.

    proxy.py NAME=PORT:PORT ...         listens on the first port of each, on loopback, and passes on to the second

It takes orders from standard input, a line of JSON each: {"route": NAME, "does": WORD, ...}, and ends with it.

    pass       everything, from now on
    delay      each piece of data waits for ms
    stall      nothing is passed on
    swallow    what the server says is thrown away; what it is told still reaches it
    refuse     who connects is hung up on
    cut        all connections are closed, now, as by a polite end
    reset      all connections are reset, now
"""

import asyncio
import json
import socket
import struct
import sys

PIECE = 1 << 16


class Route:
    def __init__(self, port, target):
        self.port, self.target = port, target
        self.does, self.order = "pass", {}
        self.connections = set()  # of writers
        self.flows = asyncio.Event()
        self.flows.set()

    async def serve(self):
        self.server = await asyncio.start_server(self.take, "127.0.0.1", self.port, limit=PIECE)

    def obey(self, order):
        if order["does"] in ("cut", "reset"):
            for writer in tuple(self.connections):
                hang_up(writer, order["does"] == "reset")
            return
        self.does, self.order = order["does"], order
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
        both = {writer, server_writer}
        for one in both:
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections |= both
        try:
            await asyncio.gather(self.pump(reader, server_writer, True), self.pump(server_reader, writer, False))
        finally:
            self.connections -= both

    async def pump(self, reader, writer, is_request):
        try:
            while data := await reader.read(PIECE):
                data = await self.travel(data, is_request)
                writer.write(data)
                await writer.drain()
        except OSError:
            hang_up(writer, True)
        else:
            writer.close()

    async def travel(self, data, is_request):
        await self.flows.wait()
        if self.does == "delay":
            await asyncio.sleep(self.order["ms"] / 1000)
        elif self.does == "swallow" and not is_request:
            return b""
        return data


def hang_up(writer, with_reset):
    try:
        if with_reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()
    except OSError:
        pass  # it has gone by itself


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
    asyncio.run(main(sys.argv[1:]))
