"""Pictures of digits as people have them: `python tests/pictures.py` reads some of each kind and prints a table.

Each kind makes a picture of a digit of MNIST's: a PIL image, an array or bytes, as `prepare_image` takes it. `--set train` makes
them from training digits (to develop with), the default from test digits. Where the right answer is that there is no single
digit, a kind says "none". `--save FOLDER` keeps those that are read wrongly.
"""
import argparse, io, json, sys, time
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

if __name__ == "__main__": sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

KINDS, EASY = {}, set()  # of each kind: what makes it, and what is expected; and those that a person reads at a glance


def kind(expected="digit", easy=True):
    def keep(make):
        KINDS[make.__name__] = make, expected
        if easy and expected == "digit": EASY.add(make.__name__)
        return make
    return keep


# What pictures are made of

def strokes(digit, height, rng, weight=0.):
    "The ink of a digit, 0 to 1, cropped, `height` pixels high, with smooth edges; `weight` above 0 is bolder"
    rows, cols = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
    small = Image.fromarray(np.pad(digit[rows[0]:rows[-1] + 1, cols[0]:cols[-1] + 1], 2))
    k = height / (small.height - 4)
    big = small.resize((max(3, round(small.width * k)), max(3, round(small.height * k))), Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(k * 0.35))
    a = np.clip((np.asarray(big) / 255 - (0.42 - weight)) * max(2.5, k / 2) + 0.5, 0, 1)
    rows, cols = np.flatnonzero(a.max(1) > 0.1), np.flatnonzero(a.max(0) > 0.1)
    return a[rows[0]:rows[-1] + 1, cols[0]:cols[-1] + 1]


