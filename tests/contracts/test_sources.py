"""Contract 9: public functions say where they come from, references exist, equations have their functions."""

import importlib
import re

import pytest
from pybtex.database import parse_file, parse_string
from tests.contracts import house
from tests.contracts.files import ROOT, equations, keys, modules

SECTIONS = {
    "corrupted": ("budget", "random", "closed_form", "group", "ascent", "law", "bound", "resistant", "sharpness"),
    "sliced": ("quantizer", "digits", "penalty", "phases", "metrics", "saving", "crossbar"),
    "explained": (
        *("output", "gradient", "smoothing", "guided", "grad_cam", "deep_lift", "relevance"),
        *("path", "quadrature", "baseline", "pieces"),
        *("similarity", "inflation", "randomization", "study", "structure", "denoising", "display"),
    ),
    "transferred": ("unit", "gate", "network", "states", "anchor", "mixture", "comparison", "recurrent"),
    "binarized": (
        *("weights", "training", "packed", "variants", "recipes", "normalization", "conversion", "thresholds", "chip"),
        *("latency", "neuron", "simulation", "input", "exit", "cost", "learning"),
    ),
    "uncertain": (
        *("sources", "reference", "active"),
        *("prediction", "measures", "dirichlet", "diversity", "segmentation"),
        *("head", "deterministic", "ensembles", "joint", "choice", "distillation", "views"),
        *("calibration", "brier", "losses", "repair"),
        *("ranking", "regression", "conformal"),
        *("distance", "outside", "judges"),
        "dropout",
        "variational",
        *("laplace",),
        "chains",
    ),
}
LISTED = [f"{fate}/{section}" for fate, sections in SECTIONS.items() for section in sections]
PAGES = {p.relative_to(ROOT).as_posix(): p.read_text("utf-8") for p in sorted((ROOT / "book").rglob("*.md"))}

