"""XXH3-64, written plainly from the algorithm's description; slow. Shared by the naive readers."""

import struct

MASK = (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
SECRET = bytes.fromhex(
    'b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f'
    'cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c'
    '3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8'
    'a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364'
    'eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e'
    '2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e')


def u32(data, at):
    return struct.unpack_from('<I', data, at)[0]


def u64(data, at):
    return struct.unpack_from('<Q', data, at)[0]


def swap(value, size):
    return int.from_bytes(value.to_bytes(size, 'little'), 'big')


def rotate(value, by):
    return (value << by | value >> (64 - by)) & MASK


def fold(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64)


def avalanche(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & MASK
    return h ^ h >> 32


def old_avalanche(h):
    h ^= h >> 33
    h = h * P64_2 & MASK
    h ^= h >> 29
    h = h * P64_3 & MASK
    return h ^ h >> 32


def up_to_16(data, seed):
    n = len(data)
    if n > 8:
        low = u64(data, 0) ^ ((u64(SECRET, 24) ^ u64(SECRET, 32)) + seed & MASK)
        high = u64(data, n - 8) ^ ((u64(SECRET, 40) ^ u64(SECRET, 48)) - seed & MASK)
        return avalanche(n + swap(low, 8) + high + fold(low, high) & MASK)
    if n >= 4:
        seed ^= swap(seed & 0xFFFFFFFF, 4) << 32
        h = u32(data, n - 4) + (u32(data, 0) << 32)
        h ^= (u64(SECRET, 8) ^ u64(SECRET, 16)) - seed & MASK
        h ^= rotate(h, 49) ^ rotate(h, 24)
        h = h * 0x9FB21C651E98DF25 & MASK
        h ^= (h >> 35) + n
        h = h * 0x9FB21C651E98DF25 & MASK
        return h ^ h >> 28
    if n > 0:
        h = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return old_avalanche(h ^ ((u32(SECRET, 0) ^ u32(SECRET, 4)) + seed & MASK))
    return old_avalanche(seed ^ u64(SECRET, 56) ^ u64(SECRET, 64))


def up_to_240(data, seed):
    n = len(data)

    def mix(at, secret):
        return fold(u64(data, at) ^ (u64(SECRET, secret) + seed & MASK),
                    u64(data, at + 8) ^ (u64(SECRET, secret + 8) - seed & MASK))

    h = n * P64_1
    if n <= 128:
        for i in range((n - 1) // 32, -1, -1):
            h += mix(16 * i, 32 * i) + mix(n - 16 * (i + 1), 32 * i + 16)
        return avalanche(h & MASK)
    for i in range(8):
        h += mix(16 * i, 16 * i)
    h = avalanche(h & MASK)
    for i in range(8, n // 16):
        h += mix(16 * i, 16 * (i - 8) + 3)
    return avalanche(h + mix(n - 16, 119) & MASK)


def long(data, seed):
    n = len(data)
    secret = b''.join(
        struct.pack('<QQ', u64(SECRET, i) + seed & MASK, u64(SECRET, i + 8) - seed & MASK)
        for i in range(0, 192, 16))
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]

    def stripe(at, place):
        words = struct.unpack_from('<8Q', data, at)
        keys = struct.unpack_from('<8Q', secret, place)
        for i in range(8):
            mixed = words[i] ^ keys[i]
            acc[i ^ 1] += words[i]
            acc[i] = acc[i] + (mixed & 0xFFFFFFFF) * (mixed >> 32)

    stripes = (n - 1) // 64
    for s in range(stripes):
        stripe(64 * s, 8 * (s % 16))
        if s % 16 == 15:
            for i in range(8):
                a = acc[i] & MASK
                acc[i] = (a ^ a >> 47 ^ u64(secret, 128 + 8 * i)) * P32_1 & MASK
    stripe(n - 64, 121)
    h = n * P64_1
    for i in range(4):
        h += fold(acc[2 * i] & MASK ^ u64(secret, 11 + 16 * i),
                  acc[2 * i + 1] & MASK ^ u64(secret, 19 + 16 * i))
    return avalanche(h & MASK)


def xxh3(data, seed=0):
    if len(data) <= 16:
        return up_to_16(data, seed)
    return up_to_240(data, seed) if len(data) <= 240 else long(data, seed)
