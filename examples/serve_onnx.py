"""Serve a model that ``export_onnx`` wrote: numpy and onnxruntime, neither tabtext nor torch.

    python examples/serve_onnx.py DIRECTORY < rows.jsonl     one JSON object a line in, one out

An object has the columns of the table: dates in ISO format, null for what is missing. For a model
of texts it has "tokens", a list for each column of text, cut as tabtext cuts them: to do that as
spaCy does is more than a hundred lines can hold. Tables that hold texts are not served here.
"""

import json
import math
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import onnxruntime


def date_part(text, part):
    when = datetime.fromisoformat(text)
    instant = when if when.tzinfo else when.replace(tzinfo=UTC)
    parts = {"week": when.isocalendar().week, "day_of_week": when.weekday()}
    parts |= {"day_of_year": when.timetuple().tm_yday, "elapsed": math.floor(instant.timestamp())}
    last = date.fromordinal(when.toordinal() + 1).day == 1
    for name, months in (("month", 1), ("quarter", 3), ("year", 12)):
        parts[f"is_{name}_start"] = when.day == 1 and when.month % months == 1 % months
        parts[f"is_{name}_end"] = last and when.month % months == 0
    return parts[part] if part in parts else getattr(when, part)


def column(feature, rows):
    values = [row[feature["source"]] for row in rows]
    if feature["part"]:
        values = [None if v is None else date_part(v, feature["part"]) for v in values]
    return (codes if "values" in feature else numbers)(feature, values)


def codes(feature, values):
    known = feature.setdefault("codes", {v: n for n, v in enumerate(feature["values"], start=2)})
    for value in values:
        if value is not None and isinstance(value, str) != (feature["kind"] == "string"):
            raise TypeError(f"{feature['name']} is {value!r}, which is no {feature['kind']}")
    return [[feature["missing"] if value is None else known.get(value, 1) for value in values]]


def numbers(feature, values):
    given = np.array([math.nan if value is None else value + 0.0 for value in values])
    gaps = ~np.isfinite(given)
    given[gaps] = feature["fill"]
    if feature["references"]:
        scaled = np.interp(given, feature["references"], feature["normals"])
    else:
        scaled = np.clip((given - feature["center"]) * feature["factor"], -1e18, 1e18)
        if feature["clip"]:
            scaled = scaled / np.sqrt(1 + (scaled / feature["clip"]) ** 2)
    return [scaled, gaps] if feature["indicator"] else [scaled]


def table_inputs(about, rows):
    inputs = {}
    for name, features in about["features"].items():
        lines = [line for feature in features for line in column(feature, rows)]
        inputs[name] = np.array(lines, about["inputs"][name]["dtype"]).reshape(-1, len(rows)).T
    return inputs


def text_inputs(about, ids, rows):
    documents = []
    for fields in (row["tokens"] for row in rows):
        if len(about["text_columns"]) > 1:
            fields = [["xxfld", str(n), *tokens] for n, tokens in enumerate(fields, start=1)]
        tokens = ["xxbos", *(token for field in fields for token in field), "xxeos"]
        documents.append([ids.get(token, 0) for token in tokens])
    lengths = [len(document) for document in documents]
    tokens = [d + [about["padding"]] * (max(lengths) - len(d)) for d in documents]
    return {"tokens": np.array(tokens, np.int64), "lengths": np.array(lengths, np.int64)}


def meaning(output, values):
    names = output.get("classes") or output.get("labels") or output["columns"]
    found = dict(zip(map(str, names), values.tolist(), strict=True))
    if "classes" not in output:  # quantities, or the probability of every label
        return found
    return {output["target"]: names[values.argmax()], "probabilities": found}


def main(directory):
    about = json.loads((directory / "preprocessor.json").read_text(encoding="utf-8"))
    session, ids = onnxruntime.InferenceSession(directory / "model.onnx"), {}
    if "tokenizer" in about:
        vocabulary = (directory / about["tokenizer"] / "vocabulary.json").read_text("utf-8")
        ids = {token: number for number, token in enumerate(json.loads(vocabulary)["tokens"])}
    for rows in ([json.loads(line)] for line in sys.stdin):
        inputs = text_inputs(about, ids, rows) if ids else table_inputs(about, rows)
        answer = meaning(about["output"], session.run(None, inputs)[0][0])
        print(json.dumps(answer), flush=True)


main(Path(sys.argv[1]))