# On the page of references for those who read on: the papers of the later chapters, and the works around the first.
READING = {
    *("gawlikowski2023uncertainty", "lu2020binary", "sundararajan2018note", "zhang2019bitslice", "zhang2019ptu"),
    *("andriushchenko2022sam", "goodfellow2015explaining", "jiao2024pvf", "keskar2017largebatch", "lu2023poisoning"),
    *("madry2018resistant", "srivastava2014dropout", "tsai2021formalizing", "zheng2021amp"),
    *("adebayo2018local", "adebayo2018sanity", "baehrens2010explain", "binder2023shortcomings", "dalal2005hog"),
    *("hedstrom2024fresh", "kokhlikyan2020captum", "sotoudeh2019computing", "wang2004ssim"),
    *("yosinski2014transferable", "mou2016transferable", "misra2016crossstitch", "rusu2016progressive"),
    *("ruder2019sluice", "ganin2016domain", "li2018explicit", "li2019delta", "guo2019spottune", "guo2020adafilter"),
    *("zhu2018gated", "zhang2020sidetuning", "jang2019learning", "lin2020dtlet", "houlsby2019adapters", "hu2021lora"),
    *("kumar2022distort", "lecun1998gradient", "howard2017mobilenets", "lake2015human", "weiss2016survey"),
    *("louizos2018sparse", "li2016revisiting", "kornblith2019better"),
    # The works of the third fate: the survey's methods, measures and evaluations.
    *("amini2020evidential", "angelopoulos2021sets", "angelopoulos2024risk", "ashukha2020pitfalls"),
    *("ayhan2018augmentation", "barber2021jackknife", "bishop1994mixture", "bishop2006pattern"),
    *("blundell2015weight", "breiman1996bagging", "brier1950verification", "brocker2007reliability"),
    *("caruana2004selection", "charpentier2020posterior", "chen2014sghmc", "corbiere2019failure"),
    *("daxberger2021laplace", "daxberger2021subnetwork", "degroot1983forecasters", "denker1990transforming"),
    *("depeweg2018decomposition", "devries2018confidence", "ding2014thermostats", "duane1987hybrid"),
    *("durasov2021masksembles", "dusenberry2020rank", "eschenhagen2021mixtures", "farquhar2020radial"),
    *("feinman2017artifacts", "fort2019landscape", "freeman1965statistics", "gal2016dropout", "gal2017concrete"),
    *("garipov2018surfaces", "geifman2017selective", "geifman2019bias", "geman1992dilemma", "george2018ekfac"),
    *("geyer1992practical", "gibbs2021adaptive", "gneiting2007forecasts", "gneiting2007scoring"),
    *("graves2011variational", "grosse2016conv", "guo2017calibration", "guo2018margin", "gupta2021splines"),
    *("hansen1990ensembles", "hastie2009adaboost", "hastings1970monte", "havasi2021mimo", "hendrycks2017baseline"),
    *("hendrycks2019exposure", "hendrycks2020augmix", "hendrycks2022scaling", "hinton2015distilling"),
    *("hobbhahn2022bridge", "houlsby2011bald", "hsu2020odin", "huang2017snapshot", "huang2021gradients"),
    *("ilg2018flow", "immer2021evidence", "immer2021linearized", "izmailov2018swa", "izmailov2021posteriors"),
    *("ji2019binwise", "jiang2018trust", "josang2016subjective", "karandikar2021soft", "kendall2017uncertainties"),
    *("khan2019approximate", "khosravi2011lower", "kim2020instance", "kingma2015local", "kirsch2019batchbald"),
    *("krishnan2020avuc", "kristiadi2020bayesian", "krogh1995ensembles", "kuleshov2018regression", "kull2017beta"),
    *("kull2019dirichlet", "kumar2018mmce", "kumar2019verified", "kuncheva2003diversity"),
    *("lakshminarayanan2017ensembles", "laves2020regression", "lee2018confidence", "lee2018mahalanobis"),
    *("lee2020gradients", "lee2020sparse", "lei2018predictive", "levi2022regression", "li2016psgld"),
    *("liang2018odin", "liang2020dca", "lin2017focal", "liu2016svgd", "liu2020energy", "liu2020sngp"),
    *("louizos2016matrix", "lu2020meanfield", "mackay1992practical", "mackay1998basis", "maddox2019swag"),
    *("maddox2020dimensionality", "malinin2018prior", "malinin2019reverse", "malinin2019thesis"),
    *("malinin2020distillation", "martens2015kfac", "meinert2023evidential", "metropolis1953equation"),
    *("mobiny2021dropconnect", "molchanov2017sparsifies", "molchanov2020greedy", "mozejko2018inhibited"),
    *("mukhoti2018segmentation", "mukhoti2020focal", "mukhoti2023ddu", "muller2019smoothing"),
    *("murphy1973partition", "naeini2015bbq", "naeini2016enir", "nandy2020gap", "neal1996bayesian"),
    *("nix1994variance", "nixon2019measuring", "oberdiek2018gradients", "ovadia2019trust"),
    *("papadopoulos2002inductive", "pearce2018intervals", "pearce2020anchored", "pereyra2017penalizing"),
    *("platt1999probabilistic", "raghu2019direct", "rahaman2021ensembles", "ramalho2020density"),
    *("rasmussen2006gaussian", "ren2021mahalanobis", "ritter2018laplace", "romano2019cqr", "romano2020adaptive"),
    *("roy2019segmentation", "sadinle2019least", "seitzer2022pitfalls", "sensoy2018evidential"),
    *("shanmugam2021aggregation", "snoek2015scalable", "stephenson2008brier", "sun2022knn", "szegedy2016inception"),
    *("tagasovska2019single", "teye2018batchnorm", "thulasidasan2019mixup", "tibshirani2019covariate"),
    *("tran2020hydra", "traub2024selective", "vaicenavicius2019evaluating", "valdenegro2019sub"),
    *("vanamersfoort2020duq", "vehtari2021rhat", "vovk2005algorithmic", "wan2013dropconnect", "wang2019aleatoric"),
    *("wang2022vim", "welling2011sgld", "wen2018flipout", "wen2020batchensemble", "wenger2020gpc"),
    *("wenzel2020cold", "wenzel2020hyper", "widmann2019tests", "wilson2020perspective", "wu2021ensembles"),
    *("zadrozny2001obtaining", "zadrozny2002transforming", "zaidi2021search", "zhang2018mixup"),
    *("zhang2020csgmcmc", "zhang2020mixnmatch"),
}


@pytest.mark.parametrize("path", modules())
def test_property_every_public_name_says_its_source(path):
    assert house.docstring_sources(path, modules()[path], keys()) == []


@pytest.mark.parametrize(
    "text",
    [
        'def f():\n    """Do it."""',
        "def f(): ...",
        'class A:\n    """A thing.\n\n    Source: somewhere\n    """',
        'def f():\n    """Do it.\n\n    Source: ours\n\n    And more.\n    """',
        'def f():\n    """Do it.\n\n    Source: [nobody1999nothing], Eq. (1)\n    """',
        '__all__ = ["f"]\ndef f():\n    """Do it."""',
    ],
)
def test_property_a_name_without_source_is_found(text):
    assert house.docstring_sources("pkg/weightlore/x.py", text, {"sun2021corruption"})


def test_limit_a_named_source_passes():
    text = 'def f():\n    """Do it.\n\n    Source: [sun2021corruption], closed form; the proof is ours.\n    """'
    assert house.docstring_sources("x.py", text, {"sun2021corruption"}) == []
    assert house.docstring_sources("x.py", 'def _f():\n    """Do it."""', set()) == []


