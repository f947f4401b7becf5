"""The command `dynfrac boxdim`, from its file to its exit status."""

import json
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from dynfrac.analysis import sets
from dynfrac.analysis.basin_entropies import basin_entropy
from dynfrac.analysis.boxes import box_dimension
from dynfrac.analysis.nulls import smooth_null, smooth_uncertainty
from dynfrac.analysis.uncertainty import uncertainty_exponent
from dynfrac.cli.main import main
from dynfrac.orbits.axes import Axis
from dynfrac.sweeps.refinement import Refinement
from dynfrac.sweeps.runs import sweep
from dynfrac.systems.complex_maps import Quadratic

KOCH = sets.koch_snowflake(256, angle=0.2)


@pytest.fixture
def koch(tmp_path):
    path = tmp_path / "koch.npy"
    np.save(path, KOCH)
    return path


def record(capsys, *arguments):
    """Run with --json; return the exit status and the one object on standard output."""
    status = main(["boxdim", *map(str, arguments), "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_the_record_is_the_estimate_and_the_smooth_null(capsys, koch):
    status, result = record(capsys, koch, "--seed", 5, "--resamples", 50)
    estimate = box_dimension(KOCH, seed=5, n_resamples=50)
    null = smooth_null(KOCH.shape, window=estimate.window, seed=5)
    assert status == 0
    assert result.pop("smooth_null") == {name: e.to_dict() for name, e in null.items()}
    assert result == estimate.to_dict()


def test_every_kind_of_file_is_read(capsys, koch, tmp_path):
    expected = box_dimension(KOCH).value
    levels = np.where(KOCH, 255, 0).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "grey.png")
    Image.fromarray(KOCH).save(tmp_path / "bits.PNG")
    palette = Image.fromarray(KOCH.astype(np.uint8)).convert("P")
    palette.save(tmp_path / "palette.png")
    tifffile.imwrite(tmp_path / "levels.tif", levels)
    tifffile.imwrite(tmp_path / "field.tiff", np.where(KOCH, -2.5, 0.1))
    for name in ("koch.npy", "grey.png", "bits.PNG", "palette.png", "levels.tif", "field.tiff"):
        status, result = record(capsys, tmp_path / name)
        assert (status, result["value"]) == (0, expected), name


def test_mask_and_threshold_and_window_reach_the_estimate(capsys, tmp_path):
    gasket = sets.sierpinski_gasket(256)
    ramp = np.where(gasket, 0.7, 0.2)
    np.save(tmp_path / "ramp.npy", ramp)
    status, result = record(
        capsys, tmp_path / "ramp.npy", "--mask", "--threshold", 0.5, "--window", 4, 16
    )
    expected = box_dimension(gasket, mask=True, window=(4, 16))
    assert status == 0 and result["value"] == expected.value
    assert result["window"] == [4, 16]
    # The null is drawn as masks too: curves one pixel thick.
    null = smooth_null((256, 256), mask=True, window=(4, 16))
    assert result["smooth_null"]["circle"]["value"] == null["circle"].value


def test_text_names_the_reading_the_null_the_window_and_the_doubts(capsys, koch):
    assert main(["boxdim", str(koch)]) == 0
    out = capsys.readouterr().out
    estimate = box_dimension(KOCH)
    assert f"{estimate.value:.4f}" in out and f"{estimate.ci_low:.4f}" in out
    assert "smooth circle" in out and "smooth line" in out
    assert f"boxes of {estimate.window[0]:g} to {estimate.window[1]:g} px" in out
    assert all(f"note: {flag}" in out for flag in estimate.flags) and estimate.flags


def test_out_and_plot_are_written(capsys, koch, tmp_path):
    out, plot = tmp_path / "record.json", tmp_path / "figure.png"
    status, result = record(capsys, koch, "--out", out, "--plot", plot)
    assert status == 0 and json.loads(out.read_text()) == result
    with Image.open(plot) as image:
        assert min(image.size) > 500


def test_other_readings_stand_beside_the_box_count(capsys, koch):
    plain = record(capsys, koch, "--resamples", 50)[1]
    options = ("--uncertainty", "--entropy", "--resamples", 50, "--seed", 0)
    status, result = record(capsys, koch, *options)
    alpha = uncertainty_exponent(KOCH, n_resamples=50)
    pairs = result.pop("uncertainty")
    assert status == 0 and pairs["dimension"]["value"] == 2 - alpha.value
    del pairs["dimension"]
    null = smooth_uncertainty(KOCH.shape, window=alpha.window)
    assert pairs.pop("smooth_null") == {name: e.to_dict() for name, e in null.items()}
    assert pairs == alpha.to_dict()
    assert result.pop("basin_entropy") == basin_entropy(KOCH, n_resamples=50).to_dict()
    assert result == plain


def test_text_of_the_other_readings(capsys, koch):
    options = ("--uncertainty", "--entropy", "--curve", "--resamples", "50")
    assert main(["boxdim", str(koch), *options]) == 0
    out = capsys.readouterr().out
    alpha, mixture = (f(KOCH, n_resamples=50) for f in (uncertainty_exponent, basin_entropy))
    assert f"{alpha.value:.4f}" in out and f"alpha = {2 - alpha.value:.4f}" in out
    assert f"{mixture.sb.value:.4f}" in out
    assert mixture.verdict == "smooth" and "0.4395 in balls: this one is not told apart" in out
    curve = box_dimension(KOCH, n_resamples=50).curve
    assert "local slope to the next" in out and f"{curve.y[3]:.6g}" in out


def test_lines_and_volumes(capsys, tmp_path):
    line = np.floor(np.cumsum(np.random.default_rng(3).random(6000) < 0.05) / 2) % 2
    np.save(tmp_path / "line.npy", line.astype(int))
    plot = tmp_path / "line.png"
    status, result = record(capsys, tmp_path / "line.npy", "--uncertainty", "--plot", plot)
    assert status == 0 and result["smooth_null"] is None and plot.stat().st_size > 10_000
    assert 0 <= result["ci_low"] <= result["ci_high"] <= 1
    assert result["uncertainty"]["smooth_null"] is None
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, 48)] * 3, indexing="ij")
    np.save(tmp_path / "ball.npy", x**2 + y**2 + z**2 < 0.6)
    status, result = record(capsys, tmp_path / "ball.npy")
    assert status == 0 and result["value"] == pytest.approx(2, abs=0.05)
    assert list(result["smooth_null"]) == ["ball", "plane"]
    assert main(["boxdim", str(tmp_path / "ball.npy")]) == 0
    assert "48 x 48 x 48 px" in capsys.readouterr().out


