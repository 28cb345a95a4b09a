"""Make docs/gallery/ from a run of all experiments: one figure of each, 150 dots per inch. `make gallery` calls this.

python -m tools.gallery RESULTS [GALLERY]
"""

import sys
from pathlib import Path

from rmt.cli.report import VARIANTS

DPI = 150
GALLERY = Path(__file__).parents[1] / "docs" / "gallery"


def shrink(source, target):
    """Write a figure of rmt, an opaque PNG, at DPI and with a palette of its own."""
    from PIL import Image

    with Image.open(source) as image:
        factor = DPI / image.info["dpi"][0]
        size = tuple(round(side * factor) for side in image.size)
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    small.quantize(256, dither=Image.Dither.NONE).save(target, optimize=True, dpi=(DPI, DPI))


def main(results, gallery=GALLERY):
    """Shrink RESULTS/NAME/NAME.png for every NAME there is; the figure of a variant has the experiment's name."""
    for folder in sorted(path for path in Path(results).iterdir() if path.is_dir()):
        experiment, _ = VARIANTS.get(folder.name, (folder.name, {}))
        target = Path(gallery) / f"{folder.name}.png"
        shrink(folder / f"{experiment}.png", target)
        print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
