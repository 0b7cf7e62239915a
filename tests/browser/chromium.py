# SPDX-License-Identifier: BSD-2-Clause
"""A headless Chromium: Debian's, driven by its own chromedriver. Without a network, and with a
profile directory of its own."""
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service


def chromium_options(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1240,900", "--force-device-scale-factor=1",
                     "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return options


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    profile = tmp_path_factory.mktemp("chromium")
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"),
                              options=chromium_options(profile))
    yield driver
    driver.quit()
