"""The network of a run: what parts talk to is reached through a proxy (proxy.py) that can be made a bad one."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

from parts import ON_POSTGRESQL

STORES = (*ON_POSTGRESQL, "provider")  # whose database is PostgreSQL
FIRST_PORT = 40  # of the proxy's, from the stack's port base
PORTS = {"door": 0, "mongodb": 5, "smtp": 6, "provider": 17}  # of what is behind it; docker/local/README.md
TLS_PORTS = {"door": 1, "provider": 34}  # those that are others with TLS
BROKERS = {"kafka": 2, "kafka-2": 30, "kafka-3": 32}
POSTGRES = 4

ROUTES = {**PORTS, **BROKERS, **{f"{part}-database": POSTGRES for part in STORES}}


class Network:
    def __init__(self, stack, brokers, tls):
        self.stack, self.brokers, self.tls = stack, tuple(BROKERS)[:brokers], tls
        self.asking = threading.Lock()
        self.base = int(stack.environment["TRADEWIND_PORT_BASE"])
        self.ports = {name: self.base + FIRST_PORT + place for place, name in enumerate(ROUTES)}
        behind = {**ROUTES, **(TLS_PORTS if tls else {})}
        words = [f"{name}={self.ports[name]}:{self.base + behind[name]}" for name in ROUTES]
        proxy = [sys.executable, "-B", Path(__file__).with_name("proxy.py"), *words]
        self.process = subprocess.Popen(proxy, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", "the proxy does not start"

    def address(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def settings(self):
        """Those that send parts through the proxy, for Stack.up."""
        ours = self.stack.settings
        ssl = "ssl://" if self.tls else ""
        settings = {
            "TRADEWIND_KAFKA": ",".join(ssl + self.address(name) for name in self.brokers),
            "inventory:TRADEWIND_MONGODB": self._led_through("mongodb", ours["TRADEWIND_MONGODB"]),
            "payment:TRADEWIND_PROVIDER": self._led_through("provider", ours["TRADEWIND_PROVIDER"]),
            "email:TRADEWIND_SMTP": self._led_through("smtp", ours["TRADEWIND_SMTP"]),
        }
        for part in STORES:
            uri = self.stack.database_uri(part)
            settings[f"{part}:TRADEWIND_{part.upper()}_DATABASE"] = self._led_through(f"{part}-database", uri)
        return settings

    def _led_through(self, route, address):
        uri = urlsplit(address)
        user, at, _ = uri.netloc.rpartition("@")
        return uri._replace(netloc=user + at + self.address(route)).geturl()

    def tell(self, route, does, **more):
        self.process.stdin.write(json.dumps({"route": route, "does": does, **more}) + "\n")
        self.process.stdin.flush()

    def flipped(self, route):
        """What bits_flipped has done to it: {"pieces", "connections", "alive"}."""
        with self.asking:
            self.tell(route, "count")
            return json.loads(self.process.stdout.readline())

    def heal(self):
        for route in ROUTES:
            self.tell(route, "pass")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
