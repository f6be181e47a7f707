"""Frames of coding 3, learnt transforms."""

from basics import Reader, corrupt, unsupported
from kv_profile import CLASSES, coarse_form, escape_of
from rans import Payload

FINE_FORM = (4, 1)
MAX_STORED, MAX_SHIFTED = 8191, 32767
# Binary digits that float arithmetic may lose of the largest number that a value is made of.
FLOAT_ERROR = 8 * 2.0 ** -24


def kept_within(value, limit):
    return max(-limit, min(value, limit))


class Escaped:
    """The escaped values of a frame, one after another."""

    def __init__(self, data):
        self.r = Reader(data)

    def value(self):
        zigzag = self.r.varint('escaped values')
        value = zigzag // 2 if zigzag % 2 == 0 else -(zigzag + 1) // 2
        if abs(value) > MAX_STORED:
            raise corrupt('escaped value too large')
        return value


def unpack(symbol, form, escaped):
    """The values of a symbol, the first one the most significant digit."""
    count, reach = form
    if symbol == escape_of(form):
        return [escaped.value() for _ in range(count)]
    base, values = 2 * reach + 1, []
    for _ in range(count):
        values.insert(0, symbol % base - reach)
        symbol //= base
    return values


def coefficients(r, groups, tokens, transform, coarse):
    """What the frame stores: by place in `groups`, four values for each token. `transform` has the
    tables and, where it is not that of profiles, the last class of two values a symbol."""
    if r.choice(2, 'form') == 0:
        if not r.finished():
            raise corrupt('bytes behind a level of zeros')
        return [[[0] * 4] * tokens for _ in groups]
    escaped = Escaped(r.bytes(r.varint('length of the escaped values'), 'escaped values'))
    payload = Payload(r)
    out = [[] for _ in groups]
    for step_class, place in sorted((c, i) for i, c in enumerate(groups)):
        form = coarse_form(step_class, transform.last_pair) if coarse else FINE_FORM
        table = (transform.coarse if coarse else transform.fine)[step_class]
        for _ in range(tokens):
            values = []
            while len(values) < 4:
                values += unpack(payload.symbol(table), form, escaped)
            out[place].append(values)
    payload.end()
    if not escaped.r.finished():
        raise corrupt('escaped values left over')
    return out


def blocks_of(transform, planes, channels):
    """The blocks of a plane group; `channels` by plane."""
    if planes != list(range(planes[0], planes[0] + len(planes))):
        raise corrupt('planes of a group are not consecutive')
    begin = sum(channels[:planes[0]])
    end = begin + sum(channels[p] for p in planes)
    blocks = [b for b in transform.blocks if begin <= b.begin and b.end <= end]
    if sum(b.channels for b in blocks) != end - begin:
        raise corrupt('a plane group that cuts a block')
    return blocks


class Place:
    """Plane group and token group: the sum of the levels read so far, in finest steps."""

    def __init__(self, transform, blocks, tokens):
        self.transform, self.blocks, self.tokens = transform, blocks, tokens
        self.kind = None  # gain and spreads
        self.sums = [[[0] * 4 for _ in range(tokens)] for b in blocks for _ in b.classes]

    def read(self, frame, level, levels):
        r = Reader(frame)
        if r.number(1, 'coding') != 3:
            raise unsupported('coding')
        kind = [int.from_bytes(r.bytes(1, 'gain or spread'), 'little', signed=True)
                for _ in range(1 + len(self.blocks))]
        if self.kind not in (None, kind):
            raise corrupt('levels of different gain or spread')
        self.kind = kind
        groups = [max(0, min(c + spread - kind[0] - 6 * (levels - 1 - level), CLASSES - 1))
                  for block, spread in zip(self.blocks, kind[1:]) for c in block.classes]
        stored = coefficients(r, groups, self.tokens, self.transform, level == 0)
        for sums, more in zip(self.sums, stored):
            for token in range(self.tokens):
                sums[token] = [s + kept_within(n * 3 ** (levels - 1 - level), MAX_STORED)
                               for s, n in zip(sums[token], more[token])]

    def values(self, codes):
        """By channel, for each token its value and how far float arithmetic may be from it."""
        out, first = [], 0
        step = self.transform.step * 2.0 ** (self.kind[0] / 4)
        for block in self.blocks:
            groups = self.sums[first:first + len(block.classes)]
            first += len(block.classes)
            turned = [[kept_within(q << s, MAX_SHIFTED)
                       for q, s in zip((q for g in groups for q in g[t]), block.shifts)]
                      for t in range(self.tokens)]
            for c in range(block.channels):
                out.append([value_of(block, c, step, codes[t], turned[t])
                            for t in range(self.tokens)])
        return out


def value_of(block, c, step, codes, turned):
    p = sum(row[c] * x for row, x in zip(block.maps, codes))
    q = sum(row[c] * n for row, n in zip(block.rows, turned))
    mean, scale = block.means[c], block.scales[c]
    predicted = scale * block.map_scales[c] * p
    rest = scale * block.component_scale * step * q
    largest = abs(mean) + abs(predicted) + abs(rest)
    return mean + predicted + rest, largest * FLOAT_ERROR


def codes_by_token(profile, transform, tokens, rows):
    """What predicts each row: of its own token, then of the one before it."""
    none = [0] * profile.code_rank
    known = [profile.code_of(t) for t in tokens] if tokens else [none] * rows
    return [own[:transform.own_codes] + before[:transform.codes_before]
            for own, before in zip(known, [none] + known)]


def decode_learnt(header, stream, profile):
    """By plane and token, the row's values, each with its tolerance."""
    if profile.shapes != header.shapes:
        raise corrupt('a profile of another shape')
    transform = profile.transform(header.preset)
    codes = codes_by_token(profile, transform, header.tokens, header.rows)
    channels = [c for c in header.layers for _ in range(2)]
    planes = [[] for _ in channels]
    for g, group in enumerate(header.plane_groups):
        blocks = blocks_of(transform, group, channels)
        for token_group in range(header.token_groups):
            begin = token_group * header.token_group
            tokens = min(header.token_group, header.rows - begin)
            place = Place(transform, blocks, tokens)
            for level in range(header.levels):
                index = (level * len(header.plane_groups) + g) * header.token_groups + token_group
                offset, size = header.parts[index][:2]
                place.read(stream[offset:offset + size], level, header.levels)
            columns = place.values(codes[begin:begin + tokens])
            for plane in group:
                own, columns = columns[:channels[plane]], columns[channels[plane]:]
                planes[plane] += [list(row) for row in zip(*own)]
    for plane in range(2 if header.derived else 0):
        planes[plane] = [[(0.0, 0.0)] * channels[plane]] * header.rows
    return planes
