"""Check a data set as a whole: `check(source)` reads every photograph and label once or twice and never trains."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segplug.data.check.duplicates import NEAR_BITS, same_images, shared_sources, similar_images
from segplug.data.check.image_facts import ImageFacts, LabelFacts, image_facts, label_facts
from segplug.data.finding import Finding, some
from segplug.data.images.reading import further_pages
from segplug.data.labels.mask_encoding import Encoding, sure_encoding
from segplug.data.labels.mask_file import MappedMask, MaskFile
from segplug.data.readers import CrackData, open_data
from segplug.data.sample import Sample
from segplug.data.source import DataSource
from segplug.errors import SegplugError
from segplug.notes import Note, silent

FULL, MOSTLY = 0.99, 0.5
SPECK_SHARE = 0.2
SIZES_SHOWN = 8
LINE = 1000  # characters


@dataclass(frozen=True)
class CheckResult:
    """summary: counts, sizes and shares, JSON-able. findings: what is to be cured, nothing when all is well."""

    about: str
    summary: dict[str, Any]
    findings: list[Finding]

    def json(self) -> dict[str, Any]:
        """Everything, with the full lists of files."""
        return {"data": self.about, **self.summary, "findings": [asdict(finding) for finding in self.findings]}

    def text(self) -> str:
        """What `segplug check` prints."""
        lines = [self.about, f"masks: {self.summary['encoding'] or 'undecided, see below'}"]
        lines.append(f"{'split':8}{'images':>8}{'empty':>8}   crack share of an image: min / median / max")
        for split, row in self.summary["splits"].items():
            shares = " / ".join(f"{100 * row[k]:.2f} %" for k in ("crack_min", "crack_median", "crack_max"))
            lines.append(f"{split:8}{row['images']:8}{row['empty']:8}   {shares if row['readable'] else '-'}")
        sizes = self.summary["sizes"]
        shown = ", ".join(f"{size} ({count})" for size, count in list(sizes.items())[:SIZES_SHOWN])
        more = f", {len(sizes) - SIZES_SHOWN} further sizes" if len(sizes) > SIZES_SHOWN else ""
        lines.append(f"sizes: {shown}{more}; {self.summary['turned_by_exif']} turned by their camera's EXIF tag")
        lines.append(f"crack pieces: {self.summary['pieces']}, of them single pixels: {self.summary['specks']}")
        if not self.findings:
            return "\n".join([*lines, "nothing to cure"])
        lines.append(f"{len(self.findings)} to cure:")
        for finding in self.findings:
            where = f" ({finding.split})" if finding.split not in (None, "all") else ""
            lines.append(f"- {finding.kind}{where}: {finding.text}")
            lines += [f"  cure: {finding.remedy}"] if finding.remedy else []
        return "\n".join(line if len(line) <= LINE else f"{line[:LINE]} …" for line in lines)


def check(source: DataSource | CrackData | Path | str, note: Note = silent) -> CheckResult:
    """Read every image and label of every split and list what is wrong.

    Raises SegplugError only where no data can be found at all; every broken file is a finding.
    """
    data = open_data(source)
    source = data.source
    findings = list(data.findings)
    todo = [(sample, split) for split, samples in data.splits.items() for sample in samples]
    images: list[ImageFacts] = []
    with ThreadPoolExecutor(4) as pool:
        for i, facts in enumerate(pool.map(lambda t: image_facts(*t), todo)):
            images.append(facts)
            if len(todo) >= 200 and (i + 1) % (len(todo) // 5) == 0:
                note(f"{i + 1}/{len(todo)} images read")
        broken = [image for image in images if image.error]
        sound = [image for image in images if not image.error]
        encoding = _encoding(sound, source, findings)
        decided = [i for i, image in enumerate(sound) if image.stored is None or encoding is not None]
        facts_of = pool.map(lambda i: label_facts(sound[i].sample, *sound[i].size[::-1], encoding), decided)
        labels: dict[int, LabelFacts] = dict(zip(decided, facts_of, strict=True))
    findings += [
        Finding("unreadable", *_fault(image.error), image.split, (str(image.sample.image),)) for image in broken
    ]
    files = [file for sample, _ in todo for file in (sample.image, sample.label.path)]
    if several := tuple(str(file) for file in files if further_pages(file)):
        text = f"the first page is read, the others are not: {some(several)}"
        findings.append(Finding("several pages", text, "save each page as a file of its own", None, several))
    findings += _label_findings(sound, labels)
    findings += [*same_images(sound, labels), *similar_images(sound), *shared_sources(images, source.source_rule)]
    sizes = Counter(f"{w}x{h}" for w, h in (image.size for image in sound))
    summary = {
        "format": data.format,
        "images": len(todo),
        "encoding": _reading(encoding, todo),
        "splits": {split: _split_row(split, images, sound, labels) for split in data.splits},
        "sizes": dict(sizes.most_common()),
        "turned_by_exif": sum(image.turned for image in sound),
        "pieces": sum(label.pieces for label in labels.values()),
        "specks": sum(label.specks for label in labels.values()),
        "near_duplicate_bits_of_512": NEAR_BITS,
    }
    return CheckResult(str(data), summary, findings)


def _reading(encoding: Encoding | None, todo: Sequence[tuple[Sample, str]]) -> str | None:
    """How the labels are read, in words; None: undecided."""
    if encoding is not None:
        return encoding.about
    if any(isinstance(sample.label, MaskFile) for sample, _ in todo):
        return None
    return "class ids" if any(isinstance(sample.label, MappedMask) for sample, _ in todo) else "drawn from outlines"


def _encoding(sound: Sequence[ImageFacts], source: DataSource, findings: list[Finding]) -> Encoding | None:
    files = [image.stored for image in sound if image.stored is not None]
    try:
        return sure_encoding(files, source.mask_rules())
    except SegplugError as error:
        findings.append(Finding("mask values", *_fault(error)))
        return None


def _label_findings(sound: Sequence[ImageFacts], labels: dict[int, LabelFacts]) -> list[Finding]:
    findings: list[Finding] = []

    def add(kind: str, text: str, remedy: str, files: Sequence[object]) -> None:
        findings.append(Finding(kind, text, remedy, None, tuple(map(str, files))))

    by_share = {i: label.crack_share for i, label in labels.items()}
    full = [sound[i] for i, share in by_share.items() if share >= FULL]
    mostly = [sound[i] for i, share in by_share.items() if MOSTLY < share < FULL]
    for kind, group, remedy in (
        ("all crack", full, "label them again; black cracks on white need --mask-values"),
        ("mostly crack", mostly, "look at them: is crack the other value here?"),
    ):
        if group:
            files = [image.sample.label.path for image in group]
            add(kind, f"{len(group)} labels: {some(files)}", remedy, files)
    if bare := [sound[i].sample.label.path for i, label in labels.items() if label.labelled_share == 0]:
        add("no labelled pixel", f"{len(bare)} labels: {some(bare)}", "remove these images", bare)
    if labels and not any(by_share.values()):
        add("no crack", f"none of {len(labels)} labels has a crack", "check the labels' values", ())
    pieces, specks = (sum(getattr(label, k) for label in labels.values()) for k in ("pieces", "specks"))
    if specks > SPECK_SHARE * pieces:
        worst = sorted(labels, key=lambda i: -labels[i].specks)
        files = [sound[i].sample.label.path for i in worst if labels[i].specks]
        text = f"{specks} of {pieces} crack pieces are single pixels, most in {some(files)}"
        add("specks", text, "remove them, or redo masks that were resized or compressed", files)
    return findings


def _split_row(
    split: str, images: Sequence[ImageFacts], sound: Sequence[ImageFacts], labels: dict[int, LabelFacts]
) -> dict[str, Any]:
    shares = [label.crack_share for i, label in labels.items() if sound[i].split == split]
    low, middle, high = (float(f(shares)) if shares else 0.0 for f in (np.min, np.median, np.max))
    return {
        "images": sum(image.split == split for image in images),
        "readable": len(shares),
        "empty": sum(share == 0 for share in shares),
        "crack_min": low,
        "crack_median": middle,
        "crack_max": high,
    }


def _fault(error: SegplugError | OSError | None) -> tuple[str, str]:
    """What is wrong and, where the error tells them apart, the remedy."""
    return (
        (error.fault, error.remedy) if isinstance(error, SegplugError) else (str(error), "restore or remove the file")
    )
