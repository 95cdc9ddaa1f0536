"What people trip over: scales, names of files, wrapped models, encodings, layers that work in place, numbers of other libraries."
import gzip, math, multiprocessing, os, subprocess, sys, time
from pathlib import Path

import numpy as np
import pytest
import torch
from few import few_digits
from torch import nn
from conftest import LONG
from warm import Started, command

from mnist_cnn.cli import make_parser
from mnist_cnn.conv import receptive_field
from mnist_cnn.data import Batches, dataloaders, load_tensors, mnist
from mnist_cnn.diagnosis import diagnose
from mnist_cnn.evaluation import covered, mistakes, predict, rotated, shifted
from mnist_cnn.files import beside, load_weights, locked, read_idx, read_mnist, save_weights, write_idx
from mnist_cnn.interpretation import activations, grad_cam, saliency
from mnist_cnn.model import AllConvNet, SimpleCNN
from mnist_cnn.summary import summary
from mnist_cnn.training import evaluate, fit, set_seed
from mnist_cnn.uncertainty import disputed, mcnemar, reliability, with_temperature

X, Y = (t[:64] for t in load_tensors(train=False))
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def root(tmp_path_factory): return few_digits(tmp_path_factory.mktemp("few"), 64, 64)


# Scales

def as_loader(x): return [(x[:32], Y[:32]), (x[32:], Y[32:])]


@pytest.mark.parametrize("use", [
    lambda x: predict(SimpleCNN(), x), lambda x: Batches(x, Y), lambda x: evaluate(SimpleCNN(), as_loader(x)), lambda x: fit(SimpleCNN(), as_loader(x), n_epochs=1, device="cpu"),
    lambda x: activations(SimpleCNN(), x, "conv1"), lambda x: saliency(SimpleCNN(), x, 3), lambda x: grad_cam(SimpleCNN(), x, 3, "conv2")],
    ids=["predict", "Batches", "evaluate", "fit", "activations", "saliency", "grad_cam"])
@pytest.mark.parametrize("x", [X.float(), X.float() - 33, X.float() * 257, X.long()], ids=["0 to 255", "less a mean", "16 bits", "int64"])
def test_pixels_on_another_scale_are_rejected(use, x):
    with pytest.raises((ValueError, TypeError), match="255"): use(x)


def test_pixels_on_the_usual_scales_are_taken():
    "Bytes, [0, 1], a little above 1, standardized, also each pixel by itself; and floats that are no images"
    by_pixel = (X / 255 - (X / 255).mean(0)) / ((X / 255).std(0) + 1e-3)  # single pixels far from the rest
    by_pixel[0, 0, 0, 0] = 240.
    for x in (X, X / 255, X / 250, (X / 255 - 0.1307) / 0.3081, by_pixel): assert predict(SimpleCNN(), x).shape == (64, 10)
    Batches(torch.rand(64, 5) * 1000, Y)
    Batches(torch.rand(64, 32, 7, 7) * 100, Y)  # a layer's maps
    model = AllConvNet.pretrained()
    torch.testing.assert_close(predict(model, X), predict(model, X / 255))


# Names

def test_files_beside_the_weights():
    assert beside("a/CNN.pt", ".png") == Path("a/CNN.png") and beside("w-lr0.01", ".png") == Path("w-lr0.01.png")
    assert len({beside(f"w-lr0.0{i}", ".checkpoint") for i in range(9)}) == 9


def test_runs_whose_names_have_dots(root, tmp_path):
    "Each has its own checkpoint and plot, and is resumed by itself"
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    for lr in ("0.01", "0.02"):
        done = command("train", "--root", root, "--n-epochs", 1, "--lr", lr, "--out", tmp_path / f"w-lr{lr}", env=env)
        assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"w-lr{lr}{end}" for lr in ("0.01", "0.02") for end in ("", ".checkpoint", ".png")]
    before = (tmp_path / "w-lr0.02.checkpoint").read_bytes()
    done = command("train", "--root", root, "--n-epochs", 2, "--resume", "--out", tmp_path / "w-lr0.01", env=env)
    assert done.returncode == 0 and f"{tmp_path / 'w-lr0.01.checkpoint'}: 1 of 1 epochs" in done.stdout, done.stderr
    kept = torch.load(tmp_path / "w-lr0.01.checkpoint", weights_only=True)
    assert kept["run"]["lr"] == 0.01 and (tmp_path / "w-lr0.02.checkpoint").read_bytes() == before


