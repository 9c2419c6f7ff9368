"""What data sheets promise of GPUs: for estimates of machines that this one is not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class DataSheet:
    """Operations a second in products, in bf16 without sparsity summed in float32, and in float32; bytes a second
    of memory. `name` as it stands in what torch calls the card."""

    name: str
    bf16: float
    float32: float
    bytes: float
    source: str

    @classmethod
    def of(cls, name: str, bf16_tflops: float, float32_tflops: float, tb_s: float, source: str) -> DataSheet:
        return cls(name, bf16_tflops * 1e12, float32_tflops * 1e12, tb_s * 1e12, source)


DATA_SHEETS: Final = (
    DataSheet.of("H200", 989, 67, 4.8, "NVIDIA H200 Tensor Core GPU Datasheet, SXM 141 GB"),
    DataSheet.of("H100", 989, 67, 3.35, "NVIDIA H100 Tensor Core GPU Datasheet, SXM5 80 GB"),
    DataSheet.of("A100", 312, 19.5, 2.039, "NVIDIA A100 Tensor Core GPU Datasheet, SXM4 80 GB"),
    DataSheet.of("L40S", 362, 91.6, 0.864, "NVIDIA L40S Datasheet"),
    DataSheet.of("L4", 121, 30.3, 0.3, "NVIDIA L4 Tensor Core GPU Datasheet"),
    DataSheet.of("A10", 125, 31.2, 0.6, "NVIDIA A10 Tensor Core GPU Datasheet"),
    DataSheet.of("RTX 4090", 165.2, 82.6, 1.008, "NVIDIA Ada GPU Architecture, appendix A"),
    DataSheet.of("RTX 3090", 71, 35.6, 0.936, "NVIDIA Ampere GA102 GPU Architecture, appendix A"),
)


_NAMESAKES: Final = re.compile(r"MIG|PCIe|NVL|40GB|Laptop|\b(D|Ti|SUPER|Max-Q)\b", re.IGNORECASE)
"""Parts and smaller cards that are called after one of these."""


def data_sheet(device: str) -> DataSheet | None:
    """That of a device by what it is called, `cuda:0 (NVIDIA L4, 24 GB)`; None where none is known."""
    if _NAMESAKES.search(device):
        return None
    named = (sheet for sheet in DATA_SHEETS if re.search(rf"\b{re.escape(sheet.name)}\b", device))
    return next(named, None)
