"""A crossbar with weights in it, and the product that it computes.

    y = Crossbar.program(w, config)(x)      equals x @ w.T exactly where nothing is lost
    y = matmul(x, w, config)                the same in one call

An array is programmed once; what is drawn then (noise of programming, faults, capacitors) stays, so that a chip is a
chip. What is drawn at each reading comes from the generator of that call.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from weightlore.crossbar.chips import Chip, manufacture
from weightlore.crossbar.config import CrossbarConfig
from weightlore.crossbar.converters import Converter, draw_mismatch, resolve
from weightlore.crossbar.digits import integer_codes
from weightlore.crossbar.encodings import Encoded, decode, encode
from weightlore.crossbar.folding import Plan, fold, folded_product
from weightlore.crossbar.ranges import calibrated_range, static_range, sum_histogram, worst_case_range
from weightlore.crossbar.reference import Programmed, read_tiles, reference_product
from weightlore.errors import ParameterError

__all__ = ["Crossbar", "Engine", "matmul"]

Engine = Literal["auto", "reference", "torch", "numba"]


class Crossbar(nn.Module):
    """A programmed crossbar: call it with input codes.

    Made by ``Crossbar.program``. Its ``state_dict`` holds the chip as it was drawn: levels, fluctuations, converters.

    Args:
        config: what it is made of.
        codes: the weights that were meant, shape (O, D), int64.
        encoded: how they are held.
        chip: what became of them.
        converter: at the bit lines.
        mismatch: weights of the converters' bits, shape (..., T, K, S, B), or ``None``.
        n_chips: how many chips, ``None`` for one without a dimension of its own.

    Source: ours
    """

    codes: Tensor
    levels: Tensor
    factors: Tensor
    variance: Tensor | None
    flipped: Tensor | None
    mismatch: Tensor | None
    converter_bits: Tensor
    converter_step: Tensor

    def __init__(
        self,
        config: CrossbarConfig,
        codes: Tensor,
        encoded: Encoded,
        chip: Chip,
        converter: Converter,
        mismatch: Tensor | None = None,
        n_chips: int | None = None,
    ) -> None:
        super().__init__()
        self.config, self.largest, self.shift, self.pedestal = config, encoded.largest, encoded.shift, chip.pedestal
        self.n_chips = n_chips
        factors = torch.tensor(encoded.scale).unsqueeze(1) * torch.tensor(encoded.sign)
        factors = factors.to(torch.float64) if chip.gain is None else factors * chip.gain.unsqueeze(-1)
        buffers = {"codes": codes, "levels": chip.levels, "variance": chip.variance, "flipped": chip.flipped}
        buffers |= {"mismatch": mismatch, "factors": factors}
        buffers |= {"converter_bits": torch.tensor(converter.bits)}
        buffers |= {"converter_step": torch.tensor(converter.step, dtype=torch.float64)}
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer)
        self._plan: tuple[tuple[int, int, int], Plan] | None = None

    @classmethod
    def program(
        cls,
        w: Tensor,
        config: CrossbarConfig | None = None,
        *,
        generator: torch.Generator | None = None,
        n_chips: int | None = None,
        calibration: Tensor | None = None,
    ) -> "Crossbar":
        """Write weights into a crossbar.

        Args:
            w: integer weights, |w| < 2**weight_bits, shape (O, D).
            config: what the crossbar is made of; ``None`` for ideal parts.
            generator: needed where something is drawn; it advances, chip by chip.
            n_chips: program so many chips at once; results then have a dimension of chips before all others.
            calibration: input codes, shape (..., D), for ``range="calibrated"``.

        Returns:
            The array, ready to be read.

        Raises:
            ParameterError: if a weight is no whole number in range, the matrix is empty, converter bits do not match
                the slices, a generator is missing, or a calibration set is missing or empty.

        Source: [zhang2019bitslice], mapping of weights; [shafiee2016isaac]
        """
        config = config or CrossbarConfig()
        if w.dim() != 2 or 0 in w.shape:
            raise ParameterError(f"weights must be a matrix (outputs, inputs) with entries, got shape {tuple(w.shape)}")
        encoded = encode(w, config.encoding, bits=config.weight_bits, cell_bits=config.cell_bits)
        capacitors = _branch(generator) if config.adc.mismatch else None
        chip = manufacture(encoded, config, generator=generator, n_chips=n_chips)
        worst = worst_case_range(config, encoded.largest, w.shape[1], chip.raised)
        converter = resolve(config.adc, worst, worst)
        mismatch = None
        if config.adc.mismatch:
            tiles = -(-w.shape[1] // config.rows)
            signs = 1 if config.adc.subtraction == "analog" else len(encoded.sign)
            mismatch = draw_mismatch(converter, config.adc, tiles, signs, generator=capacitors, n_chips=n_chips)
        array = cls(config, decode(encoded), encoded, chip, converter, mismatch, n_chips)
        if config.adc.range == "static":
            array._build(resolve(config.adc, static_range(chip.levels, config), worst))
        elif config.adc.range == "calibrated":
            array._build(resolve(config.adc, array.calibrated(calibration), worst))
        return array

    def rewritten(self, w: Tensor, *, generator: torch.Generator | None = None) -> "Crossbar":
        """Return the crossbar with other weights in it, and the converters that it has.

        Args:
            w: integer weights of the same shape.
            generator: needed where something is drawn; it advances, chip by chip.

        Returns:
            A new array; this one stays as it is.

        Raises:
            ParameterError: if the shape differs, or as ``program``.

        Source: ours
        """
        if w.shape != self.codes.shape:
            raise ParameterError(f"weights must have shape {tuple(self.codes.shape)}, got {tuple(w.shape)}")
        config = self.config
        encoded = encode(w, config.encoding, bits=config.weight_bits, cell_bits=config.cell_bits)
        chip = manufacture(encoded, config, generator=generator, n_chips=self.n_chips)
        return Crossbar(config, decode(encoded), encoded, chip, self.converter, self.mismatch, self.n_chips)

    @property
    def converter(self) -> Converter:
        """The converters at the bit lines."""
        signed = self.config.adc.subtraction == "analog"
        bits = tuple(int(b) for b in self.converter_bits)
        return Converter(bits, tuple(self.converter_step.tolist()), tuple(2 ** (b - signed) - 1 for b in bits), signed)

    @property
    def programmed(self) -> Programmed:
        """All that a reading depends on."""
        return Programmed(
            self.config,
            self.levels,
            self.factors,
            self.largest,
            self.converter,
            self.variance,
            self.flipped,
            self.mismatch,
            self.pedestal,
            self.n_chips,
        )

    @property
    def foldable(self) -> bool:
        """Whether cells are exact and every reading errs alike, so that superfluous work can be left out."""
        drawn = (self.variance, self.flipped, self.mismatch)
        analog = self.levels.is_floating_point() or self.config.adc.subtraction == "analog"
        return all(part is None for part in drawn) and not analog and not self.config.adc.random and self.pedestal == 0

    def forward(
        self, x: Tensor, *, generator: torch.Generator | None = None, engine: Engine = "auto", chunk: int | None = None
    ) -> Tensor:
        """Return the product that the crossbar computes.

        Args:
            x: input codes, shape (..., D): 0 to 2**input_bits - 1, or with a sign where the configuration has one.
            generator: needed where readings fluctuate; it advances.
            engine: ``"reference"`` does everything; ``"torch"`` and ``"numba"`` leave out what cannot change the
                result, which is then the same bit for bit; ``"auto"`` takes the fastest that is installed.
            chunk: rows of the batch to work on at once, ``None`` for what fits 32 MB; the result does not depend on it.

        Returns:
            Shape (..., O), or (n_chips, ..., O), float64; whole numbers where cells are exact.

        Raises:
            ParameterError: if an input is no whole number in range, its last dimension is not D, a generator is
                missing, or there is no such engine.
            MissingExtra: if numba is asked for and not installed.

        Source: [zhang2019bitslice], product on a crossbar; [shafiee2016isaac]
        """
        if engine not in get_args(Engine):
            raise ParameterError(f"engine must be one of {', '.join(get_args(Engine))}, got {engine!r}")
        codes = self._checked(x)
        shape = (*self.programmed.leading, len(codes), len(self.codes))
        product = torch.zeros(shape, dtype=torch.float64, device=codes.device)
        for part, factor in self.passes(codes):
            if self.foldable and engine != "reference":
                one = folded_product(part, self._folded(), self.programmed, chunk=chunk, engine=engine)
            else:
                one = reference_product(self.programmed, part, generator=generator, chunk=chunk)
            if self.shift:
                one = one - self.shift * part.sum(1, keepdim=True).to(torch.float64)
            product = product + factor * one
        if self.config.signed_input == "offset":
            product = product - 2**self.config.input_bits * self.codes.sum(1).to(torch.float64)
        return product.reshape(*product.shape[:-2], *x.shape[:-1], product.shape[-1])

    def histogram(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Count how often each sum arrives at the converters of each slice.

        Args:
            x: input codes, shape (..., D).
            generator: needed where readings fluctuate; it advances.

        Returns:
            Counts, shape (K, V), V - 1 the greatest sum seen, int64; real sums are rounded up, signs are dropped.

        Raises:
            ParameterError: as for the product.

        Source: ours
        """
        array, parts = self.programmed, self.passes(self._checked(x))
        readings = (r for part, _ in parts for r in read_tiles(array, part, generator=generator))
        return sum_histogram((r.sums for r in readings), len(self.largest))

    def calibrated(self, x: Tensor | None) -> tuple[float, ...]:
        """Return the range of each slice that inputs ask for, by the rule of the converter.

        Args:
            x: input codes, shape (..., D).

        Returns:
            K ranges, in cell levels.

        Raises:
            ParameterError: if there are no inputs.

        Source: ours
        """
        if x is None or x.numel() == 0:
            raise ParameterError("a calibrated range needs inputs: pass calibration= with the codes of a typical batch")
        quiet = torch.Generator().manual_seed(0)
        return calibrated_range(self.histogram(x, generator=quiet), self.config.adc, self.converter)

    def _build(self, converter: Converter) -> None:
        self.converter_bits.copy_(torch.tensor(converter.bits))
        self.converter_step.copy_(torch.tensor(converter.step))

    def _checked(self, x: Tensor) -> Tensor:
        """Inputs as a matrix (B, D) of whole numbers."""
        inputs, most = self.codes.shape[1], 2**self.config.input_bits - 1
        if x.dim() == 0 or x.shape[-1] != inputs:
            raise ParameterError(f"inputs must have shape (..., {inputs}), got {tuple(x.shape)}")
        low = 0 if self.config.signed_input == "none" else -most
        if x.dtype == torch.uint8 and low == 0 and most >= 255:
            return x.reshape(-1, inputs)  # in range, whatever it holds
        return integer_codes(x, low, most, "input codes").reshape(-1, inputs)

    def passes(self, codes: Tensor) -> list[tuple[Tensor, int]]:
        """Return the unsigned inputs that signed ones are read as, and with which factor their products count."""
        if self.config.signed_input == "offset":
            return [(codes + 2**self.config.input_bits, 1)]
        if self.config.signed_input == "two_pass":
            return [(codes.clamp(min=0), 1), ((-codes).clamp(min=0), -1)]
        return [(codes, 1)]

    def _folded(self) -> Plan:
        """The plan for these levels and converters, made anew when either has changed."""
        state = (self.levels._version, self.converter_bits._version, self.converter_step._version)
        if self._plan is None or self._plan[0] != state:
            self._plan = state, fold(self.programmed)
        return self._plan[1]


def _branch(generator: torch.Generator | None) -> torch.Generator | None:
    """A stream of its own, so that what is drawn from it does not depend on how much else is drawn."""
    if generator is None:
        return None
    return torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))


def matmul(
    x: Tensor, w: Tensor, config: CrossbarConfig | None = None, *, generator: torch.Generator | None = None
) -> Tensor:
    """Return the product of inputs and weights as a crossbar computes it.

    Args:
        x: input codes, shape (..., D).
        w: weight codes, shape (O, D).
        config: what the crossbar is made of; ``None`` for ideal parts, which give ``x @ w.T`` exactly.
        generator: needed where something is drawn; it advances.

    Returns:
        Shape (..., O), float64.

    Raises:
        ParameterError: if a code is no whole number in range, shapes do not match, or a generator is missing.

    Example:
        >>> matmul(torch.tensor([[3, 200]]), torch.tensor([[65, -3], [0, 255]]))
        tensor([[ -405., 51000.]], dtype=torch.float64)

    Source: [zhang2019bitslice], product on a crossbar
    """
    return Crossbar.program(w, config, generator=generator)(x, generator=generator)
