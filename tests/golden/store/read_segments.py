"""A second reader of segment files, written from server/store/FORMAT.md alone: clear and slow.

  read_segments.py DIRECTORY           prints what the segments in it hold, without any index
  read_segments.py --check DIRECTORY...  compares it with DIRECTORY/holds.csv; a DIRECTORY with a
                                         file `refused` has to be refused instead

Columns: key, kind, attributes (hex), expiry, payload bytes, SHA-256 of the payload.
"""

import hashlib
import os
import re
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from xxh3 import xxh3  # noqa: E402

BLOCK, CHECKED = 4096, 65536
FIXED = '<4sHBBIIQ32sQQQQQI'
FIXED_BYTES = struct.calcsize(FIXED)


class Unsupported(Exception):
    pass


def rounded(value, to=BLOCK):
    return -(-value // to) * to


def checksum_of(data, at, seed):
    return xxh3(data[:at] + bytes(8) + data[at + 8:], seed)


class Segment:
    def __init__(self, number, data):
        self.data = data
        self.generation = None
        self.records = []
        if len(data) < BLOCK:
            return
        magic, version, _, checksum, own, _, generation, _ = struct.unpack_from('<4sHHQIIQQ', data)
        if magic == b'PSEG' and version > 1:
            raise Unsupported(f'version {version}')
        if magic != b'PSEG' or checksum_of(data[:BLOCK], 8, 0) != checksum or own != number:
            return
        self.generation = generation
        self.scan()

    def record_at(self, offset, sequence):
        """The valid record there, or None."""
        if offset + BLOCK > len(self.data):
            return None
        (magic, version, kind, flags, header, attributes, checksum, key, generation, own_sequence,
         own_offset, payload, expires, blocks) = struct.unpack_from(FIXED, self.data, offset)
        if magic != b'PREC' or version != 1 or attributes > 1024 or payload > 64 << 20:
            return None
        used = FIXED_BYTES + attributes + 8 * blocks
        end = offset + header + rounded(payload)
        if blocks != rounded(payload, CHECKED) // CHECKED or header != rounded(used):
            return None
        if end > len(self.data) or generation != self.generation or own_offset != offset:
            return None
        raw = self.data[offset:offset + header]
        if own_sequence <= sequence or checksum_of(raw, 16, generation) != checksum:
            return None
        acknowledged = struct.unpack_from('<Q', raw, used)[0] if flags & 2 else 0
        return {
            'offset': offset, 'end': end, 'sequence': own_sequence, 'key': key, 'kind': kind,
            'tombstone': bool(flags & 1), 'expires': expires, 'acknowledged': acknowledged,
            'attributes': raw[FIXED_BYTES:FIXED_BYTES + attributes],
            'payload': self.data[offset + header:offset + header + payload],
            'checksums': struct.unpack_from(f'<{blocks}Q', raw, FIXED_BYTES + attributes),
        }

    def intact(self, record):
        for number, checksum in enumerate(record['checksums']):
            seed = xxh3(record['key'] + struct.pack('<QQ', self.generation, number))
            block = record['payload'][number * CHECKED:(number + 1) * CHECKED]
            if xxh3(block, seed) != checksum:
                return False
        return True

    def behind_gap(self, gap, sequence):
        """Where reading goes on behind a place where nothing valid stands, or None."""
        first, offset = None, gap + BLOCK
        while offset + BLOCK <= len(self.data):
            record = self.record_at(offset, sequence)
            if record is None:
                offset += BLOCK
                continue
            first = offset if first is None else first
            if record['acknowledged'] >= first:
                return first
            offset, sequence = record['end'], record['sequence']
        return None

    def scan(self):
        offset, sequence = BLOCK, 0
        damaged, acknowledged = [], {}
        while True:
            record = self.record_at(offset, sequence)
            if record is None:
                offset = self.behind_gap(offset, sequence)
                if offset is None:
                    break
                continue
            offset, sequence = record['end'], record['sequence']
            opening = sequence >> 40
            acknowledged[opening] = max(acknowledged.get(opening, 0), record['acknowledged'])
            if self.intact(record):
                self.records.append(record)
            else:
                damaged.append(record)
        for record in damaged:
            if record['end'] <= acknowledged[record['sequence'] >> 40]:
                record['tombstone'] = True
                self.records.append(record)


def holds(directory):
    """Lines of what the segments of a directory hold."""
    latest = {}
    for name in sorted(os.listdir(directory)):
        match = re.fullmatch(r'(\d{6,})\.seg', name)
        if not match:
            continue
        with open(os.path.join(directory, name), 'rb') as f:
            segment = Segment(int(match.group(1)), f.read())
        for record in segment.records:
            if record['sequence'] > latest.get(record['key'], {'sequence': 0})['sequence']:
                latest[record['key']] = record
    return [f'{key.hex()},{r["kind"]},{r["attributes"].hex()},{r["expires"]},{len(r["payload"])},'
            f'{hashlib.sha256(r["payload"]).hexdigest()}'
            for key, r in sorted(latest.items()) if not r['tombstone']]


def check(directory):
    refused = os.path.exists(os.path.join(directory, 'refused'))
    try:
        found = holds(directory)
    except Unsupported as e:
        return [] if refused else [f'{directory}: {e}']
    if refused:
        return [f'{directory}: read, though it has to be refused']
    with open(os.path.join(directory, 'holds.csv'), encoding='utf-8') as f:
        expected = f.read().split('\n')[1:-1]
    print(f'{directory}: {len(found)} entries')
    return [f'{directory}: {line}: not in the segments' for line in expected if line not in found
            ] + [f'{directory}: {line}: unexpected' for line in found if line not in expected]


def main(arguments):
    if len(arguments) > 1 and arguments[0] == '--check':
        problems = [p for directory in arguments[1:] for p in check(directory)]
        for problem in problems:
            print(problem)
        return 1 if problems else 0
    if len(arguments) != 1:
        print(__doc__)
        return 2
    for line in holds(arguments[0]):
        print(line)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
