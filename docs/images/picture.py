"""Turn what a command prints into a picture for the README:

runstream demo --no-keep | python docs/images/picture.py docs/images/demo.png
"""

import sys
from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

FONT_PX = 15
MARGIN_PX = 18
PAPER, INK, FAINT, GREEN, RED = "#fbfbf8", "#24292f", "#7a8087", "#1a7f37", "#b3261e"
#: Words that a terminal shows in colour; a pipe carries none.
COLOURS = {"finished": GREEN, "failed": RED, "all agree": GREEN}
HEADINGS = ("Runs", "A question", "The best run", "train/loss,", "Points", "The page")


def draw(text: str, path: Path) -> None:
    """Write `text` as a PNG of few colours."""
    lines = text.strip("\n").splitlines()
    faces = [font(weight) for weight in ("normal", "bold")]
    advance, height = faces[0].getlength("M"), round(FONT_PX * 1.4)
    size = (round(advance * max(map(len, lines))) + 2 * MARGIN_PX, height * len(lines) + 2 * MARGIN_PX)
    image = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        at = (MARGIN_PX, MARGIN_PX + row * height)
        pen.text(at, line, INK, faces[line.startswith(HEADINGS)])
        for word, colour in COLOURS.items():
            if (column := line.find(word)) >= 0:
                left = at[0] + column * advance
                pen.rectangle((left, at[1], left + len(word) * advance, at[1] + height - 1), PAPER)
                pen.text((left, at[1]), word, colour, faces[0])
    image.quantize(64).save(path, optimize=True)


def font(weight: str) -> ImageFont.FreeTypeFont:
    """The monospaced face that matplotlib brings along; it has the block characters."""
    found = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans Mono", weight=weight))
    return ImageFont.truetype(found, FONT_PX)


if __name__ == "__main__":
    draw(sys.stdin.read(), Path(sys.argv[1]))
