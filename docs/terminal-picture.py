#!/usr/bin/env python3
"""Makes an SVG of a terminal from what `tmux capture-pane -e -p` prints.

    tmux capture-pane -e -p | docs/terminal-picture.py > picture.svg
"""

import re
import sys
import unicodedata
from html import escape

CELL, LINE, SIZE, EDGE = 8.4, 18, 14, 14
PAGE, TEXT = "#0d1117", "#c9d1d9"
COLORS = ["#0d1117", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#c9d1d9",
          "#8b949e", "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff"]


def style_after(style, codes):
    """The style after the codes of one escape sequence."""
    style = dict(style)
    numbers = [int(code or 0) for code in codes.split(";")]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            style = {}
        elif code in (1, 2, 4, 7):
            style[{1: "bold", 2: "dim", 4: "line", 7: "turned"}[code]] = True
        elif code in (22, 24, 27):
            for name in {22: ("bold", "dim"), 24: ("line",), 27: ("turned",)}[code]:
                style.pop(name, None)
        elif code in (38, 48) and numbers[:1] == [5]:
            style["ink" if code == 38 else "page"] = COLORS[numbers[1] % 16]
            numbers = numbers[2:]
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style["ink"] = COLORS[code - 30 if code < 90 else code - 82]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style["page"] = COLORS[code - 40 if code < 100 else code - 92]
        elif code == 39:
            style.pop("ink", None)
        elif code == 49:
            style.pop("page", None)
    return style


def runs(line, style):
    """Texts of one style with the column where each begins, and the style at the end."""
    column, found = 0, []
    for part in re.split(r"(\x1b\[[0-9;]*m|\x1b\][^\x07]*\x07|\x1b.|[\x0e\x0f])", line):
        if part.startswith("\x1b["):
            style = style_after(style, part[2:-1])
        elif part and part[0] not in "\x1b\x0e\x0f":
            found.append((column, part, style))
            column += sum(0 if unicodedata.combining(c) else 1 for c in part)
    return found, style


def main():
    lines = sys.stdin.read().rstrip("\n").split("\n")
    style, drawn, width = {}, [], 0
    for number, line in enumerate(lines):
        found, style = runs(line, style)
        for column, text, look in found:
            width = max(width, column + len(text))
            ink, page = look.get("ink", TEXT), look.get("page")
            if look.get("turned"):
                ink, page = page or PAGE, look.get("ink", TEXT)
            x, y = EDGE + column * CELL, EDGE + number * LINE
            if page:
                drawn.append(f'<rect x="{x:.1f}" y="{y}" width="{len(text) * CELL:.1f}" height="{LINE}" fill="{page}"/>')
            if text.strip():
                weight = ' font-weight="bold"' if look.get("bold") else ""
                under = ' text-decoration="underline"' if look.get("line") else ""
                drawn.append(f'<text x="{x:.1f}" y="{y + 13.5}" fill="{ink}"{weight}{under} '
                             f'textLength="{len(text) * CELL:.1f}" xml:space="preserve">{escape(text)}</text>')
    across, down = width * CELL + 2 * EDGE, len(lines) * LINE + 2 * EDGE
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:.0f}" height="{down}" '
          f'viewBox="0 0 {across:.0f} {down}" font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
          f'font-size="{SIZE}">')
    print(f'<rect width="{across:.0f}" height="{down}" rx="8" fill="{PAGE}"/>')
    print("\n".join(drawn))
    print("</svg>")


if __name__ == "__main__":
    main()
