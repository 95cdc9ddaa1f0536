"Processes that train together, under torchrun itself: the same weights as one process, what is said, and a process that is killed."
import os, re, socket, subprocess, sys

import pytest
import torch
from few import few_digits

BS = 32
TRAIN = ["train", "--device", "cpu", "--bs", str(BS), "--n-epochs", "2"]
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


def run(*args, **env):
    done = subprocess.run([sys.executable, *map(str, args)], capture_output=True, text=True, env=ENV | env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def torchrun(*args, **env):
    return run("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2, *args, **env)


def weights(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    "Ten training batches and one digit more, so that the last batch leaves nothing to the second process; 100 test digits"
    return few_digits(tmp_path_factory.mktemp("few"), 10 * BS + 1, 100)


@pytest.fixture(scope="module")
def two(root, tmp_path_factory):
    "What two processes said, and their weights"
    out = tmp_path_factory.mktemp("two") / "CNN.pt"
    said = torchrun("-m", "mnist_cnn.cli", *TRAIN, "--root", root, "--out", out)
    return said, weights(out)


def test_two_processes_train_as_one_does(root, two, tmp_path):
    "The same lines, each said once, and the same weights but for rounding"
    one = run("-m", "mnist_cnn.cli", *TRAIN, "--root", root, "--out", tmp_path / "CNN.pt")
    def comparable(said): return re.sub(r"\d+\.\d s|2 × |saved .*", "", said)
    assert comparable(two[0]) == comparable(one) and len(one.splitlines()) == 6
    assert same_but_for_rounding(weights(tmp_path / "CNN.pt"), two[1]), apart(weights(tmp_path / "CNN.pt"), two[1])


@pytest.fixture
def dying(tmp_path):
    "A program that trains, and whose second process is killed once, in the middle of the second epoch"
    program, died = tmp_path / "dying.py", tmp_path / "died"
    program.write_text(f"""
import os, signal, sys
from mnist_cnn import cli, distributed
average, calls, again = distributed.Together.average, 0, os.path.exists({str(died)!r})
def dying(self, grads, n):
    global calls
    calls += 1
    if calls == 16 and self.rank == 1 and not again:
        open({str(died)!r}, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    average(self, grads, n)
distributed.Together.average = dying
sys.exit(cli.main())
""")
    yield program
    assert died.exists()


def goes_on(said):
    "Did the restarted run go on from the first epoch's checkpoint?"
    assert said.count("epoch 1") == said.count("epoch 2") == 1
    assert "the run is resumed from there" in said


def apart(a, b):
    "The largest and the mean difference between two files' weights"
    assert a.keys() == b.keys()
    all_of_them = torch.cat([(a[k] - b[k]).abs().flatten() for k in a])
    return all_of_them.max().item(), all_of_them.mean().item()


def same_but_for_rounding(a, b):
    "A weight whose gradient is nothing but rounding is moved by Adam all the same, by up to `lr` a step, so the largest difference says little"
    largest, mean = apart(a, b)
    return largest < 2e-3 and mean < 1e-6


def test_the_run_of_a_killed_process_ends_as_if_it_had_not_been(root, two, dying, tmp_path):
    "torchrun begins anew, and the run goes on from the checkpoint"
    out = tmp_path / "CNN.pt"
    goes_on(torchrun("--max-restarts", 1, dying, *TRAIN, "--root", root, "--out", out))
    assert apart(weights(out), two[1]) == (0, 0)


def test_a_process_is_killed_on_another_machine(root, two, dying, tmp_path):
    "Two torchruns play the machines; only that of the dead process counts a restart"
    with socket.create_server(("127.0.0.1", 0)) as free: port = free.getsockname()[1]
    out = tmp_path / "CNN.pt"
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d",
               "--rdzv-endpoint", f"127.0.0.1:{port}", "--max-restarts", "3", dying, *TRAIN, "--root", root, "--out", out]
    with open(tmp_path / "said", "w+") as said:
        both = [subprocess.Popen([*map(str, command)], stdout=said, stderr=subprocess.STDOUT, env=ENV) for _ in range(2)]
        try: codes = [p.wait(120) for p in both]
        finally:
            for p in both: p.kill()
        said.seek(0)
        said = said.read()
    assert codes == [0, 0], said
    goes_on(said)
    assert same_but_for_rounding(weights(out), two[1]), apart(weights(out), two[1])  # each machine's process has as many threads as two had together


def test_an_error_in_one_process_ends_all(root, tmp_path):
    "And soon: the others wait for it in an all-reduce"
    program = tmp_path / "failing.py"
    program.write_text("""
import torch
from mnist_cnn.distributed import process_group
with process_group("cpu") as group:
    if group.rank == 1: raise ArithmeticError("the second process fails")
    group.sum(1)
""")
    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", program],
                          capture_output=True, text=True, env=ENV, timeout=60)
    assert done.returncode != 0 and "the second process fails" in done.stderr