def placed(ink, h, w, rng, margin=0.08, at=None):
    "The ink somewhere on an empty page"
    page = np.zeros((h, w))
    room = [h - ink.shape[0], w - ink.shape[1]]
    low = [min(int(margin * n), r // 2) for n, r in zip((h, w), room)]
    top, left = at or [int(rng.integers(m, max(m + 1, r - m))) for m, r in zip(low, room)]
    page[top:top + ink.shape[0], left:left + ink.shape[1]] = ink
    return page


def page(digit, rng, h=400, w=400, size=(0.35, 0.6), weight=0., **kw):
    height = int(rng.uniform(*size) * min(h, w))
    ink = strokes(digit, height, rng, weight)
    if ink.shape[1] > 0.9 * w: ink = strokes(digit, int(height * 0.9 * w / ink.shape[1]), rng, weight)
    return placed(ink, h, w, rng, **kw)


def field(h, w, rng, scale, amount):
    "A smooth random field"
    n = max(2, round(max(h, w) / scale))
    return np.asarray(Image.fromarray(rng.normal(0, amount, (n, n)).astype(np.float32)).resize((w, h), Image.Resampling.BICUBIC))


def noise(a, rng, sd): return a + rng.normal(0, sd, a.shape[:2])[(...,) + (None,) * (a.ndim - 2)]


def picture(a):
    a = (np.clip(a, 0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(a)


def jpeg(image, quality=85):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return Image.open(io.BytesIO(out.getvalue()))


def on_paper(ink, paper=0.92, pen=0.12): return paper + (pen - paper) * ink


def tint(a, color): return a[..., None] * np.array(color)


def turned(a, degrees, fill): return np.asarray(Image.fromarray(a.astype(np.float32)).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=fill))


# Clean

@kind()
def dark_on_light(d, rng): return picture(on_paper(page(d, rng), 1, 0))
@kind()
def light_on_dark(d, rng): return picture(1 - on_paper(page(d, rng), 1, 0))
@kind()
def pale(d, rng): return picture(on_paper(page(d, rng), 0.8, 0.5))
@kind()
def as_it_is(d, rng): return d
@kind()
def cropped_tightly(d, rng): return picture(on_paper(np.pad(strokes(d, 150, rng), 1), 1, 0))
@kind()
def small_on_a_large_page(d, rng): return picture(on_paper(page(d, rng, 900, 700, size=(0.07, 0.1)), 0.95, 0.1))
@kind()
def large(d, rng): return picture(on_paper(page(d, rng, 1500, 2000), 0.95, 0.1))
@kind()
def tiny(d, rng): return np.asarray(picture(on_paper(page(d, rng, 120, 120, (0.7, 0.8)), 1, 0)).resize((12, 12), Image.Resampling.BOX))
@kind()
def low_quality(d, rng): return jpeg(picture(on_paper(page(d, rng, 200, 200))), 15)
@kind()
def palette(d, rng): return picture(tint(on_paper(page(d, rng)), (1, 0.95, 0.85))).quantize(16)
@kind()
def dithered(d, rng): return picture(on_paper(page(d, rng, 500, 500), 0.9, 0.15)).convert("1")
@kind()
def cmyk(d, rng): return picture(tint(on_paper(page(d, rng)), (1, 1, 1))).convert("CMYK")
@kind()
def sixteen_bit(d, rng): return Image.fromarray((on_paper(page(d, rng)) * 65535).astype(np.uint16))
@kind()
def dark_ink_on_transparency(d, rng):
    ink = page(d, rng)
    return picture(np.dstack([np.full((*ink.shape, 3), 0.1), ink]))
@kind()
def white_ink_on_transparency(d, rng):
    ink = page(d, rng)
    return picture(np.dstack([np.ones((*ink.shape, 3)), ink]))
@kind()
def transparent_value(d, rng):
    a = (np.asarray(picture(page(d, rng, 224, 224))).astype(np.uint16)) * 257  # ink on 0, and 0 is transparent
    out = io.BytesIO()
    Image.fromarray(65535 - a).save(out, "PNG", transparency=65535)
    return out.getvalue()
@kind()
def turned_by_exif(d, rng):
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    picture(on_paper(page(d, rng))).rotate(90, expand=True).save(out, "JPEG", exif=exif)
    return Image.open(out)
@kind()
def standardized(d, rng): return (1 - on_paper(page(d, rng), 1, 0) - 0.13) / 0.31
@kind()
def colors_in_an_array(d, rng): return np.asarray(picture(tint(on_paper(page(d, rng)), (0.98, 1, 0.9))))
@kind()
def equally_bright_colors(d, rng):
    ink = page(d, rng)[..., None]
    return picture(np.array([0.85, 0.35, 0.35]) * ink + np.array([0.30, 0.62, 0.35]) * (1 - ink))
@kind()
def yellow_on_white(d, rng):
    ink = page(d, rng)[..., None]
    return picture(np.array([1, 0.95, 0.25]) * ink + np.array([0.99, 0.99, 0.98]) * (1 - ink))
@kind()
def blue_pen(d, rng):
    ink = page(d, rng, weight=-0.05)[..., None]
    return jpeg(picture(np.array([0.1, 0.2, 0.6]) * ink + np.array([0.93, 0.92, 0.88]) * (1 - ink)))


# Light

def lit(a, light, rng, sd=0.015): return jpeg(picture(noise(tint(a * light, (1, 0.98, 0.94)), rng, sd)))
def ramp(h, w, rng, low):
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1:1:h * 1j, -1:1:w * 1j]
    t = (x * np.cos(angle) + y * np.sin(angle)) / 1.42
    return low + (1 - low) * (t + 1) / 2

@kind()
def light_from_one_side(d, rng): return lit(on_paper(page(d, rng)), ramp(400, 400, rng, 0.55), rng)
@kind()
def light_falls_off(d, rng): return lit(on_paper(page(d, rng)), ramp(400, 400, rng, 0.25), rng)
@kind()
def vignette(d, rng):
    y, x = np.mgrid[-1:1:400j, -1:1:400j]
    return lit(on_paper(page(d, rng)), 1 - 0.38 * (x**2 + y**2), rng)
@kind()
def strong_vignette(d, rng):
    y, x = np.mgrid[-1:1:480j, -1:1:640j]
    return jpeg(picture(tint(on_paper(page(d, rng, 480, 640), 0.95, 0.15) * (1 - rng.uniform(0.28, 0.36) * (x**2 + y**2)), (1, 1, 1))))
@kind()
def lamp(d, rng):
    y, x = np.mgrid[-1:1:400j, -1:1:400j]
    return lit(on_paper(page(d, rng)), 0.35 + 0.65 * np.exp(-((x - rng.uniform(-.7, .7))**2 + (y - rng.uniform(-.7, .7))**2) / 0.8), rng)
@kind()
def shadow_with_an_edge(d, rng):
    edge = np.clip((ramp(400, 400, rng, 0) - rng.uniform(0.4, 0.6)) * rng.choice([10, 60]) + 0.5, 0, 1)
    return lit(on_paper(page(d, rng)), 0.6 + 0.4 * edge, rng)
@kind()
def shadow_of_a_hand(d, rng):
    shade = Image.new("L", (400, 400))
    draw, (x, y) = ImageDraw.Draw(shade), rng.integers(100, 300, 2)
    for i in range(4): draw.line([(x + 35 * i, y + rng.integers(-20, 20)), (x + 35 * i + 60, 420)], 255, 26)
    draw.ellipse((x - 20, y + 80, x + 220, y + 380), 255)
    return lit(on_paper(page(d, rng)), 1 - 0.35 * np.asarray(shade.filter(ImageFilter.GaussianBlur(rng.uniform(4, 12)))) / 255, rng)
@kind()
def noisy_photo(d, rng): return jpeg(picture(noise(tint(on_paper(page(d, rng), 0.75, 0.2), (1, 1, 1)), rng, 0.08)))
@kind()
def rough_paper(d, rng): return jpeg(picture(tint(on_paper(page(d, rng), 0.85, 0.2) + field(400, 400, rng, 4, 0.03) + field(400, 400, rng, 40, 0.03), (1, 0.97, 0.9))))
@kind()
def crumpled_paper(d, rng):
    light = 1 + 0.12 * np.sign(field(400, 400, rng, 110, 1)) * np.abs(field(400, 400, rng, 70, 0.6)).clip(0, 1)
    return lit(on_paper(page(d, rng), 0.85), light, rng, 0.02)
@kind()
def out_of_focus(d, rng): return lit(np.asarray(picture(on_paper(page(d, rng))).filter(ImageFilter.GaussianBlur(6))) / 255, ramp(400, 400, rng, 0.7), rng)
@kind()
def phone(d, rng):
    ink = turned(page(d, rng, 600, 450, size=(0.18, 0.35), weight=-0.05), rng.uniform(-8, 8), 0)
    return lit(on_paper(ink, 0.78, 0.22), ramp(600, 450, rng, 0.65), rng, 0.03)
@kind(easy=False)
def phone_at_night(d, rng):
    ink = turned(page(d, rng, 600, 450, size=(0.2, 0.4)), rng.uniform(-8, 8), 0)
    return jpeg(lit(np.asarray(picture(on_paper(ink, 0.5, 0.2)).filter(ImageFilter.GaussianBlur(2))) / 255, ramp(600, 450, rng, 0.4), rng, 0.05), 60)


# Sheets, lines and frames

@kind()
def sheet_on_a_dark_desk(d, rng):
    ink = page(d, rng, 300, 300, size=(0.4, 0.7))
    desk = np.full((480, 480), -1.)
    top, left = rng.integers(40, 140, 2)
    desk[top:top + 300, left:left + 300] = on_paper(ink)
    desk = np.asarray(Image.fromarray(desk.astype(np.float32)).rotate(rng.uniform(-12, 12), Image.Resampling.NEAREST, fillcolor=-1))
    return jpeg(picture(noise(tint(np.where(desk < 0, 0.22 + field(480, 480, rng, 9, 0.04), desk), (1, 0.96, 0.9)), rng, 0.02)))
def note(d, rng, paper, pen, desk, side, size=(0.4, 0.7), turn=12, h=480, w=640):
    "A sheet on a desk of one color, without any noise: colors from 0 to 1"
    sheet = tint(np.ones((side, side)), paper)
    sheet += page(d, rng, side, side, size)[..., None] * (np.array(pen) - paper)
    sheet = picture(sheet).rotate(rng.uniform(-turn, turn), Image.Resampling.BICUBIC, expand=True, fillcolor=tuple(round(255 * v) for v in desk))
    image = picture(tint(np.ones((h, w)), desk))
    image.paste(sheet, (int(rng.integers(5, w - sheet.width - 4)), int(rng.integers(5, h - sheet.height - 4))))
    return image
PAPERS = (0.95, 0.95, 0.93), (0.98, 0.9, 0.35), (0.98, 0.7, 0.75), (0.75, 0.9, 0.7)
DESKS = (0.47, 0.43, 0.39), (0.2, 0.18, 0.16), (0.51, 0.47, 0.43), (0.5, 0.5, 0.5)
@kind()
def sheet_on_an_even_desk(d, rng): return jpeg(note(d, rng, rng.choice(PAPERS), (0.1, 0.1, 0.1), rng.choice(DESKS), int(rng.integers(220, 380))))
@kind()
def sheet_that_its_digit_fills(d, rng): return jpeg(note(d, rng, rng.choice(PAPERS), (0.1, 0.1, 0.25), rng.choice(DESKS), 300, (0.65, 0.85)))
@kind()
def dark_card_on_a_light_table(d, rng): return note(d, rng, (0.25, 0.3, 0.28), (0.9, 0.9, 0.85), (0.85, 0.84, 0.8), int(rng.integers(220, 320)))
@kind()
def sheet_on_wood(d, rng):
    ink = page(d, rng, 300, 300, size=(0.4, 0.7))
    grain = 0.5 + 0.06 * np.sin(np.arange(480)[:, None] / 5 + field(480, 480, rng, 60, 2)) + field(480, 480, rng, 6, 0.02)
    desk = tint(grain, (1.1, 0.8, 0.5))
    top, left = rng.integers(20, 160, 2)
    desk[top:top + 300, left:left + 300] = tint(on_paper(ink), (1, 1, 0.97))
    return jpeg(picture(noise(desk, rng, 0.015)))
@kind()
def desk_at_one_side(d, rng):
    turn, n = int(rng.integers(4)), int(rng.integers(12, 70))
    a = np.rot90(on_paper(page(d, rng, margin=0.2)), turn).copy()
    a[:, :n] = 0.25
    return jpeg(picture(noise(tint(np.rot90(a, -turn), (1, 1, 1)), rng, 0.02)))
@kind()
def black_rim(d, rng):
    a, n = on_paper(page(d, rng, margin=0.15)), int(rng.integers(3, 25))
    a[:n], a[-n:], a[:, :n], a[:, -n:] = 0, 0, 0, 0
    return picture(a)
@kind()
def window(d, rng):
    a = np.pad(on_paper(page(d, rng, 330, 400), 1, 0), ((36, 4), (4, 4)), constant_values=0.75)
    image = picture(tint(a, (1, 1, 1)))
    draw = ImageDraw.Draw(image)
    draw.text((12, 12), "Untitled - Paint", (40, 40, 40))
    for i in range(3): draw.rectangle((350 + 18 * i, 12, 360 + 18 * i, 22), outline=(40, 40, 40))
    return image
@kind()
def printed_box(d, rng):
    image = picture(on_paper(placed(page(d, rng, 220, 220, size=(0.5, 0.7)), 400, 400, rng, at=(90, 90))))
    ImageDraw.Draw(image).rectangle((86, 86, 314, 314), outline=60, width=int(rng.integers(2, 5)))
    return image
@kind()
def margin_line(d, rng):
    image = picture(tint(on_paper(page(d, rng, margin=0.18)), (1, 1, 1)))
    ImageDraw.Draw(image).line([(50, 0), (50 + rng.integers(-6, 6), 399)], (200, 60, 60), int(rng.integers(2, 4)))
    return jpeg(image)
def ruled(d, rng, color, slope=0., gap=48, both=False):
    image = picture(tint(on_paper(page(d, rng)), (1, 1, 1)))
    draw = ImageDraw.Draw(image)
    for at in range(int(rng.integers(5, gap)), 400, gap):
        draw.line([(0, at), (399, at + slope * 400)], color, 2)
        if both: draw.line([(at, 0), (at - slope * 400, 399)], color, 2)
    ink = np.asarray(picture(on_paper(np.zeros((400, 400)))))
    return jpeg(image) if ink.any() else image
@kind()
def ruled_lightly(d, rng): return ruled(d, rng, (170, 190, 230))
@kind()
def ruled_darkly(d, rng): return ruled(d, rng, (80, 100, 160))
@kind()
def ruled_at_a_slope(d, rng): return ruled(d, rng, (110, 130, 190), rng.uniform(-0.08, 0.08))
@kind()
def squared(d, rng): return ruled(d, rng, (140, 170, 220), gap=40, both=True)
@kind(easy=False)
def squared_darkly(d, rng): return ruled(d, rng, (100, 120, 180), gap=32, both=True)
@kind()
def dotted(d, rng):
    a = page(d, rng)
    dots = np.zeros((400, 400))
    for dy in range(3):
        for dx in range(3): dots[10 + dy::25, 10 + dx::25] = 0.5
    return picture(on_paper(np.maximum(a, dots)))
@kind()
def neighbors_at_the_edge(d, rng):
    a = page(d, rng, size=(0.35, 0.5), margin=0.25)
    other = strokes(rng.choice(OTHERS), 170, rng)
    n = min(other.shape[1] // 2, 45)
    a[120:120 + other.shape[0], -n:] = other[:, :n]
    return picture(on_paper(a))
@kind()
def dust(d, rng):
    a = page(d, rng)
    for y, x in rng.integers(5, 393, (40, 2)): a[y:y + rng.integers(1, 4), x:x + rng.integers(1, 4)] = rng.uniform(0.4, 1)
    return picture(on_paper(a))
@kind()
def a_fold(d, rng):
    y, x = np.mgrid[:400, :400]
    at = (x - 200 - rng.uniform(-80, 80) + rng.uniform(-0.2, 0.2) * y)
    return lit(on_paper(page(d, rng)), 1 - 0.25 * np.exp(-(at / 3)**2) - 0.1 * (at > 0), rng)
@kind()
def punched_holes(d, rng):
    image = picture(on_paper(page(d, rng, margin=0.2)))
    for y in (90, 310): ImageDraw.Draw(image).ellipse((12, y, 42, y + 30), 70)
    return image
@kind()
def stain(d, rng):
    y, x = np.mgrid[:400, :400]
    r = np.hypot(x - rng.uniform(80, 320), y - rng.uniform(80, 320))
    return lit(on_paper(page(d, rng)), 1 - 0.18 * (np.abs(r - 70) < 6) - 0.08 * (r < 70), rng)
@kind()
def shining_through(d, rng): return jpeg(picture(on_paper(np.maximum(page(d, rng), 0.13 * page(rng.choice(OTHERS), rng)[:, ::-1]))))


# Tools

@kind()
def chalk(d, rng):
    ink = page(d, rng) * np.clip(0.8 + field(400, 400, rng, 3, 0.25), 0, 1)
    return jpeg(picture(tint(0.2 + field(400, 400, rng, 50, 0.04).clip(0) + 0.65 * ink, (0.95, 1, 0.95))))
@kind()
def chalk_with_smudges(d, rng):
    ink = page(d, rng) * np.clip(0.75 + field(400, 400, rng, 3, 0.3), 0, 1)
    return jpeg(picture(noise(tint(0.18 + field(400, 400, rng, 90, 0.11).clip(0) + 0.65 * ink, (1, 1, 1)), rng, 0.02)))
@kind()
def whiteboard(d, rng):
    y, x = np.mgrid[-1:1:400j, -1:1:400j]
    glare = 0.35 * np.exp(-((x - rng.uniform(-1, 1))**2 + (y - rng.uniform(-1, 1))**2) / 0.15)
    return jpeg(picture(noise(tint(on_paper(page(d, rng), 0.72, 0.15) + glare * (1 - 0.3), (0.97, 1, 1)), rng, 0.01)))
@kind()
def pencil(d, rng):
    ink = page(d, rng, weight=-0.06) * np.clip(0.75 + field(400, 400, rng, 3, 0.25), 0, 1)
    return jpeg(picture(noise(on_paper(ink, 0.88, 0.5), rng, 0.02)))
@kind(easy=False)
def thin_pen(d, rng):
    a = strokes(d, 220, rng)
    from scipy.ndimage import distance_transform_edt as distance, gaussian_filter
    inside = distance(a > 0.5)
    return picture(on_paper(placed(np.clip(gaussian_filter((inside >= 0.55 * gaussian_filter(inside, 4).max()).astype(float), 1.2) * 2, 0, 1), 400, 400, rng)))
@kind()
def broad_marker(d, rng): return picture(on_paper(page(d, rng, weight=0.22), 0.95, 0.1))
@kind()
def colored_paper(d, rng):
    ink = page(d, rng)[..., None]
    return jpeg(picture(np.array([0.15, 0.1, 0.3]) * ink + np.array([rng.uniform(0.5, 1), rng.uniform(0.5, 1), rng.uniform(0.5, 1)]) * (1 - ink)))


# No digit, or several

@kind("none")
def blank(d, rng): return picture(np.full((150, 150), rng.uniform(0, 1)))
@kind("none")
def blank_and_noisy(d, rng): return picture(rng.normal(0.8, rng.uniform(0.02, 0.15), (150, 150)))
@kind("none")
def blank_photo(d, rng): return lit(np.full((400, 400), 0.85) + field(400, 400, rng, 6, 0.015), ramp(400, 400, rng, 0.5), rng, 0.03)
@kind("none")
def blank_and_ruled(d, rng): return ruled(np.zeros((28, 28), np.uint8) + 0, rng, (120, 140, 190)) if False else _ruled_blank(rng)
def _ruled_blank(rng):
    image = picture(tint(np.full((400, 400), 0.92), (1, 1, 1)))
    for at in range(20, 400, 45): ImageDraw.Draw(image).line([(0, at), (399, at)], (110, 130, 190), 2)
    return jpeg(image)
@kind("none")
def specks(d, rng):
    a = np.full((150, 150), 0.95)
    for y, x in rng.integers(5, 145, (rng.integers(1, 6), 2)): a[y:y + 2, x:x + 2] = 0
    return picture(a)
@kind("none")
def blot(d, rng):
    image = Image.new("L", tuple(map(int, rng.integers(150, 500, 2))), int(rng.choice([20, 235])))
    draw, w = ImageDraw.Draw(image), min(image.size) * rng.uniform(0.15, 0.6)
    h = w * rng.uniform(0.7, 1)
    left, top = rng.uniform(2, image.width - w - 2), rng.uniform(2, image.height - h - 2)
    rng.choice([draw.rectangle, draw.ellipse])((left, top, left + w, top + h), fill=int(rng.choice([125, 255 - image.getpixel((0, 0))])))
    return picture(noise(np.asarray(image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 2)))) / 255, rng, rng.choice([0, 0.01, 0.03])))
