"""A real Chromium for tests, driven by its own driver; nothing is downloaded."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

# Headless, as any user, and silent: no update, no sync, nothing in the background.
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)
WIDE, PHONE = 1280, 375


@contextmanager
def browser(width: int = WIDE, *, script: bool = True) -> Iterator[Chrome]:
    """Run a browser with a new profile; without `script` it runs none of a page."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.fail(
            "chromium or chromedriver is missing: run `deploy/setup.sh --tests`; where apt-get has "
            "no chromium-driver (Ubuntu), install both so that they are on the PATH"
        )
    with TemporaryDirectory(prefix="petitionlink-browser-", ignore_cleanup_errors=True) as folder:
        options = ChromeOptions()
        options.binary_location = program
        for flag in (*_FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        if not script:
            settings = {"profile.managed_default_content_settings.javascript": 2}
            options.add_experimental_option("prefs", settings)
        made = Chrome(options, ChromeService(driver))
        try:
            _set_width(made, width)
            yield made
        finally:
            made.quit()


def _set_width(made: Chrome, width: int, height: int = 900) -> None:
    """Set the width of a device: a window of Chromium cannot be as narrow as a phone."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    made.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def shot(made: Chrome, path: Path) -> None:
    """Take a picture of the whole page."""
    size = made.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    _, width = made.get_window_size(), int(size["width"])
    _set_width(made, width, int(size["height"]))
    made.save_screenshot(str(path))
    _set_width(made, width)
