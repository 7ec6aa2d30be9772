"""Pages taken apart, and records made up for them."""

import base64
import re
import struct
import zlib
from html.parser import HTMLParser

import numpy as np

from gradwell.watch.measurements import record_of

VOID = {"meta", "link", "img", "br", "hr", "input", "path"}  # path: of an SVG, closed where it begins


class Page(HTMLParser):
    """A page's tags, checked to be balanced, with its texts and attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.attributes = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID, tag
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()} closes something else"

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))

    def values(self, tag, name):
        return [value for t, n, value in self.attributes if (t, n) == (tag, name)]


def pixels(uri):
    """Numbers of the colours of a picture with a palette (rows, columns), and the palette (colours, 4)."""
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    at, chunks = 8, {}
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    columns, rows = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    colours = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
    opacity = np.frombuffer(chunks[b"tRNS"], np.uint8)
    return lines[:, 1:], np.column_stack([colours, opacity])


def made_up(norms, names=None, steps=None):
    """A record of errors and outputs with these norms of the errors (records, layers)."""
    records, layers = norms.shape
    statistics = np.zeros((records, 2 * layers, 12), np.float32)
    statistics[:, :, 0] = 100
    statistics[:, :, 7] = 1.0
    statistics[:, :, 8] = 1e-3
    statistics[:, :layers, 1] = statistics[:, layers:, 1] = norms
    statistics[:, :layers, 10] = np.isinf(norms)
    statistics[:, :layers][np.isnan(norms)] = np.nan
    stages = np.full((records, layers, 5), np.nan)
    stages[:, :, 0] = 1.1 * norms
    stages[:, :, 1:3] = 0.01
    counts = np.arange(1, 13).astype(np.uint32)
    names = names or [f"blocks.{i}.linear" for i in range(layers)]
    chunk = {
        "steps": np.arange(records) if steps is None else steps,
        "statistics": statistics,
        "histograms": np.broadcast_to(np.array([-12, len(counts), 0]), (records, 2 * layers, 3)),
        "counts": counts,
        "stages": stages,
        "parameters": np.zeros((records, 0, 2)),
        "time": np.zeros((records, 0)),
    }
    return record_of([(name, "dense+tanh") for name in names], [], chunk)


def long_record(layers=200, records=10_000):
    """A deep network's record whose errors vanish towards the front, with noise from step to step."""
    rng = np.random.default_rng(0)
    fall = np.exp(-0.05 * np.arange(layers)[::-1])
    return made_up(fall * np.exp(0.3 * rng.standard_normal((records, layers), np.float32)))
