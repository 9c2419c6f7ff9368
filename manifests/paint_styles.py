"""Paint the style pictures of the example manifests.

    python manifests/paint_styles.py [FOLDER]

Writes four pictures into FOLDER (default: images/styles beside this file). They are ours, made from
formulas and seeded chance alone, so that nobody has to ask whether an example may be passed on.
Needs numpy and Pillow. The same versions of these paint the same pixels again.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Rng = np.random.Generator
Polygon = Array  # (corners, 2): x, y

OVERSAMPLE = 2  # everything is painted at twice its size and averaged down: smooth edges


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images" / "styles"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (paint, quality) in PAINTINGS.items():
        picture = paint(np.random.default_rng(20150826))
        picture = picture.reduce(OVERSAMPLE)
        picture.save(folder / f"{name}.jpg", quality=quality, optimize=True)
        print(f"{name}.jpg: {picture.width} x {picture.height} px")  # noqa: T201 - a command


# --- Ground shared by all paintings ---------------------------------------------------------------


def grid(width: int, height: int) -> tuple[Array, Array]:
    """x and y of each pixel, (H, W) each, in units of the picture's height."""
    y, x = np.mgrid[0:height, 0:width] / height
    return x, y


def noise(rng: Rng, width: int, height: int, falloff: float, smallest: float = 0.0) -> Array:
    """Fractal noise (H, W), mean 0, standard deviation 1; amplitude falls as frequency**-falloff.

    smallest: features finer than this many px are left out.
    """
    fy = np.fft.fftfreq(height)[:, None]
    fx = np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(fx, fy)
    frequency[0, 0] = 1.0
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) * frequency**-falloff
    spectrum[0, 0] = 0.0
    if smallest:
        spectrum *= np.exp(-((frequency * smallest) ** 2))
    field: Array = np.fft.irfft2(spectrum, s=(height, width))
    field /= field.std()
    return field


def colour(text: str) -> Array:
    """'#rrggbb' as three floats in [0, 1]."""
    return np.array([int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def ramp(position: Array, *stops: str) -> Array:
    """Colours (..., 3) along evenly spaced stops; position is 0 at the first, 1 at the last."""
    colours = np.stack([colour(stop) for stop in stops])
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(position, at, colours[:, channel]) for channel in range(3)], axis=-1)


def blend(below: Array, above: Array, alpha: Array) -> Array:
    """above (H, W, 3), or one colour (3,), over below where alpha (H, W) is 1."""
    return below + (above - below) * np.clip(alpha, 0, 1)[..., None]


def step(distance: Array, softness: float) -> Array:
    """0 where distance is well below zero, 1 well above, smooth in between."""
    return np.clip(distance / softness + 0.5, 0, 1)


def bump(distance: Array, radius: float) -> Array:
    """1 at distance 0, falling smoothly to nothing a few radii away."""
    height: Array = np.exp(-((distance / radius) ** 2))
    return height


def to_picture(pixels: Array) -> Image.Image:
    return Image.fromarray(np.uint8(np.clip(pixels, 0, 1) * 255 + 0.5))


def to_fill(pixel: Array) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in np.clip(pixel, 0, 1) * 255)
    return red, green, blue


def relief(pixels: Array, strength: float) -> Array:
    """pixels lit from the upper left as if lighter paint stood higher."""
    height: Array = pixels.mean(axis=-1)
    slope = height - np.roll(height, (2, 2), axis=(0, 1))
    light: Array = strength * np.clip(slope, -0.3, 0.3)
    return pixels + light[..., None]


# --- Night: thick strokes that follow a flow ------------------------------------------------------

NIGHT_SIZE = 1536, 1216
STARS = ((0.16, 0.15, 0.055), (0.42, 0.10, 0.035), (0.60, 0.30, 0.060), (0.86, 0.10, 0.040),
         (0.30, 0.42, 0.042), (1.09, 0.20, 0.095), (0.78, 0.47, 0.032))  # fmt: skip  # x, y, radius
