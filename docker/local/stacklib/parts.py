"""The parts, as docker/compose.yaml lists them."""

from dataclasses import dataclass

import yaml

from .layout import CHECKOUT, StackError

COMPOSE = CHECKOUT / "docker" / "compose.yaml"
SECOND_INSTANCE = 10  # how far its port is above the first's


@dataclass(frozen=True)
class Part:
    name: str
    program: str
    settings: tuple  # names of the settings it takes
    port: int  # offset from the port base
    database: bool = False
    routes: tuple = ()
    open: tuple = ()  # those that anybody may read
    reads: tuple = ()
    single: bool = False
    one_leads: bool = False

    def instances(self, count):
        return 1 if self.single else count

    def address(self, layout, instance=1):
        return f"127.0.0.1:{layout.base + self.port + SECOND_INSTANCE * (instance - 1)}"

    def http_setting(self):
        return f"TRADEWIND_{self.name.upper()}_HTTP"

    def database_setting(self):
        return f"TRADEWIND_{self.name.upper()}_DATABASE"


def _part(name, service):
    try:
        ours = service["x-tradewind"]
        return Part(
            name=name,
            program=service["command"][0],
            settings=tuple(service["environment"]),
            port=int(ours["port"]),
            database=bool(ours.get("database")),
            routes=tuple(ours.get("routes", ())),
            open=tuple(ours.get("open", ())),
            reads=tuple(ours.get("reads", ())),
            single=bool(ours.get("single")),
            one_leads=bool(ours.get("one-leads")),
        )
    except (KeyError, IndexError, TypeError) as problem:
        raise StackError(f"docker/compose.yaml, service {name}: {problem} is missing or of the wrong kind") from None


def read_parts():
    document = yaml.load(COMPOSE.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    parts = [_part(name, service) for name, service in document["services"].items()]
    seen = {}
    for part in parts:
        other = seen.setdefault(part.port, part)
        if other is not part:
            raise StackError(f"docker/compose.yaml: {other.name} and {part.name} both have port {part.port}")
    return parts
