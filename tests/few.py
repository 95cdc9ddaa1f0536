"A few digits as a data set of their own."
from mnist_cnn.data import load_tensors
from mnist_cnn.files import write_idx


def few_digits(folder, n_train, n_test):
    "Write the first digits of both sets in the IDX format; the folder"
    folder.mkdir(exist_ok=True)
    for name, train, n in [("train", True, n_train), ("t10k", False, n_test)]:
        x, y = load_tensors(train)
        write_idx(folder / f"{name}-images-idx3-ubyte", x[:n, 0])
        write_idx(folder / f"{name}-labels-idx1-ubyte", y[:n].byte())
    return folder