def test_property_every_equation_of_the_chapter_is_listed():
    assert house.equations(equations(), keys(), LISTED) == []


@pytest.mark.parametrize("row", equations(), ids=lambda row: row["id"])
def test_property_an_equation_has_its_function_which_names_the_work(row):
    module, _, name = row["function"].rpartition(".")
    function = getattr(importlib.import_module(module), name)
    source = (function.__doc__ or "").rpartition("Source:")[2]
    assert f"[{row['key']}]" in source, f"{row['function']} says: Source:{source}"


def test_property_gaps_in_the_list_are_found():
    row = {"id": "a/b.c", "key": "known", "equation": "x", "function": "y"}
    assert house.equations([row], {"known"}, ["a/b"]) == []
    assert house.equations([row], {"known"}, ["a/b", "a/d"]) == ["no equation of a/d is listed"]
    assert house.equations([row | {"key": "unknown"}], {"known"}, [])
    assert house.equations([row | {"function": ""}], {"known"}, [])
    assert house.equations([row, row], {"known"}, [])


def library():
    return parse_file(str(ROOT / "book" / "references.bib")).entries


def incomplete(entries) -> list[str]:
    """References that lack what finds a work, or whose key is not authorYEARword."""
    found = []
    for key, entry in entries.items():
        names = entry.persons.get("author", [])
        if not names or not {"title", "year"} <= set(entry.fields):
            found.append(f"{key}: author, title and year are needed")
            continue
        first = re.sub(r"[^a-z]", "", " ".join(names[0].last_names).lower())
        if not re.fullmatch(rf"{first.split()[0] if first else ''}{entry.fields['year']}[a-z]+", key):
            short = re.fullmatch(rf"([a-z]+){entry.fields['year']}[a-z]+", key)
            if not short or not first.startswith(short[1]):
                found.append(f"{key}: must be {first}{entry.fields['year']} and a word")
        if not {"booktitle", "journal", "eprint", "howpublished", "institution", "publisher"} & set(entry.fields):
            found.append(f"{key}: says not where it appeared")
        if "doi" in entry.fields and not re.fullmatch(r"10\.\d{4,9}/\S+", entry.fields["doi"]):
            found.append(f"{key}: {entry.fields['doi']} is no DOI")
        if "eprint" in entry.fields and not re.fullmatch(r"\d{4}\.\d{4,5}", entry.fields["eprint"]):
            found.append(f"{key}: {entry.fields['eprint']} is no arXiv number")
    return found


def test_property_every_reference_is_complete():
    assert incomplete(library()) == []


@pytest.mark.parametrize(
    "entry",
    [
        "@misc{sun2021x, title={T}, year={2021}, eprint={2006.05620}}",
        "@misc{sun2021x, author={Sun, Xu}, title={T}, year={2020}, eprint={2006.05620}}",
        "@misc{sun2021x, author={Zhang, Xu}, title={T}, year={2021}, eprint={2006.05620}}",
        "@misc{sun2021x, author={Sun, Xu}, title={T}, year={2021}}",
        "@misc{sun2021x, author={Sun, Xu}, title={T}, year={2021}, eprint={abs/2006}}",
        "@misc{sun2021x, author={Sun, Xu}, title={T}, year={2021}, journal={J}, doi={doi.org/10.1}}",
    ],
)
def test_property_an_incomplete_reference_is_found(entry):
    assert incomplete(parse_string(entry, "bibtex").entries)


def test_property_keys_are_sorted_and_once():
    text = (ROOT / "book" / "references.bib").read_text("utf-8")
    order = re.findall(r"^@\w+\{(\w+),", text, re.M)
    assert order == sorted(set(order))


@pytest.mark.parametrize("path", PAGES)
def test_property_pages_cite_what_exists(path):
    cited = set(re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", PAGES[path]))
    names = {name.strip() for group in cited for name in group.split(",")} | house.sources_of(PAGES[path])
    assert names <= keys(), sorted(names - keys())


def unnamed(entries, texts) -> list[str]:
    """References that no text names and no reader is sent to."""
    said = "\n".join(texts)
    return [key for key in sorted(entries) if key not in READING and key not in said]


def test_property_every_reference_is_named_somewhere():
    folders = ("pkg", "book", "tutorials", "tests/claims")
    files = [p for folder in folders for p in (ROOT / folder).rglob("*") if p.suffix in {".py", ".md", ".ipynb"}]
    assert unnamed(keys(), [p.read_text("utf-8") for p in files if "vendor" not in p.parts]) == []
    assert set(keys()) >= READING
    assert unnamed({"sun2021corruption", "nobody1999nothing"}, ["Source: [sun2021corruption]"]) == ["nobody1999nothing"]
