"""Compile the Triton kernels for an H100 on a machine without a GPU: Triton needs the chip's number only. `python tests/compile_gpu.py` prints the shared memory that each takes."""
import inspect, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path: sys.path.insert(0, str(ROOT))

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from mnist_cnn import gpu
from mnist_cnn.kernels import plan
from mnist_cnn.model import SimpleCNN
from mnist_cnn.speed import GPU_RECIPE, SpeedRecipe

KINDS = {torch.float32: "*fp32", torch.int8: "*i8", torch.int64: "*i64", float: "fp32", int: "i32"}
made = {}


class Launched:
    "Stands in for a kernel: notes what it is launched with"
    def __init__(self, kernel): self.kernel = kernel
    def __getitem__(self, grid): return lambda *args, **constants: compiled(self.kernel, args, constants)


def compiled(kernel, args, constants):
    "Compile the kernel for these arguments"
    names = list(inspect.signature(kernel.fn).parameters)
    signature = {n: KINDS[a.dtype if isinstance(a, torch.Tensor) else type(a)] for n, a in zip(names, args)} | dict.fromkeys(constants, "constexpr")
    source = ASTSource(fn=kernel, signature={n: signature[n] for n in names}, constexprs={(names.index(k),): v for k, v in constants.items()})
    binary = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    made.setdefault(kernel.fn.__name__, []).append(binary.metadata.shared)


if __name__ == "__main__":
    for name in [n for n, f in vars(gpu).items() if isinstance(f, triton.JITFunction)]: setattr(gpu, name, Launched(getattr(gpu, name)))
    for network, shape, bs in (SimpleCNN(), (1, 28, 28), 16), (SpeedRecipe().network(), (1, 24, 24), 64), (GPU_RECIPE.network(), (1, 24, 24), GPU_RECIPE.bs):
        kernels, x = gpu.GPUKernels(*plan(network, shape), bs, torch.device("cpu")), torch.zeros(bs, *shape)
        opt = type("Adam", (), dict(betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05, n_steps=torch.zeros(()), **{n: torch.zeros(kernels.n_weights) for n in ("weight", "grad", "mean", "square")}))
        kernels.step(opt, x, torch.zeros(bs, dtype=torch.int64), torch.zeros(()), 0.1)
        print(f"{type(network).__name__}: {sum(map(len, made.values()))} launches: {made}")
        made.clear()
