"""Journals: nothing that was answered is asked twice, and nothing wrong is ever replayed."""

import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dynfrac.boundaries import journals
from dynfrac.boundaries.journals import Journal, Pace, answer_in_slices
from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pairs import draw_pairs
from dynfrac.orbits.axes import Axis

IDENTITY = {"map": {"name": "toy", "width": 8}, "n_steps": 100}
SQUARE = [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)]


def asked(path, questions, *, identity=IDENTITY, kind="labels", size=7):
    """Answer questions with their floors and doubles; return both and how many were computed."""
    computed = []

    def answer(part):
        computed.append(len(part))
        return {"floor": np.floor(part[:, 0]).astype(np.int8), "double": 2 * part}

    with Journal(path, identity) as journal:
        parts = list(
            answer_in_slices(kind, questions, answer, pace=Pace(size, size), journal=journal)
        )
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined, sum(computed)


QUESTIONS = np.random.default_rng(0).normal(size=(40, 2))


def test_a_journal_answers_what_it_has(tmp_path):
    path = tmp_path / "a.journal"
    first, n_first = asked(path, QUESTIONS)
    again, n_again = asked(path, QUESTIONS)
    assert (n_first, n_again) == (40, 0)
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])
        assert values.dtype == again[name].dtype


def test_slices_need_not_be_those_of_the_first_time(tmp_path):
    path = tmp_path / "a.journal"
    asked(path, QUESTIONS[:25], size=4)
    whole, n_computed = asked(path, QUESTIONS[:25], size=11)
    assert n_computed == 0
    np.testing.assert_array_equal(whole["double"], 2 * QUESTIONS[:25])


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_file_cut_short_loses_its_last_block_alone(tmp_path, cut):
    path = tmp_path / "a.journal"
    asked(path, QUESTIONS)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    again, n_computed = asked(path, QUESTIONS)
    assert n_computed == 5  # of 40 in sevens
    np.testing.assert_array_equal(again["double"], 2 * QUESTIONS)
    assert len(path.read_bytes()) == len(whole)


def test_a_damaged_block_and_what_follows_are_computed_again(tmp_path):
    path = tmp_path / "a.journal"
    asked(path, QUESTIONS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    again, n_computed = asked(path, QUESTIONS)
    assert 7 <= n_computed < 40
    np.testing.assert_array_equal(again["double"], 2 * QUESTIONS)


@pytest.mark.parametrize("length", [0, 5, 16, 20, 60])
def test_a_header_cut_short_is_begun_again(tmp_path, length):
    path = tmp_path / "a.journal"
    with Journal(path, IDENTITY):
        pass
    path.write_bytes(path.read_bytes()[:length])
    assert asked(path, QUESTIONS)[1] == 40
    assert asked(path, QUESTIONS)[1] == 0


def test_another_question_is_refused_with_what_differs(tmp_path):
    path = tmp_path / "a.journal"
    asked(path, QUESTIONS)
    other = {"map": {"name": "toy", "width": 16}, "seed": 1}
    before = path.read_bytes()
    with pytest.raises(ValueError) as caught:
        Journal(path, other)
    assert "map.width is 8 there and 16 here" in str(caught.value)
    assert "seed is absent there and 1 here" in str(caught.value)
    assert "n_steps is 100 there and absent here" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04 something else", b"dynfrac journal\nbut no frame"]
)
def test_another_file_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no journal; choose another name"):
        Journal(path, IDENTITY)
    assert path.read_bytes() == content


def test_another_format_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.journal"
    with monkeypatch.context() as patch:
        patch.setattr(journals, "FORMAT", 7)
        Journal(path, IDENTITY).close()
    with pytest.raises(ValueError, match="has format 7, and this dynfrac writes format 1"):
        Journal(path, IDENTITY)


def test_answers_to_other_questions_are_never_replayed(tmp_path):
    path = tmp_path / "a.journal"
    asked(path, QUESTIONS)
    moved = QUESTIONS.copy()
    moved[17, 1] = np.nextafter(moved[17, 1], 9)
    with pytest.raises(ValueError, match="other questions after the first 14"):
        asked(path, moved)
    with pytest.raises(ValueError, match="other questions after the first 0"):
        asked(path, QUESTIONS, kind="labels after 200 steps")
    with pytest.raises(ValueError, match="other questions after the first 7"):
        asked(path, QUESTIONS[:10])


