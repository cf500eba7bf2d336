"""The network of a run: what parts talk to is reached through a proxy (proxy.py) that can be made a bad one."""

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

STORES = ("orders", "catalog", "payment", "fraud", "email", "analytics", "provider")  # whose database is PostgreSQL
FIRST_PORT = 40  # of the proxy's, from the stack's port base
PORTS = {"door": 0, "mongodb": 5, "smtp": 6, "provider": 17}  # of what is behind it; docker/local/README.md
BROKERS = {"kafka": 2, "kafka-2": 30, "kafka-3": 32}
POSTGRES = 4

ROUTES = {**PORTS, **BROKERS, **{f"{part}-database": POSTGRES for part in STORES}}


class Network:
    def __init__(self, stack, brokers):
        self.stack, self.brokers = stack, tuple(BROKERS)[:brokers]
        self.base = int(stack.environment["TRADEWIND_PORT_BASE"])
        self.ports = {name: self.base + FIRST_PORT + place for place, name in enumerate(ROUTES)}
        words = [f"{name}={self.ports[name]}:{self.base + ROUTES[name]}" for name in ROUTES]
        proxy = [sys.executable, "-B", Path(__file__).with_name("proxy.py"), *words]
        self.process = subprocess.Popen(proxy, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", "the proxy does not start"

    def address(self, name):
        return f"127.0.0.1:{self.ports[name]}"

    def settings(self):
        """Those that send parts through the proxy, for Stack.up."""
        settings = {
            "TRADEWIND_KAFKA": ",".join(map(self.address, self.brokers)),
            "inventory:TRADEWIND_MONGODB": f"mongodb://{self.address('mongodb')}/inventory",
            "payment:TRADEWIND_PROVIDER": f"http://{self.address('provider')}",
            "email:TRADEWIND_SMTP": f"smtp://{self.address('smtp')}",
        }
        for part in STORES:
            uri = urlsplit(self.stack.database_uri(part))
            there = uri.netloc.rpartition(":")[0].rpartition("@")[0] + "@" + self.address(f"{part}-database")
            settings[f"{part}:TRADEWIND_{part.upper()}_DATABASE"] = uri._replace(netloc=there).geturl()
        return settings

    def tell(self, route, does, **more):
        self.process.stdin.write(json.dumps({"route": route, "does": does, **more}) + "\n")
        self.process.stdin.flush()

    def heal(self):
        for route in ROUTES:
            self.tell(route, "pass")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
