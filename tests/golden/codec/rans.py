"""Frequency tables and the range coder of symbols."""

import struct

from basics import Reader, corrupt

LANES, TOTAL, FLOOR = 32, 4096, 65536


class Table:
    def __init__(self, frequency):
        self.frequency, self.start, self.of_slot = frequency, [0] * 256, []
        for symbol in range(256):
            self.start[symbol] = len(self.of_slot)
            self.of_slot += [symbol] * frequency[symbol]


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
    return Table(frequency)


class Payload:
    """States and words; gives one symbol after another, each by a table of its own."""

    def __init__(self, r):
        self.states = [r.number(4, 'rANS states') for _ in range(LANES)]
        rest = r.bytes(len(r.data) - r.at, 'rANS words')
        if min(self.states) < FLOOR or len(rest) % 2:
            raise corrupt('rANS payload')
        self.words = struct.unpack(f'<{len(rest) // 2}H', rest)
        self.at = self.count = 0

    def symbol(self, table):
        lane = self.count % LANES
        self.count += 1
        x = self.states[lane]
        slot = x % TOTAL
        symbol = table.of_slot[slot]
        x = table.frequency[symbol] * (x // TOTAL) + slot - table.start[symbol]
        if x < FLOOR:
            if self.at == len(self.words):
                raise corrupt('rANS payload: no word left')
            x = x * 65536 + self.words[self.at]
            self.at += 1
        self.states[lane] = x
        return symbol

    def end(self):
        if self.at != len(self.words) or any(x != FLOOR for x in self.states):
            raise corrupt('rANS payload: does not end')


def rans(r, count):
    table = frequency_table(r)
    payload = Payload(r)
    out = bytes(payload.symbol(table) for _ in range(count))
    payload.end()
    return out


def symbol_block(r, count):
    mode = r.number(1, 'symbol block')
    body = r.bytes(r.number(4, 'symbol block'), 'symbol block')
    if mode == 0 and len(body) == count:
        return body
    if mode == 1 and len(body) == 1:
        return body * count
    if mode == 2:
        return rans(Reader(body), count)
    raise corrupt('symbol block: mode or length')
