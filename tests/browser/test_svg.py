# SPDX-License-Identifier: BSD-2-Clause
"""The flame graph in a real browser, from a file URL: what a click, a search and each key do."""
import json

import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

WHOLE = 1180  # pixels: the width of the outermost frame


@pytest.fixture
def graph(browser, svg):
    browser.get(svg("stacks", "--wall"))
    yield Graph(browser)
    problems = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert not problems


class Graph:
    def __init__(self, browser):
        self.browser = browser

    def frames(self, label):
        """The boxes whose label begins so, from the outermost on."""
        return [frame for frame in self.browser.find_elements(By.CSS_SELECTOR, "g.f")
                if self.title(frame).startswith(label)]

    def frame(self, label):
        return self.frames(label)[0]

    def title(self, frame):
        return frame.find_element(By.TAG_NAME, "title").get_attribute("textContent")

    def width(self, frame):
        return float(frame.find_element(By.TAG_NAME, "rect").get_attribute("width"))

    def text(self, frame):
        return frame.find_element(By.TAG_NAME, "text").get_attribute("textContent")

    def classes(self, frame):
        return frame.get_attribute("class").split()

    def is_shown(self, frame):
        return frame.value_of_css_property("display") != "none"

    def selected(self):
        found = self.browser.find_elements(By.CSS_SELECTOR, "g.f.selected")
        return self.title(found[0]).split("\n")[0] if found else None

    def by_id(self, name):
        return self.browser.find_element(By.ID, name)

    def state(self):
        """All that a click can change."""
        return self.browser.execute_script(
            "return [...document.querySelectorAll('g.f')].map(f => [f.getAttribute('class'),"
            " f.style.display, ...['x', 'width', 'fill'].map("
            " a => f.querySelector('rect').getAttribute(a)), f.querySelector('text').textContent]"
            ")")

    def type(self, words):
        """Into the search field, as a person does: element.send_keys() is for HTML documents."""
        self.by_id("search").click()
        self.press(words)

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()


def rounded(state):
    """Numbers that went through the script lose zeros at their end."""
    return [[classes, display, round(float(x), 2), round(float(width), 2), fill, text]
            for classes, display, x, width, fill, text in state]


def test_click_zooms_and_reset_comes_back(graph):
    before = graph.state()
    fib = graph.frame("fib")
    whole = graph.width(graph.frame("all"))
    assert whole == WHOLE and graph.width(fib) < WHOLE / 10
    assert graph.text(fib) != "fib (/srv/views.py:50)"  # too narrow for it
    fib.click()
    assert graph.width(fib) == pytest.approx(WHOLE)
    assert graph.text(fib) == "fib (/srv/views.py:50)"
    assert "under" in graph.classes(graph.frame("view"))
    assert graph.width(graph.frame("view")) == pytest.approx(WHOLE)
    assert not graph.is_shown(graph.frame("query"))
    inner = graph.frames("fib")[1]
    assert graph.is_shown(inner) and graph.width(inner) == pytest.approx(WHOLE * 5 / 7, abs=0.01)
    graph.by_id("reset").click()
    assert rounded(graph.state()) == rounded(before)


def test_search_marks_and_counts_nested_hits_once(graph):
    graph.type("FIB")
    assert len(graph.frames("fib")) == 4
    assert all("hit" in graph.classes(frame) for frame in graph.frames("fib"))
    assert "hit" not in graph.classes(graph.frame("view"))
    assert graph.by_id("matched").text == "7.5 % in 4 frames"  # 70 of 937 ms
    graph.press(Keys.ESCAPE)
    assert graph.by_id("matched").text == ""
    assert graph.by_id("search").get_attribute("value") == ""
    assert not graph.browser.find_elements(By.CSS_SELECTOR, "g.f.hit")


def test_search_takes_signs_literally(graph):
    for words, count in (("views.py", 6), (".*", 0), ("[", 3), ("(", 10), ("<lambda>", 1)):
        graph.press(Keys.ESCAPE, "/", words)
        hits = graph.browser.find_elements(By.CSS_SELECTOR, "g.f.hit")
        assert len(hits) == count, words


