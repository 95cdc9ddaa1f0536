"""Make the pretrained weights that come with the package: `python tools/cards.py`, after `mnist-cnn study … --save runs --json results/recipes.json`.

The first seed's weights of the recipes `best` and `large`, from runs/, become `mnist_cnn/weights/SimpleCNN.safetensors` and
`AllConvNet.safetensors`, each with a card that states what was measured. Their checksums go into SHA256SUMS.
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

{name} (`mnist_cnn.model`, {n_params:,} parameters), loaded by `{name}.pretrained()`. Made with

```sh
{command}
python tools/cards.py
```

| | |
|---|---|
| Data | MNIST's 60,000 training digits (`mnist_cnn/mnist/SOURCE.md`), pixels in [0, 1], augmented in each epoch |
| Recipe | `{recipe}` of `mnist_cnn.recipes`: {settings} |
| Seed | {seed}, fixed before any run and not chosen as the best of several |
| Made with | Python {python}, torch {torch}, on {processor}, {threads} thread(s); {date} |
| Time | {minutes:.0f} minutes of one processor core |
| Test accuracy | **{test:.2%}** of {n:,} digits; 95% interval (Wilson) {low:.2%} to {high:.2%} |
| Test accuracy of the recipe | {spread} |
| SHA-256 | `{sha256}` |

{validation}

**Limits.** The network was trained on digits only. It classifies a letter, a scribble or an empty page as a digit too, often with a high probability.
It expects images prepared like MNIST's (`mnist_cnn.data.prepare_image`): white on black, scaled into 20×20, centered by mass in 28×28.
MNIST was written by people in the United States. The network is less accurate on digits written in other ways (a 1 with a long flag, a 7 with a bar).
Its probabilities have not been calibrated. It is made for teaching, not for reading checks.
"""
VALIDATION = """The recipe was chosen in trials that trained on the first 50,000 training digits and measured on the last 10,000. The network was then trained from scratch on all
60,000, once for each seed, and the test set was used once, at the end of each of these runs. Nothing was changed afterward."""
EARLIER = """

Earlier versions of this recipe had been measured on the test set and fell short of its goal: {}. All later changes were decided by trials on
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
            if len(seeds) > 1 else 'one run only (n = 1), so the spread over seeds has not been measured'
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
