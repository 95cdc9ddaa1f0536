"What the functions on sizes, receptive fields and widgets reject, and the advice that they give."
import numpy as np
import pytest
import torch
from torch import nn

from mnist_cnn.conv import find_conv, out_size, receptive_field, transposed_out_size
from mnist_cnn.widgets import animate_conv, explore_conv, explore_confusions

digit = torch.rand(28, 28)
IMPOSSIBLE = [
    (dict(kernel_size=0), 'kernel_size=0'), (dict(kernel_size=-3), 'give at least 1'), (dict(kernel_size=9), 'give an input of at least 9'),
    (dict(kernel_size=3, stride=0), 'stride=0'), (dict(kernel_size=3, padding=-1), 'padding=-1'), (dict(kernel_size=3, dilation=0), 'dilation=0'),
    (dict(kernel_size=(3, 3, 3)), 'has 2 numbers, but there are 3 dimensions'), (dict(kernel_size=3, padding='same', stride=2), "padding='same' needs stride=1"),
    (dict(kernel_size=3, padding='full'), "give 'same', 'valid' or a number")]


@pytest.mark.parametrize('bad, says', IMPOSSIBLE)
def test_layer(bad, says):
    with pytest.raises(ValueError) as error: out_size((8, 8), **bad)
    assert says in str(error.value)
    with pytest.raises((ValueError, RuntimeError)): nn.Conv2d(1, 1, **bad)(torch.zeros(1, 1, 8, 8))  # PyTorch rejects the same


@pytest.mark.parametrize('bad', [8.0, True, '8', None, np.ones(2), torch.ones(1), {8}, {8: 8}])
@pytest.mark.parametrize('f', [lambda bad: out_size(bad, 3), lambda bad: out_size(8, bad), lambda bad: out_size(8, 3, bad),
                               lambda bad: out_size(8, 3, dilation=bad), lambda bad: transposed_out_size(bad, 3)])
def test_type(f, bad):
    with pytest.raises(TypeError, match='sizes are counted in whole pixels'): f(bad)


@pytest.mark.parametrize('bad', [0, -8, (8, 0), [], (8, 8, 8)])
def test_input_size(bad):
    with pytest.raises(ValueError, match='in_size|kernel_size'): out_size(bad, (3, 3), padding=2)


def test_long_value_is_quoted_short():
    with pytest.raises(ValueError) as error: out_size((8,) * 10_000, (3, 3))
    assert len(str(error.value)) < 200


@pytest.mark.parametrize('bad, says', [
    (dict(kernel_size=2, padding=2, ceil_mode=True), 'give at most 1'), (dict(kernel_size=3, padding='same', ceil_mode=True), 'padding is a number'),
    (dict(kernel_size=3, padding=2, dilation=3, ceil_mode=True), 'give at most 1')])
def test_pool(bad, says):
    with pytest.raises(ValueError, match=says): out_size(8, **bad)


@pytest.mark.parametrize('bad, says', [
    (dict(stride=2, output_padding=2), 'give at most 1'), (dict(output_padding=1), 'give at most 0'), (dict(padding='same'), 'takes numbers only'),
    (dict(padding=9), 'nothing is left: give at most 7'), (dict(output_padding=-1), 'output_padding=-1'), (dict(kernel_size=0), 'kernel_size=0')])
def test_transposed(bad, says):
    with pytest.raises(ValueError, match=says): transposed_out_size(14, **dict(kernel_size=3) | bad)


@pytest.mark.parametrize('bad', [dict(in_size=0), dict(out_size=0), dict(out_size=(14, 14, 14)), dict(kernel_size=0), dict(stride=(1, 0)), dict(padding=-1)])
def test_find(bad):
    with pytest.raises(ValueError, match=f'{next(iter(bad))}|3 dimensions'): find_conv(**dict(in_size=(28, 28), out_size=14) | bad)


@pytest.mark.parametrize('bad', [dict(in_size=28.), dict(out_size='14'), dict(kernel_size='3'), dict(padding=None), dict(padding=torch.tensor(True))])
def test_find_type(bad):
    with pytest.raises(TypeError, match=next(iter(bad))): find_conv(**dict(in_size=28, out_size=14) | bad)