def test_two_at_a_time_are_refused(tmp_path):
    path = tmp_path / "a.journal"
    with Journal(path, IDENTITY):
        with pytest.raises(ValueError, match="being written by another process"):
            Journal(path, IDENTITY)
    Journal(path, IDENTITY).close()


def test_a_full_disk_is_told_and_loses_nothing_before(tmp_path):
    path = tmp_path / "a.journal"
    _, n = asked(path, QUESTIONS[:14])
    length = path.stat().st_size

    class Full:
        """The file, on a disk that takes ten more bytes."""

        def __init__(self, file):
            self.file, self.room = file, 10

        def write(self, data):
            if not self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            n = self.file.write(data[: self.room])
            self.room -= n
            return n

        def __getattr__(self, name):
            return getattr(self.file, name)

    journal = Journal(path, IDENTITY)
    while journal.recall("labels", QUESTIONS[journal.n_kept :]) is not None:
        pass
    journal._file = Full(journal._file)
    with pytest.raises(OSError, match="no space left on device.*make room and run the same again"):
        journal.append("labels", QUESTIONS[14:16], {"a": np.zeros(2)})
    journal.close()
    assert path.stat().st_size == length
    assert asked(path, QUESTIONS[:21])[1] == 7 and n == 14


def test_a_pace_grows_with_speed_and_shrinks_where_it_is_slow():
    pace = Pace(16, 300)
    sizes = []
    for seconds in (0.01, 0.5, 0.9, 3.0, 0.5, 9.0):
        pace.note(pace.size, seconds)
        sizes.append(pace.size)
    assert sizes == [64, 128, 256, 256, 300, 150]
    pace.note(3, 0.001)  # the rest of a request says little
    assert pace.size == 150


# Estimators


def disc(points):
    return ((points - 0.5) ** 2).sum(axis=1) < 0.1


def test_pairs_go_on_where_they_stopped(tmp_path):
    path = tmp_path / "pairs.journal"

    class Enough(Exception):
        pass

    def stop(used):
        if used > 2500:
            raise Enough

    plain = draw_pairs(Oracle(disc, SQUARE, budget=5000), seed=3)
    with pytest.raises(Enough), Journal(path, IDENTITY) as journal:
        draw_pairs(Oracle(disc, SQUARE, budget=5000, journal=journal, on_progress=stop), seed=3)
    calls = []

    def counted(points):
        calls.append(len(points))
        return disc(points)

    with Journal(path, IDENTITY) as journal:
        resumed = draw_pairs(Oracle(counted, SQUARE, budget=5000, journal=journal), seed=3)
        assert journal.n_kept > 2500
    np.testing.assert_array_equal(resumed.fractions(), plain.fractions())
    assert resumed.n_labels == plain.n_labels == sum(calls) + journal.n_kept


SLOW = """
import time

from dynfrac.boundaries.journals import Journal
from dynfrac.boundaries.oracles import Oracle
from dynfrac.boundaries.pairs import draw_pairs
from dynfrac.orbits.axes import Axis

def disc(points):
    time.sleep(0.1)
    return ((points - 0.5) ** 2).sum(axis=1) < 0.1

square = [Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)]
with Journal({path!r}, {identity!r}) as journal:
    oracle = Oracle(disc, square, budget=5000, journal=journal)
    oracle._pace.most = 256
    draw_pairs(oracle, seed=3)
"""


@pytest.mark.parametrize("size", [2000, 6000])
def test_a_killed_process_loses_little_and_the_numbers_are_the_same(tmp_path, size):
    path = tmp_path / "killed.journal"
    code = SLOW.format(path=str(path), identity=IDENTITY)
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with Journal(path, IDENTITY) as journal:
        resumed = draw_pairs(Oracle(disc, SQUARE, budget=5000, journal=journal), seed=3)
        # A block of 256 labels takes less than a kilobyte.
        assert journal.n_kept >= 256 * (size // 1000 - 1)
    plain = draw_pairs(Oracle(disc, SQUARE, budget=5000), seed=3)
    np.testing.assert_array_equal(resumed.fractions(), plain.fractions())


def test_a_function_that_works_in_place_is_kept_under_what_it_was_asked(tmp_path):
    def in_place(points):
        points -= 0.5
        return (points**2).sum(axis=1) < 0.1

    positions = np.random.default_rng(1).random((50, 2))
    labels = []
    for _ in range(2):
        with Journal(tmp_path / "a.journal", IDENTITY) as journal:
            labels.append(Oracle(in_place, SQUARE, budget=50, journal=journal)(positions))
            kept = journal.n_kept
    np.testing.assert_array_equal(*labels)
    assert kept == 50
