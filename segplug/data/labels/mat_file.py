"""CFD's labels: .mat files of regions."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segplug.arrays import Pixels
from segplug.data.labels.size import sized
from segplug.errors import SegplugError, one_line


@dataclass(frozen=True)
class MatFile:
    """CFD's groundTruth.Segmentation: 1 background, 2 crack, whatever `crack` says else."""

    path: Path
    crack: tuple[int, ...] | None = None

    def values(self, height: int, width: int, image: Path) -> Pixels:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError

        try:
            regions = np.asarray(loadmat(self.path)["groundTruth"]["Segmentation"].item())
        except NotImplementedError as error:  # scipy's word for HDF5
            raise SegplugError(f'{self.path}: MATLAB 7.3 file; save it again with save(…, "-v7")') from error
        except (KeyError, IndexError, ValueError, TypeError, OSError, EOFError, MatReadError) as error:
            reason = one_line(error)
            raise SegplugError(
                f"{self.path}: not a .mat file with groundTruth.Segmentation ({reason}); restore or remove it"
            ) from error
        if regions.ndim != 2 or not np.issubdtype(regions.dtype, np.number):
            raise SegplugError(f"{self.path}: Segmentation is {regions.shape} {regions.dtype}, wanted a matrix of ids")
        sized(regions, self.path, height, width, image)
        found = np.unique(regions).tolist()
        if self.crack is None and not set(found) <= {1, 2}:
            raise SegplugError(
                f"{self.path}: region ids {', '.join(f'{v:g}' for v in found[:6])}, expected 1 (background) and "
                "2 (crack); say which are crack, as --crack-values 2,3"
            )
        return np.isin(regions, self.crack or (2,)).astype(np.uint8)
