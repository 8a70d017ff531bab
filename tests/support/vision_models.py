# SPDX-License-Identifier: GPL-3.0-or-later
"""Projectors with random weights for the tiny model, and image files: nothing is downloaded."""

from __future__ import annotations

import base64
import fcntl
import struct
import zlib
from pathlib import Path
from typing import Literal

import numpy as np

Sort = Literal["mlp", "gemma3"]
SIDE, PATCH, WIDTH, LAYERS, INNER = 56, 14, 32, 2, 64
ROWS = {"mlp": (SIDE // PATCH) ** 2, "gemma3": (SIDE // PATCH // 2) ** 2}
"""Rows that an image becomes."""


def write_projector(path: Path, sort: Sort, *, width: int = 128, side: int = SIDE, seed: int = 0) -> Path:
    """A projector for a model of `width`: LLaVA's (`mlp`, causal rows) or Gemma 3's (rows that see one another)."""
    import gguf

    w = gguf.GGUFWriter(str(path), "clip")
    rng = np.random.default_rng(seed)
    w.add_type("mmproj")
    w.add_name(f"random-{sort}")
    w.add_file_type(0)
    w.add_bool("clip.has_vision_encoder", True)
    w.add_string("clip.projector_type", sort)
    w.add_bool("clip.use_gelu", True)
    for name, number in (
        ("image_size", side), ("patch_size", PATCH), ("embedding_length", WIDTH), ("feed_forward_length", INNER),
        ("block_count", LAYERS), ("attention.head_count", 2), ("projection_dim", width), ("projector.scale_factor", 2),
    ):  # fmt: skip
        w.add_uint32(f"clip.vision.{name}", number)
    w.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    for name in ("image_mean", "image_std"):
        w.add_array(f"clip.vision.{name}", [0.5, 0.5, 0.5])

    def mat(name: str, *shape: int, std: float = 0.1) -> None:
        w.add_tensor(name, (rng.standard_normal(shape, dtype=np.float32) * std).astype(np.float32))

    def norm(name: str) -> None:
        w.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
        w.add_tensor(f"{name}.bias", np.zeros(WIDTH, np.float32))

    mat("v.patch_embd.weight", WIDTH, 3, PATCH, PATCH)
    mat("v.patch_embd.bias", WIDTH)
    mat("v.position_embd.weight", (side // PATCH) ** 2, WIDTH)
    for index in range(LAYERS):
        at = f"v.blk.{index}"
        norm(f"{at}.ln1")
        norm(f"{at}.ln2")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            mat(f"{at}.{name}.weight", WIDTH, WIDTH, std=WIDTH**-0.5)
            mat(f"{at}.{name}.bias", WIDTH)
        mat(f"{at}.ffn_up.weight", INNER, WIDTH, std=WIDTH**-0.5)
        mat(f"{at}.ffn_up.bias", INNER)
        mat(f"{at}.ffn_down.weight", WIDTH, INNER, std=INNER**-0.5)
        mat(f"{at}.ffn_down.bias", WIDTH)
    norm("v.post_ln")
    if sort == "gemma3":
        mat("mm.input_projection.weight", WIDTH, width, std=0.05)
        w.add_tensor("mm.soft_emb_norm.weight", np.ones(WIDTH, np.float32))
    else:
        mat("mm.0.weight", width, WIDTH, std=WIDTH**-0.5)
        mat("mm.0.bias", width)
        mat("mm.2.weight", width, width, std=width**-0.5)
        mat("mm.2.bias", width)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return path


def shared_projector(folder: Path, sort: Sort) -> Path:
    """The projector in a folder that several processes share; written once."""
    path = folder / f"mmproj-{sort}.gguf"
    with (folder / f"mmproj-{sort}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            write_projector(path.with_suffix(".partial"), sort).rename(path)
    return path


def png(red: int = 200, green: int = 30, blue: int = 30, *, width: int = 40, height: int = 30, seed: int = 0) -> bytes:
    """A picture of one colour with a little noise."""
    rng = np.random.default_rng(seed)
    pixels = np.clip(np.array([red, green, blue]) + rng.integers(-20, 20, (height, width, 3)), 0, 255).astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(name, data)
        for name, data in (
            (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(raw)),
            (b"IEND", b""),
        )
    )


def bmp(red: int = 20, green: int = 30, blue: int = 200, *, side: int = 16) -> bytes:
    """A square of one colour."""
    pixels = bytes((blue, green, red)) * side * side
    head = b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, len(pixels), 0, 0, 0, 0) + pixels


def data_url(image: bytes, media: str = "image/png") -> str:
    """The image as a `data:` URL."""
    return f"data:{media};base64,{base64.b64encode(image).decode()}"


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def jpeg(width: int, height: int) -> bytes:
    """A grey baseline JPEG: every block is flat, and every difference nothing."""
    blocks = -(-width // 8) * -(-height // 8)
    bits = "00" * blocks
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big")
    frame = struct.pack(">BHHB3B", 8, height, width, 1, 1, 0x11, 0)
    return (
        b"\xff\xd8"
        + b"".join(
            b"\xff" + bytes((marker,)) + struct.pack(">H", len(data) + 2) + data
            for marker, data in (
                (0xDB, b"\0" + b"\1" * 64),
                (0xC0, frame),
                (0xC4, b"\x00" + b"\1" + bytes(15) + b"\0"),
                (0xC4, b"\x10" + b"\1" + bytes(15) + b"\0"),
                (0xDA, b"\1\1\0\0\x3f\0"),
            )
        )
        + scan
        + b"\xff\xd9"
    )


def gif() -> bytes:
    """One pixel of GIF89a."""
    return base64.b64decode("R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==")
