"""The page in headless Chromium, on a desktop and on a phone, light and dark."""

import shutil
import time

import numpy as np
import pytest
from pages import long_record

import gradwell as gw
from gradwell import doctor

pytest.importorskip("jinja2")
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")

# Labels whose boxes run into one another, and anything that is wider than the screen but for what scrolls by itself.
OVERLAPS = """() => {
  const found = [];
  for (const axis of document.querySelectorAll('.row-ticks, .column-ticks, .bar-ticks')) {
    const boxes = [...axis.children].map(e => [e.getBoundingClientRect(), e.textContent]);
    for (let i = 1; i < boxes.length; ++i) {
      const [a, b] = [boxes[i - 1][0], boxes[i][0]];
      const apart = a.right <= b.left + 0.5 || b.right <= a.left + 0.5 ||
                    a.bottom <= b.top + 2.5 || b.bottom <= a.top + 2.5;
      if (!apart) found.push(axis.className + ': ' + boxes[i - 1][1] + ' ' + boxes[i][1]);
    }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    x, y = gw.datasets.digits()
    x = (x / x.std()).astype(np.float32)
    settings = {"loss": "softmax_cross_entropy", "optimizer": gw.SGD(0.1), "progress": False}

    def sick():
        return gw.mlp([64, *[30] * 8, 10], activation="sigmoid", init="nielsen", seed=0)

    clip = gw.clip_by_norm(0.3)
    net = sick()
    history = gw.fit(net, (x, y), epochs=6, stats=True, clip=clip, validation=(x[:200], y[:200]), **settings)
    few = doctor.remedies("tanh", "adam", "lstm")
    cure = gw.treat(sick(), (x, y), seeds=2, steps=80, remedies=few, **settings)
    folder = tmp_path_factory.mktemp("page")
    return gw.report.write(folder / "page.html", history, network=net, treatment=cure)


def opened(browser, path, width, scheme, script=True):
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script
    )
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    return context, page, said, asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_it_is_readable(browser, path, tmp_path, width, scheme):
    context, page, said, asked = opened(browser, path, width, scheme)
    try:
        assert page.locator("h1").inner_text() == "Gradient report"
        assert "The root cause is" in page.locator("#summary").inner_text()
        assert page.locator("section").count() == 8
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(OVERLAPS) == []
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert page.evaluate("[...document.images].every(i => i.getBoundingClientRect().height > 30)")
        ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        brightness = sum(int(part) for part in ground[4:-1].split(",")) / 3
        assert (brightness < 60) == (scheme == "dark")
        assert said == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        shot = page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert len(shot) > 50_000
    finally:
        context.close()


def test_it_works_without_javascript(browser, path):
    context, page, said, _ = opened(browser, path, 375, "light", script=False)
    try:
        assert "at fault" in page.locator("#verdicts").inner_text()
        details = page.locator("#gradients details")
        assert details.locator("table").is_hidden()
        details.locator("summary").click()
        assert "dense+sigmoid" in details.locator("table").inner_text()
        assert said == []
    finally:
        context.close()


def test_a_long_record_opens_within_two_seconds(browser, tmp_path):
    path = gw.report.write(tmp_path / "long.html", long_record(records=2000, layers=200))
    begun = time.perf_counter()
    context, page, said, _ = opened(browser, path, 375, "light")
    try:
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert time.perf_counter() - begun < 2
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        assert page.evaluate(OVERLAPS) == []
        assert said == []
    finally:
        context.close()
