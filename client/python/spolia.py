"""Spolia's client for Python: attention state (KV) of chunks of tokens, stored on and fetched from
a spoliad through libspolia (the C interface of spolia.h; needs nothing but the standard library).

KV arrays are anything with `__array_interface__` (NumPy arrays, CPU tensors by `.numpy()`), with
the axes (layer, k or v, head, token, channel) in any strides that are not negative, the channels
of a head contiguous: transpose a view into that order, nothing is copied. float32 is "f32",
float16 "f16"; "bf16" is given by name with arrays of uint16.

    with spolia.Client("spolia://127.0.0.1:7433", model=model) as client:
        client.store(spolia.Chunk(tokens), kv, preset="lossless")
        client.fetch(spolia.Chunk(tokens), out)

Failures raise SpoliaError with `.code`, a miss its subclass NotFound. One Client may be used by many
threads; calls release the interpreter's lock. Close queues and clients, or use `with`.
"""

from __future__ import annotations

import ctypes
import enum
import glob
import os
from ctypes import (POINTER, Structure, byref, c_char, c_char_p, c_double, c_int, c_int32, c_int64,
                    c_size_t, c_uint8, c_uint32, c_uint64, c_void_p)
from dataclasses import dataclass
from typing import Any, Iterator, Optional, Sequence, Union

ABI_VERSION = 1
Shapes = Sequence["tuple[int, int]"]  # per layer: KV heads, channels of a head


Code = enum.IntEnum("Code", (
    "OK INVALID_ARGUMENT NOT_FOUND ALREADY_EXISTS CORRUPT UNSUPPORTED OUT_OF_SPACE IO UNAVAILABLE "
    "PERMISSION_DENIED DEADLINE_EXCEEDED RESOURCE_EXHAUSTED CANCELLED INTERNAL"), start=0)
ELEMENTS = {"f32": 0, "f16": 1, "bf16": 2}
PRESETS = {"lossless": 0, "high": 1, "balanced": 2, "small": 3}
K_FORMS = {"pre_rope": 0, "rotated": 1, "any": 255}
COMPILE_MODES = {"bos": 0, "lego0": 1, "prefix": 2}
PUT_MODES = {"if_absent": 0, "if_finer": 1, "replace": 2}
OUTCOMES = ("stored", "exists", "replaced")
KINDS = {"chunk": 1, "embedding": 2, "profile": 3, "manifest": 4, "opaque": 5}
TIERS = ("none", "memory", "disk", "cluster")


class SpoliaError(Exception):
    """A call that failed; `code` says how."""

    def __init__(self, code: Code, message: str):
        super().__init__(f"{code.name.lower()}: {message}")
        self.code = code


class NotFound(SpoliaError):
    """A miss: no such entry, or not in the form that was asked for."""


def _u32(names: str) -> "list[tuple[str, Any]]":
    return [(name, c_uint32) for name in names.split()]


# The structs of spolia.h, field by field.
class _Id(Structure):
    _fields_ = [("bytes", c_uint8 * 32)]
class _Error(Structure):
    _fields_ = [("struct_size", c_uint32), ("code", c_int32), ("message", c_char * 504)]
class _Model(Structure):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("name", c_char_p),
                ("weights", _Id), ("adapter", _Id), ("config", _Id), ("tokenizer", _Id),
                ("rope", _Id), ("numerics", c_char_p)]
class _Options(Structure):
    _fields_ = _u32("struct_size connect_timeout_ms call_timeout_ms codec_threads") + [
        ("address", c_char_p), ("token", c_char_p), ("model", POINTER(_Model))]
class _Chunk(Structure):
    _fields_ = [("struct_size", c_uint32), ("compile", c_uint32), ("tokens", POINTER(c_uint32)),
                ("token_count", c_uint32), ("image_rows", c_uint32), ("parent", POINTER(_Id)),
                ("image_bytes", _Id), ("image_preprocessing", _Id)]
class _Layer(Structure):
    _fields_ = [("kv_heads", c_uint32), ("head_dim", c_uint32)]
