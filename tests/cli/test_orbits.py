"""The command `dynfrac orbits`, from its arguments to its exit status."""

import json

import numpy as np
import pytest

from dynfrac.cli.main import main

CUBIC = ("--map", "gd-cubic", "--x", "lr=0.8:2.1:105:linear", "--steps", "500")


def record(capsys, *arguments):
    """Run with --json; return the exit status and the one object on standard output."""
    status = main(["orbits", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_the_table_says_where_things_begin(capsys, tmp_path):
    picture = tmp_path / "diagram.png"
    assert main(["orbits", *CUBIC, "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    begins = {" ".join(words[:-2]): words[-2:] for words in lines if len(words) >= 3}
    for name, value in (("period 2", 1.0), ("period 4", 5**0.5 - 1), ("chaos", 1.3022835)):
        low, high = map(float, begins[name])
        assert low - 0.0125 < value < high + 0.0125 and high - low < 0.05
    # A window of the listed ones lies beyond the onset, in the order of the axis.
    windows = [words for words in lines if words[0] == "period" and len(words) == 5]
    starts = [float(words[2]) for words in windows]
    assert starts and starts == sorted(starts) and starts[0] > 1.3
    assert "gd-cubic  w0=0.3" in out and "105 values of lr from 0.8 to 2.1, float64" in out
    assert "500 steps averaged after 500" in out and "of 105 runs escaped" in out
    # Minima have sharpness 2, the double well's, whatever the learning rate.
    assert "sharpness 2 at lr=" in out and "unstable above 2.0" in out
    assert picture.stat().st_size > 20_000


def test_the_record_and_the_arrays(capsys, tmp_path):
    out = tmp_path / "d.npz"
    status, found = record(capsys, *CUBIC, "--keep", "20", "--out", str(out))
    assert status == 0 and found["name"] == "gd-cubic"
    assert found["edge"]["value"] == pytest.approx(2, abs=1e-6)
    assert found["edge"]["lr"] < 1 and found["edge"]["threshold"] == 2 / found["edge"]["lr"]
    assert len(found["exponents"]) == 105 and len(found["observed"][0]) == 20
    arrays = np.load(out)
    assert arrays["observed"].shape == (105, 20)
    exponents = [np.nan if v is None else v for v in found["exponents"]]
    finite = np.isfinite(arrays["exponents"])
    np.testing.assert_array_equal(np.array(exponents)[finite], arrays["exponents"][finite])
    text = tmp_path / "d.json"
    main(["orbits", *CUBIC, "--keep", "20", "--out", str(text)])
    assert json.loads(text.read_text())["cascade"] == found["cascade"]


def test_the_options_reach_the_computation(capsys):
    status, found = record(
        capsys,
        *("--map", "henon", "--x", "a=0.9:1.0:3", "--set", "b=0.2", "--observable", "x0"),
        *("--steps", "50", "--transient", "30", "--keep", "7", "--follow", "down", "--seed", "4"),
        *("--dtype", "float32"),
    )
    assert status == 0
    conditions = found["conditions"]
    assert conditions["hparams"] == {"b": 0.2, "x0": 0.1, "y0": 0.1}
    assert (conditions["seed"], conditions["follow"], conditions["dtype"]) == (4, "down", "float32")
    assert (found["n_steps"], found["n_transient"], found["observable"]) == (50, 30, "x0")
    assert np.shape(found["observed"]) == (3, 7) and found["edge"] is None


def test_a_network(capsys, tmp_path):
    picture = tmp_path / "mlp.pdf"
    arguments = ("--arch", "mlp", "--arg", "n_data=4", "--x", "lr=1:100:3", "--steps", "6")
    status, found = record(capsys, *arguments, "--plot", str(picture), "--y-range", "0.01:10:log10")
    assert status == 0 and len(found["values"]) == 3 and found["n_transient"] == 6
    assert picture.read_bytes().startswith(b"%PDF")


def test_nothing_bounded_is_no_value(capsys):
    status = main(["orbits", "--map", "gd-cubic", "--x", "lr=2.5:3:4", "--steps", "50"])
    assert status == 1
    assert "no period doubles and nothing is chaotic" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--map", "gd-cubic", "--x", "eta=1:2"), "unknown hyperparameter 'eta'"),
        (("--map", "gd-cubic", "--x", "lr=2:1"), "lr=2:1 is empty"),
        (("--map", "gd-cubic"), "Missing option '--x'"),
        (("--map", "gd-cubic", "--x", "lr=1:2", "--y", "w0=0:1"), "unknown option --y"),
        ((*CUBIC, "--set", "lr=1"), "lr is fixed and the axis too"),
        ((*CUBIC, "--observable", "accuracy"), "unknown observable 'accuracy'"),
        ((*CUBIC, "--keep", "600"), "n_keep=600 values are more than n_steps=500"),
        ((*CUBIC, "--plot", "d.txt"), "--plot d.txt: end the name in .png"),
        ((*CUBIC, "--out", "d.csv"), "--out d.csv: end the name in .json, .npz"),
        ((*CUBIC, "--y-range", "1:0"), "--y-range 1:0 is not understood"),
        ((*CUBIC, "--y-range", "0:1:log10"), "--y-range 0:1:log10 is not understood"),
        (("--x", "lr=1:2"), "give one of --map NAME and --arch NAME"),
    ],
)
def test_mistakes_end_in_one_sentence(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert main(["orbits", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert words in captured.err
