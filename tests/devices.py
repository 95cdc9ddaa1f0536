"""A device that is none: its tensors lie in the processor's memory and say that they lie elsewhere, and a call with tensors of both ends in an error, as on a GPU.

`python tests/devices.py` calls every public function that takes a model with the model there and its data here, and prints what fails; `--device cuda` does it on a GPU.
"""
import argparse, contextlib, sys, traceback
from pathlib import Path

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT, ROOT / "tests"):
    if str(folder) not in sys.path: sys.path.insert(0, str(folder))

NAME = "elsewhere"
ANYWHERE = {"aten::_to_copy", "aten::copy_", "aten::set_"}  # take tensors of two devices


class Elsewhere(torch.Tensor):
    "A tensor of the pretended device"
    @staticmethod
    def __new__(cls, held):
        t = torch.Tensor._make_wrapper_subclass(cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=torch.device(NAME, 0), requires_grad=False)
        t.held = held
        return t

    @property
    def data(self): return self.detach()
    @data.setter
    def data(self, other): self.held = other.held  # the numbers lie there
    def __deepcopy__(self, memo):
        out = Elsewhere(self.held.clone())
        memo[id(self)] = out = nn.Parameter(out, self.requires_grad) if isinstance(self, nn.Parameter) else out
        return out
    def tolist(self): return self.held.tolist()
    def numpy(self, *, force=False): raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.")
    def __array__(self, *args, **kwargs): return self.numpy()
    def __repr__(self): return f"Elsewhere({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None): return _call(func, args, kwargs or {})


def _call(func, args, kwargs):
    "Compute where the tensors are; an error if they are in two places"
    name, flat = func._schema.name, [a for a in tree_flatten((args, kwargs))[0] if isinstance(a, torch.Tensor)]
    there, here = [t for t in flat if isinstance(t, Elsewhere)], [t for t in flat if not isinstance(t, Elsewhere)]
    if name in ("aten::index", "aten::index_put_", "aten::index_put"): here = [t for t in here if all(t is not i for i in args[1])]  # indices may lie on the cpu
    if there and any(t.ndim for t in here) and name not in ANYWHERE:
        raise RuntimeError(f"Expected all tensors to be on the same device, but {name} got {[tuple(t.shape) for t in there]} on {NAME} and {[tuple(t.shape) for t in here]} on cpu")
    wanted = kwargs.get("device")
    wanted = None if wanted is None else torch.device(wanted).type
    if wanted: kwargs = {**kwargs, "device": torch.device("cpu")}
    kwargs.pop("pin_memory", None)
    args, kwargs = tree_map(lambda a: a.held if isinstance(a, Elsewhere) else a, (args, kwargs))
    out = func(*args, **kwargs)
    goes = wanted == NAME if wanted else bool(there)
    if name == "aten::copy_": goes = isinstance(flat[0], Elsewhere)
    made = {id(t.held): t for t in there}  # what is changed in place stays the same object
    return tree_map(lambda t: made.get(id(t)) if id(t) in made else Elsewhere(t) if goes and isinstance(t, torch.Tensor) else t, out)


class Pretending(TorchDispatchMode):
    "In this block, tensors can be made on, and moved to, the pretended device"
    def __torch_dispatch__(self, func, types, args=(), kwargs=None): return _call(func, args, kwargs or {})


class Backend:
    "What torch asks of a device's module"
    def is_initialized(self): return True
    def is_available(self): return True
    def current_device(self): return 0
    def _is_in_bad_fork(self): return False
    def manual_seed_all(self, seed): pass
    def device_count(self): return 1
    def get_rng_state(self, device=None): return torch.get_rng_state()
    def set_rng_state(self, state, device=None): pass
    def get_amp_supported_dtype(self): return [torch.bfloat16]


def pretend():
    "Make the device known to torch"
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
    _setup_privateuseone_for_python_backend(NAME, Backend())
    tensor = torch.tensor
    torch.tensor = lambda data, *, device=None, **kw: tensor(data, **kw) if device is None else tensor(data, **kw).to(device)  # its own asks for memory of the device
    torch.accelerator.synchronize = lambda *a, **k: None
    torch.inference_mode = lambda mode=True: torch.set_grad_enabled(not mode)  # its tensors have no version counter, which those of a subclass need


# Every public function, called with things in two places

SAME = {"evaluation.predict", "evaluation.confusion_matrix", "uncertainty.reliability", "files.on_cpu"}  # say that what they give is on the cpu
HERE = {"gpu.gpu_kernels": "Triton knows no pretended device", "kernels.plan": "C kernels are for processors", "kernels.fused": "C kernels are for processors", "steps.kernels_for": "C kernels are for processors", "steps.quick_logits": "C kernels are for processors",
        "interpretation.show_maps": "draws", "checks.made_optimizer": "parameters are leaves where they were made", "steps.device_of": "tells the device", "checkpoint.read_checkpoint": "is given a path"}
RANDOM = {"training.fit", "recipes.run_recipe", "recipes.Recipe.fit", "training.lr_range", "evaluation.noisy", "evaluation.covered", "diagnosis.diagnose", "trainer.mislabel", "speed.published_run", "speed.one_run"}


def models_in(kwargs):
    "Does one of the arguments hold a network?"
    return any(isinstance(v, nn.Module) for v in tree_flatten(list(kwargs.values()))[0])


def moved(value, device, networks=None):
    "The value with its tensors, batches and networks on the device; `networks`: only these (True) or all but these (False)"
    from mnist_cnn.data import Batches
    if isinstance(value, nn.Module): return value.to(device) if networks is not False else value
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"): return type(value)(moved(v, device, networks) for v in value)
    if networks is True: return value
    if isinstance(value, Batches): return Batches(value.x.to(device), value.y.to(device), value.bs, value.shuffle, mean=value.mean, std=value.std, drop_last=value.drop_last)
    if isinstance(value, torch.Tensor): return value.to(device)
    if isinstance(value, torch.Generator): return value if device == NAME else torch.Generator(device)
    return value