class _Kv(Structure):
    _fields_ = [("struct_size", c_uint32), ("element", c_uint32), ("base", c_void_p),
                ("size", c_uint64), ("layer_stride", c_int64), ("plane_stride", c_int64),
                ("head_stride", c_int64), ("token_stride", c_int64)]
class _Store(Structure):
    _fields_ = _u32("struct_size preset k_form first_position put layer_count") + [
        ("chunk", POINTER(_Chunk)), ("layers", POINTER(_Layer)), ("kv", POINTER(_Kv)),
        ("ttl_seconds", c_uint64)]
class _Fetch(Structure):
    _fields_ = _u32("struct_size k_form first_position layer_count") + [
        ("id", _Id), ("chunk", POINTER(_Chunk)), ("layers", POINTER(_Layer)), ("kv", POINTER(_Kv))
    ] + _u32("layer_begin layer_end token_begin token_end computes_derived reserved")
class _Entry(Structure):
    _fields_ = [("id", _Id), ("code", c_int32)] + _u32("kind") + [("bytes", c_uint64)] + _u32(
        "tokens preset levels reserved")
class _Result(Structure):
    _fields_ = [("code", c_int32), ("outcome", c_uint32), ("cookie", c_uint64), ("id", _Id),
                ("bytes", c_uint64)] + _u32(
        "preset levels k_form first_position layers tokens tier prefix") + [
        ("message", c_char * 252), ("derived_layers", c_uint32)]
class _ChunkInfo(Structure):
    _fields_ = _u32("struct_size tokens layers preset levels k_form first_position element compile "
                    "has_parent") + [
        ("fingerprint", _Id), ("parent", _Id), ("bytes", c_uint64)
    ] + _u32("derived_layers reserved")
class _ServerInfo(Structure):
    _fields_ = _u32("struct_size reserved") + [("epoch", c_uint64), ("version", c_char * 64)]
class _CapacityPoint(Structure):
    _fields_ = [("capacity_bytes", c_uint64), ("hit_share", c_double), ("saved_share", c_double)]

_FIGURES = (
    "entries", "used_bytes", "capacity_bytes", "free_disk_bytes", "hits", "misses",
    "corrupt_blocks", "bytes_read", "bytes_written", "differing_puts", "late_reads", "index_bytes",
    "evicted", "expired", "leased", "cleaned_segments", "moved_bytes", "scrubbed_entries",
    "memory_capacity_bytes", "memory_used_bytes", "memory_hits", "memory_served_bytes",
    "memory_admitted_bytes", "memory_ahead_bytes", "memory_evicted_bytes")
class _StoreInfo(Structure):
    _fields_ = _u32("struct_size reserved") + [(name, c_uint64) for name in _FIGURES] + [
        ("capacity_count", c_uint32), ("reserved_too", c_uint32), ("capacity", _CapacityPoint * 16),
        ("io_backend", c_char * 16), ("io_missing", c_char * 256), ("read_only", c_char * 256)]
class _Cursor(Structure):
    _fields_ = [("size", c_uint32), ("bytes", c_uint8 * 252)]

_E, _I, _N = POINTER(_Error), POINTER(_Id), POINTER(c_size_t)
_SIGNATURES = {
    "open": [POINTER(_Options), POINTER(c_void_p), _E],
    "ping": [c_void_p, POINTER(_ServerInfo), _E],
    "register_model": [c_void_p, POINTER(_Model), _E],
    "sha256": [c_char_p, c_size_t, _I],
    "fingerprint": [POINTER(_Model), _I, _E],
    "chunk_id": [_I, POINTER(_Chunk), _I, _E],
    "lookup": [c_void_p, _I, c_size_t, POINTER(_Entry), POINTER(c_uint32), _E],
    "will_fetch": [c_void_p, _I, c_size_t, _E],
    "store": [c_void_p, POINTER(_Store), POINTER(_Result), _E],
    "fetch": [c_void_p, POINTER(_Fetch), POINTER(_Result), _E],
    "stat": [c_void_p, _I, POINTER(_ChunkInfo), POINTER(_Layer), c_size_t, POINTER(c_uint32),
             c_size_t, _E],
    "remove": [c_void_p, _I, _E],
    "list": [c_void_p, c_uint32, POINTER(_Cursor), POINTER(_Entry), c_size_t, _N, _E],
    "store_stats": [c_void_p, POINTER(_StoreInfo), _E],
    "queue_open": [POINTER(c_void_p), _E],
    "queue_fd": [c_void_p],
    "queue_take": [c_void_p, POINTER(_Result), c_size_t, c_int32, _N, _E],
    "submit_store": [c_void_p, POINTER(_Store), c_void_p, c_uint64, POINTER(c_uint64), _E],
    "submit_fetch": [c_void_p, POINTER(_Fetch), c_void_p, c_uint64, POINTER(c_uint64), _E],
    "cancel": [c_void_p, c_uint64, _E],
}