def test_the_map_of_the_local_dimension(capsys, koch, tmp_path):
    path = tmp_path / "map.png"
    status, result = record(capsys, koch, "--local", path)
    assert status == 0 and result["local_dimension"]["neighbourhood"] == 32
    with Image.open(path) as image:
        assert min(image.size) > 500
    np.save(tmp_path / "line.npy", np.arange(4000) // 7 % 2)
    assert main(["boxdim", str(tmp_path / "line.npy"), "--local", str(path)]) == 2
    assert "a map needs two axes" in capsys.readouterr().err


@pytest.fixture
def mandelbrot(tmp_path):
    """Run a small sweep; give its folder and a function that runs it."""
    axes = Axis("c_re", -2, 0.5, 64), Axis("c_im", -1.2, 1.2, 64)
    path = tmp_path / "mandelbrot.zarr"

    def run(**options):
        return sweep(
            Quadratic(), axes, n_steps=40, rule="bounded:2", out=path, tile=1024, **options
        )

    return path, run


def test_a_sweep_is_a_picture_of_its_labels(capsys, mandelbrot, tmp_path):
    path, run = mandelbrot
    labels = run().labels
    status, result = record(capsys, path, "--plot", tmp_path / "figure.pdf")
    assert status == 0 and result["value"] == box_dimension(labels).value
    assert (tmp_path / "figure.pdf").stat().st_size > 0


def test_what_an_adaptive_sweep_does_not_know_is_said(capsys, mandelbrot):
    path, run = mandelbrot
    (flag,) = run(adaptive=Refinement(guard=1)).flags
    assert flag in record(capsys, path)[1]["flags"]
    assert main(["boxdim", str(path)]) == 0
    assert "of the cells were run" in " ".join(capsys.readouterr().out.split())


def test_a_sweep_with_pending_cells_is_refused(capsys, mandelbrot):
    path, run = mandelbrot

    def stop(done, total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(on_progress=stop)
    assert main(["boxdim", str(path)]) == 2
    error = capsys.readouterr().err
    assert "not finished" in error and "of its 4096 cells are pending" in error


@pytest.mark.parametrize(
    ("picture", "options", "reason"),
    [
        (np.ones((64, 64), bool), [], "there is no boundary"),
        (np.zeros((64, 64), np.uint8), ["--mask"], "the set is empty"),
        (KOCH[:16], [], "16 px on its shorter side"),
    ],
)
def test_no_value_is_status_one(capsys, tmp_path, picture, options, reason):
    np.save(tmp_path / "picture.npy", picture)
    status, result = record(capsys, tmp_path / "picture.npy", *options)
    assert status == 1
    assert result["value"] is None and result["smooth_null"] is None
    assert reason in result["flags"][0]
    plot = tmp_path / "figure.svg"
    assert main(["boxdim", str(tmp_path / "picture.npy"), *options, "--plot", str(plot)]) == 1
    out = capsys.readouterr().out
    assert "no value" in out and f"note: {result['flags'][0]}" in out and plot.exists()


def save_npz(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("array.npy", b"")


def save_truncated(path):
    np.save(path, KOCH)
    path.write_bytes(path.read_bytes()[:1000])


def save_truncated_png(path):
    Image.fromarray(KOCH).save(path)
    path.write_bytes(path.read_bytes()[:200])


def save_damaged_tiff(path):
    tifffile.imwrite(path, KOCH)
    path.write_bytes(path.read_bytes()[:100])


BAD = {
    "missing": ("gone.npy", lambda path: None, "no such file"),
    "folder": ("folder.npy", lambda path: path.mkdir(), "is a directory"),
    "missing sweep": ("gone.zarr", lambda path: None, "gone.zarr"),
    "not a sweep": ("folder.zarr", lambda path: path.mkdir(), "folder.zarr"),
    "empty npy": ("empty.npy", lambda path: path.touch(), "is empty"),
    "empty png": ("empty.png", lambda path: path.touch(), "is empty"),
    "pickled": ("pickled.npy", lambda path: np.save(path, np.array([{}, 1])), "pickled"),
    "archive": ("archive.npy", save_npz, "unpack it"),
    "text as npy": ("text.npy", lambda path: path.write_text("hello"), "not a .npy file"),
    "cut npy": ("cut.npy", save_truncated, "damaged or cut short"),
    "text as png": ("text.png", lambda path: path.write_text("hello"), "not a PNG image"),
    "cut png": ("cut.png", save_truncated_png, "not a PNG image, or is damaged"),
    "text as tif": ("text.tif", lambda path: path.write_text("hello"), "not a TIFF image"),
    "cut tif": ("cut.tif", save_damaged_tiff, "not a TIFF image, or is damaged"),
    "suffix": ("image.jpg", lambda path: path.write_text("hello"), "convert it first"),
    "colour": (
        "colour.png",
        lambda path: Image.new("RGB", (64, 64)).save(path),
        "3 colour channels",
    ),
    "rank": ("hyper.npy", lambda path: np.save(path, np.zeros((2, 9, 8, 8))), "1, 2 or 3 axes"),
    "no pixels": ("void.npy", lambda path: np.save(path, np.zeros((0, 64))), "holds no pixel"),
    "not a number": (
        "nan.npy",
        lambda path: np.save(path, np.full((64, 64), np.nan)),
        "not-a-number",
    ),
    "grey levels": (
        "grey.npy",
        lambda path: np.save(path, np.arange(4096).reshape(64, 64)),
        "--threshold",
    ),
    "text": ("words.npy", lambda path: np.save(path, np.array([["a", "b"]])), "real numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_is_one_sentence_and_status_two(capsys, tmp_path, case):
    name, write, message = BAD[case]
    path = tmp_path / name
    write(path)
    assert main(["boxdim", str(path), "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and err.startswith("error: ")
    assert name in err and message in err.lower().replace("png", "PNG").replace("tiff", "TIFF")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--window", "4", "500"], "window=(4, 500)"),
        (["--threshold", "nan"], "threshold=nan"),
        (["--plot", "figure.xyz"], "--plot figure.xyz: end the name in"),
        (["--local", "map.xyz"], "--local map.xyz: end the name in"),
        (["--mask", "--entropy"], "--entropy is about labels"),
        (["--mask", "--uncertainty"], "--uncertainty is about labels"),
        (["--out", "no/such/folder/record.json"], "--out"),
        (["--out", "koch.npy"], "--out koch.npy would overwrite what is read from"),
        (["--plot", "a.png", "--local", "./a.png"], "--local a.png would overwrite --plot"),
        (["--resamples", "1"], "--resamples"),
        (["--maks"], "did you mean --mask"),
    ],
)
def test_a_wrong_option_is_named(capsys, koch, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["boxdim", str(koch), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and len(err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["koch.npy"]


def test_help_shows_an_example(capsys):
    assert main(["boxdim", "--help"]) == 0
    out = capsys.readouterr().out
    assert "Example:" in out and "dynfrac boxdim run.zarr" in out