def tensors(value):
    "All tensors in a result"
    if isinstance(value, torch.Tensor): return [value]
    if isinstance(value, nn.Module): return list(value.parameters())
    if isinstance(value, dict): value = list(value.values())
    elif hasattr(value, "__dataclass_fields__"): value = [getattr(value, n) for n in value.__dataclass_fields__]
    return [t for v in value for t in tensors(v)] if isinstance(value, (list, tuple)) else []


def target_of(name):
    "The public function of that name"
    import importlib
    module, *path = name.split(".")
    found = importlib.import_module(f"mnist_cnn.{module}")
    for part in path: found = getattr(found, part)
    return found


def calls():
    "Name → function that makes good arguments, for each public function that is given a tensor, batches or a network"
    from fuzz_api import GOOD, floats, model, x, y
    from mnist_cnn.data import Batches
    def all_of(makers): return lambda: {k: make() for k, make in makers.items()}
    found = {name: all_of(makers) for name, makers in GOOD.items()}
    many = lambda: (x().repeat(50, 1, 1, 1), y().repeat(50))
    found |= {"speed.published_run": lambda: {"train": many(), "test": (x(), y())}, "speed.one_run": lambda: {"train": many(), "test": (x(), y())},
              "speed.fit_run": lambda: {"model": model(), "train": Batches(x(), y(), 4), "test": Batches(x(), y(), 4), "n_epochs": 1},
              "speed.plain_run": lambda: {"model": model(), "train": Batches(floats(), y(), 4), "test": Batches(floats(), y(), 4), "n_epochs": 1},
              "files.load_weights": lambda: {"model": model(), "path": GOOD["files.load_weights"]["path"]()}}
    return found


def wanting():
    "Public functions with a parameter for a network, images or targets that no call here is made of"
    import importlib, inspect, pkgutil
    import mnist_cnn
    from fuzz_api import LEFT_OUT, RECORDS
    known, missing = calls(), []
    for info in pkgutil.iter_modules(mnist_cnn.__path__):
        if info.name.startswith("_") or info.name == "cli": continue
        module = importlib.import_module(f"mnist_cnn.{info.name}")
        for name in getattr(module, "__all__", ()):
            value, full = getattr(module, name), f"{info.name}.{name}"
            if full in known or full in HERE or not callable(value) or LEFT_OUT.get(full) == RECORDS: continue
            try: params = inspect.signature(value).parameters
            except (TypeError, ValueError): continue
            if {"model", "models", "x", "xb", "targets", "probs", "batches", "train"} & set(params): missing.append(full)
    return missing


def run(name, make, device, place):
    "One call: its result, with the networks `place`d there, or all, or none"
    import warnings
    torch.manual_seed(0)
    kwargs = make()
    networks = {"all": None, "networks": True, "data": False}.get(place)
    if place: kwargs = {k: moved(v, device, networks) for k, v in kwargs.items()}
    f = target_of(name)
    if "device" in kwargs or name in ("training.fit", "recipes.Recipe.fit"): kwargs = {**kwargs, "device": torch.device(device if place and place != "data" else "cpu")}
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return f(**kwargs)


def faults(name, make, device):
    "What is wrong with a function whose arguments are on the device, or on two; None if it is given nothing to move"
    try: kwargs, before = make(), tensors(run(name, make, device, None))
    except Exception as e: return [f"{name}: does not run on the cpu ({type(e).__name__}: {e})"]
    held = tree_flatten(list(kwargs.values()))[0]
    given = tensors(list(kwargs.values())) or any(type(v).__name__ in ("Batches", "DataLoader") for v in held)
    if not given and not models_in(kwargs): return None
    said = []
    for place in ("networks", "data", "all") if models_in(kwargs) else ("all",):
        try: out = run(name, make, device, place)
        except Exception as e:
            at = [f for f in traceback.extract_tb(e.__traceback__) if "mnist_cnn" in f.filename]
            if name.endswith(".forward") and "To fix it, move it to the weights" in str(e): continue  # a network says what to do
            said.append(f"{name} ({place} there): {type(e).__name__}: {str(e)[:160]}{f' [{Path(at[-1].filename).name}:{at[-1].lineno}]' if at else ''}")
            continue
        wanted = "cpu" if place == "data" or name in SAME else torch.device(device).type
        if name.startswith("checks."): continue  # these give what they are given
        for a, b in zip(before, tensors(out), strict=True):
            if b.device.type != wanted: said.append(f"{name} ({place} there): a result is on {b.device.type}, not on {wanted}")
            elif name not in RANDOM and not torch.allclose(a.double(), b.detach().cpu().double(), atol=1e-4, rtol=1e-4, equal_nan=True): said.append(f"{name} ({place} there): another result")
    return sorted(set(said))


def sweep(device):
    "All faults, and how many functions were given something that was moved"
    made = {name: make for name, make in calls().items() if name not in HERE and not (device == NAME and name == "data.Augment.__call__")}  # no generator is there
    with Pretending() if device == NAME else contextlib.nullcontext():
        found = [said for name, make in made.items() if (said := faults(name, make, device)) is not None]
        return [f for said in found for f in said] + [f"{name}: no call of it is known here" for name in wanting()], len(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default=NAME, help="a real one, such as cuda (default: one that is pretended)")
    device = parser.parse_args().device
    if device == NAME: pretend()
    found, n = sweep(device)
    print("\n".join([*found, f"{n} functions, {len(found)} faults"]))
    sys.exit(bool(found))