def _candidates() -> Iterator[str]:
    # SPOLIA_LIBRARY, near this module, or where the loader looks.
    if os.environ.get("SPOLIA_LIBRARY"):
        yield os.environ["SPOLIA_LIBRARY"]
        return
    folder = os.path.dirname(os.path.abspath(__file__))
    for _ in range(5):
        for pattern in ("", "lib", "lib64", "lib/*-linux-gnu", "*-linux-gnu",
                        "build/release/client"):
            yield from sorted(glob.glob(os.path.join(folder, pattern, "libspolia.so.0")))
        folder = os.path.dirname(folder)
    yield "libspolia.so.0"


def _load() -> ctypes.CDLL:
    tried = list(_candidates())
    library = None
    for path in tried:
        try:
            library = ctypes.CDLL(path)
            break
        except OSError:
            continue
    if library is None:
        raise ImportError(f"libspolia.so.0 does not load from any of: {', '.join(tried)}; "
                          "SPOLIA_LIBRARY can name it")
    if library.spolia_abi_version() != ABI_VERSION:
        raise ImportError(f"{library._name}: has another ABI version than {ABI_VERSION}")
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, "spolia_" + name)
        function.argtypes, function.restype = arguments, c_int32
    library.spolia_queue_fd.restype = c_int
    for name in ("close", "queue_close"):
        function = getattr(library, "spolia_" + name)
        function.argtypes, function.restype = [c_void_p], None
    library.spolia_version.restype = c_char_p
    return library


_library = _load()


def version() -> str:
    """The library's."""
    return _library.spolia_version().decode()


def _raise(code: int, message: bytes) -> None:
    known = Code(code) if code in Code._value2member_map_ else Code.INTERNAL
    kind = NotFound if known == Code.NOT_FOUND else SpoliaError
    raise kind(known, message.decode("utf-8", "replace"))


def _call(name: str, *arguments: Any) -> None:
    error = _sized(_Error)
    code = getattr(_library, "spolia_" + name)(*arguments, byref(error))
    if code != 0:
        _raise(code, error.message)


def _sized(kind: Any, **fields: Any) -> Any:
    return kind(struct_size=ctypes.sizeof(kind), **fields)


def _number(table: "dict[str, int]", value: str, what: str) -> int:
    if value not in table:
        raise ValueError(f"{what}: {value!r}, expected one of {', '.join(table)}")
    return table[value]


def _id(value: Optional[bytes], what: str = "id") -> _Id:
    data = bytes(32) if value is None else bytes(value)
    if len(data) != 32:
        raise ValueError(f"{what}: {len(data)} bytes, expected 32")
    return _Id((c_uint8 * 32)(*data))


def _name_of(table: "dict[str, int]", number: int) -> str:
    return next((name for name, n in table.items() if n == number), str(number))


def sha256(data: bytes) -> bytes:
    out = _Id()
    _library.spolia_sha256(data, len(data), byref(out))
    return bytes(out.bytes)


@dataclass(frozen=True)
class Model:
    """What a model's fingerprint is made of: SHA-256 digests (None: it has no such part), and the
    numerics of its weights ("f32", "f16", "int8")."""
    name: str
    weights: bytes
    config: Optional[bytes] = None
    tokenizer: Optional[bytes] = None
    rope: Optional[bytes] = None
    adapter: Optional[bytes] = None
    numerics: str = "f32"

    def _c(self) -> _Model:
        parts = {part: _id(getattr(self, part), part)
                 for part in ("weights", "adapter", "config", "tokenizer", "rope")}
        return _sized(_Model, name=self.name.encode(), numerics=self.numerics.encode(), **parts)

    @property
    def fingerprint(self) -> bytes:
        out = _Id()
        _call("fingerprint", byref(self._c()), byref(out))
        return bytes(out.bytes)


