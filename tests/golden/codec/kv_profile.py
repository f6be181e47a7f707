"""Profiles as codec/FORMAT.md describes them, every field checked."""

import hashlib
import math
import os
import struct
import sys

from basics import Reader, corrupt, unsupported
from rans import frequency_table, symbol_block

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from xxh3 import xxh3  # noqa: E402

CLASSES = 48
FINE_SYMBOLS = 81  # 3 to the fourth
MAX_BYTES, MAX_FLOAT = 256 << 20, 2.0 ** 30


LAST_PAIR = 18  # of learnt transforms


def coarse_form(step_class, last_pair=LAST_PAIR):
    """Values in a symbol of level 0, and their largest magnitude."""
    return (4, 1) if step_class < 10 else (2, 7) if step_class <= last_pair else (1, 127)


def escape_of(form):
    return (2 * form[1] + 1) ** form[0]


def layer_shapes(r):
    """Heads and head dimension of each layer; headers of streams have the same field."""
    count = r.within(1, 1024, 'layers')
    shapes = []
    while len(shapes) < count:
        run = r.within(1, count - len(shapes), 'layer run')
        heads, dimension = r.varint('KV heads'), r.varint('head dimension')
        if not 1 <= heads * dimension <= 16384:
            raise corrupt('channels')
        shapes += [(heads, dimension)] * run
    return shapes


def up_to(r, limit, what):
    return r.choice(limit + 1, what)


def signed(r, count, what):
    return struct.unpack(f'<{count}b', r.bytes(count, what))


def f32(r, what):
    return struct.unpack('<f', r.bytes(4, what))[0]


def bf16s(r, count, what, good):
    raw = struct.unpack(f'<{count}H', r.bytes(2 * count, what))
    values = [struct.unpack('<f', struct.pack('<I', v << 16))[0] for v in raw]
    if not all(math.isfinite(v) and good(v) for v in values):
        raise corrupt(what)
    return values


def rows_of(r, count, channels):
    """`count` rows of signed numbers, sixteen in a symbol block."""
    rows = []
    while len(rows) < count:
        some = min(16, count - len(rows))
        symbols = [s - 128 for s in symbol_block(r, some * channels)]
        rows += [symbols[i * channels:(i + 1) * channels] for i in range(some)]
    return rows


class Block:
    def __init__(self, r, begin, codes):
        self.begin = begin
        self.channels = r.within(1, 1 << 31, 'channels of a block')
        self.end = begin + self.channels
        self.components = r.within(0, 512, 'components')
        if self.components % 4:
            raise corrupt('components')
        self.component_scale = f32(r, 'component scale')
        if not abs(self.component_scale) <= MAX_FLOAT:
            raise corrupt('component scale')
        self.means = bf16s(r, self.channels, 'means', lambda v: True)
        self.scales = bf16s(r, self.channels, 'scales', lambda v: v > 0)
        self.map_scales = bf16s(r, self.channels, 'map scales', lambda v: abs(v) <= MAX_FLOAT)
        self.maps = rows_of(r, codes, self.channels)
        self.classes = [up_to(r, CLASSES - 1, 'class') for _ in range(self.components // 4)]
        self.shifts = [up_to(r, 8, 'shift') for _ in range(self.components)]
        self.rows = rows_of(r, self.components, self.channels)


class Transform:
    last_pair = LAST_PAIR

    def __init__(self, r, code_rank, head_bounds, first_layer):
        self.preset = r.number(1, 'preset of a transform')
        if self.preset not in (2, 3):
            raise corrupt('preset of a transform')
        self.step = f32(r, 'step')
        if not 2.0 ** -60 <= self.step <= MAX_FLOAT:
            raise corrupt('step')
        self.planes_per_group = r.number(1, 'planes per group')
        self.own_codes = up_to(r, code_rank, 'own codes')
        self.codes_before = up_to(r, code_rank, 'codes before')
        self.blocks, channel = [], 0
        for _ in range(r.varint('blocks')):
            self.blocks.append(Block(r, channel, self.own_codes + self.codes_before))
            channel = self.blocks[-1].end
        self.place_blocks(max(head_bounds) - channel, head_bounds, first_layer)
        self.coarse = [self.coarse_table(r, c) for c in range(CLASSES)]
        self.fine = [self.fine_table(r) for _ in range(CLASSES)]

    def place_blocks(self, skipped, head_bounds, first_layer):
        """`first_layer`: its channels, if it may be left out."""
        if not self.blocks or skipped not in (0, first_layer):
            raise corrupt('blocks do not cover the channels')
        for block in self.blocks:
            block.begin += skipped
            block.end += skipped
            if block.end not in head_bounds:
                raise corrupt('a block that cuts a head')

    @staticmethod
    def coarse_table(r, step_class):
        table = frequency_table(r)
        escape = escape_of(coarse_form(step_class))
        if table.frequency[escape] == 0 or any(table.frequency[escape + 1:]):
            raise corrupt('table of level 0: symbols')
        return table

    @staticmethod
    def fine_table(r):
        table = frequency_table(r)
        if not all((f > 0) == (s < FINE_SYMBOLS) for s, f in enumerate(table.frequency)):
            raise corrupt('table of the levels above: symbols')
        return table


class Profile:
    def __init__(self, data):
        self.id = hashlib.sha256(data).digest()
        r = self.prefix(data)
        r.bytes(32, 'model fingerprint')
        self.shapes = layer_shapes(r)
        self.read_codes(r)
        bounds = {0}
        for heads, dimension in self.shapes:
            for _ in range(2 * heads):
                bounds.add(max(bounds) + dimension)
        heads, dimension = self.shapes[0]
        first_layer = 2 * heads * dimension if len(self.shapes) > 1 else None
        count = up_to(r, 4, 'transforms')
        self.transforms = [Transform(r, self.code_rank, bounds, first_layer) for _ in range(count)]
        if not r.finished():
            raise corrupt('bytes left over in a profile')

    @staticmethod
    def prefix(data):
        r = Reader(data)
        if r.bytes(8, 'magic') != b'SPOLIAPR':
            raise corrupt('magic of a profile')
        version, reserved = r.number(2, 'version'), r.number(2, 'reserved')
        if version > 1:
            raise unsupported('version of a profile')
        if version == 0 or reserved != 0:
            raise corrupt('version or reserved of a profile')
        length, checksum = r.number(4, 'length'), r.number(8, 'checksum')
        if length != len(data) or length > MAX_BYTES:
            raise corrupt('length of a profile')
        if xxh3(data[24:], xxh3(data[:16])) != checksum:
            raise corrupt('checksum of a profile')
        return r

    def read_codes(self, r):
        self.code_rank = up_to(r, 128, 'code rank')
        wide = up_to(r, self.code_rank, 'wide codes')
        tokens = r.varint('tokens')
        if self.code_rank == 0 and tokens != 0:
            raise corrupt('tokens without codes')
        shifts = [up_to(r, 8, 'code shift') for _ in range(self.code_rank)]
        self.codes = []
        for _ in range(tokens):
            code = list(signed(r, wide, 'codes'))
            halves = []
            for byte in r.bytes((self.code_rank - wide + 1) // 2, 'codes'):
                halves += [byte & 15, byte >> 4]
            code += [h - 16 if h > 7 else h for h in halves[:self.code_rank - wide]]
            self.codes.append([c << s for c, s in zip(code, shifts)])

    def code_of(self, token):
        return self.codes[token] if token < len(self.codes) else [0] * self.code_rank

    def transform(self, preset):
        for transform in self.transforms:
            if transform.preset == preset:
                return transform
        raise corrupt('no transform for the preset')
