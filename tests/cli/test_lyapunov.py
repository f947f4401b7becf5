"""The command `dynfrac lyapunov`, from its arguments to its exit status."""

import contextlib
import json
import math

import numpy as np
import pytest

from dynfrac.cli import checkpoints
from dynfrac.cli.main import main

DESCENT = ("--map", "dynfrac.systems.descents:QuadraticDescent")


def record(capsys, *arguments):
    """Run with --json; return the exit status and the one object on standard output."""
    status = main(["lyapunov", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_henon_by_default(capsys):
    status, result = record(capsys, "--map", "henon")
    assert status == 0
    for value, stderr, reference in zip(
        result["exponents"], result["stderr"], (0.4192, -1.6232), strict=True
    ):
        assert abs(value - reference) < min(2e-3, 4 * stderr)
        assert stderr < 4e-3
    assert sum(result["exponents"]) == pytest.approx(math.log(0.3), abs=1e-9)
    assert result["kaplan_yorke"]["low"] < 1.2583 < result["kaplan_yorke"]["high"]
    assert result["verdict"] == "chaotic" and result["status"] == "bounded"
    assert result["n_steps"] == 500_000 and result["sharpness"] is None


def test_the_options_reach_the_computation(capsys):
    status, result = record(
        capsys,
        *("--map", "logistic", "--set", "r=3.2", "--set", "x0=0.4", "--steps", "500"),
        *("-k", "1", "--transient", "30", "--warmup", "20", "--dtype", "float32", "--seed", "5"),
    )
    assert status == 0
    conditions = result["conditions"]
    assert conditions["hparams"] == {"r": 3.2, "x0": 0.4}
    assert (conditions["dtype"], conditions["seed"]) == ("float32", 5)
    assert result["step_range"] == [50, 550]
    assert (result["verdict"], result["period"]) == ("periodic", 2)


def test_descent_reports_its_sharpness_against_the_threshold(capsys):
    status, result = record(
        capsys, *DESCENT, "--arg", "heavy_ball=true", "--lr", "0.25", "--steps", "500"
    )
    assert status == 0
    assert result["conditions"]["hparams"]["lr"] == 0.25
    # The largest of the eigenvalues 1 and 3, and (2 + 2 b) / lr with b = 0.5.
    assert result["sharpness"]["value"] == pytest.approx(3, abs=1e-9)
    assert result["sharpness"]["threshold"] == pytest.approx(12)
    # Both modes rotate, so each exponent is ln(b) / 2 up to 5 / n.
    np.testing.assert_allclose(result["exponents"], 0.5 * math.log(0.5), atol=5 / 500)


def test_a_network_on_digits(capsys):
    # Without BatchNorm it compiles in half the time.
    tiny = ("--arg", "batch_norm=false", "--arg", "image_size=5")
    status, result = record(
        capsys, "--arch", "resnet8", *tiny, "--batch", "4", "--steps", "4", "-k", "2"
    )
    assert status == 0
    assert len(result["exponents"]) == 2 and all(map(math.isfinite, result["exponents"]))
    assert result["conditions"]["driver"] == "scan"  # small enough for a compiled loop
    assert result["conditions"]["dtype"] == "float32"
    # A quarter of four steps aligns the frame.
    assert result["step_range"] == [1, 5]
    assert any("finite-time" in flag for flag in result["flags"])
    # All its data at every step is gradient descent: 2 / lr, at the default learning rate.
    assert result["sharpness"]["threshold"] == 20.0
    assert result["sharpness"]["value"] > 0
    assert result["kaplan_yorke"]["value"] is None or result["exponents"][0] < 0


def test_the_table_says_what_the_record_says(capsys):
    assert main(["lyapunov", *DESCENT, "--steps", "500"]) == 0
    out = capsys.readouterr().out
    for text in (
        "2 of 2 exponents",
        "500 steps averaged (100 to 599)",
        f"{math.log(0.9):+.6f}",
        f"{math.log(0.9) + math.log(0.7):+.9f}",
        "fixed point",
        "3, unstable above 20",
        "note: all exponents are negative",
    ):
        assert text in out


def test_blow_up_is_no_value(capsys):
    assert main(["lyapunov", "--map", "logistic", "--set", "r=5", "--steps", "50"]) == 1
    out = capsys.readouterr().out
    assert "stopped being finite at step 12" in out
    status, result = record(capsys, "--map", "logistic", "--set", "r=5", "--steps", "50")
    assert status == 1
    assert result["exponents"] == [None] and result["t_escape"] == 12
    assert result["kaplan_yorke"]["value"] is None


def test_files_are_written(capsys, tmp_path):
    figure, file = tmp_path / "spectrum.png", tmp_path / "spectrum.json"
    status, result = record(
        capsys, *DESCENT, "--steps", "400", "--plot", str(figure), "--out", str(file)
    )
    assert status == 0
    assert json.loads(file.read_text()) == result
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_a_run_of_seconds_is_announced_and_quiet_is_not(capsys, monkeypatch):
    monkeypatch.setattr("dynfrac.cli.cmd_lyapunov.LONG_RUN", 0.0)
    run = ["lyapunov", "--map", "henon", "--steps", "400"]
    assert main(run) == 0
    assert "500 steps at" in capsys.readouterr().err
    assert main([*run, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_an_interrupt_says_what_to_do(capsys, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("dynfrac.cli.cmd_lyapunov.lyapunov_spectrum", interrupt)
    assert main(["lyapunov", "--map", "henon"]) == 130
    assert "--checkpoint FILE keeps what is done" in capsys.readouterr().err


HENON = ("--map", "henon", "--steps", "3000", "--starts", "2")


@pytest.fixture
def interrupted(monkeypatch):
    """Press Ctrl-C after a given number of stretches of a run."""

    def after(n):
        seen = []

        def stop(*args, **options):
            def advance(done):
                seen.append(done)
                if len(seen) == n:
                    raise KeyboardInterrupt

            return contextlib.nullcontext(advance)

        monkeypatch.setattr("dynfrac.cli.cmd_lyapunov.progress_bar", stop)

    return after


def test_an_interrupted_run_goes_on_where_it_stopped(capsys, tmp_path, interrupted, monkeypatch):
    _, whole = record(capsys, *HENON)
    file = tmp_path / "run.npz"
    with monkeypatch.context():
        interrupted(120)
        assert main(["lyapunov", *HENON, "--checkpoint", str(file)]) == 130
    err = capsys.readouterr().err
    # 20 stretches of 15 steps of warm-up come first.
    assert f"1800 steps are kept; the same command goes on from {file}" in err
    assert file.exists() and list(tmp_path.iterdir()) == [file]
    monkeypatch.undo()
    steps = []
    monkeypatch.setattr(
        "dynfrac.cli.cmd_lyapunov._reporter",
        lambda *args, **options: lambda done, total: steps.append(done),
    )
    status, resumed = record(capsys, *HENON, "--checkpoint", str(file))
    assert status == 0 and resumed == whole
    assert steps[0] == 1815
    # It ended: asked again, it only prints.
    steps.clear()
    assert record(capsys, *HENON, "--checkpoint", str(file)) == (0, whole)
    assert not steps


def test_a_checkpoint_is_written_every_now_and_then(capsys, tmp_path, monkeypatch):
    written = []
    write = checkpoints.CheckpointFile.write
    monkeypatch.setattr(
        checkpoints.CheckpointFile, "write", lambda self: (written.append(self), write(self))
    )
    monkeypatch.setattr(checkpoints, "INTERVAL", -1.0)
    assert record(capsys, *HENON, "--checkpoint", str(tmp_path / "run.npz"))[0] == 0
    assert len(written) > 200
    written.clear()
    monkeypatch.setattr(checkpoints, "INTERVAL", 1000.0)
    assert record(capsys, *HENON, "--checkpoint", str(tmp_path / "other.npz"))[0] == 0
    assert len(written) == 1


def test_a_checkpoint_of_another_run_or_none_is_refused(capsys, tmp_path):
    file = tmp_path / "run.npz"
    assert record(capsys, *HENON, "--checkpoint", str(file))[0] == 0
    kept = file.read_bytes()
    assert main(["lyapunov", *HENON, "--set", "a=1.3", "--checkpoint", str(file)]) == 2
    err = capsys.readouterr().err
    assert "belongs to another run" in err and str(file) in err and err.count("\n") == 1
    assert file.read_bytes() == kept
    (tmp_path / "text.npz").write_text("not a zip file")
    (tmp_path / "half.npz").write_bytes(kept[: len(kept) // 2])
    np.save(tmp_path / "array.npy", np.ones(3))
    for name in ("text.npz", "half.npz", "array.npy"):
        assert main(["lyapunov", *HENON, "--checkpoint", str(tmp_path / name)]) == 2
        assert "is no checkpoint" in capsys.readouterr().err


def test_a_tolerance_stops_a_run(capsys):
    status, result = record(capsys, "--map", "henon", "--tolerance", "5e-3")
    assert status == 0 and result["n_steps"] < 100_000
    assert max(result["stderr"]) < 5e-3 and not result["flags"]


def test_starts_are_compared_in_the_table(capsys):
    assert main(["lyapunov", *HENON]) == 0
    out = capsys.readouterr().out
    assert "naive" in out and "between" in out and "means over 2 starts" in out
    assert main(["lyapunov", "--map", "henon", "--steps", "500"]) == 0
    assert "between" not in capsys.readouterr().out


def test_finite_time_exponents_are_a_distribution(capsys, tmp_path):
    run = ["--map", "henon", "--steps", "4000", "-k", "2", "--finite-time", "50"]
    status, result = record(capsys, *run, "--plot", str(tmp_path / "growth.png"))
    assert status == 0 and result["window"] == 50
    values = np.array(result["values"])
    assert values.shape == (80, 2)
    np.testing.assert_allclose(values.mean(axis=0), result["mean"])
    np.testing.assert_allclose(values.sum(axis=1), math.log(0.3), atol=1e-9)
    assert (tmp_path / "growth.png").exists()
    assert main(["lyapunov", *run]) == 0
    out = capsys.readouterr().out
    assert "80 of 80 windows of 50 steps" in out and f"{result['mean'][0]:+.6f}" in out
    lost = ["--map", "logistic", "--set", "r=5", "--steps", "50", "--finite-time", "20"]
    assert record(capsys, *lost)[0] == 1


NET = """
import numpy as np
from flax import linen as nn
from dynfrac import training_map


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.8)(x)
        return nn.Dense(1)(x)


def make(order: str = "fixed", n_epochs: int = 1):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((8, 2)), rng.standard_normal((8, 1))
    return training_map(Net(), data, batch=4, order=order, n_epochs=n_epochs)
"""


def test_statistics_and_epochs(capsys, tmp_path, monkeypatch):
    (tmp_path / "batch_net.py").write_text(NET)
    monkeypatch.syspath_prepend(tmp_path)
    run = ["--arch", "batch_net:make", "--lr", "0.1", "--warmup", "100"]
    _, plain = record(capsys, *run, "--steps", "100")
    _, statistics = record(capsys, *run, "--steps", "100", "--statistics")
    # Two means and two variances, each with ln 0.8.
    assert statistics["dimension"] == plain["dimension"] + 4
    total = sum(plain["exponents"]) + 4 * math.log(0.8)
    assert sum(statistics["exponents"]) == pytest.approx(total, abs=1e-6)
    _, epochs = record(capsys, *run[:-1], "50", "--steps", "50", "--per-epoch")
    # Two steps an epoch; the same 200 steps, of which the last 100 are averaged.
    np.testing.assert_allclose(epochs["exponents"], 2 * np.array(plain["exponents"]), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --map NAME and --arch NAME"),
        (["--map", "henon", "--arch", "mlp"], "give one of --map NAME and --arch NAME"),
        (["--map", "henom"], "did you mean 'henon'"),
        (["--arch", "resnet19"], "nearest is resnet20"),
        (["--map", "henon", "--set", "c=1"], "unknown hyperparameter 'c'"),
        (["--map", "henon", "--set", "a"], "--set 'a' is not understood"),
        (["--map", "henon", "--set", "a=x"], "--set a=x is not a number"),
        (["--map", "henon", "--lr", "0.1"], "unknown hyperparameter 'lr'"),
        (["--map", "henon", "--batch", "3"], "--batch needs --arch"),
        (["--map", "henon", "-k", "3"], "n_exponents=3 is more than the 2 dimensions"),
        (["--map", "henon", "--steps", "0"], "0 is not in the range"),
        (["--map", "henon", "--dtype", "float16"], "float16"),
        (["--map", "henon", "--plot", "no/where.png"], "no/where.png"),
        (["--map", "henon", "--plot", "figure.xyz"], "end the name in .png"),
        (["--map", "henon", "--out", "."], "--out . is a folder"),
        (["--map", "henon", "--checkpoint", "no/where.npz"], "--checkpoint no/where.npz"),
        (["--map", "henon", "--tolerance", "0"], "--tolerance 0.0 is out of range"),
        (["--map", "henon", "--tolerance", "inf"], "--tolerance inf is out of range"),
        (
            ["--map", "henon", "--finite-time", "50", "--steps", "10"],
            "--finite-time 50 is longer than --steps 10",
        ),
        (["--map", "henon", "--finite-time", "9", "--tolerance", "1"], "exclude each other"),
        (["--map", "henon", "--per-epoch"], "Henon has no epochs"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, arguments, message):
    assert main(["lyapunov", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1
    assert out == ""
