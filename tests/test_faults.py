"When the disk is full, the process killed, two runs write to one place, or the loss is none: the short form of tests/faults.py, and real limits."
import os, re, subprocess, sys
from pathlib import Path

import pytest
import torch
from faults import ACTS, N, N_EPOCHS, told, weights, whole
from few import few_digits
from torch import nn
from warm import command, start

from mnist_cnn.checkpoint import Checkpoint, read_checkpoint
from mnist_cnn.data import Batches
from mnist_cnn.files import load_weights
from mnist_cnn.model import SimpleCNN
from mnist_cnn.training import fit

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}
PROGRAM = Path(__file__).with_name("faults.py")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return few_digits(tmp_path_factory.mktemp("data") / "few", N, 32)


def words(few, out, *more): return [str(w) for w in ("train", "--root", few, "--device", "cpu", "--n-epochs", N_EPOCHS, "--out", out, *more)]


@pytest.fixture(scope="module")
def tried():
    "What a process says in which every few steps something goes wrong; `python tests/faults.py` does it at each"
    return subprocess.run([sys.executable, PROGRAM, "--sample", "6"], env=ENV, capture_output=True, text=True)


@pytest.mark.parametrize("act", ACTS)
def test_at_a_write(act, tried):
    counts = re.findall(rf"^{act}: \w+ +(\d+)$", tried.stdout, re.M)
    assert sum(map(int, counts)) == 6, tried.stdout + tried.stderr
    assert not re.findall(rf"^{act} at step .*", tried.stdout, re.M)
    assert tried.returncode == 0 or re.search(" at step ", tried.stdout), tried.stderr


@pytest.mark.parametrize("limit", [1_000, 300_000])
def test_files_may_be_no_larger(limit, few, tmp_path):
    "A limit of the system, so that a real write fails: of the first file, or of the first that is larger than the weights"
    out = tmp_path / "CNN.pt"
    process = start(*words(few, out), before=f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.fullmatch(r"mnist-cnn: error: .*File too large.*\n", err)
    assert not list(tmp_path.iterdir())


def test_nobody_can_be_told(few, tmp_path):
    "The disk to which the output goes is full: the run ends with status 1, what it had done is kept and goes on"
    out = tmp_path / "CNN.pt"
    with open("/dev/full", "w") as full: process = start(*words(few, out), stdout=full)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (1, 120) and "Traceback" not in err and "No space left" in err
    said = start(*words(few, out, "--resume")).communicate(timeout=60)[0]
    assert "saved" in said and whole(tmp_path)[1] == N_EPOCHS


def test_two_runs_in_one_folder(few, tmp_path):
    "With names of their own both come to their ends; with the same, the second is refused at once and the first does not notice"
    alone = {}
    for seed in "12":
        assert start(*words(few, tmp_path / seed / "CNN.pt", "--seed", seed)).wait(60) == 0
        alone[seed] = weights(tmp_path / seed / "CNN.pt")
    together = tmp_path / "together"
    runs = {(name, seed): start(*words(few, together / f"{name}.pt", "--seed", seed)) for name in ("CNN", "other") for seed in "12"}
    ended = {"CNN": {}, "other": {}}
    for (name, seed), process in runs.items():
        _, err = process.communicate(timeout=120)
        ended[name][seed] = process.returncode
        if process.returncode: assert err.startswith(f"mnist-cnn: error: {together / name}.pt: another run is writing to it.") and err.count("\n") == 1
    for name, codes in ended.items():
        went, = [seed for seed, code in codes.items() if code == 0]
        assert sorted(codes.values()) == [0, 1] and weights(together / f"{name}.pt") == alone[went]
    assert whole(together)[1] == N_EPOCHS
    assert sorted(p.name for p in together.iterdir()) == [f"{name}.{kind}" for name in ("CNN", "other") for kind in ("checkpoint", "png", "pt")]


class Growing(nn.Module):
    "A model whose loss is finite until a pixel is infinite."
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)
    def forward(self, x): return self.fc(x.flatten(1))