@kind("none")
def all_ink(d, rng):
    a = np.full((200, 200), 0.1)
    a[:6], a[:, :9] = 0.95, 0.95
    return picture(a)
@kind("none")
def two_digits(d, rng):
    a = np.zeros((400, 640))
    for ink, left in ((strokes(d, 180, rng), 40), (strokes(rng.choice(OTHERS), 190, rng), 360)): a[100:100 + ink.shape[0], left:left + ink.shape[1]] = ink
    return picture(on_paper(a))
@kind("none")
def two_digits_in_a_photo(d, rng):
    a = np.zeros((400, 640))
    left = 60
    for ink in (strokes(d, 150, rng), strokes(rng.choice(OTHERS), 160, rng)):
        a[100:100 + ink.shape[0], left:left + ink.shape[1]] = ink
        left += ink.shape[1] + int(rng.integers(20, 120))
    return lit(on_paper(a), ramp(400, 640, rng, 0.5), rng)


@kind("none")
def broken_line(d, rng):
    "A line in pieces, farther apart than they are long; one of them is longer than the others"
    from scipy.ndimage import distance_transform_edt as distance, gaussian_filter, maximum_filter
    depth = distance(page(d, rng, size=(0.6, 0.75)) > 0.5)
    y, x = np.nonzero((depth > 0) & (maximum_filter(depth, 5) == depth))
    line, left = np.zeros(depth.shape), np.ones(len(y), bool)
    while left.any():
        k = rng.choice(np.flatnonzero(left))
        far = np.hypot(y - y[k], x - x[k])
        reach = rng.uniform(3, 5) if line.any() else 16
        line[y[far < reach], x[far < reach]] = 1
        left &= far > reach + 20
    return picture(on_paper(np.clip(1.3 * gaussian_filter((distance(1 - line) < 2.5).astype(float), 1), 0, 1)))


