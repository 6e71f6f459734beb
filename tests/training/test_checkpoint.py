import pytest
import torch
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import DataError, ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.training import adam, cross_entropy, fit, sgd

TRAIN, VALIDATION = digits("train")[:150], digits("validation")[:60]
OPTIONS = {"epochs": 6, "batch_size": 32, "validation": VALIDATION}


class Noisy(nn.Module):
    """A network with all that could be forgotten: running statistics and draws from the global state."""

    def __init__(self):
        super().__init__()
        self.inner = mlp((64, 12, 10), generator=torch.Generator().manual_seed(1))
        self.norm = nn.BatchNorm1d(64, dtype=torch.float64)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        return self.inner(self.drop(self.norm(x)))


def step(model, batch, generator):
    noise = 0.1 * torch.randn(batch.x.shape, generator=generator, dtype=batch.x.dtype)
    return cross_entropy(model, Split(batch.x + noise, batch.y), generator)


def seeded():
    return torch.Generator().manual_seed(5)


def interrupted_at(number):
    def interrupt(epoch):
        if epoch.number == number:
            raise KeyboardInterrupt

    return interrupt


def same(one, other):
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("optimizer", [sgd(0.1, momentum=0.9), adam(0.01)], ids=["sgd", "adam"])
@pytest.mark.parametrize("at", [1, 4, 6])
def test_property_a_resumed_run_ends_bit_for_bit_as_an_uninterrupted_one(optimizer, at, tmp_path):
    whole, g = Noisy(), seeded()
    history = fit(whole, TRAIN, generator=g, step=step, optimizer=optimizer, **OPTIONS)
    options = {**OPTIONS, "step": step, "optimizer": optimizer, "checkpoint": tmp_path / "run.pt"}
    with pytest.raises(KeyboardInterrupt):
        fit(Noisy(), TRAIN, generator=seeded(), callbacks=[interrupted_at(at)], **options)
    resumed, h, told = Noisy(), torch.Generator().manual_seed(99), []
    assert fit(resumed, TRAIN, generator=h, callbacks=[told.append], **options) == history
    assert same(resumed, whole)
    assert torch.equal(h.get_state(), g.get_state())
    assert [epoch.number for epoch in told] == list(range(at + 1, 7))


def test_property_an_interruption_within_an_epoch_resumes_at_its_start(tmp_path):
    whole, calls = Noisy(), []
    history = fit(whole, TRAIN, generator=seeded(), step=step, **OPTIONS)

    def breaking(model, batch, generator):
        calls.append(1)
        if len(calls) == 13:  # five batches an epoch: the third of the third
            raise KeyboardInterrupt
        return step(model, batch, generator)

    options = {**OPTIONS, "checkpoint": tmp_path / "run.pt"}
    with pytest.raises(KeyboardInterrupt):
        fit(Noisy(), TRAIN, generator=seeded(), step=breaking, **options)
    resumed = Noisy()
    assert fit(resumed, TRAIN, generator=seeded(), step=step, **options) == history
    assert same(resumed, whole)


def test_property_patience_remembers_the_best_across_an_interruption(tmp_path):
    labels = Split(TRAIN.x, torch.randint(10, (150,), generator=seeded()))
    options = {**OPTIONS, "epochs": 40, "patience": 4, "step": step}
    whole = Noisy()
    history = fit(whole, labels, generator=seeded(), **options)
    assert history.stopped == "patience"
    options["checkpoint"] = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        fit(Noisy(), labels, generator=seeded(), callbacks=[interrupted_at(history.best_epoch + 2)], **options)
    resumed = Noisy()
    assert fit(resumed, labels, generator=seeded(), **options) == history
    assert same(resumed, whole)


def test_property_a_finished_run_gives_its_result_at_once(tmp_path):
    path, one, other, told = tmp_path / "new" / "run.pt", Noisy(), Noisy(), []
    history = fit(one, TRAIN, generator=seeded(), checkpoint=path, **OPTIONS)
    assert fit(other, TRAIN, generator=seeded(), checkpoint=str(path), callbacks=[told.append], **OPTIONS) == history
    assert same(one, other)
    assert not other.training
    assert told == []
    assert [file.name for file in path.parent.iterdir()] == ["run.pt"]


def test_property_an_interruption_while_writing_leaves_the_last_whole_file(tmp_path, monkeypatch):
    path, whole = tmp_path / "run.pt", Noisy()
    history = fit(whole, TRAIN, generator=seeded(), step=step, **OPTIONS)
    real, calls = torch.save, []

    def breaking(content, file):
        calls.append(1)
        if len(calls) == 3:
            file.write(b"half")
            raise KeyboardInterrupt
        real(content, file)

    monkeypatch.setattr(torch, "save", breaking)
    with pytest.raises(KeyboardInterrupt):
        fit(Noisy(), TRAIN, generator=seeded(), step=step, checkpoint=path, **OPTIONS)
    monkeypatch.undo()
    resumed, told = Noisy(), []
    options = {**OPTIONS, "checkpoint": path, "callbacks": [told.append]}
    assert fit(resumed, TRAIN, generator=seeded(), step=step, **options) == history
    assert told[0].number == 3
    assert same(resumed, whole)


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "other content", "other format", "other states"])
def test_error_a_broken_checkpoint_says_what_to_do_and_leaves_the_model(damage, tmp_path):
    path = tmp_path / "run.pt"
    fit(Noisy(), TRAIN, generator=seeded(), checkpoint=path, **OPTIONS)
    content = torch.load(path, weights_only=True)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "text":
        path.write_text("not a checkpoint")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other content":
        torch.save({"weights": torch.zeros(3)}, path)
    elif damage == "other format":
        torch.save({**content, "format": 99}, path)
    else:
        torch.save({**content, "optimizer": {}}, path)
    model, g = Noisy(), seeded()
    with pytest.raises(DataError, match=r"the checkpoint .*run\.pt .*delete it to start afresh"):
        fit(model, TRAIN, generator=g, checkpoint=path, **OPTIONS)
    assert same(model, Noisy())
    assert model.training
    assert torch.equal(g.get_state(), seeded().get_state())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epochs": 9}, "epochs 6 -> 9"),
        ({"batch_size": 16}, "batch_size 32 -> 16"),
        ({"optimizer": adam(0.1)}, "optimizer 'SGD' -> 'Adam'"),
        ({"optimizer": sgd(0.2)}, r"learning rates \[0.1\] -> \[0.2\]"),
        ({"validation": None}, "validation examples 60 -> None"),
        ({"patience": 2}, "patience None -> 2"),
    ],
)
def test_error_a_checkpoint_of_another_run_names_the_difference(change, said, tmp_path):
    path = tmp_path / "run.pt"
    fit(Noisy(), TRAIN, generator=seeded(), checkpoint=path, **OPTIONS)
    model = Noisy()
    with pytest.raises(ParameterError, match=rf"belongs to another run \({said}\); give the settings of that run"):
        fit(model, TRAIN, generator=seeded(), checkpoint=path, **{**OPTIONS, **change})
    assert same(model, Noisy())


def test_error_a_checkpoint_of_another_network(tmp_path):
    path = tmp_path / "run.pt"
    fit(Noisy(), TRAIN, generator=seeded(), checkpoint=path, **OPTIONS)
    other = mlp((64, 7, 10), generator=seeded())
    before = flatten(other)
    with pytest.raises(ParameterError, match="belongs to another run"):
        fit(other, TRAIN, generator=seeded(), checkpoint=path, **OPTIONS)
    assert torch.equal(flatten(other), before)
