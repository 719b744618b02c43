"""Does the data tool's time grow with the corpus alone, and its memory not at all?

    python -m benchmarks.scaling --input_file=wiki.txt --vocab_file=vocab.txt --megabytes=10,50,165

Takes the first so many megabytes of the text, again from its beginning where it is too short, and prints one JSON
line: seconds, instances, peak memory for each size, and the marginal rate from each size to the next. The largest size
runs once before, unmeasured: a virtual machine may take ten times as long for a page of the file cache that it has not
used before.
"""

import argparse
import itertools
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import measure_data_tool


def main():
    """Runs each size and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input_file", required=True, help="text files, commas between them")
    parser.add_argument("--vocab_file", required=True)
    parser.add_argument("--megabytes", default="10,50,165")
    parser.add_argument("--flags", default="--dupe_factor=10", help="further flags of the data tool, in quotes")
    args = parser.parse_args()
    megabytes = [float(size) for size in args.megabytes.split(",")]
    run(max(megabytes), args)
    sizes = [run(size, args) for size in megabytes]
    marginal = [
        round((b["instances"] - a["instances"]) / (b["seconds"] - a["seconds"])) for a, b in itertools.pairwise(sizes)
    ]
    print(json.dumps({"flags": args.flags, "sizes": sizes, "marginal_instances_per_second": marginal}))


def run(megabytes, args):
    """Runs the data tool on so much text. Returns its figures."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text.txt")
        write_text(text, args.input_file.split(","), int(megabytes * 1e6))
        command = [sys.executable, "-m", "tfrecords.create_pretraining_data", f"--input_file={text}"]
        figures = measure_data_tool([*command, f"--vocab_file={args.vocab_file}", *args.flags.split()])
    return {"text_mb": megabytes, **figures}


def write_text(path, sources, size):
    """Writes `size` bytes of text, whole lines, from files that are read again and again."""
    with open(path, "wb") as stream:
        while stream.tell() < size:
            for source in sources:
                with open(source, "rb") as lines:
                    for line in lines:
                        if stream.tell() >= size:
                            return
                        stream.write(line)


if __name__ == "__main__":
    main()
