"""Try networks and augmentations for the recipe `large`: `python tools/trials.py NAME…` trains each on the first 50,000 training digits,
measures it on the last 10,000 and adds it to results/trials.json. The test set is not used. Each takes about ten minutes of one core,
and `unpadded-long` about twenty-five.
"""
import json, sys
from dataclasses import asdict, astuple, dataclass, replace
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

import torch
import torch.nn.functional as F
from torch import nn

from mnist_cnn.data import Augment, load_tensors
from mnist_cnn.evaluation import predict
from mnist_cnn.files import atomic_write
from mnist_cnn.model import AllConvNet, _conv_bn
from mnist_cnn.recipes import recipes, run_recipe
from mnist_cnn.steps import hardware

RESULTS, N, SEED = ROOT/'results'/'trials.json', 50_000, 0


def conv(c_in, c_out, k=3, stride=1):
    return nn.Sequential(nn.Conv2d(c_in, c_out, k, stride, k//2, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())

class Residual(nn.Module):
    "Two convolutions, added to what went in (He et al., 2016); at first they add nothing."
    def __init__(self, c):
        super().__init__()
        self.first, self.second, self.norm = conv(c, c), nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)
        nn.init.zeros_(self.norm.weight)
    def forward(self, x): return F.relu(x + self.norm(self.second(self.first(x))))

def padded(a, b, c, middle):
    "Three sizes, 14×14, 7×7 and 4×4, of a, b and c channels; `middle` makes what comes at each size after the strided convolution."
    return nn.Sequential(conv(1, a, 5, 2), middle(a), conv(a, b, stride=2), middle(b), conv(b, c, stride=2), middle(c),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 10))

def plain(c): return conv(c, c)

def unpadded(*channels):
    "An AllConvNet of so many channels, with first weights of its own"
    net = AllConvNet()
    net.features = nn.Sequential(*[_conv_bn(i, o, stride=1 + (i == channels[0])) for i, o in zip((1, *channels), channels)])
    net.head = nn.Conv2d(channels[-1], 10, 4)
    return net

def second(): return unpadded(32, 48, 64, 80, 96, 112)

@dataclass(frozen=True)
class Thickness(Augment):
    "Strokes become thicker or thinner as well: a share of what the highest, or the lowest, of nine neighbours would add"
    share: float = 0.6 # at most
    def __call__(self, x, generator):
        x = super().__call__(x, generator)
        share = (torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) * 2 - 1) * self.share
        thick, thin = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
        return torch.where(share > 0, x + share * (thick - x), x - share * (thin - x))

MID, STRONG, STRONGER = Augment(1.5, 12, 0.12, 0.1, 0.6), Augment(2.5, 15, 0.15, 0.15, 0.6), Augment(3.5, 18, 0.2, 0.2, 0.8)
PADDED = 'six padded convolutions of 48, 48, 96, 96, 192, 192 channels, every other one strided, mean over positions'
RESIDUAL = 'three padded, strided convolutions of {} channels, a residual block after each, mean over positions'
TRIALS = {  # what it is, network, augmentation, epochs
    'padded-mid': (PADDED, lambda: padded(48, 96, 192, plain), MID, 16),
    'padded-strong': (PADDED, lambda: padded(48, 96, 192, plain), STRONG, 16),
    'padded-stronger': (PADDED, lambda: padded(48, 96, 192, plain), STRONGER, 16),
    'residual-strong': (RESIDUAL.format('32, 64, 128'), lambda: padded(32, 64, 128, Residual), STRONG, 16),
    'residual-wide-strong': (RESIDUAL.format('48, 96, 160'), lambda: padded(48, 96, 160, Residual), STRONG, 16),
    'unpadded-strong': ('AllConvNet', AllConvNet, STRONG, 16),
    'unpadded-second': ('AllConvNet', second, STRONG, 16),
    'unpadded-long': ('AllConvNet', second, STRONG, 48),
    'unpadded-thickness': ('AllConvNet', second, Thickness(*astuple(STRONG)), 16),
    'unpadded-wide': ('AllConvNet of 32, 64, 96, 112, 128, 160 channels', lambda: unpadded(32, 64, 96, 112, 128, 160), STRONG, 16)}


def main():
    names = sys.argv[1:]
    if not names or set(names) - set(TRIALS): sys.exit(f'{__doc__}Names: {", ".join(TRIALS)}')
    x, y = load_tensors()
    for name in names:
        what, network, augment, n_epochs = TRIALS[name]
        recipe = replace(recipes['large'], network=network, augment=augment, n_epochs=n_epochs, every=n_epochs)
        model, run = run_recipe(recipe, SEED, (x[:N], y[:N]), (x[N:], y[N:]))
        loss = F.nll_loss(predict(model, x[N:]).log(), y[N:]).item()
        found = json.loads(RESULTS.read_text())
        found['trials'] = [t for t in found['trials'] if t.get('name') != name] + [dict(
            name=name, network=what, parameters=sum(p.numel() for p in model.parameters()), n_epochs=recipe.n_epochs, bs=recipe.bs,
            lr=recipe.lr, weight_decay=recipe.weight_decay, warmup=recipe.schedule.warmup, average=recipe.average, augment=asdict(augment),
            note=None, seed=SEED, validation_accuracy=run.accuracy, validation_loss=loss, processor_seconds=run.processor_seconds,
            date=f'{date.today()}') | {'made_with': hardware()}]
        with atomic_write(RESULTS) as f: f.write(json.dumps(found, indent=1).encode())
        print(f'{name}: {run.accuracy:.2%} validation accuracy, loss {loss:.4f}, {run.processor_seconds/60:.1f} minutes of one core', flush=True)


if __name__ == '__main__': main()
