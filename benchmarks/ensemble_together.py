"""Ten networks of one kind, trained together and one after the other."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from benchmarks.race import Race
from weightlore.data import Split, digits
from weightlore.networks import cnn, mlp
from weightlore.parameters import flatten
from weightlore.training import MakeOptimizer, adam, sgd
from weightlore.uncertainty.deterministic import GaussianHead
from weightlore.uncertainty.ensembles import fit_ensemble
from weightlore.uncertainty.ensembles.fitting import MakeMember, make_one
from weightlore.uncertainty.ensembles.lessons import Order, loss_of, own_generators

MEMBERS = 10


def races() -> list[Race]:
    train = digits("train")
    generator = torch.Generator().manual_seed(2)
    wide = Split(torch.rand(6400, 784, generator=generator), torch.randint(0, 10, (6400,), generator=generator))
    line = torch.linspace(-3, 3, 512, dtype=torch.float64)[:, None]
    sine = Split(line, line.sin() + 0.1 * torch.randn(512, 1, generator=generator, dtype=torch.float64))
    return [
        _race("digits MLP", "MLP 64-64-32-10, float64, batches of 64", lambda g: mlp(generator=g), train, epochs=5),
        _race(
            "digits CNN",
            "CNN with 8 and 16 channels, float64, batches of 64",
            lambda g: cnn(generator=g),
            train,
            target=None,
        ),
        _race(
            "wide MLP",
            "MLP 784-64-10, float32, batches of 128, Adam",
            _wide,
            wide,
            batch_size=128,
            maker=adam(1e-3),
            target=None,
        ),
        _race(
            "wide MLP, one order",
            "MLP 784-64-10, float32, batches of 128 in one order for all, Adam",
            _wide,
            wide,
            batch_size=128,
            maker=adam(1e-3),
            order="shared",
        ),
        _race(
            "regression",
            "MLP 1-50-50 with a mean-variance head, float64, batches of 64, Adam",
            _sine(sine.y),
            sine,
            epochs=4,
            maker=adam(1e-2),
        ),
    ]


def _wide(generator: torch.Generator) -> nn.Module:
    return mlp((784, 64, 10), generator=generator, dtype=torch.float32)


def _sine(y: Tensor) -> MakeMember:
    def make(generator: torch.Generator) -> nn.Module:
        trunk = mlp((1, 50, 50), generator=generator)
        return nn.Sequential(trunk, nn.ReLU(), GaussianHead(50, y, generator=generator))

    return make


def _members(make: MakeMember) -> tuple[list[torch.Generator], list[nn.Module]]:
    own = own_generators(MEMBERS, torch.Generator().manual_seed(0))
    return own, [make_one(make, generator) for generator in own]


def _sources(own: list[torch.Generator], order: Order) -> list[torch.Generator]:
    """Where the orders come from: the members, or clones of one more generator."""
    if order == "own":
        return own
    seed = own_generators(MEMBERS + 1, torch.Generator().manual_seed(0))[-1].initial_seed()
    return [torch.Generator().manual_seed(seed) for _ in own]


def _orders(generators: list[torch.Generator], size: int) -> Tensor:
    """The orders of an epoch, as ``training.fit`` draws them."""
    for generator in generators:
        torch.randint(2**62, (), generator=generator)
    return torch.stack([torch.randperm(size, generator=generator) for generator in generators])


def _plain_loop(make: MakeMember, data: Split, maker: MakeOptimizer, batch_size: int, epochs: int, order: Order):
    """What one writes without a package: member by member, batch by batch."""

    def run() -> Tensor:
        own, members = _members(make)
        for generator, member in zip(_sources(own, order), members, strict=True):
            tuner = maker(member.parameters())
            for _ in range(epochs):
                for rows in _orders([generator], len(data))[0].split(batch_size):
                    tuner.zero_grad()
                    loss_of(member(data.x[rows]), data.y[rows]).backward()
                    tuner.step()
        return torch.stack([flatten(member) for member in members])

    return run


def _vmap(make: MakeMember, data: Split, maker: MakeOptimizer, batch_size: int, epochs: int, order: Order):
    """The tutorial of torch: parameters stacked, the network mapped over them; cross-entropy only."""

    def run() -> Tensor:
        own, members = _members(make)
        shared, dims = order == "shared", (0, None, None) if order == "shared" else 0
        orders = _sources(own, order)[: 1 if shared else MEMBERS]
        stacked = {name: p.detach().requires_grad_() for name, p in stack_module_state(members)[0].items()}
        tuner, first = maker(stacked.values()), members[0]

        def loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            return F.cross_entropy(functional_call(first, parameters, (x,)), y)

        for _ in range(epochs):
            for rows in _orders(orders, len(data)).split(batch_size, 1):
                rows = rows[0] if shared else rows
                tuner.zero_grad()
                vmap(loss, dims)(stacked, data.x[rows], data.y[rows]).sum().backward()
                tuner.step()
        return torch.cat([p.detach().flatten(1) for p in stacked.values()], 1)

    return run


def _race(
    name: str,
    what: str,
    make: MakeMember,
    data: Split,
    batch_size: int = 64,
    epochs: int = 1,
    maker: MakeOptimizer | None = None,
    target: float | None = 2.0,
    order: Order = "own",
) -> Race:
    maker = maker or sgd(0.05, momentum=0.9)

    def ours(engine):
        def run() -> Tensor:
            ensemble = fit_ensemble(
                make,
                data,
                members=MEMBERS,
                generator=torch.Generator().manual_seed(0),
                epochs=epochs,
                batch_size=batch_size,
                optimizer=maker,
                schedule=None,
                order=order,
                engine=engine,
            )
            return torch.stack([flatten(member) for member in ensemble.members])

        return run

    contestants = {
        "plain loop": _plain_loop(make, data, maker, batch_size, epochs, order),
        "training.fit": ours("loop"),
        "torch.func.vmap": _vmap(make, data, maker, batch_size, epochs, order),
        "fit_ensemble": ours("auto"),
    }
    if data.y.is_floating_point():
        del contestants["torch.func.vmap"]
    return Race(
        name=name,
        what=f"{MEMBERS} members, epochs: {epochs}, {what}",
        contestants=contestants,
        candidate="fit_ensemble",
        reference="plain loop",
        tolerance=1e-6 if data.x.dtype == torch.float64 else 1e-3,
        targets={} if target is None else {"plain loop": target},
    )
