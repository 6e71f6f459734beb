"""Sets of images that can be fetched: Fashion-MNIST, USPS and the CIFAR sets."""

from functools import partial

from weightlore.data import converters
from weightlore.data.converters import Converter
from weightlore.data.record import Dataset, originals

__all__ = ["IMAGE_SETS"]

FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion"
USPS = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass"
CIFAR = "https://www.cs.toronto.edu/~kriz"

FASHION_FILES = (
    ("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
    ("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
    ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
    ("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
)
FASHION_MNIST = Dataset(
    name="fashion-mnist",
    title="70,000 gray images of clothing, 28x28, 10 classes",
    kind="images",
    license="MIT",
    citation="xiao2017fashion",
    originals=originals(FASHION, "fashion-mnist", FASHION_FILES),
    convert=converters.idx_pairs,
    tried=True,
    sha256="5bbbe00cbe763f85f933bd1558d7a73d7487f3643772d1a5e628f3be9fdd991c",
    scale=255.0,
    mirror=tuple(f"fashion-mnist/{file}" for file, _ in FASHION_FILES),
    convert_mirror=converters.idx_pairs,
)

USPS_DIGITS = Dataset(
    name="usps",
    title="9,298 handwritten digits from envelopes, 16x16",
    kind="images",
    license="none stated",
    citation="hull1994usps",
    originals=originals(
        USPS,
        "usps",
        (
            ("usps.bz2", "3771e9dd6ba685185f89867b6e249233dd74652389f263963b3b741e994b034f"),
            ("usps.t.bz2", "a9c0164e797d60142a50604917f0baa604f326e9a689698763793fa5d12ffc4e"),
        ),
    ),
    convert=converters.usps_tables,
    tried=False,
    sha256="d2972d198b9c838c6b61398671b6c50ffe3796f473af6fa155b69ecf783d5c84",
    scale=2000.0,
    mirror=("usps/usps.npz",),
    convert_mirror=partial(converters.npz_pairs, scale=2000),
)


def _cifar(name: str, title: str, file: tuple[str, str], convert: Converter, sha256: str | None = None) -> Dataset:
    mirrored = sha256 is not None
    return Dataset(
        name=name,
        title=title,
        kind="images",
        license="none stated",
        citation="krizhevsky2009cifar",
        originals=originals(CIFAR, "cifar", (file,)),
        convert=convert,
        tried=False,
        sha256=sha256,
        scale=255.0,
        mirror=("cifar10/cifar10_lossless_subset.npz",) if mirrored else (),
        convert_mirror=converters.npz_pairs if mirrored else None,
    )


CIFAR10_FILE = ("cifar-10-python.tar.gz", "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce")
CIFAR100_FILE = ("cifar-100-python.tar.gz", "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7")
CIFAR10_BATCHES = tuple(f"cifar-10-batches-py/data_batch_{number}" for number in range(1, 6))
CIFAR10_TEST = ("cifar-10-batches-py/test_batch",)
CIFARS = (
    _cifar(
        "cifar10",
        "60,000 color photographs, 32x32, 10 classes",
        CIFAR10_FILE,
        partial(converters.archived_cifar, train=CIFAR10_BATCHES, test=CIFAR10_TEST),
    ),
    _cifar(
        "cifar10-subset",
        "the first 4,000 train and 1,000 test images of cifar10",
        CIFAR10_FILE,
        partial(converters.archived_cifar, train=CIFAR10_BATCHES[:1], test=CIFAR10_TEST, first=4000),
        "7091879f5a1afc3c683d9fb09c57fc8c5370967ab253169f894a6f7db8be05b3",
    ),
    _cifar(
        "cifar100",
        "60,000 color photographs, 32x32, 100 classes",
        CIFAR100_FILE,
        partial(
            converters.archived_cifar,
            train=("cifar-100-python/train",),
            test=("cifar-100-python/test",),
            labels="fine_labels",
        ),
    ),
)

IMAGE_SETS = (FASHION_MNIST, USPS_DIGITS, *CIFARS)
