"""What a picture is taken for, and what is refused."""

import numpy as np
import pytest

from dynfrac.analysis.labels import as_labels, as_mask, boundary_cells

RAMP = np.arange(64).reshape(8, 8)


def test_booleans_and_few_integers_are_labels():
    for picture in (RAMP > 9, (RAMP % 16).astype(np.uint8), np.where(RAMP > 9, 255, 0)):
        assert as_labels(picture) is picture


def test_sixteen_values_are_labels_wherever_they_lie():
    wide = (RAMP % 16) * 1000
    assert as_labels(wide) is wide
    with pytest.raises(ValueError, match="more than 16 values"):
        as_labels((RAMP % 17) * 1000)
    with pytest.raises(ValueError, match="more than 16 values"):
        as_labels(RAMP % 17)


def test_floats_of_both_signs_are_a_signed_field():
    np.testing.assert_array_equal(as_labels(RAMP - 9.0), RAMP < 9)
    np.testing.assert_array_equal(as_labels(np.where(RAMP < 9, -np.inf, 1e6)), RAMP < 9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_floats_of_one_sign_need_a_threshold(sign):
    with pytest.raises(ValueError, match="threshold"):
        as_labels(sign * RAMP.astype(float))
    np.testing.assert_array_equal(
        as_labels(sign * RAMP.astype(float), threshold=sign * 9), sign * RAMP > sign * 9
    )


def test_a_threshold_separates_anything_real():
    np.testing.assert_array_equal(as_labels(RAMP, threshold=9.5), RAMP > 9)
    np.testing.assert_array_equal(as_mask(RAMP, threshold=9.5), RAMP > 9)
    with pytest.raises(ValueError, match="threshold=nan"):
        as_labels(RAMP, threshold=float("nan"))


def test_a_mask_is_what_is_not_zero():
    np.testing.assert_array_equal(as_mask(RAMP - 9.0), RAMP != 9)


@pytest.mark.parametrize("read", [as_labels, as_mask])
@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), "3 colour channels"),
        (np.zeros((8, 8, 4)), "4 colour channels"),
        (np.zeros((8, 8, 3)), "put its short axis first"),
        (np.zeros((2, 4, 8, 8)), r"shape \(2, 4, 8, 8\); pass one with 1, 2 or 3 axes"),
        (np.array(1.0), r"shape \(\)"),
        (np.zeros((0, 8)), "holds no pixel"),
        (np.where(RAMP < 2, np.nan, 1.0), "2 of the picture's 64 pixels are not-a-number"),
        (RAMP + 1j, "complex128"),
        (RAMP.astype(str), "real numbers"),
        (RAMP.astype(object), "object"),
    ],
)
def test_other_arrays_are_refused(read, picture, message):
    with pytest.raises(ValueError, match=message):
        read(picture)


def test_lines_and_volumes_are_labels_too():
    for shape in ((64,), (4, 4, 4), (3, 8, 2)):
        part = (np.arange(np.prod(shape)) % 5).reshape(shape)
        assert as_labels(part) is part and as_mask(part).shape == shape
    # Only three or four of something measured look like colours; labels are not.
    assert as_labels(np.zeros((8, 8, 3), np.int8)).shape == (8, 8, 3)
    assert as_labels(np.zeros((8, 8, 4), bool)).shape == (8, 8, 4)


def test_few_values_are_found_in_any_shape():
    wide = np.arange(200_000) % 16 * 1000
    assert as_labels(wide) is wide
    with pytest.raises(ValueError, match="more than 16 values"):
        as_labels(np.where(np.arange(200_000) < 199_999, wide, -5))


def test_a_cell_is_on_the_boundary_if_any_corner_differs():
    labels = np.zeros((4, 5), int)
    labels[1, 1] = 1
    expected = np.zeros((3, 4), bool)
    expected[:2, :2] = True
    np.testing.assert_array_equal(boundary_cells(labels), expected)
    for turned in (labels[::-1], labels[:, ::-1], labels.T, 5 - labels):
        assert boundary_cells(turned).sum() == 4
    assert not boundary_cells(np.ones((4, 5))).any()


def test_cells_of_lines_and_volumes():
    np.testing.assert_array_equal(boundary_cells(np.array([0, 0, 1, 1, 2])), [0, 1, 0, 1])
    volume = np.zeros((4, 5, 6), int)
    volume[1, 2, 3] = 1
    expected = np.zeros((3, 4, 5), bool)
    expected[:2, 1:3, 2:4] = True
    np.testing.assert_array_equal(boundary_cells(volume), expected)
