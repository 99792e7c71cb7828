"""What people read: the lines of the table, RESULTS.md and the picture."""

import html
import os

PARTS = ("train", "scaling", "infer", "epoch", "start", "convolution")
TITLES = {
    "train": "Training step: SGD with momentum, softmax cross-entropy",
    "scaling": "Our training step on 1 and 2 threads",
    "infer": "Inference",
    "epoch": "LeNet-5, an epoch of Fashion-MNIST with Adam, from the start of the process to the accuracy on the test set",
    "start": "Start of an empty program",
    "convolution": "Single convolutions",
}


def order(row):
    return PARTS.index(row["part"])


def is_ours(label):
    return label.startswith("libdl")


def our_failures(row):
    return {label: why for label, why in row["failures"].items() if is_ours(label) or label == "row"}


def failed(row):
    """Wrong numbers or no numbers on our side."""
    return bool(our_failures(row)) or not row["sides"]


def name(row):
    if row["part"] == "convolution":
        return f"{row['network']} {row['batch']}"
    if row["batch"] is None:
        return row["network"]
    return f"{row['network']} b{row['batch']}"


def milliseconds(row, label):
    return row["sides"][label]["median"] * 1e3 if label else None


def megabytes(row, ours):
    """The least peak of any of our, or of the peers', processes."""
    entries = list({**row.get("trials", {}), **row["sides"]}.items())
    found = [entry["megabytes"] for label, entry in entries if is_ours(label) == ours and entry.get("megabytes")]
    return min(found) if found else None


def torch_megabytes(row):
    entries = {**row.get("trials", {}), **row["sides"]}
    found = [entry["megabytes"] for label, entry in entries.items() if label.startswith("torch") and entry.get("megabytes")]
    return min(found) if found else None


def rate(row, label):
    """GFLOP/s of the direct algorithm."""
    return row["flops"] / row["sides"][label]["median"] / 1e9 if row["flops"] and label else None


def share_of_peak(row, label, machine):
    top, own = machine["peak"].get(str(machine["threads"])), rate(row, label)
    return 100 * own / top if top and own else None


def images(row, label):
    if row["part"] in ("train", "infer") and label:
        return row["batch"] / row["sides"][label]["median"]
    return None


def text(value, form="{:.4g}"):
    return "-" if value is None else form.format(value)


def count(value):
    """Thousands with commas, and small numbers with three digits."""
    return text(value, "{:,.0f}" if value and value >= 1000 else "{:.3g}")


def verdict(row):
    if our_failures(row):
        return "FAILED"
    if row["ratio"] is None or not row.get("target"):
        return ""
    return "reached" if row["ratio"] >= row["target"] else "below"


def line(row, machine):
    """One line of the table on the terminal."""
    if row["part"] == "scaling":
        return f"{name(row):74} {text(row['ratio'])} times as fast on 2 threads, target {text(row['target'])}"
    ours, peer = row["ours"], row["peer"]
    words = [
        f"{name(row):74}", f"{text(milliseconds(row, ours)):>8} ms", f"{text(rate(row, ours), '{:.0f}'):>5} GFLOP/s",
        f"{text(share_of_peak(row, ours, machine), '{:.0f}'):>4} %", f"{text(megabytes(row, True), '{:.0f}'):>5} MB",
        f"| {text(milliseconds(row, peer)):>8} ms", f"{text(rate(row, peer), '{:.0f}'):>5}",
        f"{text(torch_megabytes(row), '{:.0f}'):>5} MB", f"| {text(row['ratio'], '{:.2f}'):>6}x",
        f"of {text(row.get('target'))}", verdict(row), peer or "",
    ]
    return " ".join(words)


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join("---" if not place else "---:" for place in range(len(head))) + "|"]
    return lines + ["| " + " | ".join(words) + " |" for words in rows]


def network_table(rows, machine):
    head = ["", "ours ms", "images/s", "GFLOP/s", "% of peak", "MB", "best peer", "ms", "GFLOP/s", "PyTorch MB", "ratio",
            "at least", ""]
    body = []
    for row in rows:
        ours, peer = row["ours"], row["peer"]
        body.append([
            name(row), text(milliseconds(row, ours)), count(images(row, ours)), text(rate(row, ours), "{:.0f}"),
            text(share_of_peak(row, ours, machine), "{:.0f}"), text(megabytes(row, True), "{:.0f}"), peer or "-",
            text(milliseconds(row, peer)), text(rate(row, peer), "{:.0f}"), text(torch_megabytes(row), "{:.0f}"),
            text(row["ratio"], "**{:.2f}**"), text(row.get("target")), verdict(row)])
    return table(head, body)


