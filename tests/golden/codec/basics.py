"""What the parts of a stream and of a profile are read with: numbers, and the values' types."""

import struct

ELEMENT_BYTES = {0: 4, 1: 2, 2: 2}
LARGEST = {0: (2 - 2 ** -23) * 2.0 ** 127, 1: 65504.0, 2: (2 - 2 ** -7) * 2.0 ** 127}


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
