"""Your own table -> fine-tuned classifier: TSV, CSV or JSONL with a column of texts and a column of classes.

    keras-bert classify --train_file=train.tsv --eval_file=dev.tsv --init_checkpoint=model --output_dir=classifier

Columns are named by the first line (or the keys of JSONL). Flags and defaults are run_classifier.py's of
google-research/bert, where it has them. --num_runs trains several seeds and saves the best; quote their mean.
"""

import time
from pathlib import Path

from keras_bert_cli.flags import add_bool, positive_int
from keras_bert_cli.startup import start_tensorflow


def add_arguments(parser):
    """Adds run_classifier.py's flags, and ours."""
    parser.add_argument("--train_file", required=True, help="table to train on: .tsv (unquoted), .csv or .jsonl")
    parser.add_argument("--eval_file", required=True, help="held-out table to measure on")
    parser.add_argument("--predict_file", help="table to label; needs no label column")
    parser.add_argument("--output_dir", required=True, help="folder for the model directory, figures and pictures")
    parser.add_argument("--text_column", default="text", help="column of the text (default: text)")
    parser.add_argument("--pair_column", help="column of a second text, for pairs of texts")
    parser.add_argument("--label_column", default="label", help="column of the class (default: label)")
    parser.add_argument(
        "--init_checkpoint",
        help="the model to fine-tune: our directory, a Google checkpoint or a Hugging Face directory",
    )
    add_bool(parser, "from_scratch", default=False, help="take its config and vocabulary alone, and fresh weights")
    parser.add_argument(
        "--bert_config_file", help="without --init_checkpoint: a bert_config.json, or a size, tiny ... large"
    )
    parser.add_argument("--vocab_file", help="the vocabulary, where none lies beside the checkpoint")
    add_bool(
        parser, "do_lower_case", default=None, help="lower-case the text; None takes what the vocabulary was made for"
    )
    parser.add_argument(
        "--dropout", type=float, help="rate of dropout, everywhere; the model keeps it (default: the config's rates)"
    )
    parser.add_argument("--max_seq_length", type=positive_int, default=128, help="longer texts are cut (default: 128)")
    parser.add_argument("--train_batch_size", type=positive_int, default=32, help="examples a step (default: 32)")
    parser.add_argument("--eval_batch_size", type=positive_int, default=8, help="examples a batch (default: 8)")
    parser.add_argument("--predict_batch_size", type=positive_int, default=8, help="examples a batch (default: 8)")
    parser.add_argument("--learning_rate", type=float, default=5e-5, help="peak learning rate (default: 5e-5)")
    parser.add_argument("--num_train_epochs", type=float, default=3.0, help="passes over the table (default: 3.0)")
    parser.add_argument("--num_train_steps", type=positive_int, help="steps, instead of --num_train_epochs")
    parser.add_argument(
        "--warmup_proportion", type=float, default=0.1, help="share of the steps with a rising rate (default: 0.1)"
    )
    parser.add_argument(
        "--num_runs", type=positive_int, default=1, help="seeds to train, one after the other (default: 1)"
    )
    parser.add_argument("--seed", type=int, default=12345, help="the first of them (default: 12345)")
    add_bool(parser, "eval_each_epoch", default=True, help="measure after each epoch, not at the end alone")
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "mixed_bfloat16"), help="arithmetic (default: float32)"
    )
    add_bool(parser, "force", default=False, help="replace a model that stands in --output_dir")