def program_table(rows):
    labels = []
    for row in rows:
        labels += [label for label in row["sides"] if label not in labels]
    body = []
    for row in rows:
        accuracy = row.get("accuracy", {})
        for label in sorted(row["sides"], key=lambda label: row["sides"][label]["median"]):
            own = sum(accuracy[label]) / len(accuracy[label]) if label in accuracy else None
            entry = row["sides"][label]
            body.append([label, text(entry["median"]), text(entry["least"]), text(own, "{:.4f}"),
                         text(entry["median"] / row["sides"][row["ours"]]["median"] if row["ours"] else None, "{:.2f}")])
    return table(["", "s (median)", "s (least)", "accuracy", "times ours"], body)


def scaling_table(rows):
    def taken(row, count):
        return text(row["sides"][f"{count} threads"]["median"] * 1e3 if row["sides"] else None)

    body = [[name(row), taken(row, 1), taken(row, 2), text(row["ratio"], "**{:.2f}**"), text(row["target"])] for row in rows]
    return table(["", "1 thread ms", "2 threads ms", "ratio", "at least"], body)


def convolution_table(rows, machine):
    """A line for each shape, the three directions side by side."""
    shapes = {}
    for row in rows:
        shapes.setdefault(row["network"], {})[row["batch"]] = row
    body = []
    for shape, directions in shapes.items():
        words = [f"`{shape}`"]
        for direction in ("forward", "backward_data", "backward_weights"):
            row = directions.get(direction)
            if row is None or failed(row):
                words += ["-" if row is None else "FAILED", "-"]
                continue
            share = text(share_of_peak(row, row["ours"], machine), "{:.0f} %")
            words.append(f"{text(rate(row, row['ours']), '{:.0f}')} ({share})")
            words.append(text(row["ratio"], "{:.2f}x"))
        body.append(words)
    head = ["GFLOP/s (share of the FMA peak) and times as fast as PyTorch", "forward", "", "to data", "", "to weights", ""]
    return table(head, body)


def convolution_summary(rows, machine):
    timed = [row for row in rows if row["ratio"]]
    slower = [row for row in timed if row["ratio"] < 1]
    full = [row for row in timed if (share_of_peak(row, row["ours"], machine) or 0) >= 85]
    return (f"{len(timed)} rows (a shape in a direction): {len(full)} at 85 % of the peak or more, "
            f"{len(slower)} slower than the fastest PyTorch.")


def memory_rows(rows):
    wanted = [(row, megabytes(row, True), torch_megabytes(row)) for row in rows if row["part"] == "train"]
    return [(row, ours, torch) for row, ours, torch in wanted if ours and torch]


def everybody(rows):
    """What each side needed alone, the shortest of a few steps."""
    body = []
    for row in rows:
        for label, entry in sorted(row.get("trials", {}).items(), key=lambda pair: pair[1]["least"]):
            body.append([name(row), label, text(entry["least"] * 1e3), text(entry["megabytes"], "{:.0f}"),
                         text(entry["start"], "{:.1f}")])
        for label, why in row["failures"].items():
            body.append([name(row), label, html.escape(why[:160]).replace("|", "/"), "-", "-"])
    return table(["", "side", "ms (least)", "peak MB", "s from start to here"], body)


def markdown(results):
    machine, rows = results["machine"], results["rows"]
    peaks = ", ".join(f"{rate:.0f} GFLOP/s on {count}" for count, rate in machine["peak"].items())
    lines = [
        "# Results", "",
        "Written by `make bench`; how it measures is in [README.md](README.md).", "",
        f"- Machine: {machine['processor']}, {machine['threads']} threads; {machine['date']}",
        f"- FMA peak ({machine['vectors']}, registers alone), threads: {peaks}",
        f"- Load of the machine before the run: {machine['load']:.1f}",
        "- Sides: " + ", ".join(f"{side} {version}" for side, version in results["versions"].items()),
    ]
    lines += [f"- {side} takes no part: {html.escape(why[:160])}" for side, why in results["absent"].items()]
    lines += ["", "![times as fast as the best peer](ratios.svg)", ""]
    for part in PARTS:
        own = [row for row in rows if row["part"] == part]
        if not own:
            continue
        lines += [f"## {TITLES[part]}", ""]
        if part in ("train", "infer"):
            lines += network_table(own, machine) + [""]
            if part == "train" and memory_rows(own):
                lines += ["Peak resident memory, ours over PyTorch's (at most 0.6): " + ", ".join(
                    f"{name(row)} {ours / torch:.2f}" for row, ours, torch in memory_rows(own)), ""]
        elif part == "scaling":
            lines += scaling_table(own) + [""]
        elif part == "convolution":
            lines += [convolution_summary(own, machine), ""] + convolution_table(own, machine) + [""]
        else:
            lines += program_table(own) + [""]
            if part == "start":
                lines += ["Ours may take 0.03 s.", ""]
    contests = [row for row in rows if row["part"] in ("train", "infer")]
    if contests:
        lines += ["## Everybody alone", "", "The shortest of three turns of each side by itself; the two fastest peers went on "
                  "to take turns with ours for the tables above.", ""] + everybody(contests) + [""]
    failures = [(row, label, why) for row in rows if row["part"] not in ("train", "infer")
                for label, why in row["failures"].items()]
    if failures:
        lines += ["## Failures", ""]
        lines += [f"- {name(row)}, {label}: {html.escape(why[:200])}" for row, label, why in failures] + [""]
    return "\n".join(lines)


