"""Make the weights that come with the package: `python tools/weights.py` does the classic run and keeps the weights of each epoch.

Writes `mnist_cnn/weights/classic.pt`, and next to it a README.md with what it measured.
"""
import platform, sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

import torch

from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.evaluation import accuracy, accuracy_interval
from mnist_cnn.files import atomic_write
from mnist_cnn.model import SimpleCNN
from mnist_cnn.training import fit, set_seed

SEED, N_EPOCHS, BS, LR = 42, 5, 16, 1e-3
FOLDER = ROOT/'mnist_cnn'/'weights'
CARD = """# classic.pt: the weights of the classic run

SimpleCNN (`mnist_cnn.model`, {n_params:,} parameters) before training and after each of {n_epochs} epochs. Made by
`python tools/weights.py`, which also writes this page. Loaded by `mnist_cnn.playground.classic_run`.

| | |
|---|---|
| Data | MNIST's 60,000 training digits (`mnist_cnn/mnist/SOURCE.md`), pixels in [0, 1], not augmented |
| Recipe | cross-entropy; Adam, lr {lr:g}; batches of {bs}, shuffled; {n_epochs} epochs |
| Seed | {seed} |
| Made with | Python {python}, torch {torch}, numpy {numpy}, on the cpu |
| Test accuracy | **{test:.2%}** of 10,000 digits; 95% interval (Wilson) {low:.2%} to {high:.2%} |
| Precision | the last epoch float32, the earlier ones float16; those before training are what the seed gives, and are not stored |

| epoch | training accuracy | test accuracy |
|---|---|---|
{rows}

The accuracies are those of the weights as stored. No choice was made with the test set. The recipe and the number of epochs are the tutorial's.

**Limits.** The network was trained on digits only. It classifies a letter, a scribble or an empty page as a digit too, often with a high probability.
It expects images prepared like MNIST's (`mnist_cnn.data.prepare_image`): white on black, scaled into 20×20, centered by mass in 28×28.
MNIST was written by people in the United States. The network is less accurate on digits written in other ways (a 1 with a long flag, a 7 with a bar).
Its probabilities have not been calibrated. It is made for teaching, not for reading checks.
"""


def main():
    torch.set_num_threads(2)
    x, y = load_tensors()
    train, test = Batches(x, y, bs=BS, shuffle=True), Batches(*load_tensors(train=False), bs=32)
    set_seed(SEED)
    model, states = SimpleCNN(), []
    class Keep:
        "A callback that keeps the weights of each epoch."
        def after_epoch(self, loop): states.append({k: v.detach().clone().contiguous() for k, v in loop.model.state_dict().items()})
    fit(model, train, n_epochs=N_EPOCHS, lr=LR, device='cpu', callbacks=[Keep()])

    run = []
    for i, state in enumerate(states):
        if i < len(states) - 1: state = {k: v.half() for k, v in state.items()}
        model.load_state_dict(state)
        run.append({'state': state if i else None, 'train_accuracy': accuracy(model, train), 'test_accuracy': accuracy(model, test)})
        print(f"epoch {i}: {run[-1]['train_accuracy']:.2%} {run[-1]['test_accuracy']:.2%}", flush=True)
    with atomic_write(FOLDER/'classic.pt') as f: torch.save(run, f)

    last = run[-1]['test_accuracy']
    low, high = accuracy_interval(last, 10_000)
    rows = '\n'.join(f"| {i} | {r['train_accuracy']:.2%} | {r['test_accuracy']:.2%} |" for i, r in enumerate(run))
    card = CARD.format(n_params=sum(p.numel() for p in model.parameters()), n_epochs=N_EPOCHS, lr=LR, bs=BS, seed=SEED,
                       python=platform.python_version(), torch=version('torch'), numpy=version('numpy'),
                       test=last, low=low, high=high, rows=rows)
    (FOLDER/'README.md').write_text(card, encoding='utf-8')


if __name__ == '__main__': main()
