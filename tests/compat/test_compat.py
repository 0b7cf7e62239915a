# SPDX-License-Identifier: BSD-2-Clause
"""Our profiles in the programs that they are for: what each shows must be what the recording
`stacks` holds (tests/golden/make_stacks.c): fib 70 ms by itself in 7 samples, query 847 ms."""
import base64
import json
import re
import subprocess

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


def run(*command):
    """Go builds its pprof at the first use, which takes a while."""
    return subprocess.run([str(word) for word in command], check=True, capture_output=True,
                          text=True, timeout=300).stdout


def load_into_speedscope(browser, programs, path, tmp_path):
    """As speedscope's own command line does: a script beside its page hands it the file."""
    script = tmp_path / "load.js"
    script.write_text("speedscope.loadFileFromBase64(%s, %s)" % (
        json.dumps(path.name), json.dumps(base64.b64encode(path.read_bytes()).decode())))
    page = programs / "node_modules/speedscope/dist/release/index.html"
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#localProfilePath={script}")


def text_of(browser):
    return browser.find_element(By.TAG_NAME, "body").text


def rows_of(browser):
    return {row.text.replace("\n", " ") for row in browser.find_elements(By.TAG_NAME, "tr")}


@pytest.mark.parametrize("recording", ["stacks", "stacks-hostile", "stacks-missing"])
def test_speedscope_loads_it(browser, programs, profile, tmp_path, recording):
    path = profile("json", recording)
    heading = json.loads(path.read_text())["name"]
    load_into_speedscope(browser, programs, path, tmp_path)
    WebDriverWait(browser, 20).until(lambda _: heading in browser.title)


def test_speedscope_shows_the_same_numbers(browser, programs, profile, tmp_path):
    load_into_speedscope(browser, programs, profile("json"), tmp_path)
    WebDriverWait(browser, 20).until(lambda _: "Sandwich" in text_of(browser))
    browser.find_element(By.XPATH, "//*[text()='Sandwich']").click()
    WebDriverWait(browser, 20).until(lambda _: "Symbol Name" in text_of(browser))
    rows = rows_of(browser)
    assert any(re.search(r"70\.00ms \(7\.5%\) 70\.00ms \(7\.5%\) fib$", row)
               for row in rows), rows
    assert any(re.search(r"^847\.00ms \(90%\) 0\.00ns \(\S+%\) query$", row)
               for row in rows), rows


def test_pprof_shows_the_same_numbers(profile):
    top = run("go", "tool", "pprof", "-top", "-cum", "-unit=ms", "-nodefraction=0",
              profile("pb.gz"))
    assert re.search(r"^ +70ms +7\.47% +\S+% +70ms +7\.47% +fib$", top, re.M), top
    assert re.search(r"^ +0 +0% +\S+% +847ms +90\.39% +query$", top, re.M), top
    assert re.search(r"^Duration: 3s, Total samples = 937ms", top, re.M), top
    lines = run("go", "tool", "pprof", "-top", "-lines", "-unit=ms", "-nodefraction=0",
                profile("pprof"))
    assert re.search(r"^ +70ms .* fib /srv/views\.py:51$", lines, re.M), lines
    samples = run("go", "tool", "pprof", "-top", "-sample_index=samples", "-nodefraction=0",
                  profile("pb.gz"))
    assert re.search(r"^ +7 +58\.33% .* fib$", samples, re.M), samples


def test_pprof_takes_hostile_names(profile):
    text = run("go", "tool", "pprof", "-raw", profile("pb.gz", "stacks-hostile"))
    assert "</title><script>alert(1)</script>" in text and "処理_🐍" in text


def test_snakeviz_shows_the_same_numbers(programs, profile):
    script = ("import json, pstats, sys; from snakeviz.stats import json_stats, table_rows; "
              "stats = pstats.Stats(sys.argv[1]); "
              "print(json.dumps([table_rows(stats), json_stats(stats)]))")
    rows, tree = json.loads(run(programs / "venv/bin/python", "-c", script, profile("prof")))
    table = {row[5]: row for row in rows}
    assert table["views.py:50(fib)"][:2] == [["16/7", 16], "0.07"]
    assert table["db.py:5(query)"][3] == "0.847"
    query = tree["/srv/db.py:5(query)"]
    assert query["stats"][3] == pytest.approx(0.847)
    assert set(query["children"]) == {"~:0([sleep])", "~:0([gil])",
                                      "~:0([socket_read 10.0.0.5:5432])"}


def test_snakeviz_takes_hostile_names(programs, profile):
    script = ("import pstats, sys; from snakeviz.stats import json_stats, table_rows; "
              "stats = pstats.Stats(sys.argv[1]); table_rows(stats); json_stats(stats)")
    run(programs / "venv/bin/python", "-c", script, profile("prof", "stacks-hostile"))


def test_python_prints_it(profile):
    """`python3 -m pstats`, as a person uses it."""
    done = subprocess.run(["/usr/bin/python3", "-m", "pstats", profile("prof")], check=True,
                          input="sort cumulative\nstats 5\ncallers fib\nquit\n", text=True,
                          capture_output=True, timeout=60).stdout
    assert "59 function calls (50 primitive calls) in 0.937 seconds" in done
    assert "/srv/views.py:50(fib)" in done and "9/5" in done, done
