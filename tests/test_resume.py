"A run that is stopped, in whatever way and at whatever moment, and goes on: the same weights, to the bit, as one that never stopped."
import os, random, re, shlex, shutil, signal, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from few import few_digits
from warm import start

from mnist_cnn.checkpoint import read_checkpoint

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}
N, N_EPOCHS = 2500, 4


def run(*args, code=0, **kwargs):
    "What it prints"
    process = start(*args, **kwargs)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    return out + err


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    "The words of a command that trains on a small data set"
    folder = few_digits(tmp_path_factory.mktemp("few"), N, 200)
    return ["train", "--root", folder, "--n-epochs", N_EPOCHS, "--device", "cpu", "--out"]


def told(said):
    "The lines on the epochs, without times"
    return re.findall(r"^(?:before|epoch|after).*?(?=   [\d.]+ s|$)", said, re.M)


def weights(out): return {k: v.numpy().tobytes() for k, v in torch.load(out, weights_only=True).items()}


@pytest.fixture(scope="module")
def stopped(train, tmp_path_factory):
    "A checkpoint from a run that got Ctrl-C after its first epoch, and what that said on its standard error"
    out = tmp_path_factory.mktemp("a folder") / "CNN.pt"
    process = start(*train, out)
    for line in process.stdout:
        if line.startswith("epoch 1"): break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130 and not out.exists(), err
    return out.with_suffix(".checkpoint"), err


@pytest.fixture(scope="module")
def whole(train, stopped, tmp_path_factory):
    "The weights of a run that nobody stops, what it says, and how long it takes to its first line and from there to its end"
    out = tmp_path_factory.mktemp("whole") / "CNN.pt"
    times = [time.perf_counter()]
    process = start(*train, out)
    said = process.stdout.readline()
    times.append(time.perf_counter())
    said += process.stdout.read()
    times.append(time.perf_counter())
    assert process.wait() == 0
    return weights(out), told(said), np.diff(times)


def killed(process, log, moment, startup, rest):
    "Kill the process at `moment`, 0 to 1: the first 0.3 are its start-up, the others what follows; False if it has ended before"
    if moment < 0.3: time.sleep(moment / 0.3 * startup)
    else:
        while not log.stat().st_size and process.poll() is None: time.sleep(0.01)
        time.sleep((moment - 0.3) / 0.7 * rest)
    process.kill()
    return process.wait() == -signal.SIGKILL


def chain(moments, train, whole, folder):
    "Runs that are killed at the moments, each going on where the last one was; how many had something to go on from"
    n_runs, n_resumed, log = 1, 0, folder / "log"
    def out(): return folder / str(n_runs) / "CNN.pt"
    for moment in moments:
        while True:
            checkpoint, done = out().with_suffix(".checkpoint"), 0
            if checkpoint.exists():
                n_resumed += 1
                done = sum(row[-1] for row in read_checkpoint(checkpoint)["history"])
            with open(log, "w") as f:
                process = start(*train, out(), "--resume", stdout=f)
            if killed(process, log, moment, whole[2][0], whole[2][1] - done): break
            assert process.returncode == 0  # at its end already; then a run from the start is to be killed a little earlier
            assert weights(out()) == whole[0] and told(log.read_text()) == whole[1]
            n_runs, moment = n_runs + 1, 0.9 * moment
    assert told(run(*train, out(), "--resume")) == whole[1]
    assert weights(out()) == whole[0]
    return n_resumed


def test_killed_at_ten_random_moments(train, whole, tmp_path):
    "From the start of the process to its end, in two chains at a time"
    draw = random.Random(0)
    moments = [(i + draw.random()) / 10 for i in range(10)]
    draw.shuffle(moments)
    folders = [tmp_path / name for name in "ab"]
    for folder in folders: folder.mkdir()
    with ThreadPoolExecutor(2) as pool:
        n_resumed = sum(pool.map(lambda half, folder: chain(half, train, whole, folder), (moments[::2], moments[1::2]), folders))
    assert n_resumed > 1  # or the moments were no test


DYING = """
import os, signal
function, n = os.replace, [4]
def dying(*args):
    n[0] -= 1
    if not n[0]: os.kill(os.getpid(), signal.SIGKILL)
    return function(*args)
os.replace = dying
"""


def test_killed_while_it_writes(train, whole, tmp_path):
    "When the checkpoint of epoch 3 is whole, but has not got its name. What lies under the temporary one is never read"
    out = tmp_path / "CNN.pt"
    said = run(*train, out, "--resume", before=DYING, code=-signal.SIGKILL)
    assert "no checkpoint there; the run begins at the start" in said.splitlines()[0] and len(said.splitlines()) == 5
    left = [p for p in tmp_path.iterdir() if p.name.startswith(".CNN")]
    assert len(left) == 1
    left[0].write_bytes(b"nonsense")
    said = run(*train, out, "--resume")
    assert "2 of 4 epochs" in said.splitlines()[0] and not left[0].exists()
    assert told(said) == whole[1] and weights(out) == whole[0]


