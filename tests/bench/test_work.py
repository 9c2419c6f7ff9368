"""What is counted of a step are the numbers that one finds on paper."""

import torch

from styletransfer.network.vgg import mask_relu
from styletransfer.objective.objective import Objective
from styletransfer.settings import Settings
from tests.bench.work import Operation, Rates, Work, count_iteration, counted, total
from tests.networks import shallow_network

FLOAT = 4  # bytes


def test_a_product_is_two_operations_for_each_of_its_terms():
    a, b = torch.ones(2, 3), torch.ones(3, 5)
    with counted() as found:
        _ = a @ b
    assert total(found) == Work(1, 2 * 2 * 3 * 5, (2 * 3 + 3 * 5 + 2 * 5) * FLOAT)


def test_in_place_it_is_read_and_written_but_for_what_is_overwritten():
    a, b = torch.ones(10), torch.ones(10)
    with counted() as added:
        a.add_(b)
    with counted() as copied:
        a.copy_(b)
    with counted() as filled:
        a.fill_(2)
    assert [total(found).bytes for found in (added, copied, filled)] == [30 * FLOAT, 20 * FLOAT, 10 * FLOAT]


def test_a_result_given_as_an_argument_is_written_alone():
    a, out = torch.ones(10), torch.empty(10)
    with counted() as found:
        torch.mul(a, a, out=out)
    assert total(found) == Work(1, 10, 30 * FLOAT)


def test_views_and_allocations_launch_nothing_and_what_is_expanded_is_read_once():
    a = torch.ones(10)
    with counted() as found:
        _ = torch.empty(5), a.view(2, 5), a[:3]
    assert total(found) == Work()
    b = torch.ones(7, 10)
    with counted() as found:
        _ = a.expand(7, 10) + b
    assert total(found).bytes == (10 + 70 + 70) * FLOAT


def test_each_operator_belongs_to_the_part_that_called_it():
    grad, output = torch.ones(4), torch.ones(4)
    with counted() as found:
        mask_relu(grad, output)
    assert list(found) == [Operation("masks of ReLUs", "threshold_backward", "float32", (4,))]


def test_of_an_iteration_every_part_is_counted():
    settings = Settings(end_scale=16, content_layers=("relu2_1",), style_layers={"relu1_1": 1, "relu2_1": 1})
    objective = Objective(shallow_network("relu2_1"), settings)
    image = torch.rand(1, 3, 16, 16)
    parts = {operation.part for operation in count_iteration(objective, image, image)}
    assert {"convolutions", "poolings", "moments", "roots", "total variation", "optimizer and average"} <= parts


def test_a_device_takes_what_binds_each_operator():
    rates = Rates({"float32": 10.0, "bfloat16": 100.0}, bytes=2.0, launch_s=3.0)
    product, copy = Operation("", "mm", "bfloat16", (1,)), Operation("", "copy_", "float32", (1,))
    counts = {product: Work(1, 1000, 2), copy: Work(2, 10, 8)}
    assert rates.device_s(counts) == 10 + 4
    assert rates.launches_s(counts) == 9