def run(args):
    """Runs the command: prints what it resolved, trains, measures, and says what it wrote and what comes next."""
    from keras_bert.tasks.examples import read_examples

    begin = time.monotonic()
    output_dir = Path(args.output_dir)
    _check_output(output_dir, args)
    tokenizer, config, checkpoint = _find_model(args)
    columns = {name: getattr(args, name) for name in ("text_column", "pair_column", "label_column")}
    classes, train, evaluation, prediction = read_examples(
        args.train_file, args.eval_file, args.predict_file, **columns
    )

    start_tensorflow()
    from keras_bert.tasks.classify import train_classifier
    from keras_bert_cli.progress import Progress, clock

    _print_data(args, tokenizer, classes, train, evaluation, prediction)
    with Progress() as progress:
        model, results, logits = train_classifier(
            _make_maker(args, config, classes, checkpoint),
            tokenizer,
            train,
            evaluation,
            seeds=range(args.seed, args.seed + args.num_runs),
            max_seq_length=args.max_seq_length,
            train_batch_size=args.train_batch_size,
            eval_batch_size=args.eval_batch_size,
            learning_rate=args.learning_rate,
            epochs=args.num_train_epochs,
            num_train_steps=args.num_train_steps,
            warmup_proportion=args.warmup_proportion,
            evaluate_each_epoch=args.eval_each_epoch,
            on_start=lambda model: _print_model(args, model),
            progress=progress,
        )
    written = _write(args, output_dir, model, tokenizer, results, evaluation, logits, prediction)
    _print_results(results)
    print(
        f"wrote in {clock(time.monotonic() - begin)}: {output_dir}, a model directory, and in it {', '.join(written)}"
    )
    print(f"next: keras-bert export --model_dir {output_dir} --output_dir serving/{output_dir.resolve().name}/1")
    return results


def _make_maker(args, config, classes, checkpoint):
    from keras_bert.tasks.classify import classifier_maker

    return classifier_maker(config, classes, pair=args.pair_column is not None, checkpoint=checkpoint, dtype=args.dtype)


def _write(args, output_dir, model, tokenizer, results, evaluation, logits, prediction):
    """Writes all there is to write, the model last, and returns the names of the files beside it."""
    from keras_bert.tasks.classify import Predictor, write_output, write_predictions

    predictions = output_dir / "predictions.tsv"
    if prediction is not None:
        sizes = {"max_seq_length": args.max_seq_length, "batch_size": args.predict_batch_size}
        predicted = Predictor(prediction, tokenizer, **sizes).logits(model)
        write_predictions(predictions, prediction, predicted, model.labels)
    elif args.force:
        predictions.unlink(missing_ok=True)  # of the model that is replaced
    write_output(output_dir, model, tokenizer, results, evaluation, logits, title=output_dir.resolve().name)
    return ["eval_results.json", "confusion.png", "curves.png", *([predictions.name] if prediction is not None else [])]


def _check_output(output_dir, args):
    """Raises a UserError, before any work, if the results would have no place to go to."""
    import os

    from keras_bert.errors import UserError
    from keras_bert.files import refuse_existing

    if not args.force:
        refuse_existing(
            output_dir / "bert_config.json", what="--output_dir", remedy="add --force to replace that model"
        )
    if args.init_checkpoint and Path(args.init_checkpoint).resolve() == output_dir.resolve():
        raise UserError(
            f"--output_dir and --init_checkpoint are both {output_dir}; the result needs a place of its own."
        )
    standing = next(folder for folder in (output_dir, *output_dir.absolute().parents) if folder.exists())
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        state = "is no directory" if not standing.is_dir() else "may not be written to"
        raise UserError(f"--output_dir: {output_dir} cannot be made, since {standing} {state}; choose another place.")


def _find_model(args):
    """Returns the Tokenizer, the BertConfig and the Checkpoint to load (None for fresh weights) that the flags mean."""
    from keras_bert.checkpoints import open_checkpoint
    from keras_bert.config import BertConfig
    from keras_bert.errors import UserError
    from keras_bert.serving.inputs import check_length

    if args.init_checkpoint:
        checkpoint = open_checkpoint(args.init_checkpoint)
        config, source = checkpoint.config, args.init_checkpoint
    elif args.bert_config_file:
        checkpoint, config, source = None, None, args.bert_config_file
        if not args.vocab_file:
            raise UserError("--bert_config_file without --init_checkpoint needs --vocab_file, the vocabulary.")
    else:
        raise UserError(
            "Nothing to fine-tune: name a model by --init_checkpoint, or give --bert_config_file and --vocab_file "
            "to start from fresh weights."
        )
    tokenizer = _find_tokenizer(args)
    if args.bert_config_file:
        named = BertConfig.from_name_or_file(args.bert_config_file, vocab_size=tokenizer.vocab_size)
        if config is not None:
            _check_same_shape(named, config, args)
        config = named if config is None else config
    if tokenizer.vocab_size != config.vocab_size:
        raise UserError(
            f"The vocabulary has {tokenizer.vocab_size} entries, but {source} has vocab_size {config.vocab_size}; "
            "give the vocabulary that belongs to the model."
        )
    check_length(config, args.max_seq_length, pair=args.pair_column is not None)
    if args.dropout is not None:
        config = config.replace(hidden_dropout_prob=args.dropout, attention_probs_dropout_prob=args.dropout)
    return tokenizer, config, None if args.from_scratch else checkpoint