@pytest.mark.parametrize("other", ["w.checkpoint", "w.png", "w.pt"])
def test_every_file_of_a_run_is_locked(other, root, tmp_path):
    with locked(tmp_path / other): done = command("train", "--root", root, "--n-epochs", 1, "--out", tmp_path / "w")
    assert done.returncode == (0 if other == "w.pt" else 1) and ("another run is writing" in done.stderr) == (other != "w.pt")


# Wrapped models

def wrapped_part():
    model = SimpleCNN()
    model.fc2 = torch.compile(model.fc2)
    return model


WRAPPED = {"compiled": lambda: torch.compile(SimpleCNN()), "DataParallel": lambda: nn.DataParallel(SimpleCNN()), "both": lambda: nn.DataParallel(torch.compile(SimpleCNN())), "a part": wrapped_part}


@pytest.mark.parametrize("made", WRAPPED.values(), ids=WRAPPED)
def test_weights_of_wrapped_models(made, tmp_path):
    "Saved under the model's own names; loaded into either, also from a file that has the others'"
    model, plain = made(), SimpleCNN()
    save_weights(model, tmp_path / "a.pt")
    assert list(torch.load(tmp_path / "a.pt", weights_only=True)) == list(plain.state_dict())
    torch.save(model.state_dict(), tmp_path / "b.pt")
    for name in ("a.pt", "b.pt"):
        for other in (SimpleCNN(), made()):
            load_weights(other, tmp_path / name)
            assert all(torch.equal(v, w) for v, w in zip(other.state_dict().values(), model.state_dict().values()))


def test_a_model_with_a_part_called_module(tmp_path):
    model = nn.Sequential()
    model.add_module("module", nn.Linear(2, 2))
    save_weights(model, tmp_path / "a.pt")
    other = nn.Sequential()
    other.add_module("module", nn.Linear(2, 2))
    assert torch.equal(load_weights(other, tmp_path / "a.pt").module.weight, model.module.weight)


# Encodings

@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "cp1251", "ascii", "utf-8"])
def test_every_command_survives_every_encoding(encoding, root, tmp_path):
    from PIL import Image
    path = tmp_path / "数字 ×.png"
    Image.fromarray(255 - X[0, 0].numpy()).save(path)
    own = encoding == "cp1252"  # two commands in processes of their own; for the others the warm one writes as they would
    before = f"import sys\nfor f in sys.stdout, sys.stderr: f.reconfigure(encoding={encoding!r}, errors='strict' if f is sys.stdout else 'backslashreplace')"
    env = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding}
    def said(*words, program=None, real=LONG):
        with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
            if real: code = subprocess.run([sys.executable, *(["-c", program] if program else ["-m", "mnist_cnn", *map(str, words)])], env=env, stdout=out, stderr=err, cwd=tmp_path).returncode
            else: code = Started(words, stdout=out, stderr=err, cwd=tmp_path, before=before, program=program).wait(120)
        assert code == 0 and b"Traceback" not in (text := (tmp_path / "err").read_bytes()), text
        return (tmp_path / "out").read_bytes().decode(encoding)
    assert ": 7 (" in said("predict", path, path, real=LONG or own).splitlines()[1]
    names = list(make_parser()._subparsers._group_actions[0].choices)
    helps = f"from mnist_cnn.cli import main\nfor words in {[[], *([n] for n in names)]}:\n    try: main([*words, '--help'])\n    except SystemExit as e: assert e.code == 0"
    assert said(program=helps, real=LONG or own).count("usage: mnist-cnn") == 1 + len(names) == 9
    said("train", "--root", root, "--n-epochs", 0, "--out", tmp_path / "数")
    assert "recall" in said("evaluate", tmp_path / "数", "--root", root, "--labels", "零一二三四五六七八九")
    said("export", tmp_path / "网.pt2", "--network", "SimpleCNN")
    assert said("study", "1k", "--validate", "--root", root, "--seeds", 0, "--json", tmp_path / "学.json").startswith("1k, seed 0: ")
    assert "files copied" in said("book", tmp_path / "书", "--no-open")


