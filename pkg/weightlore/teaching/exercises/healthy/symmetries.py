"""Two symmetries of the healthy network: hidden units change places, and a layer grows as the next one shrinks."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn

from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy
from weightlore.parameters import ParameterLayout, call, flatten, layout
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.general import as_numbers
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["PERMUTE", "RESCALE"]

NAMES, WORDS, UNITS = ("layers.0", "layers.1", "readout"), ("first", "second"), (64, 32)


@cache
def _network() -> nn.Module:
    return healthy()


@cache
def _layout() -> ParameterLayout:
    return layout(_network())


@cache
def _theta() -> Tensor:
    return flatten(_network())


@cache
def _x() -> Tensor:
    return digits().x


@cache
def _logits() -> Tensor:
    return call(_network(), _theta(), _x()).detach()


def _same_function(theta: Tensor) -> bool:
    """Return whether the network answers all test digits as before."""
    return bool(torch.allclose(call(_network(), theta, _x()).detach(), _logits(), rtol=0.0, atol=1e-8))


def _vector(answer: object) -> Tensor:
    numbers, trouble = as_numbers(answer)
    if trouble or numbers.shape != _theta().shape:
        raise ParameterError(f"theta is one vector of {len(_theta())} numbers, got shape {numbers.shape}")
    return torch.from_numpy(numbers)


def _parts(answer: object) -> dict[str, Tensor]:
    return _layout().split(_vector(answer))


def _kept(answer: object, name: str) -> bool:
    """Return whether a parameter is as it was."""
    return torch.equal(_parts(answer)[name], _parts(_theta())[name])


def _same_entries(answer: object) -> bool:
    return torch.equal(_vector(answer).sort().values, _theta().sort().values)


@dataclass(frozen=True)
class _Exchange:
    """A hidden layer and two of its units; ``None`` where any exchange will do."""

    layer: int = 0
    pair: tuple[int, int] | None = None

    @property
    def rows(self) -> str:
        return f"{NAMES[self.layer]}.weight"

    @property
    def bias(self) -> str:
        return f"{NAMES[self.layer]}.bias"

    @property
    def columns(self) -> str:
        return f"{NAMES[self.layer + 1]}.weight"

    def theta(self) -> Tensor:
        """Return theta with the two units exchanged, or with all units in reverse order."""
        order = torch.arange(UNITS[self.layer]).flip(0)
        if self.pair is not None:
            order = torch.arange(UNITS[self.layer])
            order[list(self.pair)] = order[list(self.pair[::-1])]
        parts = _parts(_theta())
        moved = {self.rows: parts[self.rows][order], self.bias: parts[self.bias][order]}
        return _layout().join(parts | moved | {self.columns: parts[self.columns][:, order]})

    def right(self, answer: object) -> bool:
        if self.pair is not None:
            return torch.equal(_vector(answer), self.theta())
        return self.some(answer)

    def some(self, answer: object) -> bool:
        """Whether some units were exchanged."""
        theta = _vector(answer)
        return _same_entries(answer) and not torch.equal(theta, _theta()) and _same_function(theta)


def _exchanges(generator: torch.Generator) -> _Exchange:
    layer = integer(generator, 0, 1)
    one, other = several(generator, range(UNITS[layer]), 2)
    return _Exchange(layer, (one, other))


def _asked(d: _Exchange) -> str:
    if d.pair is None:
        return "hidden units"
    return f"units {d.pair[0]} and {d.pair[1]} of the {WORDS[d.layer]} hidden layer, counted from 0, and nothing else"


def _permute(d: _Exchange) -> Exercise:
    return Exercise(
        id="healthy.permute",
        prompt=f"Exchange {_asked(d)}: theta changes, the function does not. Answer: the new theta, shape (6570,).",
        nudge="A hidden unit has a row of weights and a bias; the next layer reads it through a column. What moves "
        "along?",
        hint=f"With an order of the {UNITS[d.layer]} units: the rows of {d.rows}, the entries of {d.bias}, the columns "
        f"of {d.columns}. layout(model).split and .join cut theta into these and put it together.",
        right="There are 64! 32! such orders, each another theta and all the same network: theta is not unique.",
        reference=d.theta,
        accept=d.right,
        diagnoses=(
            Diagnosis("unchanged", "This is theta as it was.", matches=lambda a: torch.equal(_vector(a), _theta())),
            Diagnosis(
                "another symmetry",
                "The function is the same, but numbers changed: a rescaling and no exchange of units.",
                matches=lambda a: not _same_entries(a) and _same_function(_vector(a)),
            ),
            Diagnosis(
                "values", "Some numbers of theta are new; exchange them only.", matches=lambda a: not _same_entries(a)
            ),
            *_others(d),
            *_halves(d),
        ),
    )


def _others(d: _Exchange) -> tuple[Diagnosis, ...]:
    says = f"The function is the same, but other units were exchanged; asked for are {_asked(d)}."
    return () if d.pair is None else (Diagnosis("other units", says, matches=d.some),)


def _pixels(answer: object, name: str) -> bool:
    """Return whether the entries of each row of a layer were exchanged among themselves."""
    rows = _parts(answer)[name].sort(1).values
    return not _kept(answer, name) and torch.equal(rows, _parts(_theta())[name].sort(1).values)


def _halves(d: _Exchange) -> tuple[Diagnosis, ...]:
    """Exchanges that were left half done."""
    columns = "pixels, not units" if d.layer == 0 else "units of the layer before"
    return (
        Diagnosis(
            "pixels",
            f"You exchanged columns of the {WORDS[d.layer]} layer: those are {columns}.",
            matches=lambda a: _pixels(a, d.rows),
        ),
        Diagnosis(
            "columns",
            f"The units moved, but the next layer still reads the old places: exchange the columns of {d.columns}.",
            matches=lambda a: not _kept(a, d.rows) and _kept(a, d.columns),
        ),
        Diagnosis(
            "bias",
            "The rows moved and the biases stayed; a unit takes its bias along.",
            matches=lambda a: not _kept(a, d.rows) and _kept(a, d.bias),
        ),
        Diagnosis(
            "rows",
            f"The next layer reads other places, but no unit moved: exchange the rows of {d.rows}.",
            matches=lambda a: _kept(a, d.rows) and not _kept(a, d.columns),
        ),
    )


@dataclass(frozen=True)
class _Growth:
    """Which hidden layer grows, and how many times c."""

    layer: int = 0
    times: int = 1

    def theta(self, theta: Tensor, c: float, *, bias: int = 1, after: int = -1, next_bias: int = 0) -> Tensor:
        """Return theta with powers of the factor multiplied to the layer and to the one after it."""
        parts, here, there = _parts(theta), NAMES[self.layer], NAMES[self.layer + 1]
        powers = {f"{here}.weight": 1, f"{here}.bias": bias, f"{there}.weight": after, f"{there}.bias": next_bias}
        for name, power in powers.items():
            parts[name] = parts[name] * (self.times * c) ** power
        return _layout().join(parts)

    def right(self, answer: Callable[..., Tensor]) -> bool:
        return all(self.grown(_vector(answer(*arguments)), *arguments) for arguments in _rescalings())

    def grown(self, new: Tensor, theta: Tensor, c: float) -> bool:
        name = f"{NAMES[self.layer]}.weight"
        return _same_function(new) and torch.allclose(_parts(new)[name], self.times * c * _parts(theta)[name])


def _growths(generator: torch.Generator) -> _Growth:
    return _Growth(integer(generator, 0, 1), one_of(generator, (2, 3, 4, 5, 6, 8, 10)))


def _rescalings() -> list[tuple[Tensor, float]]:
    return [(_theta().clone(), 2.0), (_theta().clone(), 0.25)]


def _rescale(d: _Growth) -> Exercise:
    c, here, after = "c" if d.times == 1 else f"{d.times} c", NAMES[d.layer], NAMES[d.layer + 1]
    return Exercise(
        id="healthy.rescale",
        prompt=f"ReLU(c z) = c ReLU(z) for c > 0. Answer: a function of (theta, c) that makes the {WORDS[d.layer]} "
        f"layer {c} times as large and returns a theta of the same function.",
        given="A fully connected network has two hidden ReLU layers, layers.0 and layers.1, and a readout. theta holds "
        "all its parameters; layout(model).split(theta) gives them by name, such as layers.0.weight and layers.0.bias, "
        "and .join puts them together.",
        nudge=f"If the {WORDS[d.layer]} layer's outputs grow by {c}, what must the next layer do?",
        hint=f"Multiply {here}.weight and {here}.bias by {c}, divide {after}.weight by {c}, leave the other biases "
        "alone.",
        right="So the length of theta says nothing by itself, nor does harm of a given length: the next chapter's "
        "worry.",
        reference=d.theta,
        inputs=_rescalings,
        accept=d.right,
        diagnoses=(
            Diagnosis("unchanged", "This is theta as it was.", lambda theta, c: theta),
            *_forgotten(d, c),
            Diagnosis(
                "whole",
                "All of theta grew; biases and weights of later layers then add up wrongly.",
                lambda theta, c: theta * d.times * c,
            ),
            Diagnosis(
                "other layer",
                f"The function is the same, but asked for is the {WORDS[d.layer]} layer.",
                _Growth(1 - d.layer, d.times).theta,
            ),
        ),
    )


def _forgotten(d: _Growth, c: str) -> tuple[Diagnosis, ...]:
    undo = f"Both layers grew; the {'second' if d.layer == 0 else 'next'} has to undo the {WORDS[d.layer]}."
    told: tuple[tuple[str, str, Callable[..., Tensor]], ...] = (
        ("bias", "The bias is added before the ReLU, so it must grow with the weights.", partial(d.theta, bias=0)),
        ("compensation", f"The next layer must shrink by {c}; now the function changes.", partial(d.theta, after=0)),
        ("direction", undo, partial(d.theta, after=1)),
        (
            "next bias",
            f"The bias of the next layer does not see the {WORDS[d.layer]}; leave it.",
            partial(d.theta, next_bias=-1),
        ),
    )
    forgotten = tuple(Diagnosis(*one) for one in told)
    plain = Diagnosis("factor", f"The layer grew c times; asked for is {c}.", _Growth(d.layer).theta)
    return forgotten if d.times == 1 else (*forgotten, plain)


PERMUTE, RESCALE = _permute(_Exchange()), _rescale(_Growth())

VARIANTS = {PERMUTE.id: Variants(_permute, _exchanges), RESCALE.id: Variants(_rescale, _growths)}
