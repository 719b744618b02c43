"""SQuAD 1.1, SQuAD 2.0 or KorQuAD 1 -> a model that answers questions from a text, and its official figures.

    keras-bert squad --train_file=train-v1.1.json --predict_file=dev-v1.1.json --init_checkpoint=model --output_dir=qa
    keras-bert squad --predict_file=dev-v1.1.json --init_checkpoint=qa --output_dir=answers

Flags and defaults are run_squad.py's of google-research/bert, but that it does what the files allow without --do_train
and --do_predict. Files may be packed as .gz or .xz. It writes predictions.json, nbest_predictions.json, with
--version_2_with_negative null_odds.json, eval_results.json where the answers are known, and the model directory. The
threshold over which SQuAD 2.0's questions have no answer is the best one on --predict_file, and is kept with the model.
"""

import time
from pathlib import Path

from keras_bert.cli import finetune_flags
from keras_bert.cli.flags import Group, add_bool, positive_int
from keras_bert.cli.saved_models import add_reading_flag, settle_reading, update_results, with_saved_model
from keras_bert.cli.startup import start_tensorflow

SHOWN_LOST = 5  # of the answers that were not found; --verbose_logging shows all
MAIN = ("train_file", "predict_file", "init_checkpoint", "output_dir", "version_2_with_negative", "num_train_epochs")
WRITTEN = ("predictions.json", "nbest_predictions.json", "null_odds.json")


def add_arguments(parser):
    """Adds run_squad.py's flags, and ours."""
    data, answers = Group(parser, "data"), Group(parser, "answers")
    data.add_argument("--train_file", help="SQuAD JSON to train on, such as train-v1.1.json")
    data.add_argument("--predict_file", help="SQuAD JSON to answer, and to measure on if it has answers")
    finetune_flags.add_output_flags(parser)
    finetune_flags.add_do_flags(parser, eval="measure on --predict_file, where it has answers")
    finetune_flags.add_model_flags(parser)
    finetune_flags.add_training_flags(parser, max_seq_length=384)
    finetune_flags.add_old_flags(parser)
    add_reading_flag(parser, "doc_stride", 128, "tokens from one window of a long context to the next")
    add_reading_flag(parser, "max_query_length", 64, "longer questions are cut to so many tokens")
    for name, default, help in (
        ("n_best_size", 20, "positions to look at, and answers in nbest_predictions.json"),
        ("max_answer_length", 30, "tokens of the longest answer"),
    ):
        answers.add_argument(f"--{name}", type=positive_int, default=default, help=help)
    add_bool(answers, "version_2_with_negative", default=False, help="some questions have no answer, as in SQuAD 2.0")
    answers.add_argument(
        "--null_score_diff_threshold",
        type=float,
        help="no answer if its score is so far over the best answer's (default: the best in training, then the "
        "model's, or 0.0)",
    )
    add_bool(
        Group(parser, "data", rare=True),
        "verbose_logging",
        default=False,
        help="list all answers that are not where the file says",
    )


def run(args):
    """Runs the command: prints what it resolved, trains, answers, and says what it wrote and what comes next."""
    from keras_bert.tasks.answer.features import check_lengths

    begin = time.monotonic()
    args = _decide(args)
    finetune_flags.check_output(args)
    tokenizer, config, checkpoint = finetune_flags.find_model(args, pair=True)
    check_lengths(args.max_seq_length, args.doc_stride, args.max_query_length, layout=tokenizer.layout)
    train = _read(args, args.train_file, training=True) if args.do_train else None
    asked = _read(args, args.predict_file) if args.predict_file and (args.do_predict or args.do_eval) else None

    start_tensorflow()
    from keras_bert.cli.progress import Progress, clock

    finetune_flags.print_device(args)
    finetune_flags.print_vocabulary(tokenizer)
    with Progress() as progress:
        questions = None if asked is None else _questions(args, asked, tokenizer, progress)
        if args.do_train:
            results, written = _train(args, tokenizer, config, checkpoint, train, questions, progress)
        else:
            results, written = _answer(args, tokenizer, questions)
    _print_results(args, results)
    print(f"wrote in {clock(time.monotonic() - begin)}: {args.output_dir}, and in it {', '.join(written)}")
    where = args.output_dir if args.do_train else args.init_checkpoint
    print(f"next: python -c \"import keras_bert as kb; print(kb.squad.Answerer.from_pretrained('{where}')(")
    print("    'Who came?', 'Rollo came to Normandy in 911.'))\"")
    return results


def _decide(args):
    """Settles what is to be done, and returns the flags with the model that it is done with."""
    from keras_bert.errors import UserError

    one_is_on = any(getattr(args, f"do_{kind}") for kind in ("train", "eval", "predict"))  # then the others are off
    for action, name in (("do_train", "train_file"), ("do_predict", "predict_file")):
        given = getattr(args, name) is not None
        if getattr(args, action) and not given:
            raise UserError(f"--{action} needs --{name}, a SQuAD file.")
        if getattr(args, action) is None:
            setattr(args, action, given and not one_is_on)
    args.do_eval = args.do_eval is not False
    if not args.do_train and not (args.do_predict or (args.predict_file and args.do_eval)):
        raise UserError("Nothing to do: give --train_file to train, --predict_file to answer questions, or both.")
    # What was trained there answers, as in run_squad.py, whose --init_checkpoint then is what that began from.
    return args if args.do_train else with_saved_model(args)


