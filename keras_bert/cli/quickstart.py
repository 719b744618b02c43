"""The whole chain in minutes on a CPU: corpus, vocabulary, TFRecords, pre-training, fill-mask, fine-tuning, serving.

Without --input_file the corpus is the docstrings of the installed Python packages: no download, no account.
Each stage is the command that you would run by hand, shown before it runs. A second run reuses what is done.

    keras-bert quickstart
    keras-bert quickstart --family=roberta --output_dir=roberta_quickstart
    keras-bert quickstart --input_file='my_texts/*.txt' --output_dir=my_quickstart
"""

import json
import os
import platform
from pathlib import Path

from keras_bert.cli.flags import Group, add_text_format, positive_int
from keras_bert.cli.recipes import RECIPES

VERSIONED = (
    "keras3-bert",
    "tensorflow",
    "tensorflow-text",
    "keras",
    "numpy",
    "scipy",
    "scikit-learn",
    "matplotlib",
    "tensorflow-datasets",
)

MAIN = ("output_dir", "family", "input_file", "bert_config_file", "num_train_steps")


def add_arguments(parser):
    """Adds the flags of the chain."""
    data, model, training = Group(parser, "data"), Group(parser, "model"), Group(parser, "training")
    Group(parser, "output").add_argument("--output_dir", default="quickstart_output", help="folder for everything")
    model.add_argument(
        "--family",
        choices=sorted(RECIPES),
        default="bert",
        help="model family, with its usual tokenizer and sentence task",
    )
    data.add_argument("--input_file", help="your own text instead: paths, quoted globs, commas")
    add_text_format(parser, data_sets=False)
    model.add_argument("--vocab_size", type=positive_int, default=8000, help="entries of the vocabulary")
    model.add_argument(
        "--bert_config_file", help="another size: a bert_config.json or a name (default: 2 layers, hidden size 128)"
    )
    training.add_argument("--max_seq_length", type=positive_int, default=64, help="tokens an example")
    training.add_argument("--num_train_steps", type=positive_int, default=5500, help="steps of pre-training")
    training.add_argument("--train_batch_size", type=positive_int, default=32, help="examples a step")
    training.add_argument("--learning_rate", type=float, default=1e-3, help="peak learning rate of pre-training")


def run(args):
    """Runs the chain and ends with a table and results.json."""
    from keras_bert.cli.chain import Chain
    from keras_bert.files import expand_inputs
    from keras_bert.outputs import atomic_path

    folder = Path(args.output_dir)
    inputs = expand_inputs(args.input_file, directories=True) if args.input_file else None
    _make_folder(folder)
    results = Chain(args, folder, inputs, _fingerprint(inputs)).run()
    with atomic_path(folder / "results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _print_table(results, folder)
    return results


def _make_folder(folder):
    from keras_bert.errors import UserError

    try:
        (folder / "stages").mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError("permission denied")
    except OSError as error:
        raise UserError(f"--output_dir: cannot write to {folder} ({error}); choose another place.") from error


def _fingerprint(inputs):
    """Returns what the corpus depends on: the files' names, sizes and times, or the installed versions."""
    from importlib import metadata

    if inputs:
        return "\n".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in inputs)
    versions = [f"python {platform.python_version()}"]
    for name in VERSIONED:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return "\n".join(versions)


def _print_table(results, folder):
    """Prints the figures and where everything lies."""
    rows = [
        ("masked-LM accuracy, held-out", f"{results['masked_lm_accuracy']:.3f}"),
        ("  always the most frequent token", f"{results['unigram_accuracy']:.3f}"),
        ("masked-LM loss, held-out", f"{results['masked_lm_loss']:.3f}"),
    ]
    if "next_sentence_accuracy" in results:
        name = "sentence-order" if results["sentence_task"] == "sop" else "next-sentence"
        rows.append((f"{name} accuracy, held-out", f"{results['next_sentence_accuracy']:.3f}"))
    for kind, name in (("pretrained", "from the pre-trained encoder"), ("scratch", "from scratch, same steps")):
        if f"finetune_accuracy_{kind}" in results:
            mean, sd = results[f"finetune_accuracy_{kind}"], results[f"finetune_accuracy_{kind}_sd"]
            rows.append((f"classifier accuracy {name}", f"{mean:.3f} (sd {sd:.3f}, 3 seeds)"))
    print("\n== results")
    for name, value in rows:
        print(f"  {name:<50} {value}")
    print("  seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in results["seconds"].items()))
    if results["reused"]:
        print(f"  reused from an earlier run: {', '.join(results['reused'])}")
    print(f"wrote {folder / 'results.json'}; curves: {folder / 'pretrained' / 'loss_curve.png'}")
    flags = f"--train_file=train.tsv --init_checkpoint={folder / 'pretrained'} --output_dir=classifier"
    print("next, with a table of your own, its columns text and label:")
    print(f"  source .venv/bin/activate; keras-bert classify {flags} --learning_rate=5e-4 --num_train_epochs=8")