VORTICES = ((0.60, 0.30, 0.20, 1.0), (0.28, 0.32, 0.16, -0.9), (0.93, 0.42, 0.13, 0.8))  # x, y, radius, spin


def paint_night(rng: Rng) -> Image.Image:
    """Wheat under a swirling sky, in long strokes of several bristles."""
    width, height = NIGHT_SIZE
    scene, angle = night_scene(rng, width, height)
    canvas = to_picture(scene)  # so that no bare ground shows where the flow turns on itself
    brush = ImageDraw.Draw(canvas)
    for length, breadth, coverage in ((150, 34, 3.0), (110, 22, 3.0), (80, 15, 2.5), (50, 9, 1.2)):
        for _ in range(int(coverage * width * height / (length * breadth))):
            stroke(rng, brush, scene, angle, length, breadth)
    return to_picture(relief(np.asarray(canvas) / 255, 0.55))


def night_scene(rng: Rng, width: int, height: int) -> tuple[Array, Array]:
    """What the strokes take their colour from (H, W, 3), and their direction in radians (H, W)."""
    x, y = grid(width, height)
    wobble = noise(rng, width, height, 1.6)
    horizon = 0.70 + 0.05 * np.sin(4.1 * x + 0.6) + 0.02 * np.sin(11 * x)
    hills = 0.60 + 0.08 * np.sin(3.3 * x + 2.4) + 0.03 * np.sin(8.7 * x)
    swirl = 0.5 + 0.5 * np.sin(22 * y + 5 * np.sin(3 * x) + 1.2 * wobble)
    sky = ramp(0.15 + 0.55 * y + 0.30 * swirl, "#0b1d51", "#16409a", "#2f74c0", "#7fb7d6", "#dfe8c8")
    vx, vy = 0.25 + 0.25 * np.sin(5 * y), 0.15 * np.cos(6 * x)
    for sx, sy, radius in STARS:
        r = np.hypot(x - sx, y - sy)
        rings = 0.75 + 0.25 * np.cos(r / radius * 9)
        sky = blend(sky, ramp(r / radius / 2.2, "#fffbe0", "#ffd83f", "#f0a01e", "#8fb9a8"),
                    bump(r, 1.5 * radius) * rings * 1.3)  # fmt: skip
        vx, vy = turn(vx, vy, x - sx, y - sy, radius * 2.2, 1.5)
    for sx, sy, radius, spin in VORTICES:
        vx, vy = turn(vx, vy, x - sx, y - sy, radius, 2 * spin)
    sky_angle = np.arctan2(vy, vx)
    mountain = ramp(0.5 + 0.5 * np.sin(40 * (y - hills) + 2 * wobble), "#14304a", "#28577a", "#4d8f8a")
    rows = 0.5 + 0.5 * np.sin(26 * (x + 1.4 * y) + 1.5 * wobble)
    wheat = ramp(rows + 0.15 * wobble, "#6b4a12", "#c98a1b", "#f1c232", "#f7e48b", "#5d7a2e")
    on_hill, on_field = step(y - hills, 0.01), step(y - horizon, 0.01)
    scene = blend(blend(sky, mountain, on_hill), wheat, on_field)
    angle = np.where(on_hill > 0.5, 0.25 * np.cos(3.3 * x + 2.4), sky_angle)
    return scene, np.where(on_field > 0.5, -0.9 + 0.35 * np.sin(5 * x + 3 * y), angle)


def turn(vx: Array, vy: Array, dx: Array, dy: Array, radius: float, spin: float) -> tuple[Array, Array]:
    """Flow (vx, vy) with a vortex added whose centre is (dx, dy) away."""
    r = np.hypot(dx, dy) + 1e-6
    strength = spin * bump(r, radius)
    return vx - strength * dy / r, vy + strength * dx / r


