"Wrong calls of the public functions, in a process of its own: the fuzzer forks, and by now this one has threads of browsers and of torch."
import os, subprocess, sys
from pathlib import Path


def test_wrong_calls_of_public_functions():
    program = Path(__file__).with_name("short_fuzz_api.py")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", program], capture_output=True, text=True,
                          timeout=400, cwd=program.parents[1], env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout[-4000:]