@dataclass(frozen=True)
class Chunk:
    """A run of tokens whose KV was computed in isolation (mode "bos" or "lego0"), or as the
    continuation of the chunk whose id is `parent`, or from position 0 (mode "prefix")."""
    tokens: Sequence[int]
    mode: str = "bos"
    parent: Optional[bytes] = None

    def _c(self) -> _Chunk:
        if any(not 0 <= token < 1 << 32 for token in self.tokens):
            raise ValueError("tokens: expected numbers of 32 bits")
        tokens = (c_uint32 * len(self.tokens))(*self.tokens)
        parent = None if self.parent is None else ctypes.pointer(_id(self.parent, "parent"))
        return _sized(_Chunk, compile=_number(COMPILE_MODES, self.mode, "mode"), tokens=tokens,
                      token_count=len(tokens), parent=parent)

    def id(self, model: Union[Model, bytes]) -> bytes:
        """Its id under a model or a model's fingerprint."""
        fingerprint = model.fingerprint if isinstance(model, Model) else model
        out = _Id()
        _call("chunk_id", byref(_id(fingerprint)), byref(self._c()), byref(out))
        return bytes(out.bytes)


@dataclass(frozen=True)
class Entry:
    """What a lookup or a listing tells; `code` is Code.OK when it is there."""
    id: bytes
    code: Code
    kind: str
    bytes: int
    tokens: int
    preset: str
    levels: int

@dataclass(frozen=True)
class Lookup:
    entries: "list[Entry]"
    prefix: int  # how many of the first ids are all there

@dataclass(frozen=True)
class Result:
    """How a store or a fetch ended."""
    code: Code
    message: str
    id: bytes
    bytes: int  # store: as stored; fetch: over the wire
    outcome: str
    preset: str
    k_form: str
    first_position: int
    layers: int
    tokens: int
    tier: str
    cookie: Any = None  # submitted requests
    derived_layers: int = 0  # fetch: the first so many of `out` are for the caller to compute

@dataclass(frozen=True)
class ChunkInfo:
    tokens: "list[int]"
    layers: "list[tuple[int, int]]"
    preset: str
    k_form: str
    first_position: int
    element: str
    mode: str
    parent: Optional[bytes]
    fingerprint: bytes
    bytes: int
    derived_layers: int = 0  # the first so many are not stored: see Client.fetch


def _entry(entry: _Entry) -> Entry:
    return Entry(bytes(entry.id.bytes), Code(entry.code), _name_of(KINDS, entry.kind), entry.bytes,
                 entry.tokens, _name_of(PRESETS, entry.preset), entry.levels)


def _result(result: _Result, cookie: Any = None) -> Result:
    return Result(Code(result.code), result.message.decode("utf-8", "replace"),
                  bytes(result.id.bytes), result.bytes, OUTCOMES[min(result.outcome, 2)],
                  _name_of(PRESETS, result.preset), _name_of(K_FORMS, result.k_form),
                  result.first_position, result.layers, result.tokens, TIERS[min(result.tier, 3)],
                  cookie, result.derived_layers)