def _find_tokenizer(args):
    """Returns the Tokenizer, by --vocab_file or by what lies beside the checkpoint; --do_lower_case must fit it."""
    from keras_bert.errors import UserError
    from keras_bert.text.tokenizer import Tokenizer
    from keras_bert.text.vocabulary import Vocabulary

    wanted = args.do_lower_case
    if args.vocab_file:
        vocabulary = Vocabulary.from_file(args.vocab_file)
        if wanted and vocabulary.looks_cased:
            raise UserError(
                f"--do_lower_case, but {args.vocab_file} has entries with upper-case letters, which would never be "
                "found; leave the flag out."
            )
        return Tokenizer(vocabulary, do_lower_case=not vocabulary.looks_cased if wanted is None else wanted)
    tokenizer = Tokenizer.from_pretrained(args.init_checkpoint)
    if wanted is not None and wanted != tokenizer.do_lower_case:
        does = "lower-cases" if tokenizer.do_lower_case else "keeps upper case"
        raise UserError(f"--do_lower_case={wanted}, but {args.init_checkpoint} {does}; leave the flag out.")
    return tokenizer


def _check_same_shape(named, config, args):
    from keras_bert.config import COUNTS
    from keras_bert.errors import UserError

    for field in COUNTS:
        if getattr(named, field) != getattr(config, field):
            raise UserError(
                f"--bert_config_file {args.bert_config_file} has {field} {getattr(named, field)}, but "
                f"{args.init_checkpoint} has {getattr(config, field)}; leave --bert_config_file out."
            )


def _print_data(args, tokenizer, classes, train, evaluation, prediction):
    import numpy as np
    import tensorflow as tf

    from keras_bert.tasks.table import shorten

    kinds = ", ".join(sorted({device.device_type for device in tf.config.list_logical_devices()}))
    counts = np.bincount(train.labels, minlength=len(classes))
    shown = shorten([f"{name} ({count})" for name, count in zip(classes, counts, strict=True)])
    print(f"device: {kinds}, {args.dtype}")
    print(f"vocabulary: {tokenizer.vocab_size:,} entries, {'lower-cased' if tokenizer.do_lower_case else 'cased'}")
    print(f"training: {len(train):,} {'texts' if train.pairs is None else 'pairs'} in {len(classes)} classes: {shown}")
    print(f"held out: {len(evaluation):,}" + (f"; to label: {len(prediction):,}" if prediction is not None else ""))


def _print_model(args, model):
    config, report = model.bert_config, getattr(model, "load_report", None)
    shape = f"{config.num_hidden_layers} layers, hidden size {config.hidden_size}, {model.count_params():,} weights"
    print(f"model: {shape}, " + ("fresh" if report is None else f"from {args.init_checkpoint}"))
    if report is not None:
        print(
            f"checkpoint: {len(report.loaded)} weights loaded, {len(report.unused)} of other heads left; "
            f"newly initialised: {', '.join(report.new) or 'none'}"
        )
    length = f"{args.num_train_steps:,} steps" if args.num_train_steps else f"{args.num_train_epochs:g} epochs"
    runs = f", {args.num_runs} runs" if args.num_runs > 1 else ""
    print(f"schedule: {length} of batch {args.train_batch_size}, peak rate {args.learning_rate:g}{runs}", flush=True)


def _print_results(results):
    print(
        f"held out: accuracy {results['accuracy']:.4f}, macro F1 {results['f1_macro']:.4f}, loss {results['loss']:.4f} "
        f"(always the most frequent class: accuracy {results['majority_share']:.4f})"
    )
    if len(results["accuracies"]) > 1:
        each = ", ".join(f"{accuracy:.4f}" for accuracy in results["accuracies"])
        print(
            f"{len(results['accuracies'])} runs: accuracy {results['accuracy_mean']:.4f} "
            f"± {results['accuracy_sd']:.4f} ({each}); the best, seed {results['seed']}, is saved"
        )
