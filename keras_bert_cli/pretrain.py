"""TFRecords -> pre-trained BERT: a model directory, the log, TensorBoard events and curves.

The records' vocabulary is found beside them (create_pretraining_data puts it there), or given by --vocab_file.
Records that are not masked yet (create_pretraining_data --dynamic) get fresh masks each time they are read.
Flags and defaults are those of google-research/bert's run_pretraining.py.
"""

from pathlib import Path

from keras_bert_cli.flags import add_bool, positive_int
from keras_bert_cli.startup import start_tensorflow


def add_arguments(parser):
    """Adds run_pretraining.py's flags, and ours."""
    parser.add_argument("--input_file", required=True, help="TFRecords to train on: paths, folders, quoted globs")
    parser.add_argument("--eval_file", help="held-out TFRecords to measure on at the end")
    parser.add_argument("--output_dir", required=True, help="folder for the model directory, the log and the curves")
    parser.add_argument(
        "--bert_config_file",
        default="base",
        help="a bert_config.json, or a size: tiny, mini, small, medium, base, large (default: base)",
    )
    parser.add_argument("--init_checkpoint", help="start from this model: ours, Google's or Hugging Face's")
    parser.add_argument("--vocab_file", help="the records' vocabulary, where none lies beside them")
    add_bool(parser, "do_lower_case", default=True, help="casing of that vocabulary, where no manifest tells it")
    parser.set_defaults(do_lower_case=None)  # None tells a flag that was given from the default
    parser.add_argument("--max_seq_length", type=positive_int, help="insist on records of this length")
    parser.add_argument(
        "--max_predictions_per_seq",
        type=positive_int,
        help="insist on this number of slots; of unmasked records, the most tokens to mask (default: the manifest's)",
    )
    parser.add_argument(
        "--masking", help="of unmasked records: token, whole_word or ngram (default: the manifest's, or token)"
    )
    parser.add_argument(
        "--masked_lm_prob", type=float, help="of unmasked records: share to mask (default: the manifest's, or 0.15)"
    )
    parser.add_argument("--train_batch_size", type=positive_int, default=32, help="examples a step (default: 32)")
    parser.add_argument("--eval_batch_size", type=positive_int, default=32, help="examples a batch (default: 32)")
    parser.add_argument("--learning_rate", type=float, default=5e-5, help="peak learning rate (default: 5e-5)")
    parser.add_argument("--num_train_steps", type=positive_int, default=100_000, help="steps (default: 100000)")
    parser.add_argument("--num_warmup_steps", type=int, default=10_000, help="steps of warm-up (default: 10000)")
    parser.add_argument(
        "--iterations_per_loop", type=positive_int, default=100, help="steps a call and a row of the log (default: 100)"
    )
    parser.add_argument("--eval_every", type=positive_int, help="steps between evaluations (default: at the end alone)")
    parser.add_argument("--max_eval_steps", type=positive_int, help="batches of the evaluation (default: all)")
    parser.add_argument(
        "--strategy",
        default="auto",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
        help="which devices train (default: auto, the best there are)",
    )
    parser.add_argument(
        "--dtype", default="float32", choices=("float32", "mixed_bfloat16"), help="arithmetic (default: float32)"
    )
    parser.add_argument(
        "--jit_compile",
        default="auto",
        choices=("auto", "true", "false"),
        help="compile the step with XLA (default: auto, on one device in float32)",
    )
    parser.add_argument("--random_seed", type=int, default=12345, help="of weights and order (default: 12345)")
    add_bool(parser, "force", default=False, help="replace a model that stands in --output_dir")


def run(args):
    """Runs the command: prints what it resolved, trains, measures, and says what it wrote and what comes next."""
    from keras_bert.data.checking import record_files
    from keras_bert.data.manifests import sentence_task
    from keras_bert.files import refuse_existing
    from keras_bert_cli.progress import Progress

    output_dir = Path(args.output_dir)
    if not args.force:
        refuse_existing(
            output_dir / "bert_config.json", what="--output_dir", remedy="add --force to replace that model"
        )
    files = record_files(args.input_file)
    eval_files = record_files(args.eval_file) if args.eval_file else []
    tokenizer = _find_tokenizer(files, args)
    config, origin = _find_config(args, tokenizer)

    start_tensorflow()
    from keras_bert.training.pretrain import pretrain
    from keras_bert.training.strategies import strategy

    devices = strategy(args.strategy)
    one = devices.num_replicas_in_sync == 1
    jit_compile = args.jit_compile == "true" or (args.jit_compile == "auto" and one and args.dtype == "float32")
    masks = {
        "max_predictions": args.max_predictions_per_seq,
        "masking": args.masking,
        "masked_lm_prob": args.masked_lm_prob,
    }
    print(f"devices: {_describe(devices)}, {args.dtype}, {'XLA' if jit_compile else 'no XLA'}")
    _print_records(files, eval_files, tokenizer, args, masks)
    print(
        f"model: {config.num_hidden_layers} layers, hidden size {config.hidden_size}, "
        f"vocabulary {config.vocab_size:,}, {origin}"
    )
    with Progress() as progress:
        results = pretrain(
            files,
            output_dir,
            config,
            tokenizer=tokenizer,
            init_checkpoint=args.init_checkpoint,
            eval_files=eval_files,
            train_batch_size=args.train_batch_size,
            eval_batch_size=args.eval_batch_size,
            learning_rate=args.learning_rate,
            num_train_steps=args.num_train_steps,
            num_warmup_steps=args.num_warmup_steps,
            steps_per_loop=args.iterations_per_loop,
            eval_every=args.eval_every,
            max_eval_steps=args.max_eval_steps,
            strategy=devices,
            dtype=args.dtype,
            jit_compile=jit_compile,
            seed=args.random_seed,
            progress=progress,
            **masks,
        )
    _print_results(results, sentence_task(files), held_out=bool(eval_files))
    print(f"wrote {output_dir}: the model, eval_results.json, train_log.jsonl, loss_curve.png, tensorboard/")
    print(f'next: keras-bert fill_mask --model_dir={output_dir} "Some text with a [MASK] in it."')
    return results


