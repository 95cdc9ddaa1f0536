"What the data's functions reject: files that are not as they should be, images, targets and settings."
import gzip
import math
from importlib.resources import files

import numpy as np
import pytest
import torch

from mnist_cnn.data import Augment, Batches, dataloaders, load_tensors, mnist, prepare_image, show_digits, to_tensor
from mnist_cnn.files import atomic_write, read_idx, write_idx

x, y = torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8), torch.arange(8)
packed = (files('mnist_cnn') / 'mnist' / 't10k-labels-idx1-ubyte.gz').read_bytes()
good = gzip.decompress(packed)


@pytest.mark.parametrize('name, content, says', [
    ('half.idx', good[:5000], 'promises 10000 = 10,000 bytes of data, but it holds 4,992'), ('longer.idx', good + b'\0', 'but it holds more'),
    ('empty.idx', b'', 'starts with the bytes (none)'), ('floats.idx', b'\0\0\x0d' + good[3:], 'starts with the bytes 00 00 0d 01'),
    ('page.idx', b'<html>404</html>', 'starts with the bytes 3c 68 74 6d'), ('half.gz', packed[:-2000], 'but it holds'),
    ('no_checksum.gz', packed[:-4], "before gzip's checksum"),
    ('flipped.gz', packed[:2000] + bytes([packed[2000] ^ 1]) + packed[2001:], '')])
def test_idx(tmp_path, name, content, says):
    "Each error names the file and what to do."
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as error: read_idx(tmp_path / name)
    assert str(error.value).startswith(f'{tmp_path / name}: ') and says in str(error.value)
    assert 'expected an IDX file of unsigned bytes' in str(error.value)


def pair(folder, images, labels):
    "Write a training set of these images and labels."
    for name, a in (('train-images-idx3-ubyte', images), ('train-labels-idx1-ubyte', labels)):
        if a is not None: write_idx(folder / name, np.asarray(a, np.uint8))


def test_other_data_sets(tmp_path):
    "A set with MNIST's file names is read, also from the folder above if it holds only one."
    pair(tmp_path / 'Stripes' / 'raw', x[:4, 0], [0, 0, 1, 1])
    for root in (tmp_path / 'Stripes', tmp_path):
        xs, ys = load_tensors(root=root)
        assert torch.equal(xs, x[:4]) and ys.tolist() == [0, 0, 1, 1] and ys.dtype == torch.int64
    pair(tmp_path / 'Dots' / 'raw', x[:1, 0], [0])
    with pytest.raises(ValueError, match='holds several data sets'): load_tensors(root=tmp_path)


@pytest.mark.parametrize('images, labels, settings, error, says', [
    (x[:4, 0], [0, 0, 1, 1], dict(n_classes=1), ValueError, 'holds the label 1; expected 0 to 0'),
    (x[:4, 0], [0, 0, 1, 1], dict(train=False), FileNotFoundError, 'no file t10k-images-idx3-ubyte'),
    (x[:4, 0], [0, 0, 0], {}, ValueError, '4 images but'), (np.zeros((3, 32, 32)), [0, 0, 0], {}, ValueError, 'an array of 3×32×32'),
    (x[:4, 0], None, {}, FileNotFoundError, 'although the images exist'), (x[:4, 0], [[0]] * 4, {}, ValueError, 'one label for each image'),
    (x[:4, 0], [0] * 4, dict(n_classes=0), ValueError, 'n_classes is 0'), (x[:4, 0], [0] * 4, dict(n_classes='ten'), TypeError, "n_classes is 'ten'")])
def test_pairs(tmp_path, images, labels, settings, error, says):
    "Each file may be sound, and the two still not belong together."
    pair(tmp_path, images, labels)
    with pytest.raises(error) as raised: load_tensors(root=tmp_path, **settings)
    assert says in str(raised.value)


def test_truncated_mnist(tmp_path):
    "A file that was there already is compared with MNIST's; without it, it is unpacked again."
    mnist(tmp_path, train=False)
    cut = tmp_path / 'MNIST' / 'raw' / 't10k-images-idx3-ubyte'
    cut.write_bytes(cut.read_bytes()[:-1])
    with pytest.raises(ValueError, match="is not MNIST's file"): mnist(tmp_path)
    cut.unlink()
    assert len(mnist(tmp_path, train=False)) == 10_000


def test_half_written(tmp_path):
    "A write that is interrupted leaves nothing; a folder is not a file to write."
    with pytest.raises(KeyboardInterrupt):
        with atomic_write(tmp_path / 'half') as f:
            f.write(b'the first half')
            raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with pytest.raises(IsADirectoryError, match='is a folder'):
        with atomic_write(tmp_path): pass


