"""What tests of renders share."""

import pytest

from styletransfer.network.vgg_weights import Weights
from styletransfer.weights.loading import load_weights


@pytest.fixture(scope="session")
def weights() -> Weights:
    """As deep as the shallow settings need them."""
    return load_weights("random", last_layer="relu2_1")
