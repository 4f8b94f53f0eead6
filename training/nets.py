"""The two networks: plain convolutions that any runtime executes fast on a CPU.

Input of both: B×3×H×W float32, red, green, blue from 0 to 1, H and W multiples of 32. Training
only; what runs in the pipeline is their ONNX export.
"""

# Where the training extra is not installed, torch is unknown to the checker.
# mypy: allow-subclassing-any

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

NEAR_M, FAR_M = 1.0, 100.0
STRIDES = (8, 16, 32)
_CHANNELS = (16, 32, 64, 96, 96)


def conv(inner: int, outer: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    layer = nn.Conv2d(inner, outer, size, stride, size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outer, momentum=0.03), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        second = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.second = nn.Sequential(second, nn.BatchNorm2d(channels, momentum=0.03))

    def forward(self, x: Tensor) -> Tensor:
        """B×C×H×W to the same."""
        return functional.relu(x + self.second(self.first(x)))


class Body(nn.Module):
    """Five stages, each at half the size of the one before; gives the features of all."""

    def __init__(self, depths: tuple[int, ...]) -> None:
        super().__init__()
        inner = 3
        self.stages = nn.ModuleList()
        for channels, depth in zip(_CHANNELS, depths, strict=True):
            blocks = [Residual(channels) for _ in range(depth)]
            self.stages.append(nn.Sequential(conv(inner, channels, 3, 2), *blocks))
            inner = channels

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features at strides 2, 4, 8, 16, 32."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


class Detector(nn.Module):
    """Anchor-free boxes and class scores at strides 8, 16 and 32, no objectness."""

    centres: Tensor
    steps: Tensor

    def __init__(self, classes: int, height: int, width: int, middle: int = 56) -> None:
        super().__init__()
        self.classes = classes
        self.body = Body((0, 1, 2, 1, 1))
        self.lateral = nn.ModuleList(conv(channels, middle, 1) for channels in _CHANNELS[2:])
        self.fine = conv(_CHANNELS[1], middle, 3, 2)
        self.down_merge = nn.ModuleList(conv(middle, middle) for _ in range(2))
        self.up_stride = nn.ModuleList(conv(middle, middle, 3, 2) for _ in range(2))
        self.class_tower = nn.ModuleList(conv(middle, middle) for _ in STRIDES)
        self.box_tower = nn.ModuleList(conv(middle, middle) for _ in STRIDES)
        self.class_out = nn.ModuleList(nn.Conv2d(middle, classes, 1) for _ in STRIDES)
        self.box_out = nn.ModuleList(nn.Conv2d(middle, 4, 1) for _ in STRIDES)
        self._start()
        self._grid(height, width)

    def _start(self) -> None:
        for layer in self.class_out:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, -4.5)
        for layer in self.box_out:
            nn.init.normal_(layer.weight, std=0.01)
            layer.bias.data = torch.tensor([0.0, 0.0, 1.0, 1.0])

    def _grid(self, height: int, width: int) -> None:
        centres, steps = [], []
        for stride in STRIDES:
            rows, columns = height // stride, width // stride
            y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
            centres.append(torch.stack([x, y], -1).view(-1, 2) * stride + stride / 2)
            steps.append(torch.full((rows * columns, 1), float(stride)))
        self.register_buffer("centres", torch.cat(centres).float(), persistent=False)
        self.register_buffer("steps", torch.cat(steps), persistent=False)

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits B×N×C and box codes B×N×4, both float32."""
        features = self.body(x)
        p3, p4, p5 = (layer(feature) for layer, feature in zip(self.lateral, features[2:], strict=True))
        p4 = self.down_merge[1](p4 + _twice(p5))
        p3 = self.down_merge[0](p3 + _twice(p4) + self.fine(features[1]))
        p4 = p4 + self.up_stride[0](p3)
        p5 = p5 + self.up_stride[1](p4)
        logits, codes = [], []
        for level, feature in enumerate((p3, p4, p5)):
            logits.append(self.class_out[level](self.class_tower[level](feature)).flatten(2))
            codes.append(self.box_out[level](self.box_tower[level](feature)).flatten(2))
        return torch.cat(logits, 2).transpose(1, 2).float(), torch.cat(codes, 2).transpose(1, 2).float()

    def boxes(self, codes: Tensor) -> Tensor:
        """Codes to centre x, centre y, width, height in input pixels, B×N×4."""
        scaled = torch.cat([codes[..., :2], torch.exp(codes[..., 2:].clamp(-3, 5))], -1) * self.steps
        return torch.cat([scaled[..., :2] + self.centres, scaled[..., 2:]], -1)

    def forward(self, x: Tensor) -> Tensor:
        """B×(4+C)×N: boxes as in `boxes`, then class scores from 0 to 1."""
        logits, codes = self.raw(x)
        return torch.cat([self.boxes(codes), logits.sigmoid()], -1).transpose(1, 2)


class DepthNet(nn.Module):
    """Metres per pixel between 1 and 100; sky is 100."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Body((0, 1, 1, 1, 2))
        last = _CHANNELS[-1]
        self.context = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(last, last, 1), nn.ReLU())
        self.narrow = nn.ModuleList(conv(_CHANNELS[i + 1], _CHANNELS[i], 1) for i in range(4))
        self.merge = nn.ModuleList(conv(_CHANNELS[i], _CHANNELS[i]) for i in range(4))
        self.out = nn.Conv2d(_CHANNELS[0], 1, 3, 1, 1)

    def log_metres(self, x: Tensor) -> Tensor:
        """Logarithm of the depth in metres at half the size, B×1×H/2×W/2; what training looks at."""
        features = self.body(x)
        y = features[4] + self.context(features[4])
        for level in (3, 2, 1, 0):
            y = self.merge[level](features[level] + _twice(self.narrow[level](y)))
        share = torch.sigmoid(self.out(y).float())
        return math.log(NEAR_M) + math.log(FAR_M / NEAR_M) * share

    def forward(self, x: Tensor) -> Tensor:
        """Depth in metres, B×1×H×W float32."""
        log = functional.interpolate(
            self.log_metres(x), scale_factor=2.0, mode="bilinear", align_corners=False
        )
        return torch.exp(log)