@pytest.mark.parametrize('given, error, says', [
    (dict(x=x[:4], y=y[:3]), ValueError, '4 images but 3 targets'), (dict(y=y.float()), ValueError, 'the targets are float32'),
    (dict(x=x[:2], y=torch.tensor([3, -1])), ValueError, 'a target is -1'), (dict(x=x[:0], y=y[:0]), ValueError, 'at least one'),
    (dict(x=torch.tensor(3.)), ValueError, 'the shape ()'), (dict(y=torch.tensor(3)), ValueError, 'the targets are int64 ()'),
    (dict(x=x.long()), TypeError, 'of type int64; expected uint8'), (dict(x=x * 1j), TypeError, 'of type complex64'),
    (dict(x='digits'), TypeError, 'the images'), (dict(y='digits'), TypeError, 'the targets'), (dict(y=y.bool()), ValueError, 'the targets are bool'),
    (dict(share=(2, 2)), ValueError, 'share is (2, 2)'), (dict(share=2), ValueError, 'share is 2'), (dict(share=(0, 1.5)), ValueError, 'share is'),
    (dict(share=('a', 'b')), ValueError, 'share is'), (dict(std=math.nan), ValueError, 'std is nan'), (dict(std=0), ValueError, 'std is 0'),
    (dict(mean='0'), TypeError, "mean is '0'"), (dict(bs=0), ValueError, 'bs is 0'), (dict(bs=2.5), ValueError, 'bs is 2.5; expected a whole number'),
    (dict(bs=16.), ValueError, 'bs is 16.0; expected a whole number'), (dict(bs=True), (TypeError, ValueError), 'bs is True'), (dict(bs='16'), TypeError, "bs is '16'"),
    (dict(bs=16, drop_last=True), ValueError, 'no batch of 16'), (dict(augment='abc'), TypeError, "augment is 'abc'"), (dict(augment=True), TypeError, 'augment is True'),
    (dict(device='gpu'), ValueError, "device is 'gpu', which cannot be used here"), (dict(device='meta'), ValueError, 'holds no data'), (dict(device=Batches), ValueError, 'device is')])
def test_batches(given, error, says):
    with pytest.raises(error) as raised: Batches(**{'x': x, 'y': y, **given})
    assert says in str(raised.value)


def test_batches_of_other_kinds():
    "NumPy's arrays and numbers are as good as Python's and torch's."
    found = Batches(x.numpy(), y.numpy().astype(np.uint8), bs=np.int64(4), mean=np.float32(0.5), std=np.float64(2))
    assert len(found) == 2 and (found.bs, found.mean, found.std) == (4, .5, 2) and type(found.bs) is int
    assert found.y.dtype == torch.int64 and torch.equal(next(iter(found))[0], (x[:4] / 255 - .5) / 2)
    assert next(iter(Batches(x > 99, y)))[0].dtype == torch.float32
    for bs in (0, 2.5, '4'):
        with pytest.raises((TypeError, ValueError), match='bs is'): found.with_bs(bs)


@pytest.mark.parametrize('given', [dict(bs=0), dict(test_bs=1.5), dict(num_workers=-1)])
def test_dataloaders(tmp_path, given):
    with pytest.raises(ValueError, match=f'{next(iter(given))} is'): dataloaders(tmp_path, **given)


@pytest.mark.parametrize('given, says', [
    (dict(rotate=math.nan), 'rotate is nan'), (dict(shift=-1), 'shift is -1'), (dict(knots=1), 'knots is 1'), (dict(knots=2.5), 'knots is 2.5'),
    (dict(scale='much'), "scale is 'much'"), (dict(shear=True), 'shear is True'), (dict(elastic=math.inf), 'elastic is inf')])
def test_augment(given, says):
    with pytest.raises((TypeError, ValueError), match=says): Augment(**given)


@pytest.mark.parametrize('images, generator, says', [(x[0], torch.Generator(), 'N×C×H×W'), (x.long(), torch.Generator(), 'int64'), (x, None, 'generator is None'),
                                                     (x[..., :1], torch.Generator(), '28×1; expected at least 2 pixels')])
def test_augment_images(images, generator, says):
    with pytest.raises((TypeError, ValueError)) as raised: Augment()(images, generator)
    assert says in str(raised.value)


@pytest.mark.parametrize('given, says', [(dict(x=x[0, 0, 0]), 'the images are uint8 (28,)'), (dict(x=x * 1j), 'complex64'),
                                         (dict(x=x, n_cols=0), 'n_cols is 0'), (dict(x=x, size=0), 'size is 0'), (dict(x='digits'), "the images are 'digits'"),
                                         (dict(x=x, titles=['a']), 'titles holds 1 texts; expected 8'), (dict(x=x, titles='abc'), "titles is 'abc'"), (dict(x=x, size=1e300), 'size is 1e+300')])
def test_show_digits(given, says):
    with pytest.raises((TypeError, ValueError)) as raised: show_digits(**given)
    assert says in str(raised.value)


@pytest.mark.parametrize('image', [3, None, x, np.zeros((1, 1, 2, 2)), np.array(['ink'])], ids=lambda v: type(v).__name__)
def test_to_tensor(image):
    with pytest.raises(TypeError, match='expected a PIL image'): to_tensor(image)


@pytest.mark.parametrize('given, says', [(dict(x='digits'), 'the images are'), (dict(x=x.to_sparse()), 'sparse'), (dict(x=x, generator=3), 'generator is 3')])
def test_pixels(given, says):
    with pytest.raises(TypeError, match=says): Batches(x, y, augment=Augment()).pixels(**given)


@pytest.mark.parametrize('image, says', [
    (3, 'is not an image; expected'), (None, 'is not an image; expected'), ([['ink']], 'is not an image; expected'),
    (''.join, 'is not an image; expected'), (np.ones((9, 9), complex), 'is not an image; expected'), (np.full((50, 50), 200), 'no digit found'),
    (np.zeros((3, 50, 50)), 'H×W'), (np.full((9, 9), math.nan), 'NaN'), (np.zeros((0, 9)), 'H×W')])
def test_prepare_image(image, says):
    with pytest.raises(ValueError) as raised: prepare_image(image)
    assert says in str(raised.value)


def test_prepare_image_files(tmp_path):
    "A file that is not there, and one that is not an image."
    with pytest.raises(FileNotFoundError, match='no such file'): prepare_image(tmp_path / 'nothing.png')
    (tmp_path / 'page.png').write_bytes(b'<html>404</html>')
    with pytest.raises(ValueError, match='not an image'): prepare_image(tmp_path / 'page.png')
