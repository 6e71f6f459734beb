"""Tables: splits that never change, classes in proportion, and scales that say nothing of the test rows."""

import hashlib

import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from weightlore.data import breast_cancer, diabetes, wine
from weightlore.data.ordering import interleaved
from weightlore.errors import ParameterError

TABLES = (diabetes, breast_cancer, wine)
PARTS = ("train", "validation", "test")
PINNED = {
    (diabetes, "train"): (265, "792ae6441992ff6c8529391e8b59cd23ee15fa96d7674af83e84a7d01ea7448f"),
    (diabetes, "validation"): (44, "d51914e407935cf11008950089af0ff018055441756f25270f84ce01691b7413"),
    (diabetes, "test"): (133, "0ec7766b5c179e99d62381ae4dbd91664d78e45829401bff9c287aef785cb630"),
    (breast_cancer, "train"): (341, "984d9b8568958627420995450356588c5f3b8719759d77fb55fdaf6bc5e64112"),
    (breast_cancer, "validation"): (57, "8bc9fb3f2598da28b5bd5a5801a5a63943b60a66bb48510df6f6bae2b0d1efd5"),
    (breast_cancer, "test"): (171, "7f72976c9983cda9e94cf500981b0a082eba2309b32ef24595d91342dd9fa856"),
    (wine, "train"): (107, "4875d6b1cf7b82596f2cd30f3423a3d444ffa3b9035cd164d451cdee422be8f1"),
    (wine, "validation"): (18, "4e9a949f061cb7d647a14d4fab4eccc1d836c6f895472af5fe7313eb4920c537"),
    (wine, "test"): (53, "87574803101687d74ab4a8f6f8606735c6f1b166cfcbfc0d55d9d8d00e9f0288"),
}


@pytest.mark.parametrize(("table", "split"), PINNED)
def test_oracle_the_splits_are_the_pinned_ones(table, split):
    data, (count, expected) = table(split, standardize=False), PINNED[table, split]
    assert len(data) == count
    assert hashlib.sha256(data.x.numpy().tobytes() + data.y.numpy().tobytes()).hexdigest() == expected


@pytest.mark.parametrize(
    ("table", "original"),
    [
        (diabetes, lambda: load_diabetes(return_X_y=True, scaled=False)),
        (breast_cancer, lambda: load_breast_cancer(return_X_y=True)),
        (wine, lambda: load_wine(return_X_y=True)),
    ],
)
def test_oracle_all_rows_are_scikit_learns_in_their_order(table, original):
    data, (x, y) = table("all", standardize=False), original()
    assert (abs(data.x.numpy() - x) < 1e-12).all()
    assert (data.y.numpy().reshape(-1) == y).all()


@pytest.mark.parametrize("table", TABLES)
def test_property_the_three_splits_are_a_partition(table):
    def rows(*splits: str) -> list[list[float]]:
        parts = [table(split, standardize=False) for split in splits]
        return sorted(torch.cat([torch.cat([p.x, p.y.reshape(len(p), 1).double()], 1) for p in parts]).tolist())

    assert rows(*PARTS) == rows("all")


@pytest.mark.parametrize("table", [breast_cancer, wine])
@pytest.mark.parametrize("split", PARTS)
def test_property_classes_are_in_proportion_to_within_one_row(table, split):
    whole, part = table("all"), table(split)
    expected = torch.bincount(whole.y).double() * len(part) / len(whole)
    assert ((torch.bincount(part.y) - expected).abs() <= 1).all()


@pytest.mark.parametrize("table", TABLES)
def test_property_the_scale_is_that_of_the_train_rows(table):
    train = table("train")
    torch.testing.assert_close(train.x.mean(0), torch.zeros(train.x.shape[1], dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(train.x.std(0, correction=0), torch.ones(train.x.shape[1], dtype=torch.float64))
    raw, scaled = table("test", standardize=False), table("test")
    measured = table("train", standardize=False).x
    torch.testing.assert_close(scaled.x * measured.std(0, correction=0) + measured.mean(0), raw.x)
    assert torch.equal(scaled.y, raw.y)
    assert scaled.x.mean(0).abs().max() > 1e-3, "the test rows have a mean of their own"


@pytest.mark.parametrize("table", TABLES)
def test_property_tensors_are_fresh_and_of_the_dtype_asked_for(table):
    first = table("test", dtype=torch.float32)
    assert first.x.dtype == torch.float32
    assert first.y.dtype == (torch.float32 if table is diabetes else torch.int64)
    first.x.zero_(), first.y.zero_()
    assert table("test").x.any()
    assert table("test").y.any()
    table("all", standardize=False).x.zero_(), table("all").y.zero_()
    assert table("all", standardize=False).x.any()
    assert table("all").y.any()


def test_oracle_interleaving_by_hand():
    order = interleaved([7] * 4 + [3] * 2, "some")
    assert [row < 4 for row in order] == [True, False, True, True, False, True]
    assert sorted(order) == list(range(6))
    hashes = [hashlib.sha256(f"some {row}".encode()).hexdigest() for row in order]
    assert hashes[1] < hashes[4]
    assert hashes[0] < hashes[2] < hashes[3] < hashes[5]
    assert interleaved([7] * 4 + [3] * 2, "other") != order


def test_limit_no_rows_and_one_class():
    assert interleaved([], "some") == []
    assert interleaved([5], "some") == [0]
    assert sorted(interleaved([0] * 9, "some")) == list(range(9))


@pytest.mark.parametrize("table", TABLES)
def test_error_no_such_split_or_dtype(table):
    with pytest.raises(ParameterError, match="split is one of 'train', 'validation', 'test', 'all', got 'dev'"):
        table("dev")
    with pytest.raises(ParameterError, match=r"dtype must be floating, got torch.int64; take torch.float64"):
        table("test", dtype=torch.int64)