def test_patterns_that_no_shell_expanded(tmp_path):
    from PIL import Image
    for i in range(3): Image.fromarray(255 - X[i, 0].numpy()).save(tmp_path / f"{i}.png")
    done = command("predict", tmp_path / "*.png", cwd=tmp_path)
    assert [line.rsplit(": ", 1)[1][0] for line in done.stdout.splitlines()] == [str(int(c)) for c in Y[:3]]
    done = command("predict", tmp_path / "*.jpg", cwd=tmp_path)
    assert done.returncode == 1 and "*.jpg: no such file" in done.stderr


# Data sets as they come

def files_of(folder, name, packed, kind=""):
    "Eight digits for training, under the names that `name` makes of MNIST's"
    for what, a in (("images-idx3", X[:8, 0].transpose(1, 2) if kind.startswith("emnist") else X[:8, 0]), ("labels-idx1", Y[:8].byte() + (kind == "emnist-letters-"))):
        path = folder / name(f"{kind}train-{what}-ubyte")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_idx(folder / "x", a.contiguous())
        data = (folder / "x").read_bytes()
        (folder / "x").unlink()
        path.write_bytes(gzip.compress(data) if packed else data)


@pytest.mark.parametrize("name, packed", [
    (lambda n: n, False), (lambda n: n + ".gz", True), (lambda n: n.replace("-idx", ".idx"), False), (lambda n: n.replace("-idx", ".idx") + ".gz", True), (lambda n: f"{n}/{n}", False),
    (lambda n: f"{n}/{n.replace('-idx', '.idx')}", False), (lambda n: f"{n}.gz/{n}", False), (lambda n: n, True), (lambda n: n + ".gz", False)])
@pytest.mark.parametrize("kind", ["", "emnist-digits-", "emnist-letters-"])
def test_idx_files_under_other_names(name, packed, kind, tmp_path):
    files_of(tmp_path, name, packed, kind)
    x, y = load_tensors(root=tmp_path)
    assert torch.equal(x, X[:8]) and torch.equal(y, Y[:8])


def test_several_sets_of_emnist(tmp_path):
    for kind in ("emnist-digits-", "emnist-letters-"): files_of(tmp_path, lambda n: n, False, kind)
    with pytest.raises(ValueError, match="several data sets .emnist-digits, emnist-letters"): load_tensors(root=tmp_path)
    assert torch.equal(load_tensors(root=tmp_path / "emnist-letters")[1], Y[:8])


def test_qmnist(tmp_path):
    write_idx(tmp_path / "qmnist-train-images-idx3-ubyte.gz", X[:8, 0])
    columns = np.zeros((8, 8), ">i4")
    columns[:, 0], columns[:, 1:] = Y[:8], 70_000
    (tmp_path / "qmnist-train-labels-idx2-int.gz").write_bytes(gzip.compress(bytes([0, 0, 12, 2]) + np.array(columns.shape, ">u4").tobytes() + columns.tobytes()))
    x, y = load_tensors(root=tmp_path)
    assert torch.equal(x, X[:8]) and torch.equal(y, Y[:8])
    assert read_idx(tmp_path / "qmnist-train-labels-idx2-int.gz", whole=True)[3, 1] == 70_000
    with pytest.raises(ValueError, match="unsigned bytes"): read_idx(tmp_path / "qmnist-train-labels-idx2-int.gz")


def test_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert len(mnist("~/data", train=False)) == 10_000
    save_weights(nn.Linear(1, 1), "~/w.pt")
    assert {p.name for p in (tmp_path / "home").iterdir()} == {"data", "w.pt"} and [p.name for p in tmp_path.iterdir()] == ["home"]
    assert read_mnist(False, "~/data", 10)[0].shape == (10_000, 28, 28)


