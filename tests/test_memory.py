"What `fit` needs for larger data sets: no more memory than the data, and time in proportion."
import json, os, subprocess, sys

import pytest

PROGRAM = """
import json, resource, sys, time
import torch
from torch import nn
from mnist_cnn.data import Batches
from mnist_cnn.training import fit, set_seed

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
def model(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

n = 60_000 * int(sys.argv[1])
set_seed()
few = Batches(torch.randint(256, (8192, 1, 4, 16), dtype=torch.uint8), torch.randint(10, (8192,)), bs=4096, shuffle=True)
fit(model(), few, n_epochs=1, device="cpu")  # what is loaded once
x = torch.empty(n, 1, 4, 16, dtype=torch.uint8).random_(256)
y = torch.empty(n, dtype=torch.int64).random_(10)
before, start = peak(), time.perf_counter()
fit(model(), Batches(x, y, bs=4096, shuffle=True), n_epochs=1, device="cpu")
print(json.dumps({"data": x.nbytes + y.nbytes, "order": 8 * n, "before": before, "peak": peak(), "seconds": time.perf_counter() - start}))
"""


def measured(times):
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(times)], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_memory_and_time_grow_as_the_data():
    "The data set once, 4 and 16 times: its bytes, and the order of the samples while they are shuffled"
    runs = [measured(times) for times in (1, 4, 16)]
    print(*runs, sep="\n")
    for larger in runs[1:]:
        more = {k: larger[k] - runs[0][k] for k in larger}
        assert more["peak"] < more["data"] + 2 * more["order"] + 16e6, runs  # 2: torch.randperm's own copy
        assert larger["peak"] - larger["before"] < 2 * larger["order"] + 32e6, runs  # what `fit` itself adds
    assert runs[2]["seconds"] < 2.5 * 4 * runs[1]["seconds"], runs
