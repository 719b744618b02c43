"""Masked TFRecords -> pre-trained BERT: a model directory, the log, TensorBoard events and curves.

The records' vocabulary is found beside them (create_pretraining_data puts it there), or given by --vocab_file.
Flags and defaults are those of google-research/bert's run_pretraining.py.
"""

from pathlib import Path

from keras_bert_cli.flags import add_bool, positive_int
from keras_bert_cli.startup import start_tensorflow


def add_arguments(parser):
    """Adds run_pretraining.py's flags, and ours."""
    parser.add_argument("--input_file", required=True, help="TFRecords to train on: paths, quoted globs, commas")
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
    parser.add_argument("--max_seq_length", type=positive_int, help="insist on records of this length")
    parser.add_argument("--max_predictions_per_seq", type=positive_int, help="insist on this number of slots")
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
    from keras_bert.files import refuse_existing
    from keras_bert_cli.progress import Progress

    output_dir = Path(args.output_dir)
    if not args.force:
        refuse_existing(
            output_dir / "bert_config.json", what="--output_dir", remedy="add --force to replace that model"
        )
    files = record_files(args.input_file)
    eval_files = record_files(args.eval_file) if args.eval_file else None
    tokenizer = _find_tokenizer(files[0], args)
    config = _find_config(args, tokenizer)

    start_tensorflow()
    import tensorflow as tf

    from keras_bert.data.checking import common_layout
    from keras_bert.data.records import count_records
    from keras_bert.training.pretrain import pretrain
    from keras_bert.training.strategies import strategy

    layout = common_layout(files + (eval_files or []), args.max_seq_length, args.max_predictions_per_seq)
    devices = strategy(args.strategy)
    one = devices.num_replicas_in_sync == 1
    jit_compile = args.jit_compile == "true" or (args.jit_compile == "auto" and one and args.dtype == "float32")
    examples = sum(map(count_records, files))
    kinds = ", ".join(sorted({d.device_type for d in tf.config.list_logical_devices()}))
    print(f"devices: {devices.num_replicas_in_sync} ({kinds}), {args.dtype}, {'XLA' if jit_compile else 'no XLA'}")
    print(f"records: {examples:,} examples in {len(files)} file(s), {layout}")
    print(
        f"model: {config.num_hidden_layers} layers, hidden size {config.hidden_size}, vocabulary {config.vocab_size:,}"
        + (f", from {args.init_checkpoint}" if args.init_checkpoint else ", fresh weights")
    )
    passes = args.num_train_steps * args.train_batch_size / max(examples, 1)
    print(f"training: {args.num_train_steps:,} steps of {args.train_batch_size}, {passes:.1f} passes over the records")
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
        )
    print("held-out:" if eval_files else "last steps of training:")
    for name, value in results.items():
        print(f"  {name} = {value:.4f}")
    print(f"wrote {output_dir}: the model, eval_results.json, train_log.jsonl, loss_curve.png, tensorboard/")
    print(f'next: keras-bert fill_mask --model_dir={output_dir} "Some text with a [MASK] in it."')
    return results


def _find_tokenizer(record_file, args):
    """Returns the Tokenizer of the records: by --vocab_file, by what lies beside them, or by the checkpoint."""
    from keras_bert.data.records import read_manifest, vocab_path
    from keras_bert.errors import UserError
    from keras_bert.text.tokenizer import Tokenizer

    manifest = read_manifest(record_file) or {}
    do_lower_case = manifest.get("do_lower_case", args.do_lower_case)
    if args.vocab_file:
        return Tokenizer(args.vocab_file, do_lower_case=do_lower_case)
    if vocab_path(record_file).is_file():
        return Tokenizer(vocab_path(record_file), do_lower_case=do_lower_case)
    if args.init_checkpoint:
        return Tokenizer.from_pretrained(args.init_checkpoint)
    raise UserError(
        f"No vocabulary lies beside {record_file}; give the one its records were made with by --vocab_file."
    )


def _find_config(args, tokenizer):
    """Returns the BertConfig that fits the vocabulary."""
    from keras_bert.checkpoints import open_checkpoint
    from keras_bert.config import BertConfig
    from keras_bert.errors import UserError

    if args.init_checkpoint:
        config, source = open_checkpoint(args.init_checkpoint).config, args.init_checkpoint
    else:
        config = BertConfig.from_name_or_file(args.bert_config_file, vocab_size=tokenizer.vocab_size)
        source = args.bert_config_file
    if config.vocab_size != tokenizer.vocab_size:
        raise UserError(
            f"{source} has vocab_size {config.vocab_size}, but the records' vocabulary has {tokenizer.vocab_size} "
            "entries; use the configuration and the records that belong together."
        )
    return config
