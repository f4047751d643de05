"""What the head of a GGUF file says, read without loading it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from agentopt.errors import UsageError

__all__ = ["context_length"]

NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9


def context_length(path: Path) -> int | None:
    """Tokens that the model of a GGUF file reads and writes at most; None where the file does not say.

    Raises:
        UsageError: it is no GGUF file.
    """
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            raise UsageError(f"{path} is no GGUF file")
        try:
            _, _, fields = struct.unpack("<IQQ", file.read(20))
            for _ in range(fields):
                name = _string(file)
                value = _value(file, _number(file, "<I"))
                if name.endswith(".context_length"):
                    return int(value)
        except (struct.error, UnicodeDecodeError, KeyError, MemoryError, OverflowError, TypeError) as error:
            raise UsageError(f"{path} is no sound GGUF file: its head is cut or damaged") from error
    return None


def _number(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _string(file: BinaryIO) -> str:
    return file.read(_number(file, "<Q")).decode("utf-8")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _string(file)
    if kind == ARRAY:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        if inner in NUMBERS:
            file.seek(struct.calcsize(NUMBERS[inner]) * count, 1)
        else:
            for _ in range(count):
                _value(file, inner)
        return None
    return _number(file, NUMBERS[kind])
