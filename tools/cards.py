"""Make the trained weights that the package brings: `python tools/cards.py`, after `mnist-cnn study … --save runs --json results/recipes.json`.

The first seed's weights of the recipes `best` and `large`, from runs/, become `mnist_cnn/weights/SimpleCNN.safetensors` and
`AllConvNet.safetensors`, each with a card out of what was measured; their checksums go into SHA256SUMS.
"""
import hashlib, json, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

from safetensors.torch import save

from mnist_cnn.data import Batches, load_tensors
from mnist_cnn.evaluation import accuracy, accuracy_interval
from mnist_cnn.files import atomic_write
from mnist_cnn.files import load_weights
from mnist_cnn.recipes import recipes

FOLDER, SEED = ROOT/'mnist_cnn'/'weights', 0
CARD = """# {name}.safetensors

{name} (`mnist_cnn.model`, {n_params:,} parameters), read by `{name}.pretrained()`. Made by

```sh
{command}
python tools/cards.py
```

| | |
|---|---|
| Data | MNIST's 60,000 training digits (`mnist_cnn/mnist/SOURCE.md`), pixels in [0, 1], changed at random in each epoch |
| Recipe | `{recipe}` of `mnist_cnn.training`: {settings} |
| Seed | {seed}, settled before any run: not the best of several |
| Made with | Python {python}, torch {torch}, on {processor}, {threads} thread(s); {date} |
| Time | {minutes:.0f} minutes of one processor core |
| Test accuracy | **{test:.2%}** of {n:,} digits; 95% interval (Wilson) {low:.2%} to {high:.2%} |
| The recipe's | {spread} |
| SHA-256 | `{sha256}` |

{validation}

**Limits.** It has seen digits alone: to a letter, a scribble or an empty page it gives a digit too, often with a high probability. It
expects images prepared as MNIST's are (`mnist_cnn.data.prepare_image`): white on black, scaled into 20×20, centred by mass in 28×28.
Digits written in other ways than those of the writers of the United States who made MNIST (a 1 with a long flag, a 7 with a bar) it reads
less well. Its probabilities have not been calibrated. It is made for teaching, not for reading cheques.
"""
VALIDATION = """The recipe was chosen by trials on the first 50,000 training digits, measured on the last 10,000. Then it was trained anew on all
60,000, once for each seed, and the test set was read once at the end of each of these runs. Nothing was changed afterwards."""
EARLIER = """

Earlier forms of this recipe had been measured on the test set before and fell short of its aim: {}. What came next was decided by trials on
the validation digits."""


def main():
    found = json.loads((ROOT/'results'/'recipes.json').read_text())
    test, sums = Batches(*load_tensors(train=False)), {}
    for recipe in ('best', 'large'):
        entry = found['recipes'][recipe]
        run = next(r for r in entry['runs'] if r['seed'] == SEED)
        model = load_weights(recipes[recipe].network(), ROOT/'runs'/f'{recipe}-{SEED}.pt').eval()
        measured = accuracy(model, test)
        assert measured == run['accuracy'], f'{recipe}: {measured} is not the {run["accuracy"]} of the results'
        name, held = type(model).__name__, save({k: v.contiguous() for k, v in model.state_dict().items()})
        sums[f'{name}.safetensors'] = sha256 = hashlib.sha256(held).hexdigest()
        low, high = accuracy_interval(measured, run['n'])
        seeds = [r['seed'] for r in entry['runs']]
        spread = f'{entry["mean"]:.3%} ± {entry["sd"]:.3%}, mean and standard deviation over {len(seeds)} seeds ({", ".join(map(str, seeds))})' \
            if len(seeds) > 1 else 'one run only (n = 1): how much seeds differ has not been measured'
        earlier = '; '.join(f'{e["parameters"]:,} parameters, {e["settings"]["n_epochs"]} epochs, {e["mean"]:.3%} (n = {e["n"]})'
                            for e in found['earlier'].get(recipe, []))
        card = CARD.format(
            name=name, n_params=sum(p.numel() for p in model.parameters()), recipe=recipe, seed=SEED, test=measured, n=run['n'],
            command=f'mnist-cnn study {recipe} --seeds {" ".join(map(str, seeds))} --json results/recipes.json --save runs',
            settings=', '.join(f'{k} {v}' for k, v in entry['settings'].items() if v and k not in ('network', 'every')),
            low=low, high=high, spread=spread, sha256=sha256,
            minutes=run['processor_seconds'] / 60, date=run['date'], validation=VALIDATION + (EARLIER.format(earlier) if earlier else ''), **run['made_with'])
        with atomic_write(FOLDER/f'{name}.safetensors') as f: f.write(held)
        with atomic_write(FOLDER/f'{name}.md') as f: f.write(card.encode())
        print(f'{name}: {measured:.2%}, {len(held):,} bytes')
    with atomic_write(FOLDER/'SHA256SUMS') as f: f.write(''.join(f'{digest}  {name}\n' for name, digest in sums.items()).encode())


if __name__ == '__main__': main()
