"""An epoch of LeNet-5 on Fashion-MNIST with Adam, as a program: epoch_torch.py FORMAT FOLDER BATCH THREADS."""

import sys

import torch
import torch.nn.functional as functional
from torch import nn

import serve

memory_format = torch.channels_last if sys.argv[1] == "channels_last" else torch.contiguous_format
folder, batch, threads = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
torch.set_num_threads(threads)
torch.manual_seed(0)


def pictures(part):
    images = torch.from_numpy(serve.read_idx(folder, f"{part}-images-idx3-ubyte").copy()).float().div_(255)
    labels = torch.from_numpy(serve.read_idx(folder, f"{part}-labels-idx1-ubyte").copy()).long()
    return images[:, None].contiguous(memory_format=memory_format), labels


model = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
).to(memory_format=memory_format)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
x, y = pictures("train")
# Slices of a permutation: twice as fast as a DataLoader.
order = torch.randperm(len(y))
for begin in range(0, len(order), batch):
    rows = order[begin:begin + batch]
    optimizer.zero_grad(set_to_none=True)
    functional.cross_entropy(model(x[rows]), y[rows]).backward()
    optimizer.step()
x, y = pictures("t10k")
with torch.inference_mode():
    right = sum((model(x[place:place + 1000]).argmax(1) == y[place:place + 1000]).sum().item()
                for place in range(0, len(y), 1000))
print(right / len(y))