OTHERS = []  # digits for neighbors

GROUPS = {
    "clean drawings, large and small": "dark_on_light light_on_dark pale as_it_is cropped_tightly small_on_a_large_page large tiny",
    "file formats and colors": "low_quality palette dithered cmyk sixteen_bit dark_ink_on_transparency white_ink_on_transparency transparent_value turned_by_exif standardized colors_in_an_array "
                               "equally_bright_colors yellow_on_white blue_pen colored_paper",
    "light, shadow, noise, blur": "light_from_one_side light_falls_off vignette strong_vignette lamp shadow_with_an_edge shadow_of_a_hand noisy_photo rough_paper crumpled_paper out_of_focus phone phone_at_night",
    "desk, rim, window, box": "sheet_on_a_dark_desk sheet_on_an_even_desk sheet_that_its_digit_fills dark_card_on_a_light_table sheet_on_wood desk_at_one_side black_rim window printed_box",
    "lined, squared, dotted paper": "margin_line ruled_lightly ruled_darkly ruled_at_a_slope squared squared_darkly dotted",
    "dust, folds, holes, neighbors": "neighbors_at_the_edge dust a_fold punched_holes stain shining_through",
    "chalk, pencil, pens": "chalk chalk_with_smudges whiteboard pencil thin_pen broad_marker",
    "no digit, or two": "broken_line blot blank blank_and_noisy blank_photo blank_and_ruled specks all_ink two_digits two_digits_in_a_photo"}


