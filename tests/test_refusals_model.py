"What the networks reject, and the advice that they give."
import numpy as np
import pytest
import torch
from torch import nn
from fastcore.test import test_close as close

from mnist_cnn.model import AllConvNet, SimpleCNN, n_params, plain_cnn

x = torch.rand(3, 1, 28, 28)
SHAPES = [
    ((255 * x).byte(), 'x.float() / 255'), ((255 * x).byte()[0], 'x.float() / 255'), (x[0], 'add the batch: x[None]'),
    (x[0, 0], 'x[None, None]'), (x[0].expand(5, 28, 28), 'x[:, None]'), (x.permute(0, 2, 3, 1), 'permute'),
    (x.expand(3, 3, 28, 28), 'gray'), (torch.zeros(2, 1, 32, 32), 'resize'), (x.flatten(1), 'N×1×28×28'), (torch.tensor(1.), '()')]


@pytest.mark.parametrize('bad, says', SHAPES)
def test_images_for_simple(bad, says):
    with pytest.raises(ValueError) as error: SimpleCNN()(bad)
    assert str(error.value).startswith('SimpleCNN takes a float batch') and says in str(error.value)


@pytest.mark.parametrize('bad', [x[:, :, 1:], x.byte(), x[0], x.expand(-1, 3, -1, -1)])
def test_images_for_all_conv(bad):
    with pytest.raises(ValueError, match='AllConvNet takes a float batch'): AllConvNet()(bad)


@pytest.mark.parametrize('network', [SimpleCNN, AllConvNet])
@pytest.mark.parametrize('bad, says', [
    ('digits', "is given 'digits'. To fix it, make it an ordinary tensor."), (None, 'is given None'), (x.numpy(), 'ordinary tensor'), (np.array(['a']), 'ordinary tensor'), (x.to_sparse(), 'ordinary tensor'),
    (torch.nested.nested_tensor([x[0]]), 'ordinary tensor'), (x.double(), 'x.to(torch.float32)'), (x.half(), 'x.to(torch.float32)'), (x.to(torch.float8_e5m2), 'x.to(torch.float32)'),
    (x.to('meta'), "x.to('cpu')"), (x * 1j, 'floats in [0, 1]')], ids=lambda v: str(v)[:20])
def test_what_the_weights_do_not_take(network, bad, says):
    "Another type, another device, and what is no tensor"
    with pytest.raises(ValueError, match='takes a float batch') as error: network()(bad)
    assert says in str(error.value)


def test_types_of_weights():
    "A network in another type takes images of that type; under autocast, any floats"
    assert SimpleCNN().double()(x.double()).dtype == torch.float64
    with torch.autocast('cpu', torch.bfloat16): assert SimpleCNN()(x.bfloat16()).dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r'x.to\(torch.float16\)'): AllConvNet().half()(x)


@pytest.mark.parametrize('bad, says', [(3, 'is not a model'), (SimpleCNN, 'is a class'), (nn.LazyLinear(2), 'lazy')])
def test_parameters_of_what_is_no_model(bad, says):
    with pytest.raises((TypeError, ValueError), match=says): n_params(bad)


@pytest.mark.parametrize('network', [SimpleCNN, AllConvNet, lambda n: plain_cnn((8,), n)])
@pytest.mark.parametrize('bad', [0, -1, 2.5, 2.0, True, '10', 'ten', None, 2**31, 10**400])
def test_classes(network, bad):
    with pytest.raises((ValueError, TypeError), match='n_classes'): network(bad)


@pytest.mark.parametrize('bad', [(), 8, (8, 0), ('8',), (True,), (2**31,)])
def test_channels(bad):
    with pytest.raises((ValueError, TypeError), match='channels'): plain_cnn(bad)


def test_what_is_taken():
    "Other numbers of classes, and no images at all."
    assert SimpleCNN(26)(x).shape == (3, 26)
    assert SimpleCNN()(x[:0]).shape == (0, 10)


def test_sequential_of_subclass():
    "A subclass that computes something else has no chain of layers to show."
    class Other(SimpleCNN):
        def forward(self, x): return 2 * super().forward(x)
    with pytest.raises(TypeError, match='Other has its own forward'): Other().as_sequential()


def test_export_keeps_batch_size_free():
    "The check of the shape does not stand in the way of tools that record a network."
    model, n = SimpleCNN().eval(), torch.export.Dim('n')
    exported = torch.export.export(model, (x[:2],), dynamic_shapes=({0: n},)).module()
    xb = torch.rand(5, 1, 28, 28)
    close(exported(xb), model(xb), eps=1e-6)