def _describe(devices):
    """Returns the number of devices of a strategy and their kinds."""
    import tensorflow as tf

    kinds = sorted({device.device_type for device in tf.config.list_logical_devices()})
    return f"{devices.num_replicas_in_sync} ({', '.join(kinds)})"


def _print_records(files, eval_files, tokenizer, args, masks):
    """Prints what the records are, how they are masked, and how often the training will see them."""
    from keras_bert.data.checking import common_layout
    from keras_bert.data.dynamic import dynamic_masking
    from keras_bert.data.manifests import SENTENCE_TASKS, count_examples, sentence_task

    layout = common_layout(files, args.max_seq_length, args.max_predictions_per_seq)
    if eval_files:
        common_layout(eval_files, layout.max_seq_length, None)
    examples = count_examples(files)
    print(f"records: {examples:,} examples in {len(files)} file(s), {layout}")
    if layout.dynamic:
        print(f"masking: {dynamic_masking(files, vocabulary=tokenizer, **masks)}; fresh each time a record is read")
    task = SENTENCE_TASKS[sentence_task(files)]
    print(f"sentence task: {task or 'none in these records, the loss is that of the masked tokens alone'}")
    passes = args.num_train_steps * args.train_batch_size / max(examples, 1)
    print(f"training: {args.num_train_steps:,} steps of {args.train_batch_size}, {passes:.1f} passes over the records")


def _print_results(results, task, *, held_out):
    """Prints the figures; with sentence_task "sop" next_sentence_... are those of the sentences' order."""
    print("held-out:" if held_out else "last steps of training:")
    for name, value in results.items():
        shown = name.replace("next_sentence", "sentence_order") if task == "sop" else name
        print(f"  {shown} = {value:.4f}")


def _find_tokenizer(files, args):
    """Returns the Tokenizer of the records: by --vocab_file, by what lies beside them, or by the checkpoint."""
    from keras_bert.data.manifests import agreed
    from keras_bert.data.records import vocab_path
    from keras_bert.errors import UserError
    from keras_bert.text.tokenizer import Tokenizer

    do_lower_case = args.do_lower_case
    if do_lower_case is None:
        do_lower_case = agreed(files, "do_lower_case", remedy="train on records of one casing")
    beside = next((vocab_path(path) for path in files if vocab_path(path).is_file()), None)
    if args.vocab_file or beside:
        return Tokenizer(args.vocab_file or beside, do_lower_case=do_lower_case is not False)
    if args.init_checkpoint:
        return Tokenizer.from_pretrained(args.init_checkpoint, do_lower_case=do_lower_case)
    raise UserError(f"No vocabulary lies beside {files[0]}; give the one its records were made with by --vocab_file.")


def _find_config(args, tokenizer):
    """Returns the BertConfig that fits the vocabulary, and in words where the weights come from."""
    from keras_bert.checkpoints import grow_checkpoint, open_checkpoint
    from keras_bert.config import BertConfig
    from keras_bert.errors import UserError

    if args.init_checkpoint:
        checkpoint = grow_checkpoint(open_checkpoint(args.init_checkpoint), tokenizer)
        grown = [f"grown by {len(checkpoint.new_entries):,} entries"] if checkpoint.new_entries else []
        return checkpoint.config, "; ".join([f"from {args.init_checkpoint}", *grown, *checkpoint.notes])
    config = BertConfig.from_name_or_file(args.bert_config_file, vocab_size=tokenizer.vocab_size)
    if config.vocab_size != tokenizer.vocab_size:
        raise UserError(
            f"{args.bert_config_file} has vocab_size {config.vocab_size}, but the records' vocabulary has "
            f"{tokenizer.vocab_size} entries; use the configuration and the records that belong together."
        )
    return config, "fresh weights"
