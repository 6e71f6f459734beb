"""Digits and encodings: every representable weight survives, nothing else is let in."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weightlore.crossbar import decode, encode, join_digits, signed_digits, slice_digits
from weightlore.errors import ParameterError

ENCODINGS = ("differential", "offset", "twos_complement", "signed_digit")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("bits", range(1, 10))
@pytest.mark.parametrize("cell_bits", range(1, 9))
def test_property_every_weight_is_decoded_as_it_was_encoded(encoding: str, bits: int, cell_bits: int) -> None:
    codes = torch.arange(1 - 2**bits, 2**bits).reshape(1, -1)
    encoded = encode(codes, encoding, bits=bits, cell_bits=cell_bits)
    assert torch.equal(decode(encoded), codes)
    assert int(encoded.digits.min()) >= 0
    assert (encoded.digits.amax((1, 2, 3)) <= torch.tensor(encoded.largest)).all()
    assert max(encoded.largest) <= 2**cell_bits - 1


def test_oracle_digits_of_every_magnitude_are_those_of_its_base_four_form() -> None:
    codes = torch.arange(256)
    digits = slice_digits(codes)
    for code in range(256):
        assert digits[:, code].tolist() == [code // 4**k % 4 for k in range(4)]
    assert torch.equal(join_digits(digits), codes)


def test_oracle_one_bit_signed_digits_are_the_non_adjacent_form() -> None:
    digits = signed_digits(torch.arange(-255, 256), cell_bits=1)
    assert int(digits.abs().max()) == 1
    assert not bool(((digits[1:] != 0) & (digits[:-1] != 0)).any())


@pytest.mark.parametrize("cell_bits", [1, 2, 4])
def test_property_signed_digits_add_up_to_no_more_than_plain_ones(cell_bits: int) -> None:
    codes = torch.arange(256)
    signed, plain = signed_digits(codes, cell_bits), slice_digits(codes, cell_bits)
    assert (signed.abs().sum(0) <= plain.sum(0)).all()
    assert cell_bits > 1 or ((signed != 0).sum(0) <= (plain != 0).sum(0)).all()  # fewer digits: with one bit only
    assert int(signed.abs().max()) <= 2 ** (cell_bits - 1)


@given(st.lists(st.integers(-255, 255), min_size=1, max_size=8), st.sampled_from(ENCODINGS))
def test_property_offset_encodings_shift_by_a_constant_others_by_nothing(codes: list[int], encoding: str) -> None:
    assert encode(torch.tensor([codes]), encoding).shift == (256 if encoding == "offset" else 0)


def test_limit_uneven_slices_hold_what_is_left() -> None:
    assert encode(torch.tensor([[511]]), bits=9, cell_bits=2).largest == (3, 3, 3, 3, 1)
    assert slice_digits(torch.tensor([], dtype=torch.int64)).shape == (4, 0)


def test_limit_one_digit_is_the_number_and_digits_have_thirty_two_bits() -> None:
    assert join_digits(torch.tensor([[3, -5]])).tolist() == [3, -5]
    assert join_digits(torch.tensor([-(2**31), 2**31])).item() == 3 * 2**31
    for digit in (-(2**31) - 1, 2**31 + 1):
        with pytest.raises(ParameterError, match="digits"):
            join_digits(torch.tensor([digit, 0]))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.tensor([[0.5]]), "quantize first"),
        (torch.tensor([[float("nan")]]), "whole numbers"),
        (torch.tensor([[256]]), "got 256 to 256; clamp them"),
        (torch.tensor([[-256.0]]), "-255 to 255"),
        (torch.tensor([[1j]]), "complex"),
    ],
)
def test_error_codes_that_no_cell_can_hold_are_named(codes: torch.Tensor, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        encode(codes)


def test_error_names_the_encodings_and_the_bits() -> None:
    with pytest.raises(ParameterError, match="'signed_digit', got 'unary'"):
        encode(torch.tensor([[1]]), "unary")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="cell_bits must lie in 1 to 8"):
        slice_digits(torch.tensor([1]), 0)
