"""The page in a real browser: what is on it works, and nothing is asked of anybody else.

Skipped where there is neither playwright nor a Chromium of the system.
"""

import contextlib
import re
import shutil
import time

import numpy as np
import pytest

from tests.web.servers import quadratic_scene, serving

sync_api = pytest.importorskip("playwright.sync_api")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")

SECONDS = 60_000
"""Milliseconds to wait for what takes a moment on a busy machine."""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield made
        made.close()


@contextlib.contextmanager
def opened(browser, address, *, errors=0, **settings):
    """Open a page; at the end nothing must have gone wrong on it, or have been asked elsewhere."""
    context = browser.new_context(viewport={"width": 700, "height": 600}, **settings)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: message.type == "error" and said.append(message))
    page.on("pageerror", lambda error: said.append(error))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    try:
        yield page
    finally:
        texts = [str(getattr(message, "text", message)) for message in said]
        context.close()
    own = re.compile(r"(http://127\.0\.0\.1:\d+/|data:|blob:)")
    assert [url for url in asked if not own.match(url)] == []
    assert len(texts) <= errors, texts


@pytest.fixture
def page(browser, client):
    with opened(browser, f"http://127.0.0.1:{client.port}/") as found:
        complete(found)
        yield found


def complete(page):
    """Wait until the view is refined."""
    page.wait_for_selector('#status[data-state="complete"]', timeout=SECONDS)


def until(page, holds):
    """Wait until something holds of the page, which forbids to be handed code to wait with."""
    deadline = time.monotonic() + SECONDS / 1000
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        page.wait_for_timeout(50)


def picture(page):
    """Return the pixels of the map as it is drawn, without its surroundings."""
    data = page.evaluate(
        """() => { const c = document.getElementById("map");
        const w = c.width, h = c.height, x = c.getContext("2d");
        return Array.from(x.getImageData(w * 0.3, h * 0.3, w * 0.4, h * 0.4).data); }"""
    )
    return np.array(data, np.uint8).reshape(-1, 4)


def middle(page):
    """Return the middle of the map on the screen."""
    box = page.locator("#map").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def magnification(page):
    return page.inner_text("#magnification")


def test_it_loads_and_refines(page):
    colours = np.unique(picture(page), axis=0)
    assert len(colours) > 8  # a picture, and not a blank
    assert page.title().startswith("quadratic")
    label = page.get_attribute("#map", "aria-label")
    assert "c_re" in label and "of the cells in view converged" in label


def test_it_zooms_and_moves(page):
    before, whole = picture(page), magnification(page)
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, -600)
    until(page, lambda: magnification(page) != whole)
    complete(page)
    assert not np.array_equal(picture(page), before)
    zoomed, address = magnification(page), page.url
    x, y = middle(page)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=4)
    page.mouse.up()
    until(page, lambda: page.url != address)
    assert magnification(page) == zoomed
    page.click("#home")
    until(page, lambda: magnification(page) == whole)
    page.click("#zoom-in")
    page.click("#zoom-out")
    complete(page)


def test_it_is_moved_by_the_keyboard(page):
    page.focus("#map")
    address, whole = page.url, magnification(page)
    page.keyboard.press("+")
    until(page, lambda: magnification(page) != whole)
    page.keyboard.press("ArrowLeft")
    until(page, lambda: page.url != address)
    complete(page)
    page.keyboard.press("0")
    until(page, lambda: magnification(page) == whole)


def test_a_click_shows_the_run(page):
    page.mouse.click(*middle(page))
    page.wait_for_selector("#loss-curve", state="visible", timeout=SECONDS)
    until(page, lambda: re.search(r"\d", page.inner_text("#exponents")))
    panel = page.inner_text("#point-panel")
    assert "c_re" in panel and "c_im" in panel
    assert re.search(r"converged|bounded|escaped|not finite", panel)


def test_a_rectangle_has_a_dimension(page):
    x, y = middle(page)
    page.click("#measure-toggle")
    page.mouse.move(x - 60, y - 60)
    page.mouse.down()
    page.mouse.move(x + 60, y + 60, steps=5)
    page.mouse.up()
    page.wait_for_selector("#region-panel", state="visible", timeout=SECONDS)
    until(page, lambda: re.search(r"D\s*=\s*\d|no value", page.inner_text("#region-result"), re.I))
    assert "interval" in page.inner_text("#region-result")


@pytest.fixture
def endless(monkeypatch):
    """Let rectangles be measured until they are given up; return how many were begun and ended."""
    counts = {"begun": 0, "ended": 0}

    def measure(*arguments, on_progress, **options):
        counts["begun"] += 1
        try:
            for _ in range(600):
                on_progress(1)
                time.sleep(0.1)
        finally:
            counts["ended"] += 1
        raise ValueError("it was not given up")

    monkeypatch.setattr("dynfrac.web.regions.report_dimension", measure)
    return counts


def regions(client):
    """Return the rectangles that the server knows, the last one at the end."""
    return list(client.explorer.desk._regions.values())


