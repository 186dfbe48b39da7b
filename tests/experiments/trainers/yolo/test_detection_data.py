"""Detection data is read as Ultralytics reads it, and broken data is refused with the file's name and line."""

from pathlib import Path

import pytest
import yaml
from PIL import Image

from experiments.cells.record import hash_files
from experiments.errors import SpecError
from experiments.trainers.yolo.detection_data import ground_truth, label_file, open_detection


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two training images and one for validation, 40 x 20 px, in a folder named images itself."""
    for split, names in (("train", "ab"), ("val", "c")):
        for name in names:
            (tmp_path / "images" / split).mkdir(parents=True, exist_ok=True)
            (tmp_path / "labels" / split).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 20)).save(tmp_path / "images" / split / f"{name}.jpg")
            (tmp_path / "labels" / split / f"{name}.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    return tmp_path


def test_folder(root: Path) -> None:
    data = open_detection(root)
    assert data.names == ("dog", "cat")
    assert [path.name for path in data.train] == ["a.jpg", "b.jpg"]
    assert len(data.files) == 6


def test_yaml_means_the_same(root: Path) -> None:
    path = root / "data.yaml"
    path.write_text("train: images/train\nval: images/val\nnames: {0: dog, 1: cat}\n")
    assert open_detection(path) == open_detection(root)
    (root / "classes.txt").unlink()
    assert open_detection(root) == open_detection(path)


def test_written_yaml_is_read_back(root: Path, tmp_path: Path) -> None:
    data = open_detection(root)
    folder = tmp_path / "cell"
    folder.mkdir()
    written = data.write_yaml(folder)
    assert yaml.safe_load(written.read_text())["names"] == {0: "dog", 1: "cat"}
    assert open_detection(written) == data


@pytest.fixture
def train_only(tmp_path: Path) -> Path:
    """60 training images of two classes, 40 and 20, and a class list; no val."""
    for kind in ("images", "labels"):
        (tmp_path / kind / "train").mkdir(parents=True)
    for number in range(60):
        Image.new("RGB", (8, 8)).save(tmp_path / "images" / "train" / f"{number:02}.png")
        (tmp_path / "labels" / "train" / f"{number:02}.txt").write_text(f"{int(number < 20)} 0.5 0.5 0.5 0.5\n")
    (tmp_path / "classes.txt").write_text("dog\ncat\n")
    return tmp_path


def test_a_share_of_train_is_held_out_class_by_class(train_only: Path, tmp_path: Path) -> None:
    data = open_detection(train_only, val_share=0.2)
    assert not {*data.train} & {*data.val} and len({*data.train} | {*data.val}) == 60
    assert sum(int(image.stem) < 20 for image in data.val) == 4 and len(data.val) == 12
    assert data == open_detection(train_only, val_share=0.2)
    assert set(data.val) != set(open_detection(train_only, val_share=0.2, split_seed=1).val)
    assert hash_files(data.files) == hash_files(open_detection(train_only, val_share=0.5).files)  # of the same data
    assert open_detection(data.write_yaml(tmp_path)) == data


def test_a_val_split_is_never_passed_over(root: Path) -> None:
    with pytest.raises(SpecError, match=r"val_share 0\.2, but there is a val split .+remove val_share"):
        open_detection(root, val_share=0.2)


def test_no_val_split(train_only: Path) -> None:
    with pytest.raises(SpecError, match="val does not exist; a spec's val_share can hold out"):
        open_detection(train_only)
    path = train_only / "data.yaml"
    path.write_text("train: images/train\nnames: [dog, cat]\n")
    with pytest.raises(SpecError, match="key 'val' is missing; a spec's val_share can hold out"):
        open_detection(path)
    assert open_detection(path, val_share=0.2) == open_detection(train_only, val_share=0.2)
    with pytest.raises(SpecError, match=r"val_share 0\.01 of 60 images leaves train or val empty"):
        open_detection(path, val_share=0.01)


def test_label_file_replaces_the_last_images() -> None:
    assert label_file(Path("/images/x/images/train/a.b.jpg")) == Path("/images/x/labels/train/a.b.txt")


def test_ground_truth_in_pixels(root: Path) -> None:
    rows = "1 0.5 0.5 0.25 0.5\n1 0.5 0.5 0.25 0.5\n0 0.1 0.1 0.3 0.1 0.3 0.5\n"  # a box twice, a polygon
    (root / "labels" / "val" / "c.txt").write_text(rows)
    data = open_detection(root)
    truth = ground_truth(data.val, data.names)
    polygon, box = truth["annotations"]
    assert box["bbox"] == pytest.approx([15, 5, 10, 10]) and box["area"] == pytest.approx(100)
    assert box["category_id"] == 2 and truth["categories"][1] == {"id": 2, "name": "cat"}
    assert polygon["bbox"] == pytest.approx([4, 2, 8, 8])
    assert (truth["images"][0]["width"], truth["images"][0]["height"]) == (40, 20)


def test_turned_photo_has_its_shown_size(root: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (40, 20)).save(root / "images" / "val" / "c.jpg", exif=exif)
    data = open_detection(root)
    image = ground_truth(data.val, data.names)["images"][0]
    assert (image["width"], image["height"]) == (20, 40)


def test_image_without_label_file_is_background(root: Path) -> None:
    (root / "labels" / "val" / "c.txt").unlink()
    data = open_detection(root)
    assert ground_truth(data.val, data.names)["annotations"] == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2 0.5 0.5 0.1 0.1", "class 2 is not among the 2 names"),
        ("-1 0.5 0.5 0.1 0.1", "class -1"),
        ("1 0.5 0.5 0.1", "need class x y w h"),
        ("1 50 50 10 10", "fractions"),
        ("one 0.5 0.5 0.1 0.1", "not numbers"),
    ],
)
def test_bad_label_is_refused(root: Path, row: str, words: str) -> None:
    path = root / "labels" / "train" / "b.txt"
    path.write_text(f"0 0.5 0.5 0.1 0.1\n{row}\n")
    with pytest.raises(SpecError, match=words) as caught:
        open_detection(root)
    assert f"{path}:2" in str(caught.value)


def test_missing_parts_are_named(root: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.txt: a detection data set is a folder"):
        open_detection(root / "nowhere.txt")
    (root / "classes.txt").rename(root / "names.txt")
    with pytest.raises(SpecError, match=r"classes\.txt is missing"):
        open_detection(root)
    (root / "data.yaml").write_text("train: images/train\nnames: [dog]\n")
    with pytest.raises(SpecError, match="'val' is missing"):
        open_detection(root / "data.yaml")
    (root / "data.yaml").write_text("train: images/trian\nval: images/val\nnames: [dog, cat]\n")
    with pytest.raises(SpecError, match="trian does not exist"):
        open_detection(root / "data.yaml")


def test_images_without_any_label_are_refused(root: Path) -> None:
    for path in (root / "labels" / "train").iterdir():
        path.unlink()
    with pytest.raises(SpecError, match="no label file found"):
        open_detection(root)


def test_hash_sees_content_and_names_not_place(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = hash_files(open_detection(root).files)
    moved = root.rename(tmp_path_factory.mktemp("elsewhere") / "data")
    assert hash_files(open_detection(moved).files) == first
    (moved / "labels" / "train" / "a.txt").write_text("1 0.5 0.5 0.25 0.4\n")
    assert hash_files(open_detection(moved).files) != first
