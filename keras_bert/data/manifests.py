"""What the manifests beside record files say, all together: one vocabulary, one casing, one sentence task.

The data tool writes a manifest beside its shards. Google's files have none: then nothing is known, and nothing refused.
"""

from pathlib import Path

from keras_bert.data.damage import scan
from keras_bert.data.records import count_records, manifest_path, read_manifest, tokenizer_beside
from keras_bert.errors import UserError
from keras_bert.text.kinds import kind_at
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.vocabulary import Vocabulary

# The manifest's word for what next_sentence_labels say -> what a person reads; None where they say nothing.
SENTENCE_TASKS = {"nsp": "next-sentence", "sop": "sentence-order", "none": None}

# The rules of the records' tokenizer, and what a manifest that does not state one means.
RULES = {"do_lower_case": None, "strip_accents": None, "tokenize_chinese_chars": True, "special_tokens": []}

OWN = "the records' own"


def runs_of(files):
    """Returns {its first file: its manifest} of each run of the data tool among `files`; {} without a manifest."""
    firsts = {}
    for path in map(Path, files):
        firsts.setdefault(manifest_path(path), path)
    return {path: read_manifest(path) or {} for path in firsts.values()}


def agreed(files, key, *, default=None, remedy="train on records that were made alike"):
    """Returns what the manifests say of `key`.

    Args:
        files: paths of TFRecord files.
        key: a field of the manifest.
        default: what a missing manifest or field stands for; None for anything.
        remedy: what an error advises.

    Raises:
        UserError: two manifests contradict each other.
    """
    said = [(path, manifest.get(key, default)) for path, manifest in runs_of(files).items()]
    said = [(path, value) for path, value in said if value is not None]
    first, expected = said[0] if said else (None, default)
    for path, value in said:
        if value != expected:
            raise UserError(f"{first} was made with {key} {expected!r:.20}, {path} with {value!r:.20}; {remedy}.")
    return expected


def stated_rules(files):
    """Returns the tokenizer's rules that the manifests state, by name, and "special_tokens"; {} where none does.

    Older manifests state the casing alone; their records were made by the defaults of the other rules.

    Raises:
        UserError: two manifests contradict each other.
    """
    lower = agreed(files, "do_lower_case", remedy="train on records of one casing")
    if lower is None:
        return {}
    said = [(path, _rules_of(manifest)) for path, manifest in runs_of(files).items() if "do_lower_case" in manifest]
    first, expected = said[0]
    for path, rules in said:
        for name, value in rules.items():
            if value != expected[name]:
                raise UserError(
                    f"{first} was made with {name} {expected[name]!r:.80}, {path} with {value!r:.80}; "
                    "train on records that were made alike."
                )
    return expected


def _rules_of(manifest):
    return {name: manifest.get(name, default) for name, default in RULES.items()}


def sentence_task(files):
    """Returns what the records' next_sentence_labels are about: a row of SENTENCE_TASKS; "nsp" where nothing says."""
    task = agreed(files, "sentence_task", default="nsp")
    if task not in SENTENCE_TASKS:
        raise UserError(
            f"The manifest beside {files[0]} says sentence_task {task!r} where one of {', '.join(SENTENCE_TASKS)} was "
            "expected; make the records again."
        )
    return task


def check_vocabulary(files, vocabulary):
    """Raises a UserError if a manifest says that its records were made with another vocabulary than this one."""
    for path, manifest in runs_of(files).items():
        made_with = manifest.get("vocab_sha256", vocabulary.fingerprint)
        if made_with != vocabulary.fingerprint:
            beside = tokenizer_beside([path])
            raise UserError(
                f"{path} was made with another vocabulary ({manifest.get('vocab_size')} tokens, SHA-256 "
                f"{str(made_with)[:12]}) than the model's ({len(vocabulary)} tokens, {vocabulary.fingerprint[:12]}); "
                f"take {beside or OWN}, or make the records again with the model's."
            )