def test_a_rectangle_is_given_up_with_its_page(page, client, endless):
    page.click("#measure-view")
    page.wait_for_selector("#region-cancel", state="visible", timeout=SECONDS)
    until(page, lambda: endless["begun"])
    page.reload()
    until(page, lambda: endless["ended"])
    assert regions(client)[-1].state == "cancelled"


def test_a_rectangle_that_is_just_handed_in_is_of_its_scene(page, client, endless):
    before, held = len(regions(client)), []
    page.route("**/regions", lambda route: held.append(route))
    page.click("#measure-view")
    until(page, lambda: held)
    page.select_option("#scene-select", label="published-identity")
    until(page, lambda: "published-identity" in page.title())
    held[0].continue_()
    # Not told by what was begun: one that is given up while it waits never begins.
    until(page, lambda: [region.state for region in regions(client)[before:]] == ["cancelled"])
    assert page.inner_text("#region-result") == "" and not page.is_visible("#region-cancel")


def test_an_address_brings_the_view_back(page, browser, client):
    page.mouse.move(*middle(page))
    page.mouse.wheel(0, -900)
    page.select_option("#field-select", "final_loss")
    page.select_option("#palette-select", "safe")
    complete(page)
    until(page, lambda: "final_loss" in page.url)
    page.wait_for_timeout(500)
    with opened(browser, page.url) as other:
        complete(other)
        assert magnification(other) == magnification(page)
        assert other.input_value("#field-select") == "final_loss"
        assert other.input_value("#palette-select") == "safe"
        # A page says that it is complete just before it draws the last tiles.
        until(page, lambda: np.array_equal(picture(other), picture(page)))


@pytest.mark.parametrize(("kind", "end"), [("png", ".png"), ("npz", ".npz"), ("zarr", ".zarr.zip")])
def test_the_view_can_be_taken_away(page, tmp_path, kind, end):
    with page.expect_download(timeout=SECONDS) as found:
        page.click(f"#download-{kind}")
    assert found.value.suggested_filename.endswith(end)
    found.value.save_as(tmp_path / "view")
    assert (tmp_path / "view").stat().st_size > 1000


def test_the_command_line_is_shown(page):
    page.click("#copy-command")
    read = "() => document.querySelector('#command-text').value"
    until(page, lambda: page.evaluate(read).startswith("dynfrac sweep --map quadratic"))


def test_another_scene_is_chosen(page):
    page.select_option("#scene-select", label="published-identity")
    until(page, lambda: "published-identity" in page.title())
    until(page, lambda: "published-identity" in page.url)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_light_and_dark(browser, client, theme):
    address = f"http://127.0.0.1:{client.port}/"
    with opened(browser, address, color_scheme=theme) as page:
        complete(page)
        text = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        brightness = np.mean([int(part) for part in re.findall(r"\d+", text)[:3]])
        assert (brightness > 128) == (theme == "light")
        page.select_option("#theme-select", "dark" if theme == "light" else "light")
        other = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert other != text


def test_every_control_has_a_name(page):
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input, textarea, canvas")]
        .filter(e => !(e.labels?.length || e.textContent?.trim() || e.closest("[aria-hidden]")
        || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.title))
        .map(e => e.outerHTML)"""
    )
    assert nameless == []


def test_a_computation_that_fails_is_shown_and_tried_again(browser, tmp_path):
    with serving(quadratic_scene(), tmp_path) as client:
        pyramid = client.explorer.pyramid(client.explorer.book.start)
        compute = pyramid.compute

        def fail(key, on_progress):
            raise RuntimeError("the disk is on fire")

        pyramid.compute = fail
        with opened(browser, f"http://127.0.0.1:{client.port}/") as page:
            page.wait_for_selector("#error", state="visible", timeout=SECONDS)
            assert "the disk is on fire" in page.inner_text("#error-text")
            pyramid.compute = compute
            page.click("#error-retry")
            complete(page)
            assert not page.is_visible("#error")


def test_a_server_that_is_gone_is_noticed(browser, tmp_path):
    # The browser itself notes the refused connection.
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(serving(quadratic_scene(), tmp_path))
        page = stack.enter_context(opened(browser, f"http://127.0.0.1:{client.port}/", errors=9))
        complete(page)
        client.stop()
        page.click("#zoom-in")
        page.wait_for_selector("#error", state="visible", timeout=SECONDS)


def test_where_numbers_end_the_page_says_so(browser, tmp_path):
    with serving(quadratic_scene(dtype="float32"), tmp_path) as client:
        address = f"http://127.0.0.1:{client.port}/"
        with opened(browser, address) as page:
            complete(page)
            page.mouse.move(*middle(page))
            for _ in range(60):
                page.mouse.wheel(0, -800)
                page.wait_for_timeout(30)
            page.wait_for_selector("#limit", state="visible", timeout=SECONDS)
            assert "float32" in page.inner_text("#limit")