def test_more_than_ten_classes(tmp_path):
    "EMNIST's letters: trained, resumed, measured and read on the command line"
    for part, n in (("train", 64), ("test", 64)):
        write_idx(tmp_path / f"emnist-letters-{part}-images-idx3-ubyte", X[:n, 0].transpose(1, 2).contiguous())
        write_idx(tmp_path / f"emnist-letters-{part}-labels-idx1-ubyte", (torch.arange(n) % 26 + 1).byte())
    env, out, names = {**os.environ, "OMP_NUM_THREADS": "1"}, tmp_path / "w.pt", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    done = command("train", "--root", tmp_path, "--out", out, "--n-epochs", 1, env=env)
    assert done.returncode == 1 and "holds the label 25" in done.stderr
    assert command("train", "--root", tmp_path, "--out", out, "--n-epochs", 1, "--n-classes", 26, env=env).returncode == 0
    done = command("train", "--root", tmp_path, "--out", out, "--n-epochs", 2, "--resume", env=env)
    assert done.returncode == 0, done.stderr
    done = command("evaluate", out, "--root", tmp_path, "--labels", names, env=env)
    assert done.returncode == 0 and done.stdout.count("recall") == 3 and done.stdout.splitlines()[1].split()[1:] == list(names[:10]), done.stdout + done.stderr
    from PIL import Image
    Image.fromarray(255 - X[0, 0].numpy()).save(tmp_path / "a.png")
    done = command("predict", tmp_path / "a.png", "--weights", out, "--labels", names, env=env)
    assert done.returncode == 0 and done.stdout.split(": ")[1][0] in names
    done = command("predict", tmp_path / "a.png", "--weights", out, "--labels", "ab", env=env)
    assert done.returncode == 1 and "26 classes" in done.stderr


# Layers that work in place

def test_layers_that_work_in_place():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 24 * 24, 10))
    same = nn.Sequential(*[nn.ReLU() if isinstance(m, nn.ReLU) else m for m in net])
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(activations(net, x, "0"), net[0](x)) and activations(net, x, "0").min() < 0
    torch.testing.assert_close(grad_cam(net, x, 3, "2"), grad_cam(same, x, 3, "2"))
    a, b = (diagnose(m, Batches(X, Y, bs=16), n_steps=4) for m in (net, same))
    assert [(layer.name, layer.mean, layer.std, layer.dead) for layer in a.layers] == [(layer.name, layer.mean, layer.std, layer.dead) for layer in b.layers]


# Workers

def test_workers_where_processes_are_not_forked(tmp_path):
    "A script without a main guard, as on Windows and macOS"
    mnist(tmp_path)
    (tmp_path / "script.py").write_text("import multiprocessing as mp, sys\nmp.set_start_method('spawn')\nfrom mnist_cnn.data import dataloaders\n"
                                        "train, test = dataloaders(sys.argv[1])\nprint(train.num_workers, next(iter(test))[0].shape)")
    done = subprocess.run([sys.executable, tmp_path / "script.py", tmp_path], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and done.stdout == "0 torch.Size([32, 1, 28, 28])\n", done.stderr
    wanted = 2 if (multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]) == "fork" else 0
    assert [loader.num_workers for loader in dataloaders(tmp_path)] == [wanted] * 2


# Numbers of other libraries

def test_numbers_of_other_libraries():
    p, t = np.array([[.9, .1], [.2, .8]]), np.array([1, 1])
    assert Batches(X.numpy(), Y.numpy(), bs=np.int64(64)).bs == 64
    set_seed(np.int64(3))
    assert reliability(p, t, np.int64(10)).ece == reliability(torch.from_numpy(p), torch.from_numpy(t)).ece
    assert mistakes(p, t).tolist() == [0]
    assert torch.equal(shifted(X, np.int64(2)), shifted(X, 2)) and torch.equal(shifted(X.numpy(), 2), shifted(X, 2))
    assert torch.equal(rotated(X.numpy(), np.float32(10)), rotated(X, 10)) and covered(X.numpy(), np.int64(3)).shape == X.shape
    assert torch.equal(disputed(np.stack([p, p]), t), disputed(torch.from_numpy(np.stack([p, p])), torch.from_numpy(t)))
    torch.testing.assert_close(with_temperature(p, np.float32(2)), with_temperature(torch.from_numpy(p), 2))
    model = SimpleCNN()
    assert torch.equal(saliency(model, X / 255, np.int64(3)), saliency(model, X / 255, 3))
    assert summary(SimpleCNN(), tuple(np.array([1, 28, 28]))).n_params == 55_338


@pytest.mark.parametrize("n, k", [(0, 0), (1, 0), (37, 10), (1000, 400), (1999, 900), (3000, 1500)])
def test_mcnemar_is_exact(n, k):
    "As whole numbers without bounds give it"
    y, a, b = np.zeros(n + 5, int), np.zeros(n + 5, int), np.zeros(n + 5, int)
    a[:k], b[k:n] = 1, 1
    exact = min(1., 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)
    assert mcnemar(y, a, b).p_value == pytest.approx(exact, rel=1e-12)


