"What `summary` rejects, and the advice that it gives."
import pytest
from torch import nn

from mnist_cnn.model import SimpleCNN
from mnist_cnn.summary import summary

DIGIT = 1, 28, 28
conv4 = nn.Conv2d(1, 4, 3)


class Viewed(nn.Module):
    "A view that cannot be, between two layers."
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(10, 2)
    def forward(self, x): return self.fc(self.conv(x).view(-1, 10))


@pytest.mark.parametrize('model, in_shape, says', [
    (nn.Sequential(*[nn.MaxPool2d(2) for _ in range(5)]), DIGIT, '4: a MaxPool2d with kernel_size=2 is given 1×1×1, too small'),
    (nn.Sequential(conv4, nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3))), DIGIT,
     '1.1: a Conv2d with in_channels=8 is given 4 channels (4×13×13); write in_channels=4'),
    (nn.Sequential(conv4, nn.Linear(100, 10)), DIGIT,
     '1: a Linear with in_features=100 is given 4×26×26; flatten that first, x.flatten(1), and write Linear(2704, 10)'),
    (nn.Sequential(conv4, nn.Linear(2704, 10)), DIGIT, 'flatten that first, x.flatten(1)'),
    (nn.Sequential(conv4, nn.Flatten(), nn.Linear(100, 10)), DIGIT,
     '2: a Linear with in_features=100 is given 2704 features (4×26×26 flattened); write Linear(2704, 10)'),
    (nn.Sequential(conv4, nn.BatchNorm2d(5)), DIGIT,
     '1: a BatchNorm2d with num_features=5 is given 4 channels (4×26×26); write num_features=4'),
    (nn.Sequential(conv4, nn.GroupNorm(2, 6)), DIGIT, 'num_channels=6 is given 4 channels'),
    (nn.Sequential(conv4, nn.LayerNorm(6)), DIGIT, '1: Given normalized_shape=[6]'),
    (nn.Conv2d(1, 4, 5, dilation=3), (1, 9, 9), 'needs at least 1×13×13'),
    (nn.AvgPool1d(4), (1, 3), 'an AvgPool1d'),
    (conv4, (1, 1, 28, 28), 'N×C×H×W'), (conv4, (28, 28), 'N×C×H×W'), (nn.MaxPool2d(2), (28, 28), 'N×C×H×W'),
    (Viewed(), (1, 9, 9), 'after conv (4×7×7): '),
    (SimpleCNN(), (1, 32, 32), 'N×1×28×28'), (SimpleCNN(), 28, 'in_shape'), (SimpleCNN(), (1, 0, 28), 'in_shape'),
    (nn.LazyLinear(3), (4,), 'lazy')])
def test_misfits(model, in_shape, says):
    "Each says which layer it is, what arrives there and what to write."
    with pytest.raises(ValueError) as error: summary(model, in_shape)
    assert says in str(error.value)


def test_class_for_model():
    with pytest.raises(TypeError, match=r'SimpleCNN\(\)'): summary(SimpleCNN, DIGIT)


def test_names_in_markdown():
    "Names of layers and classes bring neither HTML nor columns into the table."
    kind = type('<img src=x onerror=alert(1)>|y', (nn.ReLU,), {})
    model = nn.Sequential()
    model.add_module('<b>|`', kind())
    table = summary(model, (3,))._repr_markdown_().splitlines()
    assert len({row.count('|') for row in table}) == 1
    assert '<img' not in table[2] and '<b>' not in table[2]
