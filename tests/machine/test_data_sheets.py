"""Data sheets: found by what torch calls a card."""

import pytest

from styletransfer.machine.data_sheets import data_sheet


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("cuda:0 (NVIDIA L4, 24 GB)", "L4"),
        ("cuda:0 (NVIDIA L40S, 48 GB)", "L40S"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("cpu (AMD EPYC, 2 cores)", None),
        ("NVIDIA A1000", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA H100 NVL", None),
        ("NVIDIA A100-SXM4-40GB", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA GeForce RTX 4090 D", None),
        ("NVIDIA GeForce RTX 3090 Ti", None),
    ],
)
def test_a_card_is_found_by_its_name(device, name):
    sheet = data_sheet(device)
    assert (sheet.name if sheet else None) == name