def made(name, x, y, n, seed=0):
    "Pictures of a kind, with what is expected of each: a class, or None"
    global OTHERS
    rng = np.random.default_rng([seed, sum(map(ord, name))])
    OTHERS = list(x[-200:])
    make, expected = KINDS[name]
    for i in rng.choice(len(x) - 200, n, replace=False): yield make(x[i], rng), int(y[i]) if expected == "digit" else None


def summary(found, n):
    "For each group of kinds and for all: how many kinds, and which fractions are right, wrong, without an answer, and wrong and over 90% sure; right is no answer where there is no single digit"
    rows = {}
    for group, names in {**{g: names.split() for g, names in GROUPS.items()}, "all digits": [k for k in found if KINDS[k][1] == "digit"], "all": list(found)}.items():
        right, sure, rejected = np.mean([found[name] for name in names], axis=0)
        none = np.mean([found[name][2] for name in names if KINDS[name][1] == "digit"] or [0]) * sum(KINDS[name][1] == "digit" for name in names) / len(names)
        rows[group] = {"kinds": len(names), "right": right, "no_answer": none, "wrong": max(0., 1 - right - none), "wrong_and_sure": sure}
    easy = min((k for k in found if k in EASY), key=lambda k: found[k][0])
    return {"pictures_of_each_kind": n, "groups": {g: {k: round(float(v), 4) if k != "kinds" else v for k, v in row.items()} for g, row in rows.items()}, "worst_easy_kind": [easy, found[easy][0]],
            "kinds": {name: dict(zip(("right", "wrong_and_sure", "no_answer"), values)) for name, values in found.items()}}


