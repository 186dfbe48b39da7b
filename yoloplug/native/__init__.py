"""C kernels for what is slow in torch on a CPU, forward and backward; torch computes wherever they do not apply.

They come with the wheel, or are compiled once into the user's cache folder where a C compiler is installed.
`YOLOPLUG_NATIVE=0` turns them off; `status()`, and `yoloplug blocks --native`, tell what is in use.
"""

from yoloplug.native.library import Status, status

__all__ = ["Status", "status"]