def summary(rows, machine):
    lines = [TITLES["train"] + " and the rest: times as fast as the best peer"]
    lines += [line(row, machine) for row in rows if row["part"] != "convolution"]
    shapes = [row for row in rows if row["part"] == "convolution" and row["ratio"]]
    if shapes:
        slower = [row for row in shapes if row["ratio"] < 1]
        lines.append("single convolutions: " + convolution_summary(shapes, machine))
        lines += [f"  {row['ratio']:.2f}x {name(row)}" for row in sorted(slower, key=lambda row: row["ratio"])]
    lines += [f"FAILED {name(row)}: {label}: {why[:200]}" for row in rows for label, why in our_failures(row).items()]
    return "\n".join(lines)


# ---- The picture ----

COLOURS = {"reached": "#2a9d5c", "below": "#d98324", "FAILED": "#c0392b", "": "#5b7fa6"}
LEFT, WIDTH, ROW = 190, 620, 24


def svg(rows):
    """Bars: times as fast as the best peer; a mark where the target is."""
    shown = [row for row in rows if row["part"] in ("train", "infer", "epoch") and (row["ratio"] or failed(row))]
    top = max([2.0] + [row["ratio"] or 0 for row in shown] + [row.get("target") or 0 for row in shown])
    # Start-up makes small networks hundreds of times faster; the axis ends where the others can still be told apart.
    end = min(top, 2 * max([2.0] + [row.get("target") or 0 for row in shown]))
    scale = WIDTH / end
    height = 64 + ROW * (len(shown) + len({row["part"] for row in shown})) + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 110} {height}" font-family="sans-serif" '
        'font-size="13">',
        f'<rect width="{LEFT + WIDTH + 110}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="24" font-size="16" font-weight="bold" fill="#222">Times as fast as the best peer</text>',
        '<text x="16" y="43" fill="#555">bar: the peer\'s median time over ours; black mark: the target; '
        'grey line: as fast as the peer</text>',
    ]
    y, part = 56, None
    ticks = [tick for tick in range(0, int(end) + 1, 1 if end <= 12 else 5)]
    body = []
    for row in shown:
        if row["part"] != part:
            part = row["part"]
            title = {"train": "Training step", "infer": "Inference", "epoch": "LeNet, whole program"}[part]
            body.append(f'<text x="16" y="{y + 17}" font-weight="bold" fill="#222">{title}</text>')
            y += ROW
        ratio = row["ratio"] or 0
        long = min(ratio, end) * scale
        colour = COLOURS[verdict(row)]
        caption = f"{ratio:.2f}" if row["ratio"] else "-"
        if our_failures(row):
            caption += " (failed)"
        body.append(f'<text x="{LEFT - 8}" y="{y + 16}" text-anchor="end" fill="#222">{html.escape(name(row))}</text>')
        body.append(f'<rect x="{LEFT}" y="{y + 4}" width="{long:.1f}" height="{ROW - 8}" fill="{colour}"/>')
        if ratio > end:
            # A bar that goes on beyond the picture.
            cut = LEFT + long - 12
            body.append(f'<path d="M{cut:.1f} {y + ROW - 2} l6 {4 - ROW} h4 l-6 {ROW - 4} z" fill="#ffffff"/>')
        reach = long
        if row.get("target"):
            at = LEFT + row["target"] * scale
            reach = max(long, row["target"] * scale)
            body.append(f'<rect x="{at - 1.5:.1f}" y="{y + 1}" width="3" height="{ROW - 2}" fill="#111"/>')
        body.append(f'<text x="{LEFT + reach + 7:.1f}" y="{y + 16}" fill="#222">{caption}'
                    f'<tspan fill="#777" dx="5">{html.escape((row["peer"] or "").split(" ")[0])}</tspan></text>')
        y += ROW
    for tick in ticks:
        x = LEFT + tick * scale
        out.append(f'<line x1="{x:.1f}" y1="56" x2="{x:.1f}" y2="{y}" stroke="{"#888" if tick == 1 else "#e3e3e3"}"/>')
        out.append(f'<text x="{x:.1f}" y="{y + 18}" text-anchor="middle" fill="#555">{tick}</text>')
    return "\n".join(out + body + ["</svg>"]) + "\n"


def write(results, folder):
    for file, content in (("RESULTS.md", markdown(results)), ("ratios.svg", svg(results["rows"]))):
        path = os.path.join(folder, file)
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.write(content)
        os.replace(path + ".new", path)