def check_tokenizer_of(files, tokenizer):
    """Raises a UserError if the manifests contradict each other, or this Tokenizer in its vocabulary or casing."""
    agreed(files, "vocab_sha256", remedy="train on records of one vocabulary")
    stated = stated_rules(files)
    sentence_task(files)
    if tokenizer is None:
        return
    check_vocabulary(files, tokenizer.vocabulary)
    _check_kind(files, tokenizer)
    for name, value in stated.items():
        found = getattr(tokenizer, name) if name != "special_tokens" else _kept_as(value, tokenizer)
        if value != found:
            raise UserError(
                f"{files[0]} was made with {name}={value}, but the tokenizer has {name}={found}; "
                f"leave --{name} to the manifest, or make the records again."
            )


def _check_kind(files, tokenizer):
    """Raises a UserError if the records' tokenizer is of another kind than this one, or has other rules."""
    for path, manifest in runs_of(files).items():
        kind = manifest.get("tokenizer", "wordpiece" if manifest else tokenizer.kind)
        if kind != tokenizer.kind:
            raise UserError(
                f"{path} was made with a tokenizer of the kind {kind!r:.30}, and the model's is {tokenizer.kind}; "
                "make the records again with the model's."
            )
        made_with = manifest.get("tokenizer_sha256", tokenizer.fingerprint)
        if kind != "wordpiece" and made_with != tokenizer.fingerprint:  # of WordPiece each rule is compared by name
            raise UserError(
                f"{path} was made with another tokenizer of the same vocabulary (SHA-256 {str(made_with)[:12]}) than "
                f"the model's ({tokenizer.fingerprint[:12]}); take {tokenizer_beside([path]) or OWN}, "
                "or make the records again with the model's."
            )


def _kept_as(tokens, tokenizer):
    """Returns those of the tokens that a Tokenizer keeps whole, as a list."""
    kept = {token.content for token in tokenizer.vocabulary.added}
    return [token for token in tokens if token in kept]


def records_vocabulary(files, given=None):
    """Returns the Vocabulary that records were made with, or None where none is given and none lies beside them.

    Args:
        files: paths of TFRecord files.
        given: a Vocabulary, a Tokenizer, the path of a vocab.txt or of a directory with the files of a tokenizer; None
            looks beside the files.

    Raises:
        UserError: it is not the one that a manifest names, or no vocabulary.
    """
    if given is None:
        given = tokenizer_beside(runs_of(files))
    if given is None:
        return None
    if not isinstance(given, (Vocabulary, Tokenizer)) and (Path(given).is_dir() or kind_at(given) != "wordpiece"):
        given = Tokenizer.from_pretrained(given)
    given = given.vocabulary if isinstance(given, Tokenizer) else given
    vocabulary = given if isinstance(given, Vocabulary) else Vocabulary.from_file(given, what="vocabulary")
    check_vocabulary(files, vocabulary)
    return vocabulary.with_added(stated_rules(files).get("special_tokens", ()))


def told_vocab_size(files):
    """Returns the largest vocab_size that the manifests say, or None unless each says one."""
    sizes = [manifest.get("vocab_size") for manifest in runs_of(files).values()]
    return max(sizes) if all(isinstance(size, int) and size > 0 for size in sizes) else None


def count_examples(files, *, skip_damaged=False):
    """Returns how many records the files hold: by the manifest of a run whose files are all there, else by counting.

    Args:
        files: paths of TFRecord files.
        skip_damaged: count the intact records, whatever the manifests say.
    """
    if skip_damaged:
        return sum(scan(path).intact for path in files)
    files = [Path(path) for path in files]
    count = 0
    for first, manifest in runs_of(files).items():
        run = [path for path in files if manifest_path(path) == manifest_path(first)]
        told = sorted(map(str, manifest.get("files", ()))) == sorted(path.name for path in run)
        told = told and isinstance(manifest.get("instances"), int)
        count += manifest["instances"] if told else sum(map(count_records, run))
    return count
