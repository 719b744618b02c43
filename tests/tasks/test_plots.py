"""The pictures: PNGs whose content follows from the figures, and nothing half-written."""

import numpy as np
import pytest

from keras_bert.tasks import plots
from keras_bert.tasks.plots import draw_confusion, draw_label_scores, draw_scatter


@pytest.fixture
def axes(monkeypatch):
    """The panels of the pictures that are drawn."""
    drawn, save = [], plots._save

    def keep(figure, axis, path, title):
        drawn.append(axis)
        save(figure, axis, path, title)

    monkeypatch.setattr(plots, "_save", keep)
    return drawn


def check_png(path, folder):
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_a_confusion_matrix_counts(axes, tmp_path):
    draw_confusion([0, 0, 0, 1], [0, 0, 1, 1], ["no", "yes", "perhaps"], tmp_path / "c.png", title="t")
    check_png(tmp_path / "c.png", tmp_path)
    [axis] = axes
    assert [text.get_text() for text in axis.texts] == ["2", "1", "0", "0", "1", "0", "0", "0", "0"]
    shares = axis.images[0].get_array()
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3, 0], [0, 1, 0], [0, 0, 0]])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["no", "yes", "perhaps"]
    assert axis.get_title() == "t"


def test_many_classes_have_no_numbers(axes, tmp_path):
    draw_confusion(range(30), range(30), [f"c{i}" for i in range(30)], tmp_path / "c.png", title="t")
    assert not axes[0].texts


def test_label_scores_by_hand(axes, tmp_path):
    labels = np.array([[1, 0], [1, 0], [0, 0], [1, 1]])
    answers = np.array([[1, 0], [0, 0], [1, 0], [1, 0]], bool)
    draw_label_scores(labels, answers, ["a", "b"], tmp_path / "l.png", title="t")
    check_png(tmp_path / "l.png", tmp_path)
    [axis] = axes
    widths = [bar.get_width() for bar in axis.patches]  # both labels' precision, recall, F1
    np.testing.assert_allclose(widths, [2 / 3, 0, 2 / 3, 0, 2 / 3, 0])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a (3)", "b (1)"]


def test_a_scatter_has_every_point_and_the_line(axes, tmp_path):
    draw_scatter(np.array([1.0, 2.0]), np.array([1.5, 4.0]), tmp_path / "s.png", title="t")
    check_png(tmp_path / "s.png", tmp_path)
    [axis] = axes
    np.testing.assert_allclose(axis.collections[0].get_offsets(), [[1.0, 1.5], [2.0, 4.0]])
    np.testing.assert_allclose(axis.lines[0].get_xydata(), [[1.0, 1.0], [4.0, 4.0]])
