# SPDX-License-Identifier: BSD-2-Clause
"""Binary profiles as text, read by others' rules: pstats by Python itself, pprof by its wire
format, SVG by an XML parser. What cannot be read raises."""
import gzip
import io
import json
import pstats
import xml.etree.ElementTree

SVG = "{http://www.w3.org/2000/svg}"


def show_text(data):
    return data.decode()


def show_pstats(data, path):
    """What `python -m pstats` prints, and the callers, which it prints with less."""
    out = io.StringIO()
    stats = pstats.Stats(str(path), stream=out)
    stats.sort_stats("cumulative", "name").print_stats()
    for function, (calls, frames, own, total, callers) in sorted(stats.stats.items()):
        out.write(f"{function} {calls} {frames} {own:.3f} {total:.3f}\n")
        for caller, numbers in sorted(callers.items()):
            out.write(f"    {caller} {numbers}\n")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()
                     if str(path) not in line) + "\n"


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """[(field number, value)] of a message: ints, or bytes that may be a message or numbers."""
    at, found = 0, []
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            value = data[at:at + size]
            assert len(value) == size
            at += size
        else:
            raise ValueError(f"wire type {key & 7}")
        found.append((key >> 3, value))
    return found


def numbers(data):
    at, found = 0, []
    while at < len(data):
        value, at = varint(data, at)
        found.append(value)
    return found


def show_pprof(data):
    """One line a sample: its values, and its frames from the outermost on."""
    message = fields(gzip.decompress(data))
    strings = [value.decode() for number, value in message if number == 6]
    assert strings[0] == ""
    functions, locations, lines = {}, {}, []
    for number, value in message:
        got = dict(fields(value)) if number in (3, 4, 5) else None
        if number == 5:
            functions[got[1]] = (f"{strings[got[2]]} {strings[got.get(4, 0)]}"
                                 f":{got.get(5, 0)}")
        elif number == 4:
            assert got[2] == 1  # the one mapping
            locations[got[1]] = dict(fields(got[4]))
    for number, value in message:
        if number == 1:
            got = dict(fields(value))
            lines.append(f"sample_type {strings[got[1]]} {strings[got[2]]}")
        elif number in (9, 10, 12):
            lines.append(f"field {number}: {value}")
        elif number == 13:
            lines.append("comment " + strings[numbers(value)[0]])
    for number, value in message:
        if number != 2:
            continue
        got = dict(fields(value))
        frames = [f"{functions[locations[i][1]]} at {locations[i].get(2, 0)}"
                  for i in reversed(numbers(got[1]))]
        lines.append(f"{numbers(got[2])} " + "; ".join(frames))
    return "\n".join(lines) + "\n"


def show_svg(data):
    """The picture without style and script, which say nothing of the profile."""
    root = xml.etree.ElementTree.fromstring(data)
    assert root.tag == SVG + "svg"
    # Nothing is fetched, nothing runs but our one script: hostile names have become no markup.
    for element in root.iter():
        assert not any("href" in key or key.startswith("on") for key in element.attrib), element
    assert len(list(root.iter(SVG + "script"))) == 1 and len(list(root.iter(SVG + "style"))) == 1
    text = data.decode()
    for tag in "style", "script":
        begin, end = text.index(f"<{tag}><![CDATA["), text.rindex(f"</{tag}>")
        text = text[:begin] + f"<{tag}>..." + text[end:]
    return text


def show_speedscope(data):
    """One line a stack, after the head."""
    document = json.loads(data)
    frames = document["shared"]["frames"]
    profile, = document["profiles"]
    assert sum(profile["weights"]) == profile["endValue"]
    lines = [json.dumps({key: value for key, value in document.items()
                         if key not in ("shared", "profiles")}, sort_keys=True),
             json.dumps({key: value for key, value in profile.items()
                         if key not in ("samples", "weights")}, sort_keys=True)]
    for stack, weight in zip(profile["samples"], profile["weights"], strict=True):
        lines.append(f"{weight} " + "; ".join(
            json.dumps(frames[i], ensure_ascii=False, sort_keys=True) for i in stack))
    return "\n".join(lines) + "\n"


def show(name, data, path):
    """By the ending of the expected file's name."""
    kind = name.rsplit(".", 1)[1]
    if kind == "pstats":
        return show_pstats(data, path)
    return {"pprof": show_pprof, "svg": show_svg,
            "speedscope": show_speedscope}.get(kind, show_text)(data)