def _memory(array: Any, element: Optional[str], writable: bool) -> "tuple[_Kv, tuple[int, ...]]":
    """The array's memory as the library sees it, and its shape."""
    view = array.__array_interface__
    shape, kinds = tuple(view["shape"]), {"<f4": "f32", "<f2": "f16"}
    element = element or kinds.get(view["typestr"])
    expected = {"f32": "<f4", "f16": "<f2", "bf16": "<u2"}
    if element is None or expected.get(element) != view["typestr"]:
        raise ValueError(f"array of {view['typestr']} as {element}: expected float32, float16, or "
                         "uint16 with element \"bf16\"")
    if len(shape) != 5 or shape[1] != 2 or 0 in shape:
        raise ValueError(f"array of shape {shape}: expected (layer, 2, head, token, channel)")
    if writable and view["data"][1]:
        raise ValueError("array: is read-only")
    item = int(view["typestr"][2:])
    strides = view.get("strides")
    if strides is None:
        strides = [item]
        for length in reversed(shape[1:]):
            strides.insert(0, strides[0] * length)
    if min(strides) < 0 or (shape[4] > 1 and strides[4] != item):
        raise ValueError(f"array of strides {tuple(strides)}: expected none that is negative, and "
                         "contiguous channels")
    size = sum((length - 1) * stride for length, stride in zip(shape, strides)) + item
    kv = _sized(_Kv, element=ELEMENTS[element], base=view["data"][0], size=size,
                layer_stride=strides[0], plane_stride=strides[1], head_stride=strides[2],
                token_stride=strides[3])
    return kv, shape


def _shapes(shapes: Shapes) -> "ctypes.Array[_Layer]":
    return (_Layer * len(shapes))(*[_Layer(heads, dim) for heads, dim in shapes])