def read_all(read, x, y, n, names=None, seed=0, keep=None):
    "For each kind: of how many pictures is the answer right, wrong and over 90% sure, and is there none; `read` gives a class and its probability"
    found = {}
    for name in names or KINDS:
        right = sure = rejected = 0
        for k, (image, expected) in enumerate(made(name, x, y, n, seed)):
            try: answer, p = read(image)
            except ValueError: answer, p = None, 0.
            right += answer == expected
            rejected += answer is None
            sure += answer != expected and p > 0.9
            if keep and answer != expected: keep(name, k, image, expected, answer, p)
        found[name] = right / n, sure / n, rejected / n
    return found


def main():
    import torch
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--set", choices=["train", "test"], default="test")
    parser.add_argument("--kinds", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--json", type=Path, help="write the table here, by groups of kinds")
    args = parser.parse_args()
    torch.set_num_threads(1)
    from mnist_cnn.data import load_tensors
    from mnist_cnn.steps import hardware
    x, y = load_tensors(args.set == "train")
    if args.set == "train": x, y = x[50_000:], y[50_000:]
    def keep(name, k, image, expected, answer, p):
        if args.save is None: return
        args.save.mkdir(parents=True, exist_ok=True)
        if isinstance(image, bytes): image = Image.open(io.BytesIO(image))
        if isinstance(image, np.ndarray): image = picture(image / max(1, image.max()))
        try: image.convert("RGB").save(args.save / f"{name}-{k}-is-{expected}-as-{answer}-{p:.2f}.png")
        except OSError: pass
    start, found = time.perf_counter(), read_all(reader(), x[:, 0].numpy(), y.numpy(), args.n, args.kinds, args.seed, keep)
    print("| kind | right | wrong and over 90% sure | no answer |\n|---|---:|---:|---:|")
    for name, (right, sure, rejected) in sorted(found.items(), key=lambda item: item[1][0]): print(f"| {name} | {right:.0%} | {sure:.1%} | {rejected:.0%} |")
    digits = [v for k, v in found.items() if KINDS[k][1] == "digit"]
    if args.json and not args.kinds: args.json.write_text(json.dumps({"command": "python tests/pictures.py " + " ".join(sys.argv[1:]), "date": f"{date.today()}", "made_with": hardware("cpu"), "digits": args.set, **summary(found, args.n)}, indent=1) + "\n")
    if digits: print(f"\n{len(found)} kinds, {args.n} pictures of each, {time.perf_counter() - start:.0f} s: of digits right {np.mean([v[0] for v in digits]):.1%}, "
          f"worst easy kind {min((v[0] for k, v in found.items() if k in EASY), default=1):.0%}; "
          f"wrong and over 90% sure {np.mean([v[1] for v in found.values()]):.2%} of all")


def reader():
    "What `mnist-cnn predict` does with a picture"
    from mnist_cnn.data import prepare_image
    from mnist_cnn.evaluation import predict
    from mnist_cnn.model import AllConvNet
    model = AllConvNet.pretrained()
    def read(image):
        p, answer = predict(model, prepare_image(image)[None])[0].max(0)
        return int(answer), float(p)
    return read


if __name__ == "__main__": main()
