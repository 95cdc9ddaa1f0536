"""What `nbdev-test` does first (`test_setup` in pyproject.toml)."""
import os


def one_for_each(cells):
    "Give each notebook's process one thread, since they run side by side and torch's threads would fight over the cores; and Triton's interpreter where there is no GPU."
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    # and, where there is no GPU, Triton's interpreter: Triton decides when it is first imported, and a process runs several notebooks
    if not os.path.exists('/proc/driver/nvidia/version'): os.environ.setdefault('TRITON_INTERPRET', '1')