class Queue:
    """Where submitted requests complete; `fileno()` is readable while completions wait, so it goes
    into selectors and event loops. One thread takes."""

    def __init__(self) -> None:
        self._handle = c_void_p()
        self._requests: "dict[int, tuple[Any, Any]]" = {}  # cookie and what must stay alive
        self._next = 0
        _call("queue_open", byref(self._handle))

    def fileno(self) -> int:
        return _library.spolia_queue_fd(self._handle)

    def take(self, timeout: Optional[float] = None, room: int = 64) -> "list[Result]":
        """Completions, at most `room`; waits for the first for `timeout` seconds (None: without
        end, 0: not at all) and gives an empty list when none came. Failures are in their codes."""
        results, count = (_Result * room)(), c_size_t()
        milliseconds = -1 if timeout is None else min(int(timeout * 1000), 2**31 - 1)
        _call("queue_take", self._handle, results, room, milliseconds, byref(count))
        return [_result(results[i], self._requests.pop(results[i].cookie)[0])
                for i in range(count.value)]

    def _keep(self, cookie: Any, *alive: Any) -> int:
        self._next += 1
        self._requests[self._next] = (cookie, alive)
        return self._next

    def close(self) -> None:
        """Cancels what is under way; arrays are free when it returns."""
        if self._handle:
            _library.spolia_queue_close(self._handle)
            self._handle = c_void_p()
            self._requests.clear()

    def __enter__(self) -> "Queue":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Client:
    """A connection to a server, made when first needed and made again when it breaks. Timeouts are
    seconds. `layers` (KV heads and channels of each layer of the model) is needed to fetch some
    layers; all layers of an array are taken to be alike without it."""

    def __init__(self, address: str, *, token: Optional[str] = None, model: Optional[Model] = None,
                 layers: Optional[Shapes] = None, connect_timeout: float = 3.0,
                 call_timeout: float = 30.0, codec_threads: int = 1) -> None:
        self.model = model
        self._layers = layers
        self._handle = c_void_p()
        self._fingerprint = model.fingerprint if model else None
        options = _sized(_Options, address=address.encode(), codec_threads=codec_threads,
                         token=token.encode() if token is not None else None,
                         model=ctypes.pointer(model._c()) if model else None,
                         connect_timeout_ms=max(1, int(connect_timeout * 1000)),
                         call_timeout_ms=max(1, int(call_timeout * 1000)))
        _call("open", byref(options), byref(self._handle))

    def close(self) -> None:
        """What was submitted completes as cancelled."""
        if self._handle:
            _library.spolia_close(self._handle)
            self._handle = c_void_p()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def ping(self) -> "tuple[int, str]":
        """The server's epoch (another one: it was started again) and version."""
        info = _sized(_ServerInfo)
        _call("ping", self._handle, byref(info))
        return info.epoch, info.version.decode()

    def register_model(self, model: Model) -> None:
        """Makes a name known to the server; raises when it means another model there."""
        _call("register_model", self._handle, byref(model._c()))

    def chunk_id(self, chunk: Chunk) -> bytes:
        """The chunk's id under this client's model."""
        if self._fingerprint is None:
            raise ValueError("chunk: the client has no model")
        return chunk.id(self._fingerprint)

    def _ids(self, chunks: "Sequence[Union[Chunk, bytes]]") -> "ctypes.Array[_Id]":
        ids = [self.chunk_id(c) if isinstance(c, Chunk) else c for c in chunks]
        return (_Id * len(ids))(*[_id(i) for i in ids])

    def lookup(self, chunks: "Sequence[Union[Chunk, bytes]]", will_fetch: bool = False) -> Lookup:
        """What is there of these, and how many of the first all are. will_fetch: begin to read."""
        ids, prefix = self._ids(chunks), c_uint32()
        if will_fetch:
            _call("will_fetch", self._handle, ids, len(ids))
        entries = (_Entry * len(ids))()
        _call("lookup", self._handle, ids, len(ids), entries, byref(prefix))
        return Lookup([_entry(entry) for entry in entries], prefix.value)

    def _store_request(self, chunk: Chunk, kv: Any, preset: str, k_form: str, first_position: int,
                       put: str, element: Optional[str], ttl: int) -> _Store:
        memory, shape = _memory(kv, element, writable=False)
        if shape[3] != len(chunk.tokens):
            raise ValueError(f"array of {shape[3]} tokens, the chunk has {len(chunk.tokens)}")
        layers = _shapes([(shape[2], shape[4])] * shape[0])
        return _sized(_Store, preset=_number(PRESETS, preset, "preset"),
                      k_form=_number(K_FORMS, k_form, "k_form"), first_position=first_position,
                      put=_number(PUT_MODES, put, "put"), layer_count=len(layers), ttl_seconds=ttl,
                      chunk=ctypes.pointer(chunk._c()), layers=layers, kv=ctypes.pointer(memory))

    def store(self, chunk: Chunk, kv: Any, *, preset: str = "high", k_form: str = "pre_rope",
              first_position: int = 0, put: str = "if_absent",
              element: Optional[str] = None, ttl: int = 0) -> Result:
        """Encodes and stores a chunk's KV durably, for `ttl` seconds (0: the server's default)."""
        request = self._store_request(chunk, kv, preset, k_form, first_position, put, element, ttl)
        result = _Result()
        _call("store", self._handle, byref(request), byref(result))
        return _result(result)

    def _fetch_request(self, chunk: Union[Chunk, bytes], out: Any, layer_begin: int,
                       token_begin: int, k_form: str, first_position: int,
                       element: Optional[str], computes_derived: bool) -> _Fetch:
        memory, shape = _memory(out, element, writable=True)
        layers = self._layers or [(shape[2], shape[4])] * (layer_begin + shape[0])
        for heads, dim in layers[layer_begin:layer_begin + shape[0]]:
            if (heads, dim) != (shape[2], shape[4]):
                raise ValueError(f"array of {shape[2]} heads of {shape[4]} channels, the model has "
                                 f"{heads} of {dim}")
        by_text = isinstance(chunk, Chunk)
        return _sized(_Fetch, k_form=_number(K_FORMS, k_form, "k_form"),
                      first_position=first_position, layer_count=len(layers),
                      id=_id(None if by_text else chunk),
                      chunk=ctypes.pointer(chunk._c()) if by_text else None,
                      layers=_shapes(layers), kv=ctypes.pointer(memory), layer_begin=layer_begin,
                      layer_end=layer_begin + shape[0], token_begin=token_begin,
                      token_end=token_begin + shape[3], computes_derived=int(computes_derived))

    def fetch(self, chunk: Union[Chunk, bytes], out: Any, *, layer_begin: int = 0,
              token_begin: int = 0, k_form: str = "pre_rope", first_position: int = 0,
              element: Optional[str] = None, computes_derived: bool = False) -> Result:
        """Writes as many layers and tokens as `out` has, from the given ones on. A first layer that
        is not stored, as it follows from token ids and weights (derived_layers), is a miss, or left
        as it is in `out` for a caller that computes it (computes_derived)."""
        request = self._fetch_request(chunk, out, layer_begin, token_begin, k_form, first_position,
                                      element, computes_derived)
        result = _Result()
        _call("fetch", self._handle, byref(request), byref(result))
        return _result(result)

    def _submit(self, name: str, request: Any, array: Any, queue: Queue, cookie: Any) -> int:
        ticket = c_uint64()
        number = queue._keep(cookie, array)
        try:
            _call(name, self._handle, byref(request), queue._handle, number, byref(ticket))
        except SpoliaError:
            del queue._requests[number]
            raise
        return ticket.value

    def submit_store(self, chunk: Chunk, kv: Any, queue: Queue, cookie: Any = None, *,
                     preset: str = "high", k_form: str = "pre_rope", first_position: int = 0,
                     put: str = "if_absent", element: Optional[str] = None, ttl: int = 0) -> int:
        """As store, completing into the queue with `cookie`; the array is kept until then and is
        not to be written meanwhile. Gives a ticket for cancel()."""
        request = self._store_request(chunk, kv, preset, k_form, first_position, put, element, ttl)
        return self._submit("submit_store", request, kv, queue, cookie)

    def submit_fetch(self, chunk: Union[Chunk, bytes], out: Any, queue: Queue, cookie: Any = None,
                     *, layer_begin: int = 0, token_begin: int = 0, k_form: str = "pre_rope",
                     first_position: int = 0, element: Optional[str] = None,
                     computes_derived: bool = False) -> int:
        """As fetch, completing into the queue."""
        request = self._fetch_request(chunk, out, layer_begin, token_begin, k_form, first_position,
                                      element, computes_derived)
        return self._submit("submit_fetch", request, out, queue, cookie)

    def cancel(self, ticket: int) -> bool:
        """Asks for a request's end; False: it has completed."""
        try:
            _call("cancel", self._handle, ticket)
        except NotFound:
            return False
        return True

    def stat(self, chunk: Union[Chunk, bytes]) -> ChunkInfo:
        """What a stored chunk's header says."""
        ids, info = self._ids([chunk]), _sized(_ChunkInfo)
        layers, tokens = (_Layer * 1024)(), (c_uint32 * 65536)()
        _call("stat", self._handle, ids, byref(info), layers, len(layers), tokens, len(tokens))
        return ChunkInfo(list(tokens[:info.tokens]),
                         [(l.kv_heads, l.head_dim) for l in layers[:info.layers]],
                         _name_of(PRESETS, info.preset), _name_of(K_FORMS, info.k_form),
                         info.first_position, _name_of(ELEMENTS, info.element),
                         _name_of(COMPILE_MODES, info.compile),
                         bytes(info.parent.bytes) if info.has_parent else None,
                         bytes(info.fingerprint.bytes), info.bytes, info.derived_layers)

    def remove(self, chunk: Union[Chunk, bytes]) -> None:
        """Gone, durably, when it returns; NotFound when it was not there."""
        _call("remove", self._handle, self._ids([chunk]))

    def list(self, kind: str = "chunk") -> Iterator[Entry]:
        """All entries of a kind, page by page."""
        cursor, entries, count = _Cursor(), (_Entry * 1000)(), c_size_t()
        while True:
            _call("list", self._handle, _number(KINDS, kind, "kind"), byref(cursor), entries,
                  len(entries), byref(count))
            yield from [_entry(entries[i]) for i in range(count.value)]
            if cursor.size == 0:
                return

    def store_stats(self) -> "dict[str, Any]":
        """Figures of the whole store, by the names of spolia_store_info; "capacity" is a list of
        (capacity_bytes, hit_share, saved_share)."""
        info = _sized(_StoreInfo)
        _call("store_stats", self._handle, byref(info))
        out: "dict[str, Any]" = {name: getattr(info, name) for name in _FIGURES}
        out["capacity"] = [(point.capacity_bytes, point.hit_share, point.saved_share)
                           for point in info.capacity[:info.capacity_count]]
        for name in ("io_backend", "io_missing", "read_only"):
            out[name] = getattr(info, name).decode("utf-8", "replace")
        return out