def test_mcnemar_is_fast():
    y, a, b = np.zeros(40_000, int), np.arange(40_000) % 2, 1 - np.arange(40_000) % 2
    start = time.perf_counter()
    assert mcnemar(y, a, b).p_value == 1 and time.perf_counter() - start < 1


# Any network

class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 3)
    def forward(self, x, y): return self.a(x) + self.a(y)


class Made(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
    def forward(self, x): return self.fc(x + torch.arange(4.))


def test_summary_of_any_network():
    assert summary(torch.compile(SimpleCNN()), (1, 28, 28)).n_params == summary(nn.DataParallel(SimpleCNN()), (1, 28, 28)).n_params == 55_338
    two = summary(Two(), input_data=(torch.rand(7, 4), torch.rand(7, 4)))
    assert two.n_params == 15 and [r.out_shape for r in two.rows] == [(3,), (3,)]
    with pytest.raises(ValueError, match="input_data"): summary(Two(), (4,))
    with pytest.raises(ValueError, match="input_data"): summary(Two())
    assert summary(nn.Embedding(10, 4), (5,)).rows[0].out_shape == (5, 4)
    assert summary(nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(20, 3)), input_data=torch.zeros(2, 5, dtype=torch.int32)).rows[-1].out_shape == (3,)
    assert summary(Made(), (4,)).n_params == 20
    assert summary(SimpleCNN().half(), input_data=torch.rand(3, 1, 28, 28).half()).n_params == 55_338


def seen(layers, first, n=12, size=60):
    "By the gradient: the largest field among outputs from `first` on, and the mean of its center less output times step"
    model = nn.Sequential(*layers).double()
    for p in model.parameters(): nn.init.ones_(p)
    x = torch.ones(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    y, step, sizes, offsets = model(x), receptive_field(layers).step, [], []
    for i in range(first, first + n):
        at = torch.autograd.grad(y[0, 0, i, i], x, retain_graph=True)[0][0, 0].abs().sum(1).nonzero().flatten()
        sizes.append(int(at[-1] - at[0] + 1))
        offsets.append((at[0] + at[-1]).item() / 2 - i * step)
    return max(sizes), sum(offsets) / n


def conv(*args): return nn.Conv2d(1, 1, *args)


@pytest.mark.parametrize("layers", [
    [nn.ZeroPad2d(2), conv(5)], [nn.ReflectionPad2d((1, 0, 1, 0)), conv(2)], [nn.ReplicationPad2d(1), conv(3, 2)], [nn.Upsample(scale_factor=2), conv(3, 1, 1)],
    [conv(3, 2, 1), nn.Upsample(scale_factor=2), conv(3, 1, 1), conv(3, 1, 1)], [nn.Upsample(scale_factor=2, mode="bilinear"), conv(3, 1, 1)], [nn.Upsample(scale_factor=3), conv(4)],
    [nn.AvgPool2d(2), nn.Upsample(scale_factor=2), conv(3)], [nn.Upsample(scale_factor=2), conv(2, 2)], [nn.Upsample(scale_factor=2, mode="bilinear"), nn.Upsample(scale_factor=3), conv(2, 3)]],
    ids=lambda v: "-".join(type(layer).__name__ for layer in v))
def test_receptive_field_behind_padding_and_upsampling(layers):
    field, (size, offset) = receptive_field(layers), seen(layers, 12)
    assert field.size == size and field.offset == pytest.approx(offset)


@pytest.mark.parametrize("layers, says", [(SimpleCNN(), "a whole model"), ([conv(3), nn.ConvTranspose2d(1, 1, 3)], "a transposed convolution"), (nn.Upsample(size=5), "scale_factor")])
def test_receptive_field_says_what_it_cannot(layers, says):
    with pytest.raises(ValueError, match=says): receptive_field(layers)


def test_an_optimizer_that_computes_again():
    "LBFGS, as a function and as an object; one batch, on which its loss falls"
    for made in (lambda p, lr: torch.optim.LBFGS(p, lr=0.1), None):
        torch.manual_seed(0)
        model = SimpleCNN()
        history = fit(model, Batches(X, Y, bs=64), n_epochs=3, opt=made or torch.optim.LBFGS(model.parameters(), lr=0.1), device="cpu")
        assert history.loss[1] > 2 and history.loss[-1] < 1 and history.train_accuracy[-1] > 0.8
