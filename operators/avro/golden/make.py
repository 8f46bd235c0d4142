"""Writes orders.jsonl: values as Confluent's Avro serialiser writes them, encoded by fastavro, which shares no code with
the operator. Each line: the value in hex, and the JSON that the operator must make of it.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install fastavro==1.13.1 && /tmp/venv/bin/python make.py
"""

import io
import json
import pathlib
import struct

import fastavro

here = pathlib.Path(__file__).parent

ORDER = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "customer", "type": {"type": "record", "name": "Customer", "fields": [
            {"name": "name", "type": "string"},
            {"name": "country", "type": ["null", "string"], "default": None},
        ]}},
        {"name": "amount", "type": "double"},
        {"name": "weight", "type": "float"},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID", "SENT"]}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {"name": "extra", "type": {"type": "map", "values": "int"}},
        {"name": "photo", "type": "bytes"},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
        {"name": "gift", "type": "boolean"},
    ],
}
# The next version of the schema, under its own id.
ORDER_2 = json.loads(json.dumps(ORDER))
ORDER_2["fields"].append({"name": "parent", "type": ["null", "long"], "default": None})
# It refers to itself, and has a logical type.
TREE = {"type": "record", "name": "shop.Tree", "fields": [
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "below", "type": {"type": "array", "items": "Tree"}},
]}
SCHEMAS = {7: ORDER, 70000: ORDER_2, 3: {"type": "string"}, 4: TREE}


def order(number, country, state):
    return {
        "id": number * 1_000_000_007 - 5,
        "customer": {"name": f"Zoë {number}", "country": country},
        "amount": number * 1.25,
        "weight": 0.1,
        "state": state,
        "tags": [f"t{n}" for n in range(number % 3)],
        "extra": {"a": -number} if number % 2 else {},
        "photo": bytes([0, 127, 128, 255]),
        "digest": b"\x00\xffAZ",
        "gift": number % 2 == 0,
    }


def as_json(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {name: as_json(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    return value


rows = [(7, order(n, country, state)) for n, (country, state) in enumerate(
    [("DE", "NEW"), (None, "PAID"), ("AT", "SENT"), ("DE", "PAID"), ("", "NEW")])]
rows += [(70000, {**order(5, "DE", "SENT"), "parent": parent}) for parent in (None, -1, 2**62)]
rows += [(4, {"day": 1, "below": [{"day": 2, "below": []}, {"day": -3, "below": [{"day": 4, "below": []}]}]})]
rows += [(3, text) for text in ("", "plain", "\u0000\u20ac")]

with open(here / "orders.jsonl", "w") as lines:
    for schema_id, value in rows:
        out = io.BytesIO()
        # A date is given as its number of days.
        schema = json.loads(json.dumps(SCHEMAS[schema_id]).replace(', "logicalType": "date"', ""))
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
        wire = struct.pack(">bI", 0, schema_id) + out.getvalue()
        lines.write(json.dumps({"wire": wire.hex(), "json": as_json(value)}) + "\n")
with open(here / "schemas.json", "w") as file:
    json.dump({str(schema_id): schema for schema_id, schema in SCHEMAS.items()}, file, indent=2)
    file.write("\n")
