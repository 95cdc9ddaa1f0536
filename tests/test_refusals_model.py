"What the networks reject, and the advice that they give."
import pytest
import torch
from fastcore.test import test_close as close

from mnist_cnn.model import AllConvNet, SimpleCNN, plain_cnn

x = torch.rand(3, 1, 28, 28)
SHAPES = [
    ((255 * x).byte(), 'x.float() / 255'), ((255 * x).byte()[0], 'x.float() / 255'), (x[0], 'add the batch: x[None]'),
    (x[0, 0], 'x[None, None]'), (x[0].expand(5, 28, 28), 'x[:, None]'), (x.permute(0, 2, 3, 1), 'permute'),
    (x.expand(3, 3, 28, 28), 'grey'), (torch.zeros(2, 1, 32, 32), 'resize'), (x.flatten(1), 'N×1×28×28'), (torch.tensor(1.), '()')]


@pytest.mark.parametrize('bad, says', SHAPES)
def test_images_for_simple(bad, says):
    with pytest.raises(ValueError) as error: SimpleCNN()(bad)
    assert str(error.value).startswith('SimpleCNN takes a float batch') and says in str(error.value)


@pytest.mark.parametrize('bad', [x[:, :, 1:], x.byte(), x[0], x.expand(-1, 3, -1, -1)])
def test_images_for_all_conv(bad):
    with pytest.raises(ValueError, match='AllConvNet takes a float batch'): AllConvNet()(bad)


@pytest.mark.parametrize('network', [SimpleCNN, AllConvNet, lambda n: plain_cnn((8,), n)])
@pytest.mark.parametrize('bad', [0, -1, 2.5, 2.0, True, '10', 'ten', None])
def test_classes(network, bad):
    with pytest.raises((ValueError, TypeError), match='n_classes'): network(bad)


@pytest.mark.parametrize('bad', [(), 8, (8, 0), ('8',), (True,)])
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
