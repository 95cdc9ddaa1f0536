"A part of all damaged checkpoints that `python tests/mutate.py` resumes from."
from mutate import mutate


def test_damaged_checkpoints():
    "One wrong value in a checkpoint is an error that names the file and changes nothing, or does no harm."
    counts, faults = mutate(share=0.01)
    assert not faults, "\n".join(faults)
    assert counts["rejected"] > 100 and counts["resumed"] > 10
