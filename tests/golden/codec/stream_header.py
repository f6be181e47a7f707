"""Headers of streams."""

import hashlib
import os
import struct
import sys

from basics import Reader, corrupt, unsupported
from kv_profile import layer_shapes

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from xxh3 import xxh3  # noqa: E402


class Header:
    """All fields of the header, and the places of frames and side sections that follow."""

    def __init__(self, stream):
        prefix = Reader(stream)
        if prefix.bytes(8, 'magic') != b'SPOLIAKV':
            raise corrupt('magic')
        version, reserved = prefix.number(2, 'version'), prefix.number(2, 'reserved')
        if version > 1:
            raise unsupported('version')
        if version == 0 or reserved != 0:
            raise corrupt('version or reserved')
        length = prefix.number(4, 'header length')
        stream_length = prefix.number(8, 'stream length')
        checksum = prefix.number(8, 'header checksum')
        if not 32 < length <= 4 << 20 or length > len(stream):
            raise corrupt('header length')
        if xxh3(stream[32:length], xxh3(stream[:24])) != checksum:
            raise corrupt('header checksum')
        r = Reader(stream[:length])
        r.at = 32
        self.identity(r)
        self.coding(r)
        self.shapes = layer_shapes(r)
        self.layers = [heads * dimension for heads, dimension in self.shapes]
        self.groups(r)
        self.table(r, length, stream_length)
        if not r.finished():
            raise corrupt('header length')
        if stream_length != len(stream):
            raise corrupt('stream length')

    def identity(self, r):
        self.chunk_id = r.bytes(32, 'chunk id')
        fingerprint = r.bytes(32, 'model fingerprint')
        has_parent = r.choice(2, 'parent')
        parent = r.bytes(32, 'parent') if has_parent else b''
        mode = r.choice(3, 'compile mode')
        modality = self.modality = r.choice(2, 'modality')
        self.rows = r.within(1, 65536, 'rows')
        canonical = b'spolia chunk id\n' + bytes([1]) + fingerprint + bytes([has_parent]) + parent
        canonical += bytes([mode, modality])
        self.tokens = []
        if modality == 0:
            self.tokens = tokens = [r.varint('token ids') for _ in range(self.rows)]
            canonical += struct.pack(f'<I{self.rows}I', self.rows, *tokens)
        else:
            canonical += r.bytes(64, 'image') + struct.pack('<I', self.rows)
        if hashlib.sha256(canonical).digest() != self.chunk_id:
            raise corrupt('chunk id')

    def coding(self, r):
        self.element = r.choice(3, 'element type')
        self.k_form = r.choice(2, 'k_form')
        self.first_position = r.varint('first position')
        if self.k_form == 0 and self.first_position != 0:
            raise corrupt('first position')
        self.preset = r.number(1, 'preset')
        if self.preset > 3:
            raise unsupported('preset')
        self.levels = r.number(1, 'levels')
        if not 1 <= self.levels <= 16:
            raise corrupt('levels')
        self.profile = r.bytes(32, 'profile') if r.choice(2, 'profile') else None
        if self.profile == bytes(32):
            raise corrupt('profile: zeros')
        self.token_group = r.within(1, 65536, 'token group')

    def groups(self, r):
        planes = 2 * len(self.layers)
        self.plane_groups = []
        for _ in range(r.within(1, planes, 'plane groups')):
            size = r.within(1, planes, 'planes of a group')
            self.plane_groups.append([r.within(0, planes - 1, 'plane') for _ in range(size)])
        present = sorted(p for group in self.plane_groups for p in group)
        may_derive = (self.modality == 0 and self.k_form == 0 and self.profile is not None
                      and len(self.layers) > 1)
        self.derived = may_derive and present == list(range(2, planes))
        if not self.derived and present != list(range(planes)):
            raise corrupt('plane groups')

    def table(self, r, offset, stream_length):
        self.token_groups = -(-self.rows // self.token_group)
        count = self.levels * len(self.plane_groups) * self.token_groups
        if count * 12 > len(r.data) - r.at:
            raise corrupt('frame table')
        sizes = [r.number(4, 'frame sizes') for _ in range(count)]
        sums = [r.number(8, 'frame checksums') for _ in range(count)]
        seeds = list(range(1, count + 1))
        for i in range(r.varint('side sections')):
            r.varint('side section type')
            sizes.append(r.number(4, 'side section size'))
            sums.append(r.number(8, 'side section checksum'))
            seeds.append((1 << 32) + i + 1)
        start = int.from_bytes(self.chunk_id[:8], 'little')
        self.parts = []  # offset, size, checksum, seed; side sections after the frames
        for size, checksum, index in zip(sizes, sums, seeds):
            seed = (start + index * 0x9e3779b97f4a7c15) % 2 ** 64
            self.parts.append((offset, size, checksum, seed))
            offset += size
        if offset != stream_length:
            raise corrupt('frames and sections do not fill the stream')
