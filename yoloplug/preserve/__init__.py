"""Function-preserving starts: a changed network computes at step 0 what the pretrained stock network computed.

A row says `preserve: true` among its options by name, `[256, True, {preserve: true}]`, where its block stands in the
place of a stock module, and `preserve: inserted` where there was none. That decides the structure, which Ultralytics
builds again from the YAML when it resumes, on every rank and for the average (EMA). The values come once, from the
pretrained module (`start_as` of the rows of `yoloplug.hosts`), in stock loading or `yoloplug transfer`.

Exact (`yoloplug.preserve.kernels`): a block that can be a plain convolution becomes the source's one; its gates, masks,
offsets and other branches start where they do nothing. No new parameters.
    Chen, Goodfellow, Shlens 2016 (Net2Net), https://arxiv.org/abs/1511.05641, sections 2.2 and 2.4: the larger network
    starts as the same function, with noise that breaks the symmetry of what was copied.
Beside (`yoloplug.preserve.beside`): every other block is added to the source's module with a factor of 0 per channel.
    Zhang, Dauphin, Ma 2019 (Fixup), https://arxiv.org/abs/1901.09321; De, Smith 2020 (SkipInit),
    https://arxiv.org/abs/2002.10444; Bachlechner et al. 2020 (ReZero), https://arxiv.org/abs/2003.04887.
"""

from yoloplug.preserve.beside import GAMMA, Beside, Preserve
from yoloplug.preserve.kernels import EXACT
from yoloplug.preserve.source import take_norm

__all__ = ["EXACT", "GAMMA", "Beside", "Preserve", "take_norm"]
