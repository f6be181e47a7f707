"""A second decoder of KV streams, written from codec/FORMAT.md alone: clear, slow, standard library.

  decode.py STREAM           writes the values to stdout, in the stream's element type, ordered by
                             layer, K before V, token, head, channel
  decode.py --check DIR...   decodes each DIR/*.stream and compares it with the *.values beside it;
                             what DIR/refused.csv lists has to be refused with the code it names

Exits 1 when a stream is refused or a comparison fails.
"""

import csv
import glob
import hashlib
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from xxh3 import xxh3  # noqa: E402

ELEMENT_BYTES = {0: 4, 1: 2, 2: 2}
LARGEST = {0: (2 - 2 ** -23) * 2.0 ** 127, 1: 65504.0, 2: (2 - 2 ** -7) * 2.0 ** 127}
LANES, TOTAL, FLOOR = 32, 4096, 65536


class Refused(Exception):
    def __init__(self, code, what):
        super().__init__(f'{code}: {what}')
        self.code = code


def corrupt(what):
    return Refused('corrupt', what)


def unsupported(what):
    return Refused('unsupported', what)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, count, what):
        if count > len(self.data) - self.at:
            raise corrupt(f'{what}: cut off')
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, size, what):
        return int.from_bytes(self.bytes(size, what), 'little')

    def varint(self, what):
        value = 0
        for shift in range(0, 35, 7):
            byte = self.number(1, what)
            value |= (byte & 127) << shift
            if byte < 128:
                if (byte == 0 and shift > 0) or value >= 1 << 32:
                    break
                return value
        raise corrupt(f'{what}: no varint')

    def within(self, low, high, what):
        value = self.varint(what)
        if not low <= value <= high:
            raise corrupt(f'{what}: {value}')
        return value

    def choice(self, count, what):
        value = self.number(1, what)
        if value >= count:
            raise corrupt(f'{what}: {value}')
        return value

    def finished(self):
        return self.at == len(self.data)


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
        self.shapes(r)
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
        modality = r.choice(2, 'modality')
        self.rows = r.within(1, 65536, 'rows')
        canonical = b'spolia chunk id\n' + bytes([1]) + fingerprint + bytes([has_parent]) + parent
        canonical += bytes([mode, modality])
        if modality == 0:
            tokens = [r.varint('token ids') for _ in range(self.rows)]
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

    def shapes(self, r):
        count = r.within(1, 1024, 'layers')
        self.layers = []
        while len(self.layers) < count:
            run = r.within(1, count - len(self.layers), 'layer run')
            heads, dimension = r.varint('KV heads'), r.varint('head dimension')
            if not 1 <= heads * dimension <= 16384:
                raise corrupt('channels')
            self.layers += [heads * dimension] * run

    def groups(self, r):
        planes = 2 * len(self.layers)
        self.plane_groups = []
        for _ in range(r.within(1, planes, 'plane groups')):
            size = r.within(1, planes, 'planes of a group')
            self.plane_groups.append([r.within(0, planes - 1, 'plane') for _ in range(size)])
        if sorted(p for group in self.plane_groups for p in group) != list(range(planes)):
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


class Bits:
    def __init__(self, r):
        self.r, self.byte, self.left = r, 0, 0

    def get(self, count):
        value = 0
        for i in range(count):
            if self.left == 0:
                self.byte, self.left = self.r.number(1, 'frequency table'), 8
            value |= (self.byte & 1) << i
            self.byte >>= 1
            self.left -= 1
        return value


def frequency_table(r):
    first, last, order = (r.number(1, 'frequency table') for _ in range(3))
    if first > last or order > 7:
        raise corrupt('frequency table: symbols or order')
    bits, frequency, previous, left = Bits(r), [0] * 256, 0, TOTAL
    for symbol in range(first, last):
        zeros = 0
        while bits.get(1) == 0:
            zeros += 1
            if zeros > 13:
                raise corrupt('frequency table: code')
        width = order + zeros
        zigzag = (bits.get(width) | 1 << width) - (1 << order)
        previous += zigzag >> 1 if zigzag % 2 == 0 else -(zigzag + 1 >> 1)
        if not 0 <= previous <= left:
            raise corrupt('frequency table: sum')
        frequency[symbol] = previous
        left -= previous
    if left == 0:
        raise corrupt('frequency table: last symbol')
    frequency[last] = left
    return frequency


