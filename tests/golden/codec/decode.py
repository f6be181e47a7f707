"""A second decoder of KV streams, written from codec/FORMAT.md alone: clear, slow, no libraries.

  decode.py STREAM [PROFILE] writes the values to stdout, in the stream's element type, ordered by
                             layer, K before V, token, head, channel
  decode.py --check DIR...   decodes each DIR/*.stream and compares it with the *.values beside it;
                             what DIR/refused.csv lists has to be refused with the code it names.
                             Streams find their profiles among DIR/*.profile

Exits 1 when a stream is refused or a comparison fails.
"""

import csv
import glob
import math
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from basics import (ELEMENT_BYTES, LARGEST, Reader, Refused, corrupt, element_bytes,  # noqa: E402
                    unsupported)
from kv_profile import Profile  # noqa: E402
from learnt import decode_learnt  # noqa: E402
from rans import symbol_block  # noqa: E402
from scaled import decode_scaled  # noqa: E402
from stream_header import Header  # noqa: E402
from xxh3 import xxh3  # noqa: E402


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


def decode_lossless(header, stream):
    """Coding 1: by plane and token, the row's bytes."""
    planes = [[] for _ in range(2 * len(header.layers))]
    index = 0
    for group in header.plane_groups:
        for token_group in range(header.token_groups):
            begin = token_group * header.token_group
            tokens = min(header.token_group, header.rows - begin)
            offset, size = header.parts[index][:2]
            index += 1
            r = Reader(stream[offset:offset + size])
            if r.number(1, 'coding') != 1:
                raise unsupported('coding')
            for plane in group:
                planes[plane] += byte_planes(r, header.element, tokens, header.layers[plane // 2])
            if not r.finished():
                raise corrupt('bytes left over in a frame')
    return b''.join(b''.join(rows) for rows in planes)


def decode(stream, profiles):
    """The header; and bytes, or for coding 3 the values in order, each with its tolerance. A layer
    that is left to the reader comes as zeros."""
    header = Header(stream)
    for offset, size, checksum, seed in header.parts:
        if xxh3(stream[offset:offset + size], seed) != checksum:
            raise corrupt('checksum of a frame or side section')
    if header.preset == 0:
        if header.levels != 1 or header.profile is not None:
            raise unsupported('levels or profile')
        return header, decode_lossless(header, stream)
    if header.levels > 3 or (header.preset == 1 and header.profile is not None):
        raise unsupported('levels or profile')
    if header.profile is None:
        return header, decode_scaled(header, stream)
    if header.profile not in profiles:
        raise Refused('not_found', 'profile')
    planes = decode_learnt(header, stream, profiles[header.profile])
    return header, [pair for rows in planes for row in rows for pair in row]


def clamped(value, element):
    return max(-LARGEST[element], min(value, LARGEST[element]))


def as_bytes(header, values):
    if isinstance(values, bytes):
        return values
    return b''.join(element_bytes(clamped(v, header.element), header.element) for v, _ in values)


def as_floats(raw, element):
    if element == 2:
        raw = b''.join(b'\0\0' + raw[i:i + 2] for i in range(0, len(raw), 2))
    return [v for v, in struct.iter_unpack('<e' if element == 1 else '<f', raw)]


def half_place(value, element):
    """Half a unit in the last place of the element type."""
    bits, smallest = {0: (24, -149), 1: (11, -24), 2: (8, -133)}[element]
    return 2.0 ** (max(math.frexp(value)[1] - bits, smallest) - 1)


def close(header, got, expected):
    """Bit-equal; values of coding 3 may differ by half of the last bit and by what sums of floats
    lose."""
    if isinstance(got, bytes):
        return got == expected
    floats = as_floats(expected, header.element)
    return len(got) == len(floats) and all(
        abs(clamped(v, header.element) - e) <= tolerance + half_place(v, header.element)
        for (v, tolerance), e in zip(got, floats))


def read_profiles(folder):
    profiles = [Profile(read(path)) for path in glob.glob(os.path.join(folder, '*.profile'))]
    return {profile.id: profile for profile in profiles}


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def check_values(folder, profiles):
    problems, paths = [], sorted(glob.glob(os.path.join(folder, '*.stream')))
    for path in paths:
        try:
            header, values = decode(read(path), profiles)
            if not close(header, values, read(path[:-len('stream')] + 'values')):
                problems.append(f'{path}: other values')
        except Refused as e:
            problems.append(f'{path}: {e}')
    print(f'{folder}: {len(paths)} streams decoded')
    return problems + ([] if paths else [f'{folder}: no streams'])


def check_refused(folder, profiles):
    """Names of refused.csv are of streams, or with their ending of profiles."""
    listing, problems = os.path.join(folder, 'refused.csv'), []
    if not os.path.exists(listing):
        return []
    with open(listing, encoding='utf-8', newline='') as f:
        refused = list(csv.DictReader(f))
    for row in refused:
        path = os.path.join(folder, 'refused', row['name'])
        try:
            if path.endswith('.profile'):
                Profile(read(path))
            else:
                decode(read(path + '.stream'), profiles)
            problems.append(f'{path}: accepted, expected {row["code"]}')
        except Refused as e:
            if e.code != row['code']:
                problems.append(f'{path}: {e}, expected {row["code"]}')
    print(f'{folder}: {len(refused)} to be refused')
    return problems


def check(folder):
    profiles = read_profiles(folder)
    return check_values(folder, profiles) + check_refused(folder, profiles)


def main(arguments):
    if len(arguments) > 1 and arguments[0] == '--check':
        problems = [p for folder in arguments[1:] for p in check(folder)]
        for problem in problems:
            print(problem)
        return 1 if problems else 0
    if not arguments or arguments[0].startswith('-'):
        print(__doc__)
        return 2
    try:
        profiles = [Profile(read(path)) for path in arguments[1:]]
        header, values = decode(read(arguments[0]), {p.id: p for p in profiles})
        sys.stdout.buffer.write(as_bytes(header, values))
        return 0
    except Refused as e:
        print(f'{arguments[0]}: {e}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