def stroke(rng: Rng, brush: ImageDraw.ImageDraw, scene: Array, angle: Array, length: int, breadth: int) -> None:
    """One stroke from a chance place along the flow: bristles side by side, each a shade of its own."""
    height, width = angle.shape
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    paint = scene[int(y), int(x)] + rng.normal(0, 0.045, 3) + rng.normal(0, 0.05)
    path = [(x, y)]
    for _ in range(8):
        heading = angle[int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))]
        x, y = x + np.cos(heading) * length / 8, y + np.sin(heading) * length / 8
        path.append((x, y))
    heading = np.arctan2(path[-1][1] - path[0][1], path[-1][0] - path[0][0])
    across = np.array([-np.sin(heading), np.cos(heading)])
    bristles = max(3, breadth // 4)
    for offset in np.linspace(-0.5, 0.5, bristles):
        shade = paint + rng.normal(0, 0.05) - 0.10 * (abs(offset) > 0.42)
        first = int(rng.integers(0, 2))
        last = 9 - int(rng.integers(0, 2))
        dx, dy = across * offset * breadth
        shifted = [(x + dx, y + dy) for x, y in path[first:last]]
        brush.line(shifted, fill=to_fill(shade), width=max(3, round(1.5 * breadth / bristles)), joint="curve")


# --- Wave: a woodblock print ----------------------------------------------------------------------

WAVE_SIZE = 1536, 1152
INK = colour("#16233f")
WAVE_BLUES = (
    ("#9fc2c6", "#6f9fb8", "#3e6f9b"),
    ("#5f92b5", "#2f5f93", "#1c3c6e"),
    ("#b5d0c4", "#6aa0a8", "#2c5f86"),
    ("#3d74a8", "#1f4a86", "#142c5a"),
)


def paint_wave(rng: Rng) -> Image.Image:
    """Seven rows of breaking waves before a low sun: flat colours, carved lines, foam, paper."""
    width, height = WAVE_SIZE
    x, y = grid(width, height)
    warp = 0.012 * noise(rng, width, height, 1.8)
    pixels = wave_sky(x, y, warp)
    for row in range(8):
        pixels = wave_row(rng, pixels, x + warp, y + warp, row)
    wood = np.sin(55 * y + 9 * warp / 0.012 + 3 * np.sin(2.2 * x)) * 0.5 + 0.5
    pixels *= 1 - 0.05 * wood[..., None] ** 3
    grain = noise(rng, width, height, 0.4, smallest=2)
    return to_picture(pixels + 0.018 * grain[..., None])


def wave_sky(x: Array, y: Array, warp: Array) -> Array:
    """Paper that darkens towards the top, a red sun, and carved bands of cloud."""
    sky = ramp(y * 1.9, "#3d5f83", "#a9bdb5", "#efe0bd", "#f3d3a2", "#eeb98a")
    r = np.hypot(x - 0.93, y - 0.20)
    sky = blend(sky, colour("#c8402f"), step(0.115 - r - warp * 0.2, 0.003))
    for level, thickness in ((0.09, 0.012), (0.16, 0.018), (0.235, 0.010), (0.30, 0.014)):
        middle = level + 0.02 * np.sin(4 * x + 60 * level) + warp
        d = thickness * (0.5 + np.sin(5.5 * x + 37 * level)) - np.abs(y - middle)
        sky = blend(sky, colour("#f6ead0"), step(d, 0.002))
        sky = blend(sky, INK, 0.8 * step(0.0016 - np.abs(d), 0.001))
    return sky


def wave_row(rng: Rng, below: Array, x: Array, y: Array, row: int) -> Array:
    """One row of waves painted over what lies behind it."""
    size = 0.35 + 0.11 * row  # rows in front are larger
    phase = rng.uniform(0, 2 * np.pi)
    lean = x + 0.10 * size * np.sin(7 / size * x + phase + 1.2)
    crest = 0.31 + 0.095 * row - 0.14 * size * peaks(4.2 / size * lean + phase) - 0.02 * np.sin(2.6 * x + row)
    depth = y - crest
    paint = ramp(depth / (0.16 * size), *WAVE_BLUES[row % len(WAVE_BLUES)])
    paint = wave_lines(paint, lean, depth, size, phase)
    scallops = np.abs(np.sin(34 / size * lean + phase)) + 0.7 * np.abs(np.sin(79 / size * lean + 2 * phase))
    foam_edge = size * (0.013 + 0.026 * peaks(4.2 / size * lean + phase) + 0.010 * scallops)
    foam = step(foam_edge - depth, 0.003)
    paint = blend(paint, colour("#f4ecd8"), foam)
    for inside, thickness in ((1.0, 0.0026), (0.55, 0.0014)):
        paint = blend(paint, INK, step(thickness * (0.7 + size) - np.abs(depth - foam_edge * inside), 0.0012))
    pixels = blend(below, paint, step(depth, 0.0015))
    pixels = blend(pixels, INK, step(0.0028 * (0.6 + size) - np.abs(depth), 0.0012))
    return spray(rng, pixels, crest, size)


def peaks(angle: Array) -> Array:
    """Waves with sharp crests and flat troughs, in [0, 1]."""
    return (1 - np.abs(np.sin(angle / 2))) ** 1.5


def wave_lines(paint: Array, x: Array, depth: Array, size: float, phase: float) -> Array:
    """Carved lines that follow the crest, thinning downwards, broken like a knife's cuts."""
    cut = np.sin(depth / (0.017 * size) * 2 * np.pi + 1.4 * np.sin(9 / size * x + phase))
    broken = np.sin(23 / size * x + 70 * depth + phase) + 1.1
    light = step(cut - 0.62 - 1.2 * np.clip(depth / size - 0.12, 0, 1), 0.25) * step(broken, 0.3)
    dark = step(-cut - 0.80, 0.25) * step(1.9 - broken, 0.3)
    paint = blend(paint, colour("#e9ead2"), 0.85 * light)
    return blend(paint, INK, 0.75 * dark)


def spray(rng: Rng, pixels: Array, crest: Array, size: float) -> Array:
    """Drops of foam thrown up from the crest."""
    height = len(crest)
    picture = to_picture(pixels)
    brush = ImageDraw.Draw(picture)
    line = crest[height // 2]
    high = np.flatnonzero(line < np.quantile(line, 0.35))
    for _ in range(int(150 * size)):
        at = int(rng.choice(high))
        y = (line[at] - abs(rng.normal(0, 0.028 * size))) * height
        x, r = at + rng.normal(0, 14 * size), rng.uniform(1.5, 7 * size + 2)
        outline = to_fill(INK) if r > 4 else None
        brush.ellipse((x - r, y - r, x + r, y + r), fill="#f6efdd", outline=outline, width=1)
    return np.asarray(picture) / 255


# --- Glass: shards in lead ------------------------------------------------------------------------

GLASS_SIZE = 1408, 1408
JEWELS = (
    "#b3122b", "#e2571e", "#f4b223", "#f7e3a1", "#1c7c54",
    "#0f4c5c", "#1d3fa3", "#5b2a86", "#c2387f", "#58b7c9",
)  # fmt: skip


def paint_glass(rng: Rng) -> Image.Image:
    """A window of shards: warm around the middle, cool at the rim, streaked and bubbled glass."""
    width, height = GLASS_SIZE
    x, y = grid(width, height)
    bend = 0.010 * noise(rng, width, height, 2.0)
    shards = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * [width, height]
    labels, middles = shard_labels(list(split(rng, shards.astype(np.float64))), width, height)
    radius = np.hypot(x - 0.5, y - 0.5) + bend
    for ring, edge in enumerate((0.12, 0.27, 0.43), start=1):  # circles cut the shards again
        labels = labels + np.where(radius > edge, len(middles), 0)
        middles = np.concatenate([middles, middles[: len(middles) // ring]])
    glass = shard_colours(rng, labels, middles, x, y)
    glass *= (1 + 0.10 * noise(rng, width, height, 1.2, smallest=3))[..., None]
    return to_picture(lead(glass, labels))


def split(rng: Rng, polygon: Polygon) -> Iterator[Polygon]:
    """polygon cut by chance lines until its parts are small; finer towards the middle."""
    middle = polygon.mean(axis=0)
    away = np.hypot(*(middle / GLASS_SIZE - 0.5))
    if area(polygon) < rng.uniform(0.5, 3.0) * (1500 + 26000 * away**2):
        yield polygon
        return
    edges = np.roll(polygon, -1, axis=0) - polygon
    along = edges[np.argmax(np.hypot(*edges.T))]
    angle = np.arctan2(along[1], along[0]) + np.pi / 2 + rng.normal(0, 0.45)  # across the longest edge
    normal = np.array([-np.sin(angle), np.cos(angle)])
    side = (polygon - middle - rng.normal(0, 0.08, 2) * np.sqrt(area(polygon))) @ normal
    if not (side > 0).any() or not (side < 0).any():
        yield polygon
        return
    yield from split(rng, clip(polygon, side))
    yield from split(rng, clip(polygon, -side))


def area(polygon: Polygon) -> float:
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def clip(polygon: Polygon, side: Array) -> Polygon:
    """The part of a convex polygon whose corners' signed distances are positive."""
    corners: list[Array] = []
    for here, there, a, b in zip(polygon, np.roll(polygon, -1, axis=0), side, np.roll(side, -1), strict=True):
        if a > 0:
            corners.append(here)
        if a * b < 0:
            corners.append(here + (there - here) * a / (a - b))
    return np.array(corners)


def shard_labels(shards: list[Polygon], width: int, height: int) -> tuple[Labels, Array]:
    """Number of the shard at each pixel (H, W), and the shards' middles (N, 2) in [0, 1]."""
    board = Image.new("I", (width, height))
    brush = ImageDraw.Draw(board)
    for number, shard in enumerate(shards):
        brush.polygon([(float(x), float(y)) for x, y in shard], fill=number)
    middles = np.stack([shard.mean(axis=0) for shard in shards]) / [width, height]
    return np.asarray(board).astype(np.int64), middles


def shard_colours(rng: Rng, labels: Labels, middles: Array, x: Array, y: Array) -> Array:
    """Glass (H, W, 3): per shard one jewel, a gradient of light and streaks in a direction of its own."""
    count = int(labels.max()) + 1
    middles = np.resize(middles, (count, 2))
    away = np.hypot(*(middles - 0.5).T)
    jewels = np.stack([colour(jewel) for jewel in JEWELS])
    warmth = np.clip(away / 0.72 + rng.normal(0, 0.20, count), 0, 0.999)
    base = jewels[(warmth * len(jewels)).astype(int)] * rng.uniform(0.65, 1.15, (count, 1))
    angle = rng.uniform(0, 2 * np.pi, count)
    dx, dy = x - middles[labels, 0], y - middles[labels, 1]
    across = dx * np.cos(angle)[labels] + dy * np.sin(angle)[labels]
    streak = np.sin(across * rng.choice([0, 90, 160, 260], count)[labels] + 3 * np.sin(9 * x) * np.sin(8 * y))
    light: Array = np.clip(1 + 2.6 * across + 0.14 * streak, 0.35, 1.7)
    glass: Array = base[labels] * light[..., None]
    return glass


def lead(glass: Array, labels: Labels) -> Array:
    """Dark lead between the shards with a thin light along one side."""
    edge = (labels != np.roll(labels, 1, axis=0)) | (labels != np.roll(labels, 1, axis=1))
    wide = Image.fromarray(np.uint8(edge) * 255).filter(ImageFilter.MaxFilter(7))
    line = wide.filter(ImageFilter.GaussianBlur(1.5))
    bar = np.asarray(line) / 255
    shine = np.clip(np.roll(bar, (-2, -2), axis=(0, 1)) - np.roll(bar, (2, 2), axis=(0, 1)), 0, 1) * bar
    glow = np.asarray(line.filter(ImageFilter.GaussianBlur(9))) / 255
    shaded = glass * (1.12 - 0.75 * glow)[..., None]
    return blend(shaded, colour("#14121a"), bar) + 0.35 * shine[..., None]


# --- Garden: points of pure colour ----------------------------------------------------------------

GARDEN_SIZE = 1536, 1152


def paint_garden(rng: Rng) -> Image.Image:
    """A pond at evening in dots: each area mixes its colour, a neighbour and a complement."""
    width, height = GARDEN_SIZE
    scene = garden_scene(rng, width, height)
    canvas = Image.new("RGB", (width, height), "#e9dcc3")
    brush = ImageDraw.Draw(canvas)
    for radius, coverage in ((17, 1.6), (11, 1.9), (7, 1.5), (4.5, 0.55)):
        for _ in range(int(coverage * width * height / (np.pi * radius**2))):
            dot(rng, brush, scene, radius)
    return to_picture(relief(np.asarray(canvas) / 255, 0.25))


def garden_scene(rng: Rng, width: int, height: int) -> Array:
    """Sky, far trees, water with reflections, flowers on the near bank: (H, W, 3)."""
    x, y = grid(width, height)
    rough, fine = noise(rng, width, height, 1.5), noise(rng, width, height, 1.0, smallest=20)
    sky = ramp(y / 0.42 + 0.06 * rough, "#6a7fc1", "#b58cc4", "#f29aa0", "#f9c46b", "#fdf0a8")
    sky = blend(sky, colour("#fff6c8"), bump(np.hypot(x - 0.9, y - 0.32), 0.09))
    mirror = 0.84 - y + 0.012 * np.sin(90 * y + 4 * rough)
    water = ramp(mirror / 0.42, "#37589b", "#8a70b5", "#ee8f8f", "#fbc56d", "#fdf0a8")
    pixels = blend(sky, water * 0.92, step(y - 0.42, 0.006))
    hill = 0.34 - 0.06 * np.abs(rough) - 0.10 * bump(x - 0.25, 0.16) - 0.05 * bump(x - 1.2, 0.12)
    trees = ramp(0.5 + 0.35 * fine, "#1f3a5f", "#2e6b57", "#6d9f4a", "#c9c24c")
    pixels = blend(pixels, trees, step(y - hill, 0.01) * step(0.42 - y, 0.01))
    pixels = blend(pixels, trees * 0.7, 0.75 * step(0.84 - hill - y, 0.03) * step(y - 0.42, 0.01))
    bank = 0.74 + 0.10 * np.sin(2.7 * x + 1.9) + 0.02 * rough
    meadow = ramp(0.45 + 0.30 * fine + 0.12 * rough, "#1d4d3c", "#3f8a3f", "#a5c63b", "#f2d94e")
    flowers = ramp(0.5 + 0.5 * np.sin(6 * rough), "#d7263d", "#f46fa1", "#fff1e6", "#8f3fae")
    meadow = blend(meadow, flowers, step(fine - 1.05, 0.2))
    return blend(pixels, meadow, step(y - bank, 0.008))


def dot(rng: Rng, brush: ImageDraw.ImageDraw, scene: Array, radius: float) -> None:
    """One touch of the brush tip: mostly the scene's colour, now and then its complement."""
    height, width = scene.shape[:2]
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    paint = scene[int(y), int(x)]
    grey = paint.mean()
    paint = grey + (paint - grey) * rng.uniform(1.0, 1.7) + rng.normal(0, 0.06, 3)
    if rng.random() < 0.10:
        paint = 1.6 * grey - 0.9 * paint + 0.25
    rx, ry = radius * rng.uniform(0.8, 1.25), radius * rng.uniform(0.7, 1.0)
    brush.ellipse((x - rx, y - ry, x + rx, y + ry), fill=to_fill(paint))


PAINTINGS: dict[str, tuple[Callable[[Rng], Image.Image], int]] = {
    "night": (paint_night, 85),
    "wave": (paint_wave, 85),
    "glass": (paint_glass, 85),
    "garden": (paint_garden, 80),
}

if __name__ == "__main__":
    main()