def test_ctrl_c(stopped, whole):
    "What is kept is said in one line, which holds the command that goes on; the history holds all epochs"
    checkpoint, err = stopped
    kept, command = re.fullmatch(r"mnist-cnn: error: interrupted; (.*)\. To resume: mnist-cnn (.*)\n", err).groups()
    assert re.fullmatch(re.escape(f"{checkpoint} keeps 1 of 4 epochs") + r"( and \d+ of 157 batches)?", kept)
    before = checkpoint.read_bytes()
    said = run(*shlex.split(command))
    assert "1 of 4 epochs" in said.splitlines()[0] and told(said) == whole[1]
    assert weights(checkpoint.with_suffix(".pt")) == whole[0] and checkpoint.with_suffix(".png").exists()
    checkpoint.write_bytes(before)


def test_another_run_is_refused(train, stopped, tmp_path):
    "All differences in one line; the checkpoint stays"
    checkpoint = tmp_path / "CNN.checkpoint"
    shutil.copy(stopped[0], checkpoint)
    args = ["train", "--device", "cpu", "--out", tmp_path / "CNN.pt", "--resume", "--lr", 0.01, "--seed", 1]  # on the whole of MNIST
    complaint = run(*args, code=1).splitlines()[-1]
    assert str(checkpoint) in complaint and complaint.count("SHA-256 of the data") == 2
    for text in ("batches 157", "; this one has", "batches 3750", "lr 0.01", "seed 1"): assert text in complaint
    assert checkpoint.read_bytes() == stopped[0].read_bytes()


def test_a_new_run_replaces_the_checkpoint_and_can_be_made_longer(train, stopped, tmp_path):
    out = tmp_path / "CNN.pt"
    shutil.copy(stopped[0], out.with_suffix(".checkpoint"))
    first = run(*train, out, "--n-epochs", 1)
    assert f"{out.with_suffix('.checkpoint')}: holds an unfinished run (1 of 4 epochs" in first.splitlines()[0]
    longer = run(*train, out, "--n-epochs", 2, "--resume")
    assert told(longer)[:2] == told(first)[:2] and told(longer)[2].startswith("epoch 2") and len(told(longer)) == 4


def test_ctrl_c_in_a_terminal_leaves_the_workers_of_a_dataloader(tmp_path):
    "There all processes of a group get it; the batches that are under way are still delivered, and the run is kept"
    program = tmp_path / "workers.py"
    program.write_text("""
import os, signal, sys
import torch
from torch.utils.data import DataLoader, TensorDataset
from mnist_cnn.model import SimpleCNN
from mnist_cnn.checkpoint import Checkpoint
from mnist_cnn.training import fit
if __name__ == "__main__":
    os.setpgid(0, 0)
    data = TensorDataset(torch.rand(320, 1, 28, 28), torch.randint(10, (320,)))
    class Pressing(DataLoader):
        n = 0
        def __iter__(self):
            for batch in super().__iter__():
                Pressing.n += 1
                if Pressing.n == 25: os.killpg(0, signal.SIGINT)
                yield batch
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try: fit(SimpleCNN(), Pressing(data, 16, num_workers=2), n_epochs=1, device="cpu", callbacks=[Checkpoint(sys.argv[1])])
    except KeyboardInterrupt: print(Checkpoint(sys.argv[1], resume=True).state["middle"]["batch"])
""")
    done = subprocess.run([sys.executable, program, tmp_path / "c"], env=ENV, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("5\n", "")


def test_a_recipe_goes_on(train, tmp_path):
    "With its schedule, its averaged weights and its changed digits; not with more epochs, since the schedule has an end"
    args = [*train[:-1], "--recipe", "best", "--out"]
    said = run(*args, tmp_path / "whole" / "CNN.pt")
    out = tmp_path / "CNN.pt"
    process = start(*args, out)
    for line in process.stdout:
        if line.startswith("epoch 2"): break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    complaint = run("train", "--resume", *train[1:3], "--device", "cpu", "--out", out, "--n-epochs", 5, code=1)
    assert "OneCycle(warmup=0.1) over 4 epochs" in complaint
    again = run("train", "--resume", *train[1:3], "--device", "cpu", "--out", out)
    assert told(again) == told(said) and weights(out) == weights(tmp_path / "whole" / "CNN.pt")
