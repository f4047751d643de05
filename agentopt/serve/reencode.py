"""Write a GGUF again with its quantized matrices in another type, for an engine that cannot read the first.

Dequantizing and quantizing to a finer type loses next to nothing; an embedding that is stored twice is kept once, in
the finer of its two forms.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentopt.errors import MissingDependency

__all__ = ["reencode"]


def reencode(source: Path, target: Path, kind: str, tell: Callable[[int, int], None] | None = None) -> None:
    """Write ``source`` to ``target`` with every quantized tensor as ``kind``.

    Args:
        source: a GGUF file.
        target: the file to write.
        kind: a GGML type that the ``gguf`` package can write, such as ``Q8_0``.
        tell: called with bytes read and bytes in all.

    Raises:
        MissingDependency: the ``gguf`` package is not here.
    """
    try:
        import gguf
        from gguf import quants
    except ImportError as error:
        raise MissingDependency(
            f"making the {kind} copy of {source.name} needs the gguf package: `pip install 'agentopt[local]'`"
        ) from error
    wanted = gguf.GGMLQuantizationType[kind]
    plain = {gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16, wanted}
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    _metadata(gguf, reader, writer, kind)
    names = {tensor.name for tensor in reader.tensors}
    tied = "output.weight" in names and "token_embd.weight" in names and _tied(reader)
    total, done = sum(int(t.n_bytes) for t in reader.tensors), 0
    for tensor in reader.tensors:
        done += int(tensor.n_bytes)
        if tied and tensor.name == "token_embd.weight":
            continue
        name = "token_embd.weight" if tied and tensor.name == "output.weight" else tensor.name
        if tensor.tensor_type in plain:
            writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)
        else:
            values = quants.dequantize(tensor.data, tensor.tensor_type)
            writer.add_tensor(name, quants.quantize(values, wanted), raw_dtype=wanted)
        if tell:
            tell(done, total)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _metadata(gguf: Any, reader: Any, writer: Any, kind: str) -> None:
    """Copy every field but those that the writer sets itself; the file type becomes the new one."""
    file_type = getattr(gguf.LlamaFileType, f"MOSTLY_{kind}", None)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value, value_type = field.contents(), field.types[0]
        if value_type == gguf.GGUFValueType.ARRAY:
            writer.add_array(name, value)
        elif name == "general.file_type" and file_type is not None:
            writer.add_key_value(name, int(file_type), value_type)
        else:
            writer.add_key_value(name, value, value_type)


def _tied(reader: Any) -> bool:
    """Whether the output matrix is the embedding, stored a second time in another type.

    Compared on a sample of rows: two encodings of the same numbers differ by far less than two matrices do.
    """
    import numpy
    from gguf import quants

    by_name = {tensor.name: tensor for tensor in reader.tensors}
    first, second = by_name["token_embd.weight"], by_name["output.weight"]
    if tuple(first.shape) != tuple(second.shape):
        return False
    rows = numpy.linspace(0, first.data.shape[0] - 1, 64).astype(int)
    a = quants.dequantize(numpy.ascontiguousarray(first.data[rows]), first.tensor_type).ravel()
    b = quants.dequantize(numpy.ascontiguousarray(second.data[rows]), second.tensor_type).ravel()
    spread = float(numpy.abs(a).mean())
    return spread > 0 and float(numpy.abs(a - b).mean()) < 0.25 * spread
