"A run that is stopped, in whatever way and at whatever moment, and goes on: the same weights, to the bit, as one that never stopped."
import os, random, re, shlex, shutil, signal, subprocess, sys, time

import numpy as np
import pytest
import torch

from mnist_cnn.data import load_tensors

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}
N, N_EPOCHS = 2500, 4


def start(*args, program=("-m", "mnist_cnn.cli"), **env):
    return subprocess.Popen([sys.executable, *map(str, (*program, *args))], env=ENV | env,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*args, code=0, **kwargs):
    "What it prints"
    process = start(*args, **kwargs)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, out + err
    return out + err


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    "The words of a command that trains on a small data set"
    folder = tmp_path_factory.mktemp("few")
    for name, train, n in [("train", True, N), ("t10k", False, 200)]:
        x, y = load_tensors(train)
        for kind, a in [("images-idx3", x[:n, 0]), ("labels-idx1", y[:n].byte())]:
            (folder / f"{name}-{kind}-ubyte").write_bytes(bytes([0, 0, 8, a.ndim]) + np.array(a.shape, ">u4").tobytes() + a.numpy().tobytes())
    return ["train", "--root", folder, "--n-epochs", N_EPOCHS, "--device", "cpu", "--out"]


def told(said):
    "The lines on the epochs, without times"
    return re.findall(r"^(?:before|epoch|after).*?(?=   [\d.]+ s|$)", said, re.M)


def weights(out): return {k: v.numpy().tobytes() for k, v in torch.load(out, weights_only=True).items()}


@pytest.fixture(scope="module")
def whole(train, tmp_path_factory):
    "The weights of a run that nobody stops, what it says, and how long it takes"
    out = tmp_path_factory.mktemp("whole") / "CNN.pt"
    run(*train, out)  # compiles what is to be compiled
    begun = time.perf_counter()
    said = run(*train, out)
    return weights(out), told(said), time.perf_counter() - begun


def test_killed_at_ten_random_moments(train, whole, tmp_path):
    "From the start of the process to its end; what is left of each goes on in the next"
    draw = random.Random(0)
    moments = [(i + draw.random()) / 10 * whole[2] for i in range(10)]
    draw.shuffle(moments)
    n_runs, n_resumed = 1, 0
    def out(): return tmp_path / str(n_runs) / "CNN.pt"
    for moment in moments:
        while True:
            process = start(*train, out(), "--resume")
            try: said, err = process.communicate(timeout=moment)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                assert process.returncode == -signal.SIGKILL
                break
            assert process.returncode == 0, err  # it came to its end before that; a run from the start takes longer
            assert weights(out()) == whole[0] and told(said) == whole[1]
            n_runs, moment = n_runs + 1, 0.9 * moment
        n_resumed += out().with_suffix(".checkpoint").exists()
    assert told(run(*train, out(), "--resume")) == whole[1]
    assert weights(out()) == whole[0]
    assert n_resumed >= 5  # or the moments were no test


DYING = """
import os, signal, sys
from mnist_cnn import cli
function, n = getattr(os, sys.argv[1]), int(sys.argv[2])
def dying(*args):
    global n
    n -= 1
    if not n: os.kill(os.getpid(), signal.SIGKILL)
    return function(*args)
setattr(os, sys.argv[1], dying)
sys.exit(cli.main(sys.argv[3:]))
"""


@pytest.mark.parametrize("function, n, kept", [("fsync", 3, "1 of 4 epochs"), ("replace", 6, "4 of 4 epochs")])
def test_killed_while_it_writes(function, n, kept, train, whole, tmp_path):
    "Before a file is on the disk, or before it has its name; the sixth is that of the weights. What is half written is never read"
    out, program = tmp_path / "CNN.pt", tmp_path / "dying.py"
    program.write_text(DYING)
    run(function, n, *train, out, program=[program], code=-signal.SIGKILL)
    left = [p for p in tmp_path.iterdir() if p.name.startswith(".CNN")]
    assert len(left) == 1 and not out.exists()
    left[0].write_bytes(b"nonsense")
    said = run(*train, out, "--resume")
    assert kept in said.splitlines()[0]
    assert told(said) == whole[1] and weights(out) == whole[0]


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


