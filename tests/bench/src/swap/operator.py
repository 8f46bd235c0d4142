"""Passes each record on: the smallest mapper in Python, for what it costs to upload one."""

from wit_world import exports
from wit_world.imports import types


class Mapping(exports.Mapping):
    def process(self, input: types.Batch) -> types.Output:
        absent = types.Column(b"", b"", b"")
        return types.Output(input.count, b"", b"", b"", absent, absent, absent, [])