def rans(body, count):
    r = Reader(body)
    frequency = frequency_table(r)
    start, of_slot = [0] * 256, []
    for symbol in range(256):
        start[symbol] = len(of_slot)
        of_slot += [symbol] * frequency[symbol]
    states = [r.number(4, 'rANS states') for _ in range(LANES)]
    rest = len(body) - r.at
    if min(states) < FLOOR or rest % 2:
        raise corrupt('rANS payload')
    words = struct.unpack(f'<{rest // 2}H', body[r.at:])
    at, out = 0, bytearray(count)
    for i in range(count):
        x = states[i % LANES]
        slot = x % TOTAL
        symbol = of_slot[slot]
        x = frequency[symbol] * (x // TOTAL) + slot - start[symbol]
        if x < FLOOR:
            if at == len(words):
                raise corrupt('rANS payload: no word left')
            x = x * 65536 + words[at]
            at += 1
        states[i % LANES] = x
        out[i] = symbol
    if at != len(words) or any(x != FLOOR for x in states):
        raise corrupt('rANS payload: does not end')
    return bytes(out)


def symbol_block(r, count):
    mode = r.number(1, 'symbol block')
    body = r.bytes(r.number(4, 'symbol block'), 'symbol block')
    if mode == 0 and len(body) == count:
        return body
    if mode == 1 and len(body) == 1:
        return body * count
    if mode == 2:
        return rans(body, count)
    raise corrupt('symbol block: mode or length')


def byte_planes(r, element, tokens, channels):
    """Rows of little-endian elements, one for each token."""
    size = ELEMENT_BYTES[element]
    form = r.choice(2, 'byte planes: form')
    bases = r.bytes(channels, 'bases') if form == 1 else bytes(channels)
    blocks = [symbol_block(r, tokens * channels) for _ in range(size)]
    bits, rows = 8 * size, []
    for token in range(tokens):
        row = bytearray()
        for channel in range(channels):
            i = token * channels + channel
            word = (blocks[0][i] + bases[channel]) % 256
            for block in blocks[1:]:
                word = word << 8 | block[i]
            word = word >> 1 | (word & 1) << (bits - 1)
            row += word.to_bytes(size, 'little')
        rows.append(bytes(row))
    return rows


def as_f32(value):
    """A sum of two f32 rounded to f32; what is too large becomes an infinity."""
    try:
        return struct.unpack('<f', struct.pack('<f', value))[0]
    except OverflowError:
        return float('inf') if value > 0 else float('-inf')


def element_bytes(value, element):
    if element == 0:
        return struct.pack('<f', value)
    if element == 1:
        return struct.pack('<e', value)
    bits = struct.unpack('<I', struct.pack('<f', value))[0]
    return struct.pack('<H', bits + 0x7fff + (bits >> 16 & 1) >> 16)


def channel_quant(r, element, tokens, channels):
    def scales(what):
        raw = struct.unpack(f'<{channels}H', r.bytes(2 * channels, what))
        if any(v & 0x7f80 == 0x7f80 for v in raw):
            raise corrupt(f'{what}: not finite')
        return [struct.unpack('<f', struct.pack('<I', v << 16))[0] for v in raw]

    offsets, steps = scales('offsets'), scales('steps')
    symbols = symbol_block(r, tokens * channels)
    limit, rows = LARGEST[element], []
    for token in range(tokens):
        row = bytearray()
        for channel in range(channels):
            moved = as_f32(steps[channel] * (symbols[token * channels + channel] - 128))
            value = as_f32(offsets[channel] + moved)
            row += element_bytes(max(-limit, min(value, limit)), element)
        rows.append(bytes(row))
    return rows


def decode(stream):
    header = Header(stream)
    for offset, size, checksum, seed in header.parts:
        if xxh3(stream[offset:offset + size], seed) != checksum:
            raise corrupt('checksum of a frame or side section')
    if header.preset > 1 or header.levels != 1 or header.profile is not None:
        raise unsupported('preset, levels or profile')
    planes = [[] for _ in range(2 * len(header.layers))]
    index = 0
    for group in header.plane_groups:
        for token_group in range(header.token_groups):
            begin = token_group * header.token_group
            tokens = min(header.token_group, header.rows - begin)
            offset, size = header.parts[index][:2]
            index += 1
            r = Reader(stream[offset:offset + size])
            if r.number(1, 'coding') != header.preset + 1:
                raise unsupported('coding')
            read = byte_planes if header.preset == 0 else channel_quant
            for plane in group:
                planes[plane] += read(r, header.element, tokens, header.layers[plane // 2])
            if not r.finished():
                raise corrupt('bytes left over in a frame')
    return header, b''.join(b''.join(rows) for rows in planes)


def ordered(raw, element):
    """Bit patterns as integers in the order of the values, so that neighbours differ by one."""
    size = ELEMENT_BYTES[element]
    top = 1 << (8 * size - 1)
    bits = struct.unpack(f'<{len(raw) // size}' + ('I' if size == 4 else 'H'), raw)
    return [top - b if b & top else b for b in bits]


def close(header, got, expected):
    """Bit-equal; the values of a lossy preset may differ in the last bit."""
    if got == expected or header.preset == 0 or len(got) != len(expected):
        return got == expected
    pairs = zip(ordered(got, header.element), ordered(expected, header.element))
    return all(abs(a - b) <= 1 for a, b in pairs)


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def check(folder):
    problems, decoded = [], 0
    for path in sorted(glob.glob(os.path.join(folder, '*.stream'))):
        try:
            header, values = decode(read(path))
            if not close(header, values, read(path[:-len('stream')] + 'values')):
                problems.append(f'{path}: other values')
            decoded += 1
        except Refused as e:
            problems.append(f'{path}: {e}')
    refused = []
    listing = os.path.join(folder, 'refused.csv')
    if os.path.exists(listing):
        with open(listing, encoding='utf-8', newline='') as f:
            refused = list(csv.DictReader(f))
    for row in refused:
        path = os.path.join(folder, 'refused', row['name'] + '.stream')
        try:
            decode(read(path))
            problems.append(f'{path}: decoded, expected {row["code"]}')
        except Refused as e:
            if e.code != row['code']:
                problems.append(f'{path}: {e}, expected {row["code"]}')
    print(f'{folder}: {decoded} streams decoded, {len(refused)} to be refused')
    return problems + ([] if decoded else [f'{folder}: no streams'])


def main(arguments):
    if len(arguments) > 1 and arguments[0] == '--check':
        problems = [p for folder in arguments[1:] for p in check(folder)]
        for problem in problems:
            print(problem)
        return 1 if problems else 0
    if len(arguments) != 1:
        print(__doc__)
        return 2
    try:
        sys.stdout.buffer.write(decode(read(arguments[0]))[1])
        return 0
    except Refused as e:
        print(f'{arguments[0]}: {e}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