@pytest.mark.parametrize('bad', [
    [nn.Conv1d(1, 1, 3), nn.Conv2d(1, 1, 3)], [(0,)], [dict(kernel_size=3, stride=0)], [nn.ConvTranspose2d(1, 1, 3)],
    [nn.Linear(2, 2)], [nn.LayerNorm(3)], [(3, 1, 1, 1, 1)], [dict(kernel=3)], [dict(stride=2)], [()]])
def test_field(bad):
    with pytest.raises(ValueError): receptive_field(bad)


@pytest.mark.parametrize('bad', [[3], (3, 1, 1), dict(kernel_size=3), 'conv', [None], [nn.Conv2d], 3, None, torch.tensor(3)])
def test_field_type(bad):
    with pytest.raises(TypeError, match='is not a layer'): receptive_field(bad)


@pytest.mark.parametrize('layer', [nn.Flatten(), nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Flatten())])
def test_field_names_the_layer(layer):
    with pytest.raises(ValueError, match='Flatten|Linear.*Pass only the layers before it'): receptive_field([nn.Conv2d(1, 1, 3), layer])


@pytest.mark.parametrize('bad, says', [
    (dict(in_size=4, kernel_size=7), 'nothing to draw'), (dict(in_size=11), 'at most 100'), (dict(in_size=0), 'in_size=0'),
    (dict(stride=0), 'stride=0'), (dict(padding='full'), 'is unknown'), (dict(in_size=2, padding=3, transposed=True), 'nothing to draw')])
def test_moving_picture(bad, says):
    with pytest.raises(ValueError, match=says): animate_conv(**dict(in_size=8, kernel_size=1) | bad)


@pytest.mark.parametrize('bad, says', [
    (dict(in_size=33), r'in_size=\(33, 33\): give at most 32'), (dict(kernel_size=40), 'kernel_size=40|spans 40'), (dict(kind='max', padding=2), 'at most half of kernel_size'),
    (dict(kind='sum'), "give 'conv', 'transposed', 'max' or 'avg'"), (dict(kind='avg', dilation=2), 'average pooling has none'),
    (dict(output_padding=1), 'for transposed convolutions'), (dict(ceil_mode=True), 'for pools'), (dict(name='a b'), 'letters and digits only'),
    (dict(name=5), 'letters and digits only'), (dict(name=''), 'letters and digits only'), (dict(in_channels=3, out_channels=4, groups=2), 'give a number that divides'),
    (dict(kind='max', groups=2, in_channels=2), 'for convolutions'), (dict(in_channels=9), 'give at most 8'), (dict(in_channels=0), 'in_channels=0'),
    (dict(kind='transposed', in_size=32, stride=3), 'at most 64×64'), (dict(image=digit * 2), 'give floats from 0 to 1'), (dict(image=digit[None]), 'H×W|2 dimensions'),
    (dict(image=digit / 0), 'NaN|infinite'), (dict(image=torch.zeros(65, 2)), 'from 1 to 64'), (dict(image=torch.zeros(0, 2)), 'from 1 to 64'), (dict(kind=[]), "give 'conv'")])
def test_explorer(bad, says):
    with pytest.raises(ValueError, match=says): explore_conv(**bad)


@pytest.mark.parametrize('bad', [dict(image='five'), dict(image=digit.long()), dict(image=digit.to(torch.complex64)), dict(in_channels=1.), dict(stride='2')])
def test_explorer_type(bad):
    with pytest.raises(TypeError, match=next(iter(bad))): explore_conv(**bad)


@pytest.mark.parametrize('x, says', [
    (torch.zeros(3, 1, 4, 4), 'expected 2 images'), (torch.zeros(2, 4, 4), 'N×'), (torch.zeros(2, 3, 4, 4), 'expected 2 images'),
    (torch.full((2, 1, 4, 4), torch.nan), 'NaN')])
def test_confusions(x, says):
    with pytest.raises(ValueError, match=says): explore_confusions(x, torch.tensor([0, 1]), torch.tensor([1, 1]))


@pytest.mark.parametrize('bad', [dict(targets=torch.tensor([0])), dict(preds=torch.tensor([-1, 0])), dict(n=0), dict(n=1.5)])
def test_confusions_numbers(bad):
    with pytest.raises(ValueError): explore_confusions(**dict(x=torch.zeros(2, 1, 4, 4), targets=torch.tensor([0, 1]), preds=torch.tensor([1, 1])) | bad)