def _read(args, path, *, training=False):
    """Reads a file and prints what is in it."""
    from keras_bert.tasks.answer.examples import read_examples

    examples = read_examples(path, training=training, version_2_with_negative=args.version_2_with_negative)
    contexts = len({id(example.context) for example in examples})
    impossible = sum(example.is_impossible for example in examples)
    print(
        f"{'training' if training else 'questions'}: {path}, {len(examples):,} questions about {contexts:,} contexts"
        + (f", {impossible:,} of them without an answer" if impossible else "")
        + (f"; {examples.several:,} have several answers, of which the first is learnt" if examples.several else "")
    )
    if examples.lost:
        print(f"left out: {len(examples.lost):,} questions whose answer does not stand where the file says")
        shown = examples.lost if args.verbose_logging else examples.lost[:SHOWN_LOST]
        for lost in shown:
            print(f"  {lost}")
        if len(shown) < len(examples.lost):
            print(f"  and {len(examples.lost) - len(shown):,} more, which --verbose_logging lists")
    return examples


def _questions(args, examples, tokenizer, progress):
    from keras_bert.tasks.answer.training import Questions

    names = ("max_seq_length", "doc_stride", "max_query_length", "n_best_size", "max_answer_length")
    return Questions(
        examples,
        tokenizer,
        **{name: getattr(args, name) for name in names},
        version_2_with_negative=args.version_2_with_negative,
        threshold=args.null_score_diff_threshold,
        batch_size=args.predict_batch_size,
        log=progress.say if args.verbose_logging else None,
        progress=progress,
    )


def _train(args, tokenizer, config, checkpoint, train, questions, progress):
    """Trains, measures and writes. Returns the results and the names of what was written."""
    from keras_bert.models import SpanLabeler
    from keras_bert.tasks.answer.features import make_features
    from keras_bert.tasks.answer.training import train_span_labeler
    from keras_bert.tasks.runs import model_maker, write_model

    lengths = {name: getattr(args, name) for name in ("max_seq_length", "doc_stride", "max_query_length")}
    features = make_features(train, tokenizer, training=True, **lengths)
    print(f"windows: {len(features):,} to train on" + (f", {len(questions.features):,} to answer" if questions else ""))
    measured = _measured(args, questions)
    best = train_span_labeler(
        model_maker(config, SpanLabeler, checkpoint=checkpoint, **finetune_flags.maker_options(args)),
        features,
        tokenizer,
        questions if measured else None,
        max_seq_length=args.max_seq_length,
        on_start=lambda model: finetune_flags.print_model(args, model),
        progress=progress,
        options=finetune_flags.training_options(args),
    )
    model, predictions = best.model, best.outputs
    if args.version_2_with_negative and model.null_score_diff_threshold is None:
        model.null_score_diff_threshold = args.null_score_diff_threshold or 0.0
    if questions is not None and predictions is None:
        predictions = questions.predict(model)
    results = {**best.results, "train_examples": len(train), "train_features": len(features)}
    written = _write_predictions(args, predictions, model.null_score_diff_threshold)
    about = {"metric": "f1" if measured else "loss", "title": Path(args.output_dir).resolve().name}
    write_model(args.output_dir, model, tokenizer, results, **about, reading=settle_reading(args, None))
    return results, [*written, "eval_results.json", "curves.png", "the model directory"]


def _answer(args, tokenizer, questions):
    """Answers and measures with a trained model. Returns the results and the names of what was written."""
    from keras_bert.tasks.answer.answering import load_span_labeler

    vocabulary = tokenizer if args.vocab_file else None
    model = load_span_labeler(args.init_checkpoint, dtype=args.dtype, vocabulary=vocabulary)
    print(f"model: {args.init_checkpoint}; windows: {len(questions.features):,} to answer", flush=True)
    if questions.threshold is None:
        questions.threshold = model.null_score_diff_threshold or 0.0
    predictions = questions.predict(model)
    results = questions.measure(predictions) if _measured(args, questions) else {}
    written = _write_predictions(args, predictions, questions.threshold)
    if results:
        update_results(args.output_dir, results)
    return results, [*written, *(["eval_results.json"] if results else [])]


def _measured(args, questions):
    """Returns whether there are questions to measure on, and says why those there are cannot be."""
    if questions is None or not args.do_eval:
        return False
    if not questions.are_labelled:
        lacking = any(example.answers is None for example in questions.examples)
        remedy = "" if lacking else "; if they rightly have none, add --version_2_with_negative"
        print(f"not measured: {args.predict_file} does not say what is right for all of its questions{remedy}")
    return questions.are_labelled


def _write_predictions(args, predictions, threshold):
    """Writes the answers, if they are wanted, and removes those of the model that is replaced."""
    from keras_bert.tasks.answer.answers import write_predictions

    written = []
    if args.do_predict:
        written = write_predictions(args.output_dir, predictions, threshold=threshold or 0.0)
    for name in set(WRITTEN) - set(written) if args.do_train else ():
        (Path(args.output_dir) / name).unlink(missing_ok=True)
    return written


def _print_results(args, results):
    if "f1" not in results:
        return
    print(
        f"held out: exact match {results['exact_match']:.2f}, F1 {results['f1']:.2f} ({results['total']:,} questions)"
    )
    for part, what in (("HasAns", "with an answer"), ("NoAns", "without one")):
        if f"{part}_f1" in results:
            print(f"  {what}: F1 {results[f'{part}_f1']:.2f} ({results[f'{part}_total']:,} questions)")
    if "best_f1" in results:
        print(
            f"  threshold: {results['null_score_diff_threshold']:.4f}; best F1 {results['best_f1']:.2f} at "
            f"{results['best_f1_thresh']:.4f}, best exact match {results['best_exact']:.2f} at "
            f"{results['best_exact_thresh']:.4f}"
        )
    if "runs" in results:
        finetune_flags.print_runs(results, "f1")
