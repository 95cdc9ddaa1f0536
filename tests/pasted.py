"Pictures as a browser hands them to the page: bytes of a file, and the colors RGBA of each pixel."
import io, json, subprocess
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import pictures

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = Path(__file__).parent/'photos'
NOT_SHOWN = {'standardized', 'cmyk', 'sixteen_bit', 'transparent_value'}  # not files of 8 bits: floats, and what Pillow turns into RGBA in its own way
READ = """const fs = require('fs'), p = require(process.argv[1] + '/playground.js'), q = require(process.argv[1] + '/pictures.js');
const all = JSON.parse(fs.readFileSync(0)).map(({file, width, height}) => {
  const begun = performance.now(), found = q.findDigits({data: new Uint8ClampedArray(fs.readFileSync(file)), width, height});
  return {error: found.error, boxes: (found.digits || []).map(d => d.box), digits: (found.digits || []).map(d => [...p.held(d)]), ms: performance.now() - begun};
});
console.log(JSON.stringify(all));"""


def as_file(image):
    "A picture as the bytes of a file"
    if isinstance(image, bytes): return image
    if isinstance(image, np.ndarray): image = Image.fromarray(image)
    if getattr(image, 'fp', None) is not None and not image.fp.closed:
        image.fp.seek(0)
        return image.fp.read()
    out = io.BytesIO()
    image.save(out, 'PNG')
    return out.getvalue()


def made(x, y, n, names=None, seed=0):
    "Of each kind `n` pictures as files, and of the photos each: name, bytes"
    for name in names or pictures.KINDS:
        if name not in NOT_SHOWN: yield from ((name, as_file(image)) for image, _ in pictures.made(name, x, y, n, seed))
    if not names: yield from ((path.name, path.read_bytes()) for path in sorted(PHOTOS.iterdir()) if '16' not in path.name)


def in_node(files, folder):
    "What the page's functions find in pictures: for each a dictionary with boxes, digits of 784 bytes, and an error where there is none"
    given = []
    for k, data in enumerate(files):
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert('RGBA')
        (folder/f'{k}').write_bytes(image.tobytes())
        given.append({'file': str(folder/f'{k}'), 'width': image.width, 'height': image.height})
    done = subprocess.run(['node', '-e', READ, ROOT/'mnist_cnn'/'static'], input=json.dumps(given), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def difference(data, found):
    "The mean difference of the pixels of the digits between Python and the page; infinite if they do not find as many"
    from mnist_cnn.pictures import find_digits
    try: here = [f.image for f in find_digits(data)]
    except ValueError: here = []
    if len(here) != len(found['digits']): return float('inf')
    return max((np.abs(h.flatten().numpy().astype(int) - there).mean() for h, there in zip(here, found['digits'])), default=0.)
