"""Our codec against fastavro, which shares no code with it and knows schema resolution (avro-c does not).

Events of random content are written by fastavro and read by us, and written again. Then random schemas are changed
at random, and what the one wrote is read as the other by both: same value, or refused by both.
"""

import base64
import datetime
import io
import json
import random
import struct
import subprocess

import fastavro
import pytest
from local_stack import BUILD, CHECKOUT

SCHEMAS = CHECKOUT / "schemas"
PROGRAM = BUILD / "tests/unit/events/avro-lines"
LOCK = json.loads((SCHEMAS / "ids.lock").read_text())["schemas"]


def ask(requests):
    """One answer for each request."""
    done = subprocess.run(
        [PROGRAM, SCHEMAS], input="".join(json.dumps(r) + "\n" for r in requests), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(requests)
    return answers


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def avro_bytes(schema, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


# --- values as our JSON has them -------------------------------------------------------------------------------------

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def as_json(schema, value, named):
    """What event_print_json makes of a value of schema."""
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    kind = schema["type"] if isinstance(schema, dict) else "union" if isinstance(schema, list) else schema
    if isinstance(schema, dict) and "name" in schema:
        named[schema["name"]] = schema
    if kind == "union":
        branch = next(branch for branch in schema if branch != "null")
        return None if value is None else as_json(branch, value, named)
    if kind == "record":
        return {field["name"]: as_json(field["type"], value[field["name"]], named) for field in schema["fields"]}
    if kind == "array":
        return [as_json(schema["items"], item, named) for item in value]
    if isinstance(schema, dict) and schema.get("logicalType") == "timestamp-micros":
        whole = value if isinstance(value, int) else (value - EPOCH) // datetime.timedelta(microseconds=1)
        return (EPOCH + datetime.timedelta(microseconds=whole)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if kind == "bytes":
        return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()
    if kind == "string":
        return value.decode() if isinstance(value, bytes) else value
    if kind == "float":  # fastavro leaves a promoted integer as it is
        return struct.unpack("<f", struct.pack("<f", value))[0]
    if kind == "double":
        return float(value)
    return value


# --- random values ---------------------------------------------------------------------------------------------------


def random_value(dice, schema, named, fewest=0):
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    if isinstance(schema, list):
        return random_value(dice, dice.choice(schema), named, fewest)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(schema, dict) and "name" in schema:
        named[schema["name"]] = schema
    if isinstance(schema, dict) and schema.get("logicalType") == "timestamp-micros":
        return EPOCH + datetime.timedelta(microseconds=dice.randrange(-(10**15), 10**16))
    if kind == "null":
        return None
    if kind == "boolean":
        return dice.random() < 0.5
    if kind in ("int", "long"):
        bits = dice.randrange(32 if kind == "int" else 64)
        return dice.choice((1, -1)) * (dice.getrandbits(bits) if bits else 0)
    if kind in ("float", "double"):
        return struct.unpack("<f", struct.pack("<f", dice.uniform(-1e6, 1e6)))[0]
    if kind == "bytes":
        return dice.randbytes(dice.randrange(20))
    if kind == "string":
        return "".join(dice.choice('aZ09 "\\\n\x01é€🎁') for _ in range(dice.randrange(20)))
    if kind == "fixed":
        return dice.randbytes(schema["size"])
    if kind == "enum":
        return dice.choice(schema["symbols"])
    if kind == "array":
        return [random_value(dice, schema["items"], named, fewest) for _ in range(dice.randrange(fewest, 5))]
    if kind == "map":
        return {f"k{i}": random_value(dice, schema["values"], named, fewest) for i in range(dice.randrange(4))}
    return {field["name"]: random_value(dice, field["type"], named, fewest) for field in schema["fields"]}


# --- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", LOCK, ids=lambda row: f"{row['type']}-{row['version']}")
def test_events_of_fastavro_are_read_and_written_again(row):
    text = json.loads((SCHEMAS / row["file"]).read_text())
    schema = fastavro.parse_schema(text)
    dice = random.Random(row["id"])
    head = b"\0" + row["id"].to_bytes(4, "big")
    values = [random_value(dice, text, {}) for _ in range(100)]
    written = [head + avro_bytes(schema, value) for value in values]

    answers = ask([{"value": base64url(value)} for value in written])

    newest = max((other for other in LOCK if other["type"] == row["type"]), key=lambda other: other["version"])
    ours = json.loads((SCHEMAS / newest["file"]).read_text())
    for value, answer in zip(written, answers):
        assert "error" not in answer, answer
        assert answer["type"] == row["type"]
        read = fastavro.schemaless_reader(io.BytesIO(value[5:]), schema, fastavro.parse_schema(ours))
        assert answer["event"] == as_json(ours, read, {})
        again = base64.b64decode(answer["again"])
        assert int.from_bytes(again[1:5], "big") == newest["id"]
        if row is newest:
            assert again == value


# --- schema resolution -----------------------------------------------------------------------------------------------

PROMOTED = {
    "int": ["long", "float", "double"],
    "long": ["float", "double"],
    "float": ["double"],
    "string": ["bytes"],
    "bytes": ["string"],
}
PRIMITIVES = ["boolean", "int", "long", "float", "double", "bytes", "string"]


class Maker:
    """Random writers, and readers that are changed writers. Only readers of types that have a C struct."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.names = 0

    def name(self, prefix):
        self.names += 1
        return f"{prefix}{self.names}"

    def chance(self, probability):
        return self.dice.random() < probability

    def writer(self, depth=0):
        kinds = PRIMITIVES + ["enum", "optional"] + (["array", "record", "record"] if depth < 3 else [])
        return self.writer_of(self.dice.choice(kinds), depth)

    def writer_of(self, kind, depth):
        if kind == "enum":
            return {"type": "enum", "name": self.name("E"), "symbols": [self.name("S") for _ in range(3)]}
        if kind == "array":
            item = self.writer_of(self.dice.choice(PRIMITIVES + ["enum", "optional", "record"]), depth + 1)
            return {"type": "array", "items": item}
        if kind == "optional":
            value = self.writer_of(self.dice.choice(PRIMITIVES + ["enum"]), depth)
            return self.dice.choice([["null", value], [value, "null"]])
        if kind == "record":
            fields = [self.field(depth) for _ in range(self.dice.randrange(1, 6))]
            return {"type": "record", "name": self.name("R"), "fields": fields}
        return kind

    def field(self, depth):
        if self.chance(0.15):  # what only a writer may have
            odd = [
                "null",
                {"type": "map", "values": self.dice.choice(PRIMITIVES)},
                {"type": "fixed", "name": self.name("F"), "size": self.dice.randrange(1, 9)},
                ["int", "string", {"type": "array", "items": "long"}],
            ]
            return {"name": self.name("odd"), "type": self.dice.choice(odd)}
        return {"name": self.name("f"), "type": self.writer(depth + 1)}

    def reader(self, writer):
        if isinstance(writer, list):
            value = self.value_reader(next(branch for branch in writer if branch != "null"))
            return value if self.chance(0.15) else self.dice.choice([["null", value], [value, "null"]])
        changed = self.value_reader(writer)
        if self.chance(0.85) or (isinstance(writer, dict) and writer["type"] == "array"):
            return changed
        return self.dice.choice([["null", changed], [changed, "null"]])

    def value_reader(self, writer):
        if isinstance(writer, str):
            return self.primitive_reader(writer)
        if writer["type"] == "enum":
            return self.enum_reader(writer)
        if writer["type"] == "array":
            return {"type": "array", "items": self.reader(writer["items"])}
        return self.record_reader(writer)

    def primitive_reader(self, writer):
        if self.chance(0.03):
            return self.dice.choice(PRIMITIVES)
        return self.dice.choice(PROMOTED[writer]) if writer in PROMOTED and self.chance(0.3) else writer

    def enum_reader(self, writer):
        symbols = [symbol for symbol in writer["symbols"] if self.chance(0.8)] + [self.name("S")]
        self.dice.shuffle(symbols)
        changed = {"type": "enum", "name": writer["name"], "symbols": symbols}
        if self.chance(0.7):
            changed["default"] = self.dice.choice(symbols)
        return changed

    def record_reader(self, writer):
        fields = []
        for field in writer["fields"]:
            if field["name"].startswith("odd") or self.chance(0.2):
                continue
            changed = {"name": field["name"], "type": self.reader(field["type"])}
            if self.chance(0.2):
                changed = {**changed, "name": self.name("n"), "aliases": [self.name("x"), field["name"]]}
            fields.append(changed)
        for _ in range(self.dice.randrange(3) + (not fields)):
            fields.append(self.added_field())
        self.dice.shuffle(fields)
        return {"type": "record", "name": writer["name"], "fields": fields}

    def added_field(self):
        field = {"name": self.name("a"), "type": self.writer_of(self.dice.choice(PRIMITIVES + ["enum", "optional"]), 9)}
        if self.chance(0.97):
            first = field["type"][0] if isinstance(field["type"], list) else field["type"]
            value = random_value(self.dice, first, {})
            if isinstance(value, bytes):  # ASCII: fastavro leaves a default of bytes as the text it was
                value = bytes(byte & 0x7F for byte in value).decode()
            field["default"] = value
        return field


def read_by_fastavro(writer, reader, data):
    try:
        named = {}
        stream = io.BytesIO(data)
        value = fastavro.schemaless_reader(
            stream, fastavro.parse_schema(writer, {}), fastavro.parse_schema(reader, {})
        )
        return as_json(reader, value, named)
    except (fastavro.read.SchemaResolutionError, UnicodeDecodeError) as refused:
        return refused


def test_what_one_schema_wrote_is_read_as_another_alike():
    maker = Maker(20101201)
    cases = []
    for _ in range(3000):
        writer = maker.writer_of("record", 0)
        reader = maker.record_reader(writer)
        # No empty arrays: what their items lack we say at once, and fastavro when there is one.
        value = random_value(maker.dice, writer, {}, fewest=1)
        cases.append((writer, reader, avro_bytes(fastavro.parse_schema(writer, {}), value)))

    answers = ask(
        [{"writer": json.dumps(w), "reader": json.dumps(r), "bytes": base64url(data)} for w, r, data in cases]
    )

    refused = 0
    for (writer, reader, data), answer in zip(cases, answers):
        theirs = read_by_fastavro(writer, reader, data)
        context = f"\nwriter {json.dumps(writer)}\nreader {json.dumps(reader)}\nours {answer}\ntheirs {theirs!r}"
        if isinstance(theirs, Exception):
            assert "error" in answer, context
            refused += 1
        else:
            assert answer.get("read") == theirs, context
    assert 100 < refused < 2000, "both outcomes came up often"