def test_ctrl_c(stopped, whole):
    "What is kept is said in one line, which holds the command that goes on; the history holds all epochs"
    checkpoint, err = stopped
    kept, command = re.fullmatch(r"mnist-cnn: error: interrupted; (.*)\. To go on: mnist-cnn (.*)\n", err).groups()
    assert kept.startswith(f"{checkpoint} keeps 1 of 4 epochs and ") and kept.endswith(" of 157 batches")
    before = checkpoint.read_bytes()
    said = run(*shlex.split(command))
    assert "1 of 4 epochs" in said.splitlines()[0] and told(said) == whole[1]
    assert weights(checkpoint.with_suffix(".pt")) == whole[0] and checkpoint.with_suffix(".png").exists()
    checkpoint.write_bytes(before)


def test_after_torchrun_has_restarted_it(train, stopped, whole, tmp_path):
    "The run goes on without being told; the lines that stand there already do not come again"
    out = tmp_path / "CNN.pt"
    shutil.copy(stopped[0], out.with_suffix(".checkpoint"))
    said = run(*train, out, TORCHELASTIC_RESTART_COUNT="1")
    assert told(said) == whole[1][2:] and weights(out) == whole[0]


@pytest.mark.parametrize("args, says", [
    (["--bs", 32, "--lr", 0.01, "--seed", 1], ["bs 16, ", "; this one has", "lr 0.01", "bs 32", "seed 1"]),
    (["--n-epochs", 1], ["n_epochs is 1; expected 2 or more"]),
    (["--root", None], ["SHA-256 of the digits"])])
def test_another_run_is_refused(args, says, train, stopped, tmp_path):
    "And the checkpoint stays"
    checkpoint = tmp_path / "CNN.checkpoint"
    shutil.copy(stopped[0], checkpoint)
    words = [*train, tmp_path / "CNN.pt", "--resume"]
    if args[0] == "--root": words[1:3] = []  # the whole of MNIST, then
    else: words += args
    complaint = run(*words, code=1).splitlines()[-1]
    assert str(checkpoint) in complaint and all(s in complaint for s in says)
    assert checkpoint.read_bytes() == stopped[0].read_bytes()


def test_a_new_run_replaces_the_checkpoint_and_can_be_made_longer(train, stopped, tmp_path):
    out = tmp_path / "CNN.pt"
    shutil.copy(stopped[0], out.with_suffix(".checkpoint"))
    first = run(*train, out, "--n-epochs", 1)
    assert f"{out.with_suffix('.checkpoint')}: holds an unfinished run (1 of 4 epochs" in first.splitlines()[0]
    longer = run(*train, out, "--n-epochs", 2, "--resume")
    assert told(longer)[:2] == told(first)[:2] and told(longer)[2].startswith("epoch 2") and len(told(longer)) == 4


def test_nothing_to_resume(train, tmp_path):
    assert "no checkpoint there; the run begins at the start" in run(*train, tmp_path / "CNN.pt", "--n-epochs", 0, "--resume").splitlines()[0]


def test_ctrl_c_in_a_terminal_leaves_the_workers_of_a_dataloader(tmp_path):
    "There all processes of a group get it; the batches that are under way are still delivered, and the run is kept"
    program = tmp_path / "workers.py"
    program.write_text("""
import os, signal, sys
import torch
from torch.utils.data import DataLoader, TensorDataset
from mnist_cnn.model import SimpleCNN
from mnist_cnn.training import fit, load_checkpoint
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
    try: fit(SimpleCNN(), Pressing(data, 16, num_workers=2), n_epochs=1, device="cpu", checkpoint=sys.argv[1])
    except KeyboardInterrupt: print(load_checkpoint(sys.argv[1])["middle"]["batch"])
""")
    done = subprocess.run([sys.executable, program, tmp_path / "c"], env=ENV, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("5\n", "")
