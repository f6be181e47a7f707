"""The safetensors format, written and read by hand: u64 header length, JSON header, raw tensors."""

import json
import struct

import numpy as np

NAMES = {np.dtype("<f4"): "F32", np.dtype("<f2"): "F16"}
ALIGNMENT = 64  # the header is padded with spaces, so that the data starts aligned


def write(path: str, tensors: dict) -> None:
    """tensors: name -> float32 or float16 array."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, array in tensors.items():
        if array.dtype not in NAMES:
            raise ValueError(f"{name}: expected float32 or float16, got {array.dtype}")
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())


def read(path: str) -> dict:
    """name -> float32 array; only F32 tensors are known here."""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {name} is {entry['dtype']}, expected F32")
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
    return tensors
