"Wrong calls of the public functions: the short form of tests/fuzz_api.py, which tests/test_fuzz_api.py runs in a process of its own."
import math
import os

import pytest
import torch
from fuzz_api import functions, fuzz, setups

ROOMS = set("""checkpoint checks conv data diagnosis evaluation exercises files interpretation kernels model pictures playground position recipes
               speed steps summary trainer training uncertainty widgets""".split())  # in which no wrong call may go deep: all there are


def numbers(rooms, rounds):
    names = sorted(functions()[0])
    return [len(names) * r + i for r in range(rounds) for i, name in enumerate(names) if name.split(".")[0] in rooms]


def test_every_public_function_has_good_arguments():
    assert not setups()
    assert {name.split(".")[0] for name in functions()[0]} == ROOMS


def test_wrong_calls():
    "An answer, or an error of our own; no NaN, nothing changed, no late answer, no end of the process"
    chosen = numbers(ROOMS, 25 if os.environ.get("LONG") else 8)
    counts, faults = fuzz(chosen)
    assert not faults, "\n".join(f"call {i}: {what}: {text}" for i, _, what, text in faults)
    assert sum(counts.values()) == len(chosen) and counts["rejected"] > 700 and counts["answered"] > 200


def deep(x, **_): return torch.ones(3) @ torch.ones(4)
def nan(x, **_): return math.nan
def draws(x, **_): return torch.rand(())
def writes(x, **_): return x.zero_() if isinstance(x, torch.Tensor) and x.dtype == torch.uint8 else None
def sleeps(x, **_):
    while True: pass
def ends(x, **_): os._exit(3)


@pytest.mark.parametrize("fault, says", [(deep, "deep"), (nan, "NaN"), (draws, "changed"), (writes, "changed"), (sleeps, "late"), (ends, "ended")], ids=lambda v: getattr(v, "__name__", v))
def test_the_fuzzer_sees_a_fault(fault, says, monkeypatch):
    import fuzz_api
    monkeypatch.setattr(fuzz_api, "SECONDS", 0.3)
    name = "evaluation.shifted"
    i = sorted(functions()[0]).index(name)
    def faulty(x, right=0, down=0): return fault(x)
    monkeypatch.setitem(functions()[0], name, faulty)
    _, faults = fuzz([i + len(functions()[0]) * r for r in range(4)])
    assert says in {f[2] for f in faults}
