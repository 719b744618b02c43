"""The flags of `keras-bert pretrain`: those of google-research/bert's run_pretraining.py, and ours."""

from keras_bert.cli.flags import add_bool, positive_int
from keras_bert.cli.tokenizer_flags import add_rule_flags

# {flag of ours or of run_pretraining.py: name of the option of `pretrain`}
OPTIONS = {
    **{
        name: name
        for name in (
            *("train_batch_size", "eval_batch_size", "learning_rate", "num_train_steps", "num_warmup_steps", "phases"),
            *("gradient_accumulation_steps", "optimizer", "max_minutes", "eval_every", "max_eval_steps", "masking"),
            *("masked_lm_prob", "save_checkpoints_steps", "keep_checkpoints", "on_divergence", "dtype", "remat"),
            "bias_correction",
        )
    },
    "iterations_per_loop": "steps_per_loop",
    "max_predictions_per_seq": "max_predictions",
    "skip_damaged_records": "skip_damaged",
    "random_seed": "seed",
}


def add_flags(parser):
    """Adds run_pretraining.py's flags, and ours."""
    _add_records(parser.add_argument_group("records"))
    _add_model(parser.add_argument_group("model"))
    _add_training(parser.add_argument_group("training"))
    _add_run(parser.add_argument_group("the run"))
    _add_devices(parser.add_argument_group("devices"))


def _add_records(group):
    group.add_argument("--input_file", required=True, help="TFRecords to train on: paths, folders, quoted globs")
    group.add_argument("--eval_file", help="held-out TFRecords to measure on")
    group.add_argument("--vocab_file", help="the records' vocabulary, where none lies beside them")
    add_rule_flags(
        group, do_lower_case="casing of that vocabulary, where no manifest says it; None takes what it was made for"
    )
    group.add_argument("--max_seq_length", type=positive_int, help="insist on records of this length")
    group.add_argument(
        "--max_predictions_per_seq",
        type=positive_int,
        help="insist on this number of slots; of unmasked records, the most tokens to mask (default: the manifest's)",
    )
    group.add_argument(
        "--masking", help="of unmasked records: token, whole_word or ngram (default: the manifest's, or token)"
    )
    group.add_argument(
        "--masked_lm_prob", type=float, help="of unmasked records: share to mask (default: the manifest's, or 0.15)"
    )
    add_bool(group, "skip_damaged_records", default=False, help="leave damaged records out and count them")


def _add_model(group):
    group.add_argument("--output_dir", required=True, help="folder for the model, its checkpoints, log and curves")
    group.add_argument(
        "--bert_config_file",
        default="base",
        help="a config.json or bert_config.json, or a size: tiny, mini, small, medium, base, large, roberta-base, "
        "albert-base, distilbert-base and the like (default: base)",
    )
    group.add_argument("--init_checkpoint", help="start from this model: ours, Google's or Hugging Face's")


def _add_training(group):
    group.add_argument("--train_batch_size", type=positive_int, default=32, help="examples a step (default: 32)")
    group.add_argument("--learning_rate", type=float, default=5e-5, help="peak learning rate (default: 5e-5)")
    group.add_argument("--num_train_steps", type=positive_int, help="steps (default: 100000, or those of --phases)")
    group.add_argument("--num_warmup_steps", type=int, default=10_000, help="steps of warm-up (default: 10000)")
    group.add_argument(
        "--phases", help="LENGTH:STEPS[:BATCH],... one after the other, such as 128:90%%:256,512:10%%:64 (default: one)"
    )
    group.add_argument(
        "--max_minutes",
        type=float,
        help="train for this time; warm-up and decay go by the share of it that is over, --num_warmup_steps of "
        "--num_train_steps being the warm-up's",
    )
    group.add_argument("--optimizer", default="adamw", help="adamw, or lamb for batches of thousands (default: adamw)")
    add_bool(
        group,
        "bias_correction",
        default=False,
        help="correct its moments for their start at 0, as PyTorch does and Google's code does not: worth it for short "
        "runs of small models",
    )
    group.add_argument(
        "--gradient_accumulation_steps",
        type=positive_int,
        default=1,
        help="cut each batch into this many parts, one after the other, to need less memory (default: 1)",
    )
    group.add_argument("--random_seed", type=int, default=12345, help="of weights and order (default: 12345)")


def _add_run(group):
    add_bool(group, "do_train", default=True, help="train; false measures the model in --output_dir alone")
    add_bool(group, "do_eval", default=None, help="measure, on --input_file where there is no --eval_file")
    group.add_argument("--eval_batch_size", type=positive_int, default=32, help="examples a batch (default: 32)")
    group.add_argument("--eval_every", type=positive_int, help="steps between evaluations (default: at the end alone)")
    group.add_argument("--max_eval_steps", type=positive_int, help="batches of the evaluation (default: all)")
    group.add_argument(
        "--iterations_per_loop", type=positive_int, default=100, help="steps a row of the log (default: 100)"
    )
    group.add_argument(
        "--save_checkpoints_steps", type=positive_int, default=1000, help="steps between checkpoints (default: 1000)"
    )
    group.add_argument(
        "--keep_checkpoints", type=positive_int, default=3, help="how many of the newest stay (default: 3)"
    )
    group.add_argument(
        "--on_divergence",
        default="stop",
        help="where the loss is NaN or explodes: stop, or rewind to the newest checkpoint and leave the batch "
        "out (default: stop)",
    )
    add_bool(group, "force", default=False, help="start over, whatever run or model stands in --output_dir")


def _add_devices(group):
    group.add_argument(
        "--strategy",
        default="auto",
        choices=("auto", "one_device", "mirrored", "multi_worker", "tpu"),
        help="which devices train (default: auto, the best there are)",
    )
    group.add_argument(
        "--dtype", default="float32", choices=("float32", "mixed_bfloat16"), help="arithmetic (default: float32)"
    )
    group.add_argument(
        "--jit_compile",
        default="auto",
        choices=("auto", "true", "false"),
        help="compile the step with XLA (default: auto, on one device in float32)",
    )
    add_bool(group, "remat", default=False, help="compute the blocks again in the backward pass, to need less memory")
    add_bool(
        group,
        "deterministic",
        default=False,
        help="use TensorFlow's deterministic operations, without which a resumed run on a GPU is not the same to the "
        "last bit; on CPUs all are (on JAX set XLA_FLAGS=--xla_gpu_deterministic_ops=true instead)",
    )
    add_bool(group, "use_tpu", default=False, help="the same as --strategy=tpu")
    group.add_argument("--tpu_name", help="a Cloud TPU's name or address (default: the one of this machine)")
    group.add_argument("--tpu_zone", help="its zone (default: this machine's)")
    group.add_argument("--gcp_project", help="its project (default: this machine's)")
    for name in ("master", "num_tpu_cores"):
        group.add_argument(f"--{name}", help="taken for old command lines; TensorFlow 2 finds it out by itself")