class Poisoned:
    "Batches of which one of a later epoch holds an infinite pixel."
    def __init__(self, epoch, batch): self.at, self.passes = (epoch, batch), -1
    def __len__(self): return 6
    def __iter__(self):
        self.passes += 1  # each epoch passes twice over the data: to train and to evaluate; before the first, once
        for i in range(6):
            x = torch.rand(8, 1, 2, 2)
            if (self.passes - 1) / 2 + 1 == self.at[0] and i == self.at[1]: x[3, 0, 1, 1] = float("inf")
            yield x, torch.randint(2, (8,))


@pytest.mark.parametrize("batch", [0, 3, 5])
def test_a_loss_that_is_none(batch, tmp_path):
    "The run stops with one line that says where, and the checkpoint is that of the epoch before, from which a run can go on"
    path = tmp_path / "c"
    with pytest.raises(FloatingPointError, match=r"the loss became (nan|inf) in epoch 3, by batch 6 of 6\. Use a lower learning rate"):
        fit(Growing(), Poisoned(3, batch), n_epochs=4, callbacks=[Checkpoint(path)], device="cpu")
    state = read_checkpoint(path)
    assert len(state["history"]) - 1 == 2 and all(v.isfinite().all() for v in state["model"].values())
    history = fit(Growing(), Poisoned(99, 0), n_epochs=4, callbacks=[Checkpoint(path, resume=True)], device="cpu")
    assert [e.epoch for e in history] == [0, 1, 2, 3, 4]


def test_pixels_that_are_none(tmp_path):
    "They are found before the first step, so nothing is kept, and nothing in the way"
    batches = Batches(torch.rand(64, 1, 28, 28), torch.randint(10, (64,)))
    batches.x[60, 0, 3, 3] = float("nan")  # `Batches` would not have taken it
    with pytest.raises(ValueError, match="the images hold NaN or infinite values"): Batches(batches.x, batches.y)
    with pytest.raises(FloatingPointError, match="are all pixels and all weights finite"):
        fit(SimpleCNN(), batches, n_epochs=2, callbacks=[Checkpoint(tmp_path / "c")], device="cpu")
    assert not list(tmp_path.iterdir())


def test_weights_that_become_infinite_in_the_last_step(few, tmp_path):
    "The loss is measured before a step, so it does not show what the last one did; a good file of weights stays as it was"
    out = tmp_path / "CNN.pt"
    assert start(*words(few, out)).wait(60) == 0
    before = out.read_bytes()
    process = start(*words(few, out, "--bs", "96", "--lr", "1e39", "--n-epochs", "1"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and len(err.splitlines()) == 1
    assert out.read_bytes() == before
    load_weights(SimpleCNN(), out)


def test_a_killed_run_is_stopped_by_no_leftover(few, tmp_path):
    "What a killed process leaves under a temporary name is in nobody's way, even as a folder or a pipe"
    out = tmp_path / "CNN.pt"
    (tmp_path / ".CNN.pt.12345678").write_bytes(b"half")
    (tmp_path / ".CNN.checkpoint.12345678").mkdir()
    process = start(*words(few, out, "--resume"))
    said, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(told(said)) == N_EPOCHS + 2


@pytest.mark.parametrize("name", ["CNN.checkpoint", "CNN.png"])
def test_a_folder_where_a_file_should_be(name, few, tmp_path):
    "One line that names it, before anything is trained"
    (tmp_path / name).mkdir()
    process = start(*words(few, tmp_path / "CNN.pt"))
    said, err = process.communicate(timeout=60)
    assert process.returncode == 1 and name in err and len(err.splitlines()) == 1 and "epoch 1" not in said
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME"])
def test_no_home(name, few, tmp_path):
    "No folder for a cache: the run does without"
    env = {k: v for k, v in ENV.items() if k not in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR")} | {name: "/proc/nowhere"}
    done = command(*words(few, tmp_path / "CNN.pt"), env=env)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert weights(tmp_path / "CNN.pt")
