"""Putting a model into a run: whether it fits, what settings it becomes, what the manifest says.

Owns the refusals. A model fits a run when the classifier is part of its fold, when the sources that
feed it are those that the model was fitted on (the same code, by hash, and the same settings), when
nobody sets its numbers otherwise, when the market is the model's, and when the file is as it was
written. Another strategy is no
reason to refuse: the sources say the same to each. It refuses to know how a model is fitted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.events import Scales
from engine.calibrate.barriers import parse_distance
from engine.calibrate.model import Model, settings
from engine.calibrate.sample import features_hash
from engine.runtime.compose import Composition
from engine.runtime.parameters import parse_value, settle, table

_FINEST = Scales(9, 9)


def with_model(
    model: Model,
    composition: Composition,
    given: Mapping[str, str],
    *,
    force: bool = False,
    market: tuple[str, str] | None = None,
) -> tuple[dict[str, str], list[str]]:
    """(``given`` with the model's settings, what is doubtful about it in words).

    ``market`` is the (venue, symbol) of the run, where it is known; another than the model's is
    a doubt.

    ConfigError where the model does not fit; with ``force`` a doubt is only said, but a fold
    without the classifier and numbers that are set twice stay errors.
    """
    if not any(h.name == "confluence" for h in composition.handlers):
        raise ConfigError(
            f"the strategy {composition.strategy.name} does not use the classifier",
            where=model.path,
            why="a model is read by the handler confluence, which is not in its fold",
            do="leave --model out, or choose a strategy that names confluence among its handlers",
        )
    if settle(composition, dict(given))["confluence.mode"] != "standard":
        raise ConfigError(
            "in seed mode no model is read",
            where=model.path,
            why="confluence.mode is seed, whose score is no probability",
            do="leave --model out, or set confluence.mode=standard",
        )
    own = settings(model)
    twice = sorted(k for k, v in given.items() if k in own and v != own[k])
    if twice:
        raise ConfigError(
            f"{twice[0]} is set twice",
            where=f"--set {twice[0]}={given[twice[0]]}",
            why=f"the model of {model.path} says {own[twice[0]]}",
            do="leave one of the two out",
        )
    wanted = placement(model) if any(h.name == "desk" for h in composition.handlers) else {}
    doubts = [*_abroad(model, market), *_doubts(model, composition, given, wanted)]
    if doubts and not force:
        raise ConfigError(
            "the model does not fit this run",
            where=model.path,
            why="; ".join(doubts),
            do="fit it again with `ofs calibrate`, or take it all the same with --force-model",
        )
    return {**wanted, **given, **own}, doubts


def placement(model: Model) -> dict[str, str]:
    """Settings of the desk that place a trade where the labels' barriers were.

    A probability is one of reaching that target before that stop within that time, and of no other.
    """
    labels = model.facts["labels"]
    found = {"exits.hold": str(labels["horizon"])}
    for name in ("stop", "target"):
        distance = parse_distance(str(labels[name]))
        if distance.unit == "atr":
            found |= {f"desk.{name}": "atr", f"desk.{name}_atr": f"{distance.value:g}"}
        else:
            share = f"{distance.value / 100:.9f}".rstrip("0")
            found |= {f"desk.{name}": "share", f"desk.{name}_share": share}
    return found


def _abroad(model: Model, market: tuple[str, str] | None) -> Iterator[str]:
    """The doubt about a model of another market: its odds and its scores are that market's."""
    facts = model.facts["provenance"]
    fitted = (facts.get("venue"), facts.get("symbol"))
    if market and all(fitted) and fitted != market:
        yield f"it was fitted on {' '.join(map(str, fitted))}, this run is of {' '.join(market)}"


def _doubts(
    model: Model, composition: Composition, given: Mapping[str, str], wanted: Mapping[str, str]
) -> Iterator[str]:
    for key, text in wanted.items():
        if key in given and not _same(table(composition)[key], key, text, given[key]):
            yield f"its labels were made with {key}={text}, this run has {given[key]}"
    if not model.whole:
        yield "the file was changed after it was written (its digest does not fit)"
    if model.facts["provenance"].get("features_hash") != features_hash():
        yield "the code of the sources changed since it was fitted"
    keys, values = table(composition), settle(composition, dict(given))
    for key, text in model.facts["settings"].items():
        if key in keys and not _same(keys[key], key, str(text), values[key]):
            yield f"it was fitted with {key}={text}, this run has {values[key]}"


def _same(param: Any, key: str, a: str, b: str) -> bool:
    """Whether two texts are one value of ``param``."""
    try:
        return parse_value(param, a, _FINEST, key) == parse_value(param, b, _FINEST, key)
    except ConfigError:
        return a.strip() == b.strip()


def note(model: Model, doubts: list[str]) -> dict[str, Any]:
    """What the manifest of a run says about its model: the file, its hashes, where it comes from.

    The numbers themselves stand among the parameters.
    """
    return {
        "file": Path(model.path).name,
        "sha256": model.sha256,
        "digest": model.digest,
        "calibrator": model.facts["method"],
        "labels": model.facts["labels"],
        "provenance": model.facts["provenance"],
        **({"taken_in_spite_of": doubts} if doubts else {}),
    }