def test_keys_walk_and_zoom(graph):
    graph.press(Keys.ARROW_DOWN)
    assert graph.selected() == "all"
    walked = []
    for _ in range(5):
        graph.press(Keys.ARROW_DOWN)
        walked.append(graph.selected())
    assert walked == ["serve (/srv/server.py:10)", "App.__call__ (/srv/app.py:20)",
                      "view (/srv/views.py:30)", "query (/srv/db.py:5)", "[sleep]"]
    graph.press(Keys.ARROW_RIGHT)
    assert graph.selected() == "[socket_read 10.0.0.5:5432]"
    assert "40.000 ms" in graph.by_id("details").text
    graph.press(Keys.ARROW_LEFT, Keys.ARROW_UP)
    assert graph.selected() == "query (/srv/db.py:5)"
    graph.press(Keys.ENTER)
    assert graph.width(graph.frame("query")) == pytest.approx(WHOLE)
    assert not graph.is_shown(graph.frame("fib"))
    graph.press(Keys.ESCAPE)
    assert graph.is_shown(graph.frame("fib")) and graph.selected() is None


def test_colours_by_file_and_state(graph):
    def fill(label):
        return graph.frame(label).find_element(By.TAG_NAME, "rect").get_attribute("fill")

    by_file = fill("view"), fill("fib"), fill("query")
    assert by_file[0] == by_file[1] != by_file[2]
    assert fill("[sleep]") == "#c9c9d6"
    graph.press("c")
    assert fill("query") == fill("[sleep]") == "#c9c9d6"  # most of its time
    assert fill("fib") == "#f2a65e"
    graph.by_id("colour").click()
    assert (fill("view"), fill("fib"), fill("query")) == by_file


def test_hover_shows_details(graph):
    ActionChains(graph.browser).move_to_element(graph.frame("query")).perform()
    assert graph.by_id("details").text.startswith("query (/srv/db.py:5) 847.000 ms, 90.39 %")


def test_paper(graph):
    """What only a screen can use is not printed; the frames are."""
    graph.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert graph.by_id("controls").value_of_css_property("visibility") == "hidden"
        assert graph.frame("query").value_of_css_property("visibility") == "visible"
        printed = graph.browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
        assert len(printed["data"]) > 1000
    finally:
        graph.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_nothing_is_fetched(graph):
    assert graph.browser.execute_script(
        "return performance.getEntriesByType('resource').length") == 0


def test_hostile_names_are_text(browser, svg):
    browser.get(svg("stacks-hostile", "--by", "route"))
    with pytest.raises(NoAlertPresentException):
        _ = browser.switch_to.alert
    graph = Graph(browser)
    hostile = graph.frame("]]></script><script>alert(2)</script>")
    hostile.click()
    assert graph.text(hostile).startswith("]]></script><script>alert(2)</script> (/srv/<&>\".py:7)")
    assert graph.frames("\" onload=\"alert(3)\" '&amp;") and graph.frames("処理_🐍")
    graph.type("<script>alert")
    assert graph.by_id("matched").text == "100.0 % in 3 frames"
    with pytest.raises(NoAlertPresentException):
        _ = browser.switch_to.alert
    assert browser.execute_script("return document.querySelectorAll('script').length") == 1
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"], \
        json.dumps(browser.get_log("browser"))


def test_diff(browser, diff_svg):
    """Red is what grew, blue what shrank; what is gone and what is new are both there."""
    browser.get(diff_svg)
    graph = Graph(browser)

    def parts(label):
        fill = graph.frame(label).find_element(By.TAG_NAME, "rect").get_attribute("fill")
        return [int(fill[i:i + 2], 16) for i in (1, 3, 5)]

    red, green, blue = parts("log_all")
    assert red == 255 and red > green == blue
    red, green, blue = parts("late")
    assert blue == 255 and blue > green > red
    assert "20.000 ms before, 0.000 ms after (-20.000)" in graph.title(graph.frame("late"))
    assert not graph.by_id("colour").is_displayed()
    graph.press("c")
    assert parts("log_all")[0] == 255


def test_empty_profile(browser, svg):
    browser.get(svg("empty"))
    graph = Graph(browser)
    assert graph.by_id("heading").text.startswith("Where requests ran, 0.000 s in 0 samples")
    graph.press(Keys.ARROW_DOWN, Keys.ENTER, "c", Keys.ESCAPE)
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
