"""A diagnosis as HTML: nested by cause, escaped, and whole even where rules of one's own go in circles."""

from html.parser import HTMLParser

import pytest
from pages import Page

import gradwell as gw
from gradwell.doctor import Diagnosis, Finding, Remedy

REMEDY = Remedy("try <this>", "it helps & holds", 'x = "<b>"')


class Nesting(HTMLParser):
    """How many findings stand around each finding's text."""

    def __init__(self):
        super().__init__()
        self.open, self.depth = [], {}

    def handle_starttag(self, tag, attrs):
        if tag == "li":
            self.open.append((dict(attrs).get("class") or "").startswith("finding"))

    def handle_endtag(self, tag):
        if tag == "li":
            self.open.pop()

    def handle_data(self, data):
        if data.endswith(" was found."):
            self.depth[data[0]] = sum(self.open)


def finding(rule, cause=None, **given):
    return Finding(rule, "severe", f"{rule} was found.", "0", explained_by=cause, **given)


def diagnosis(*findings):
    verdicts = {"quiet_rule": "clear", "blind_rule": "not measured: nothing <there>"}
    return Diagnosis(findings, verdicts, ("0", "2"))


def test_effects_stand_inside_their_cause():
    text = diagnosis(finding("a", remedies=(REMEDY,)), finding("b", "a"), finding("c", "b")).to_html()
    page = Page(text)
    assert [text.count(f"{rule} was found.") for rule in "abc"] == [1, 1, 1]
    inside = Nesting()
    inside.feed(text)
    assert inside.depth == {"a": 1, "b": 2, "c": 3}
    assert page.tags.count("h3") == 3 and page.tags.count("h4") == 3


def test_everything_is_escaped_and_what_is_not_measured_is_no_sign_of_health():
    page = Page(diagnosis(finding("a", remedies=(REMEDY,), evidence={"x_y": float("nan"), "z": 1 / 3})).to_html())
    assert "b" in page.tags and "this" not in page.tags
    assert 'x = "<b>"' in page.text and "it helps & holds" in page.text
    assert "x y not known" in page.text and "z 0.3333" in page.text
    assert "quiet rule." in page.text
    assert "blind rule nothing <there>" in page.text
    assert "That is no sign of health." in page.text


def test_findings_that_explain_one_another_are_shown_once_each():
    text = diagnosis(finding("a", "b"), finding("b", "a"), finding("c", "missing")).to_html()
    Page(text)
    assert [text.count(f"{rule} was found.") for rule in "abc"] == [1, 1, 1]


def test_nothing_found_says_of_what():
    page = Page(Diagnosis((), {"a": "clear"}, ()).to_html(2))
    assert "Nothing found that is wrong in what was measured." in page.text
    assert "Every rule had what it looks at." in page.text
    assert page.tags.count("h2") == 3


@pytest.mark.parametrize("level", [0, 6])
def test_a_heading_that_there_is_not_is_refused(level):
    with pytest.raises(ValueError, match=rf"\[to_html\] level is {level}; needs 1 to 5"):
        diagnosis().to_html(level)


def test_it_is_the_reports_own():
    x, y = gw.datasets.digits()
    net = gw.mlp([64, *[30] * 5, 10], activation="sigmoid", init="nielsen", seed=0)
    record = gw.gradients(net, x, y, loss="sigmoid_cross_entropy")
    pytest.importorskip("jinja2")
    assert gw.diagnose(record).to_html(3) in gw.report.html(record)
