"""Make the network that reads drawings in the page: `python tools/pens.py` trains it, and writes `mnist_cnn/weights/pens.safetensors` and a card beside it.

MNIST was written by people in the United States with a pencil. A drawing in the page comes from a mouse or a finger, from anywhere. So the training digits are
turned, bent and drawn with thinner and thicker pens, and some of the ones get a flag. `--validate` trains on the first 50,000 digits, once without all this and once with
it, and measures on the last 10,000: that is how the settings were chosen.
"""
import argparse, math, platform, sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

import torch
import torch.nn.functional as F

from mnist_cnn.data import Augment, load_tensors, prepare_image
from mnist_cnn.evaluation import accuracy, accuracy_interval
from mnist_cnn.files import save_weights
from mnist_cnn.recipes import OneCycle, Recipe, run_recipe

FOLDER, SEED = ROOT/'mnist_cnn'/'weights', 0


@dataclass(frozen=True)
class Pens(Augment):
    "As `Augment`; also the middle moves up or down, the upper half becomes narrower or wider than the lower one, and the pen thinner or thicker"
    middle: float = 3. # pixels by which the middle moves, at most: loops of an 8 become unequal
    taper: float = 0.25 # the sides become longer at one end and shorter at the other by this fraction, at most
    pen: float = 0.5 # at most this fraction of the way to lines one pixel thicker at each side, or thinner

    def positions(self, n, height, width, generator):
        p = super().positions(n, height, width, generator)
        moved, taper = torch.rand(2, n, 1, 1, generator=generator, device=generator.device) * 2 - 1
        y = torch.linspace(-1, 1, height, device=p.device).view(1, height, 1)
        p[:, 1] += self.middle * moved * (1 - (y / .72).square()).clamp(min=0)  # the digit's own 20 rows
        p[:, 0] *= 1 + self.taper * taper * y
        return p

    def __call__(self, x, generator):
        x = super().__call__(x, generator)
        how = self.pen * (torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) * 2 - 1)
        thick, thin = F.max_pool2d(x, 3, 1, 1), -F.max_pool2d(-x, 3, 1, 1)
        return torch.where(how > 0, x + how * (thick - x), x - how * .6 * (thin - x))


def with_flag(image, u):
    "A training one with a flag, as in much of Europe, prepared anew; None if it has no room for it."
    page = F.pad(image[0].float() / 255, (14, 14, 14, 14))
    rows, columns = (page > .5).nonzero(as_tuple=True)
    if len(rows) < 15: return None
    top, left, height = rows.min(), columns[rows == rows.min()].float().mean(), rows.max() - rows.min()
    length, angle = height * u(.2, .65), math.radians(u(25, 65))
    y, x = torch.meshgrid(torch.arange(56.), torch.arange(56.), indexing='ij')
    dx, dy = -math.cos(angle) * length, math.sin(angle) * length
    along = (((x - left) * dx + (y - top - 1) * dy) / length**2).clamp(0, 1)
    far = torch.hypot(x - left - along * dx, y - top - 1 - along * dy)
    return prepare_image(torch.maximum(page, (1.6 - far).clamp(0, 1)).numpy())


def flagged(x, y, n, seed=SEED):
    "`n` of the ones, each with a flag."
    generator = torch.Generator().manual_seed(seed)
    u = lambda low, high: low + (high - low) * torch.rand((), generator=generator).item()
    ones = (y == 1).nonzero().flatten()
    made = [with_flag(x[i], u) for i in ones[torch.randperm(len(ones), generator=generator)[:n]]]
    return torch.stack([m for m in made if m is not None])


def recipe(pens=True, n_epochs=20):
    "The settings: those of `best` with fewer epochs, and the pens."
    own = dict(shift=1, rotate=10, scale=.1, shear=.1, elastic=.5)
    return Recipe(n_epochs=n_epochs, bs=128, lr=6e-3, schedule=OneCycle(.1), weight_decay=.05, average=.9985, every=n_epochs,
                  augment=Pens(**{**own, 'rotate': 15, 'shear': .2}) if pens else Augment(**own))


def train(x, y, unseen, pens=True, n_epochs=20):
    "The network, and what it reads of unseen digits."
    if pens:
        ones = flagged(x, y, 3000)
        x, y = torch.cat([x, ones]), torch.cat([y, torch.ones(len(ones), dtype=y.dtype)])
    return run_recipe(recipe(pens, n_epochs), SEED, (x, y), unseen)
