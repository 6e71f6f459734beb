# ruff: noqa
import torch
import torch.nn.functional as F
from torch import nn

from weightlore.data import Split, digits

torch.set_default_dtype(torch.float64)  # so that every machine prints the same numbers; float32 works as well
torch.manual_seed(0)


class Block(nn.Module):  # two convolutions and a way around them, built as in torchvision
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            narrow = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(narrow, nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, width=8, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(Block(width, width))
        self.layer2 = nn.Sequential(Block(width, 2 * width, stride=2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(2 * width, classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class Reader(nn.Module):  # reads a digit row by row, as if it were a sentence of eight words
    def __init__(self, hidden=24, classes=10):
        super().__init__()
        self.lstm = nn.LSTM(8, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x):
        states, _ = self.lstm(x)
        return self.fc(states[:, -1])


def train(model, data, epochs=12, lr=0.01):  # a plain loop: yours will do
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for _ in range(epochs):
        for rows in torch.randperm(len(data.x)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(data.x[rows]), data.y[rows]).backward()
            optimizer.step()
    return model.eval()


def images(part):  # (N, 64) -> (N, 1, 8, 8)
    return Split(digits(part).x.reshape(-1, 1, 8, 8), digits(part).y)


def rows(part):  # (N, 64) -> (N, 8 rows, 8 pixels)
    return Split(digits(part).x.reshape(-1, 8, 8), digits(part).y)


resnet = train(ResNet(), images("train"))
reader = train(Reader(), rows("train"))
