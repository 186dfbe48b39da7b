"""Training steps of stock yolov8n, one for each line on standard input, its CPU seconds on standard output.

Run as a file by experiments/speed/models.py, which lets four of them take turns: `with` loads yoloplug's bridge as any
Python process of the environment does, `without` takes it away before Ultralytics is imported.
"""

import sys
import time
from types import SimpleNamespace

with_bridge = sys.argv[1] == "with"
if not with_bridge:
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "yoloplug.boot"]

import torch  # noqa: E402
from ultralytics import YOLO  # noqa: E402

assert ("yoloplug.bridge" in sys.modules) == with_bridge, sorted(m for m in sys.modules if m.startswith("yoloplug"))
torch.set_num_threads(1)
torch.manual_seed(0)
model = YOLO("yolov8n.yaml").model
assert isinstance(model, torch.nn.Module)
model.train()
model.args = SimpleNamespace(**model.args)
optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
batch = {
    "img": torch.rand(4, 3, 160, 160),
    "batch_idx": torch.arange(4).float(),
    "cls": torch.ones(4, 1),
    "bboxes": torch.full((4, 4), 0.4),
}


def step() -> None:
    optimizer.zero_grad()
    loss, _ = model(batch)
    loss.sum().backward()
    optimizer.step()


step()
print("ready", flush=True)
for _ in sys.stdin:
    start = time.process_time()
    step()
    print(time.process_time() - start, flush=True)
