"""Frames of coding 4, scaled channels."""

import struct

from basics import LARGEST, Reader, as_f32, corrupt, element_bytes, unsupported
from kv_profile import CLASSES, coarse_form, escape_of
from learnt import FINE_FORM, MAX_STORED, coefficients, kept_within
from rans import Table

MAX_OFFSET = 1 << 22
NOISE_CLASS = 16
ONE = 1 << 32
MOST_FREQUENT, RAREST = 4032, 1 << 18
NUMBERS = (
    2144, 21568, 150288, 768947, 3034364, 9624671, 25406369, 57468272, 114159945, 203316617,
    330332446, 496814199, 700223700, 934472161, 1191120083, 1460753482, 1734196613, 2003378989,
    2261818252, 2504773130, 2729160629, 2933333809, 3116798906, 3279926627, 3423690355, 3549446827,
    3658763366, 3753288904, 3834662711, 3904453616, 3964122728, 4015003499, 4058294092, 4095058069,
    4126230419, 4152626725, 4174953940, 4193821704, 4209753521, 4223197364, 4234535469, 4244093197,
    4252146951, 4258931153, 4264644341, 4269454471, 4273503492, 4276911271,
)


def weights_of_values(step_class, reach):
    """From -reach to reach."""
    p = NUMBERS[step_class]
    r = p * p // ONE
    tails = []
    for _ in range(reach + 1):
        tails.append(p * ONE // (ONE + p))
        p = p * r // ONE
    up = [tails[k - 1] - tails[k] for k in range(1, reach + 1)]
    return up[::-1] + [ONE - 2 * tails[0]] + up


def weights_of_symbols(values, form):
    out = []
    for symbol in range(escape_of(form)):
        weight = ONE - 1
        for _ in range(form[0]):
            weight = weight * values[symbol % len(values)] // ONE
            symbol //= len(values)
        out.append(weight)
    return out


def shares(weights, last, least):
    """One and a share of the rest for each symbol before `last` that has the least weight."""
    frequency, total = [0] * 256, 0
    k = sum(w >= least for w in weights[:last])
    for symbol, weight in enumerate(weights[:last]):
        if weight >= least:
            upto = total + weight
            frequency[symbol] = 1 + upto * (4095 - k) // ONE - total * (4095 - k) // ONE
            total = upto
    frequency[last] = 4096 - sum(frequency)
    return frequency


def coarse_table(step_class, last_pair):
    form = coarse_form(step_class, last_pair)
    weights = weights_of_symbols(weights_of_values(step_class, form[1]), form)
    escape = escape_of(form)
    frequency = shares(weights, escape, RAREST)
    over = max(0, frequency[escape // 2] - MOST_FREQUENT)
    frequency[escape // 2] -= over
    frequency[escape] += over
    return Table(frequency)


def fine_table(step_class):
    values = weights_of_values(step_class, 127)
    middle = sum(w for v, w in zip(range(-127, 128), values) if v % 3 == 0)
    side = (sum(values) - middle) // 2
    return Table(shares(weights_of_symbols([side, middle, side], FINE_FORM), 80, 0))


class Tables:
    last_pair = 22

    def __init__(self):
        self.coarse = [coarse_table(c, self.last_pair) for c in range(CLASSES)]
        self.fine = [fine_table(c) for c in range(CLASSES)]


TABLES = Tables()


def ternary_digits(r, groups, tokens):
    """For each group four digits a token, less 1."""
    count = 4 * groups * tokens
    size = -(-count // 5)
    raw = r.bytes(size, 'ternary digits')
    if any(b > 242 for b in raw):
        raise corrupt('ternary digits')
    digits = [raw[i % size] // 3 ** (i // size) % 3 - 1 for i in range(count)]
    rows = [digits[i:i + 4] for i in range(0, count, 4)]
    return [rows[i:i + tokens] for i in range(0, len(rows), tokens)]


class Plane:
    """Steps by head, offsets by channel and classes by group, of one frame."""

    def __init__(self, r, shape, offsets):
        heads, dimension = shape
        raw = struct.unpack(f'<{heads}H', r.bytes(2 * heads, 'steps'))
        if any(v == 0 or v >= 0x7f80 for v in raw):
            raise corrupt('steps')
        self.steps = [struct.unpack('<f', struct.pack('<I', v << 16))[0] for v in raw]
        channels = heads * dimension
        self.offsets = [self.offset(r) for _ in range(channels)] if offsets else [0] * channels
        self.classes = list(r.bytes(-(-channels // 4), 'classes'))
        if any(c >= CLASSES for c in self.classes):
            raise corrupt('classes')

    @staticmethod
    def offset(r):
        zigzag = r.varint('offset')
        value = zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2
        if abs(value) > MAX_OFFSET:
            raise corrupt('offset')
        return value


def read_level(frame, shapes, tokens, level, levels):
    """The planes, and by group, for each token, the numbers of four channels in finest steps."""
    r = Reader(frame)
    if r.number(1, 'coding') != 4:
        raise unsupported('coding')
    planes = [Plane(r, shape, level == 0) for shape in shapes]
    below = levels - 1 - level
    classes = [max(0, c - 6 * below) for plane in planes for c in plane.classes]
    noise = [i for i, c in enumerate(classes) if level > 0 and c >= NOISE_CLASS]
    stored = [None] * len(classes)
    for i, rows in zip(noise, ternary_digits(r, len(noise), tokens)):
        stored[i] = rows
    others = [i for i, rows in enumerate(stored) if rows is None]
    coded = coefficients(r, [classes[i] for i in others], tokens, TABLES, level == 0)
    for i, rows in zip(others, coded):
        stored[i] = rows
    scale = 3 ** below
    return planes, [[[kept_within(n * scale, MAX_STORED) for n in row] for row in rows]
                    for rows in stored]


def read_place(frames, shapes, tokens):
    """All levels of a plane group and token group: by plane and token the values."""
    planes, sums = read_level(frames[0], shapes, tokens, 0, len(frames))
    for level in range(1, len(frames)):
        more, added = read_level(frames[level], shapes, tokens, level, len(frames))
        if any(a.steps != b.steps or a.classes != b.classes for a, b in zip(planes, more)):
            raise corrupt('levels of different steps or classes')
        sums = [[[a + b for a, b in zip(*rows)] for rows in zip(*groups)]
                for groups in zip(sums, added)]
    out = []
    for plane, (_, dimension) in zip(planes, shapes):
        groups, sums = sums[:len(plane.classes)], sums[len(plane.classes):]
        out.append([[as_f32(plane.steps[c // dimension] * (offset + groups[c // 4][t][c % 4]))
                     for c, offset in enumerate(plane.offsets)] for t in range(tokens)])
    return out


def decode_scaled(header, stream):
    """The values' bytes, by plane and token."""
    limit = LARGEST[header.element]
    planes = [[] for _ in range(2 * len(header.layers))]
    parts = len(header.plane_groups) * header.token_groups
    for part in range(parts):
        group = header.plane_groups[part // header.token_groups]
        begin = part % header.token_groups * header.token_group
        tokens = min(header.token_group, header.rows - begin)
        places = [header.parts[level * parts + part] for level in range(header.levels)]
        frames = [stream[place[0]:place[0] + place[1]] for place in places]
        rows = read_place(frames, [header.shapes[p // 2] for p in group], tokens)
        for plane, values in zip(group, rows):
            planes[plane] += [b''.join(element_bytes(max(-limit, min(v, limit)), header.element)
                                       for v in row) for row in values]
    return b''.join(b''.join(rows) for rows in planes)
