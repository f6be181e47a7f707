"""Weights as blocks of ggml: float32 arrays [rows][columns] to the bytes of a GGUF tensor.

Q8_0 and Q4_0 round as ggml's reference does, bit for bit. Q4_K and Q6_K are plain: scales from the
extremes of each group, without ggml's search for better ones.
"""

import numpy as np

F32, F16, Q4_0, Q8_0, Q4_K, Q6_K, BF16 = 0, 1, 2, 8, 12, 14, 30  # ggml's numbers
BLOCK_VALUES = {F32: 1, F16: 1, BF16: 1, Q8_0: 32, Q4_0: 32, Q4_K: 256, Q6_K: 256}


def round_away(x):
    """Halves away from zero, as C's roundf."""
    return np.trunc(x + np.copysign(np.float32(0.5), x)).astype(np.float32)


def inverse(x):
    return np.divide(np.float32(1), x, out=np.zeros_like(x), where=x != 0)


def half_bytes(x):
    """[blocks] as f16: [blocks][2] bytes."""
    return x.astype("<f2").view(np.uint8).reshape(-1, 2)


def bf16(x):
    bits = x.astype("<f4").view("<u4")
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")


def q8_0(x):
    x = x.reshape(-1, 32)
    d = np.abs(x).max(1) / np.float32(127)
    q = round_away(x * inverse(d)[:, None]).astype(np.int8)
    return np.hstack((half_bytes(d), q.view(np.uint8)))


def q4_0(x):
    x = x.reshape(-1, 32)
    largest = x[np.arange(len(x)), np.abs(x).argmax(1)]  # with its sign; the first of equals
    d = largest / np.float32(-8)
    q = np.trunc(x * inverse(d)[:, None] + np.float32(8.5)).astype(np.int8).clip(None, 15)
    q = q.view(np.uint8)
    return np.hstack((half_bytes(d), q[:, :16] | q[:, 16:] << 4))


def pack_six_bits(scale, minimum):
    """Eight scales and eight minima of 6 bits in 12 bytes."""
    out = np.zeros((len(scale), 12), np.uint8)
    out[:, 0:4] = scale[:, :4] | scale[:, 4:] >> 4 << 6
    out[:, 4:8] = minimum[:, :4] | minimum[:, 4:] >> 4 << 6
    out[:, 8:12] = scale[:, 4:] & 15 | (minimum[:, 4:] & 15) << 4
    return out


def q4_k(x):
    x = x.reshape(-1, 8, 32)
    low = np.minimum(x.min(2), 0)
    step = (x.max(2) - low) / np.float32(15)
    d = (step.max(1) / np.float32(63)).astype("<f2").astype(np.float32)
    lowest = ((-low).max(1) / np.float32(63)).astype("<f2").astype(np.float32)
    scale = np.rint(step * inverse(d)[:, None]).clip(0, 63).astype(np.uint8)
    minimum = np.rint(-low * inverse(lowest)[:, None]).clip(0, 63).astype(np.uint8)
    above = x + (lowest[:, None] * minimum)[:, :, None]
    q = np.rint(above * inverse(d[:, None] * scale)[:, :, None]).clip(0, 15).astype(np.uint8)
    halves = q[:, 0::2] | q[:, 1::2] << 4
    return np.hstack((half_bytes(d), half_bytes(lowest), pack_six_bits(scale, minimum),
                      halves.reshape(len(x), 128)))


def q6_k(x):
    x = x.reshape(-1, 16, 16)
    step = np.abs(x).max(2) / np.float32(31)
    d = (step.max(1) / np.float32(127)).astype("<f2").astype(np.float32)
    scale = np.rint(step * inverse(d)[:, None]).clip(0, 127).astype(np.int8)
    q = np.rint(x * inverse(d[:, None] * scale)[:, :, None]).clip(-32, 31) + 32
    q = q.astype(np.uint8).reshape(-1, 2, 4, 32)  # halves, quarters of them, columns
    low = q[:, :, 0:2] & 15 | (q[:, :, 2:4] & 15) << 4
    high = sum(q[:, :, j] >> 4 << 2 * j for j in range(4))
    return np.hstack((low.reshape(len(q), 128), high.astype(np.uint8).reshape(len(q), 64),
                      scale.view(np.uint8), half_bytes(d)))


def pack(x, kind):
    """The bytes of an array of whole blocks, as an array."""
    pack_blocks = {F32: lambda v: v.astype("<f4"), F16: lambda v: v.astype("<f2"), BF16: bf16,
                   Q8_0: q8_0, Q4_0: q4_0, Q4_K: q4_k, Q6_K: q6_k}[kind]
    return np.ascontiguousarray(pack_blocks(np.asarray(x, np.float32))).reshape(-1).view(np.uint8)
