"""Plots draw what the rows say, the same bytes for the same rows, and stay away when there is nothing to draw."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from experiments.report.comparison import Comparison, compare
from experiments.report.figures.curves import loss
from experiments.report.figures.differences import MOST_CLASSES, classes, errors, metrics, verdict
from experiments.report.figures.draw import draw_plots
from experiments.report.figures.scatter import latency, pareto
from experiments.report.figures.theme import colour, marker, render
from experiments.report.rows import read_run
from experiments.report.tables.errors import error_table
from segplug.page.palette import SERIES


def comparison(folder: Path) -> Comparison:
    (only,) = compare([read_run(folder)])
    return only


def dots(figure: Figure | None) -> dict[str, list[tuple[float, float]]]:
    """Label -> its points, of the lines that the legend names."""
    assert figure is not None
    lines = [line for line in figure.axes[0].lines if not str(line.get_label()).startswith("_")]
    return {str(line.get_label()): list(zip(*line.get_data(), strict=True)) for line in lines}


def test_curves_are_mean_and_range(tmp_path: Path, make_row: Any) -> None:
    """An epoch that was trained again counts once; the band spans the seeds."""
    for seed, last in ((0, 1.0), (1, 3.0)):
        cell = make_row(tmp_path, "base", seed, AP=0.4)
        (cell / "train" / "curves.csv").write_text(f"epoch,train/box_loss\n1,2.0\n2,1.5\n2,{last}\n3,nan\n")
    figure = loss(comparison(tmp_path), {})
    assert dots(figure) == {"base": [(1, 2.0), (2, 2.0)]}
    assert figure is not None
    (band,) = figure.axes[0].collections
    low, high = band.get_datalim(figure.axes[0].transData).intervaly
    assert (low, high) == pytest.approx((1.0, 3.0))
    bottom, top = figure.axes[0].get_ylim()
    assert bottom == 0 and top > 3.2  # room for the legend


def test_a_seed_without_curves_leaves_the_model_out(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4)
    cell = make_row(tmp_path, "plug_in", AP=0.4)
    (cell / "train" / "curves.csv").unlink()
    assert list(dots(loss(comparison(tmp_path), {}))) == ["base"]


def test_differences_and_their_intervals(tmp_path: Path, make_row: Any) -> None:
    for seed, (base, plug_in) in enumerate(((0.3, 0.33), (0.4, 0.42))):
        make_row(tmp_path, "base", seed, AP=base)
        make_row(tmp_path, "plug_in", seed, AP=plug_in)
    figure = metrics(comparison(tmp_path), {("plug_in", "AP"): (-0.01, 0.06)})
    assert dots(figure) == {"plug_in": [(pytest.approx(0.025), 0)]}
    assert figure is not None
    segments = [tuple(path.vertices[:, 0]) for path in figure.axes[0].collections[0].get_paths()]
    assert segments == [pytest.approx((-0.01, 0.06))]
    assert figure.axes[0].get_ylim() == (0.5, -0.5)  # one band, the first on top


def test_long_names_are_told_apart_by_both_ends(tmp_path: Path, make_row: Any) -> None:
    names = [
        f"yolov8n-C2f_{block}-from-yolov8n-trained-long{end}" for block in ("DBB", "DCN") for end in ("", "-preserve")
    ]
    for label in ("base", *names):
        make_row(tmp_path, label, AP=0.4)
    figure = verdict(comparison(tmp_path), {})
    assert figure is not None
    shown = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert len(set(shown)) == 4 and max(map(len, shown)) <= 41
    assert all(text.startswith("yolov8n-C2f_D") for text in shown)


def test_classes_that_differ_most(tmp_path: Path, make_row: Any) -> None:
    count = MOST_CLASSES + 5
    make_row(tmp_path, "base", changes={"per_class": {f"c{i}": 0.5 for i in range(count)}})
    make_row(tmp_path, "plug_in", changes={"per_class": {f"c{i}": 0.5 + i / 100 for i in range(count)}})
    figure = classes(comparison(tmp_path), {})
    assert figure is not None
    shown = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert shown == [f"c{i}" for i in range(5, count)]
    between = figure.axes[0].collections[-1].get_segments()
    assert [line.tolist() for line in between] == [[[0, k + 0.5], [1, k + 0.5]] for k in range(MOST_CLASSES - 1)]
    assert 0.2 * MOST_CLASSES < figure.get_figheight() < 0.3 * MOST_CLASSES + 2  # inches: bands of two dots at most


def test_errors_are_means_over_seeds(tmp_path: Path, make_row: Any) -> None:
    for seed, missed in ((0, 0.1), (1, 0.3)):
        make_row(tmp_path, "base", seed, changes={"errors": {"AP50": 0.5, "both": 0.0, "missed": missed}})
    make_row(tmp_path, "plug_in", changes={"errors": {"AP50": 0.5, "both": 0.05, "missed": 0.25}})
    compared = comparison(tmp_path)
    points = dots(errors(compared, {}))
    assert [x for x, _ in points["base"]] == pytest.approx([0, 0.2])
    table = error_table(compared)
    assert table is not None and table.columns == ["Model", "Both", "Missed"]
    assert [(row[0].value, row[0].small) for row in table.rows] == [("base", "baseline"), ("plug_in", "")]
    assert (table.rows[1][-1].value, table.rows[1][-1].small) == ("0.250", "+0.050")


def test_an_error_that_the_baseline_never_makes_is_zero_there(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", changes={"errors": {"AP50": 0.5, "missed": 0.1}})
    make_row(tmp_path, "plug_in", changes={"errors": {"AP50": 0.5, "both": 0.05, "missed": 0.1}})
    table = error_table(comparison(tmp_path))
    assert table is not None
    both = table.columns.index("Both")
    assert [(row[both].value, row[both].small) for row in table.rows] == [("0.000", ""), ("0.050", "+0.050")]


def test_rows_without_errors_have_no_table(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", AP=0.4, changes={"errors": {}})
    assert error_table(comparison(tmp_path)) is None and errors(comparison(tmp_path), {}) is None


def test_pareto_front() -> None:
    points = [(2.0, 0.5), (1.0, 0.4), (3.0, 0.5), (3.0, 0.6), (1.0, 0.3), (2.5, 0.2), (1.0, 0.4)]
    assert pareto(points) == [(1.0, 0.4), (2.0, 0.5), (3.0, 0.6)]


def test_scatter_shows_mean_median_and_interval(tmp_path: Path, make_row: Any) -> None:
    for seed, quality in enumerate((0.3, 0.4, 0.5)):
        make_row(tmp_path, "base", seed, AP=quality)
        make_row(tmp_path, "plug_in", seed, AP=quality + 0.1)
    figure = latency(comparison(tmp_path), {("plug_in", "AP"): (0.05, 0.15)})
    points = dots(figure)
    assert points["base"] == [(13.5, pytest.approx(0.4))] and points["plug_in"] == [(13.5, pytest.approx(0.5))]
    assert figure is not None and figure.axes[0].get_xlabel().lower().startswith("latency")
    assert figure.axes[0].get_ylabel() == "AP"
    assert points["Pareto front"] == [(13.5, pytest.approx(0.5))]
    assert figure is not None
    spans = [path.vertices for lines in figure.axes[0].collections for path in lines.get_paths()]
    upright = [tuple(v[:, 1]) for v in spans if v[0, 0] == v[1, 0]]
    assert upright == [pytest.approx((0.45, 0.55))]


def test_every_mark_of_a_model_has_its_colour(tmp_path: Path, make_row: Any) -> None:
    """Its mean, the dashes of its seeds, its intervals and percentiles."""
    for seed, quality in enumerate((0.3, 0.4, 0.5)):
        make_row(tmp_path, "base", seed, AP=quality)
        make_row(tmp_path, "plug_in", seed, AP=quality + 0.1)
    interval = {("plug_in", "AP"): (0.05, 0.15)}
    for figure, models in ((latency(comparison(tmp_path), interval), 2), (verdict(comparison(tmp_path), interval), 1)):
        assert figure is not None
        marks = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", "", None)]
        wanted = [colour(0), colour(0), colour(1), colour(1)] if models == 2 else [colour(1)]
        assert [to_hex(line.get_color()).upper() for line in marks] == wanted
        if models == 2:
            for mark, places in zip(marks[1::2], ([0.3, 0.4, 0.5], [0.4, 0.5, 0.6]), strict=True):
                assert list(mark.get_xdata()) == [13.5] * 3 and list(mark.get_ydata()) == pytest.approx(places)
        spans = {to_hex(c).upper() for lines in figure.axes[0].collections for c in lines.get_color()}
        assert spans == set(wanted)


def test_nothing_to_draw(tmp_path: Path, make_row: Any) -> None:
    make_row(tmp_path, "base", changes={"cost": {}, "files": {}, "errors": {}, "per_class": {}})
    assert draw_plots(comparison(tmp_path)) == {}


def test_equal_rows_give_equal_bytes(tmp_path: Path, make_row: Any) -> None:
    for label in ("base", "plug_in"):
        make_row(tmp_path, label, AP=0.4)
    first, second = (
        [render(lambda: loss(comparison(tmp_path), {}), kind=kind) for kind in ("svg", "png")] for _ in range(2)
    )
    assert first == second and all(first)
    assert first[0] is not None and b"<svg" in first[0] and b"dc:date" not in first[0]


def test_colours_follow_the_order_of_the_models(tmp_path: Path, make_row: Any) -> None:
    labels = ["base", *(f"m{i}" for i in range(len(SERIES)))]
    for label in labels:
        make_row(tmp_path, label, AP=0.4)
    figure = loss(comparison(tmp_path), {})
    assert figure is not None
    drawn = [(to_hex(line.get_color()).upper(), line.get_linestyle()) for line in figure.axes[0].lines]
    assert [shade for shade, _ in drawn] == [colour(i) for i in range(len(labels))]
    assert len(set(drawn)) == len(labels)  # the eighth has the first's colour in another style


def test_no_two_models_look_alike() -> None:
    assert len({(colour(index), marker(index)) for index in range(40)}) == 40


def test_labels_are_inside_the_figure(tmp_path: Path, make_row: Any) -> None:
    """Long names in the legend and on the axis are not cut."""
    name = "deeplabv3plus-tu-mobilenetv3_large_100-imagenet"
    for label in ("base", name):
        make_row(tmp_path, label, AP=0.4, changes={"per_class": {"a class with a rather long name": 0.5}})
    png = render(lambda: classes(comparison(tmp_path), {}), kind="png")
    assert png is not None
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    assert pixels.min() < 128
    for edge in (pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:]):
        assert edge.min() > 250


def test_two_models_share_the_band_of_a_metric(tmp_path: Path, make_row: Any) -> None:
    for label, found in (("base", 0.4), ("a", 0.5), ("b", 0.3)):
        make_row(tmp_path, label, AP=found, AP50=found)
    shown = dots(metrics(comparison(tmp_path), {}))
    assert shown["a"] == [(pytest.approx(0.1), pytest.approx(k - 0.2)) for k in range(2)]
    assert shown["b"] == [(pytest.approx(-0.1), pytest.approx(k + 0.2)) for k in range(2)]


def test_a_difference_of_a_thousandth_does_not_fill_the_plot(tmp_path: Path, make_row: Any) -> None:
    """A tenth of the value is the least height; the legend has a line for each model."""
    make_row(tmp_path, "base", AP=0.4)
    make_row(tmp_path, "plug_in", AP=0.401)
    figure = latency(comparison(tmp_path), {})
    assert figure is not None and figure.axes[0].get_ylim() == pytest.approx((0.4005 - 0.02005, 0.4005 + 0.02005))
    assert figure.legends[0]._ncols == 1
