#!/usr/bin/env python3
"""Draws docs/pictures/cpu-per-request.svg from the recorded runs: perf/scenarios/picture.py DATE"""
import gzip, json, pathlib, sys

root = pathlib.Path(__file__).resolve().parents[2]
date = sys.argv[1]
PAIRS = ["bare", "nginx", "drivers", "shards", "kafka-64", "kafka-256"]
ROW, GAP, LEFT, WIDTH, SCALE = 20, 14, 150, 760, 30  # SCALE: pixels for a microsecond

rows = []
for pair in PAIRS:
    result = json.loads(gzip.open(root / f"perf/runs/{date}-{pair}/result.json.gz").read())
    row = next(row for row in result["rows"] if row["quantity"].startswith("cpu"))
    rows.append((pair, [(result["a"]["name"], row["a"]), (result["b"]["name"], row["b"])]))
    if pair.endswith("-256"):
        rows[-1] = (pair, [(name + ", 256", value) for name, value in rows[-1][1]])

height = 40 + len(rows) * (2 * ROW + GAP)
out = [
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
    f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    '<text x="10" y="20" font-size="14">CPU time per request, microseconds (each pair measured in turns in one run)</text>',
]
y = 36
for pair, bars in rows:
    for name, value in bars:
        ours = "millrun" in name or "shard" in name
        fill = "#2b6cb0" if ours else "#a0aec0"
        out.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{name}</text>')
        out.append(f'<rect x="{LEFT}" y="{y + 2}" width="{value * SCALE:.1f}" height="{ROW - 4}" fill="{fill}"/>')
        out.append(f'<text x="{LEFT + value * SCALE + 6:.1f}" y="{y + 14}">{value:.1f}</text>')
        y += ROW
    y += GAP
out.append("</svg>")
(root / "docs/pictures").mkdir(exist_ok=True)
(root / "docs/pictures/cpu-per-request.svg").write_text("\n".join(out) + "\n")
