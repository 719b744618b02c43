"""transformers itself beside a model of ours: one with random weights, its outputs, loss and gradients, both ways.

torch and transformers are imported inside: doctest imports this module where the extra that brings them is missing.
B batch, S sequence.
"""

import contextlib
import logging

import numpy as np

from keras_bert.families import find_family
from tests.families.golden import HEADS, close, gradient_norms, labels, neutral_norms, outputs_of, with_positions

OBJECTIVES = {"ForMaskedLM": ["masked_lm"], "ForNextSentencePrediction": ["next_sentence"]}
PAIRS = {"albert": "sentence_order_label"}  # elsewhere next_sentence_label
TOLERANCE, LOOSE = 1e-5, 2e-4
SEPARATED = {("longformer", "ForQuestionAnswering"), ("longformer", "ForMultipleChoice")}  # want three separators a row


def build(family, suffix, fields, *, seed=0, spread=0.3):
    """Returns a model of transformers' with random weights, biases and norms too, for evaluation.

    Args:
        family: a model_type.
        suffix: how its class's name ends.
        fields: of config.json.
        seed: of the weights.
        spread: their standard deviation.
    """
    import torch
    import transformers

    config = transformers.AutoConfig.for_model(family, **{n: x for n, x in fields.items() if n != "model_type"})
    has_pair = suffix == "ForPreTraining" and "next_sentence" in find_family(family).objectives
    has_two = suffix == "ForQuestionAnswering" or "NextSentence" in suffix or has_pair
    config.num_labels = 2 if has_two else 3
    model = getattr(transformers, find_family(family).architecture + suffix)(config).eval()
    model.set_attn_implementation("eager")  # by others padding that sees nothing gives 0, and spans' losses read it
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale = name.endswith("weight") and parameter.ndim == 1
            drawn = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(drawn * spread + (1.0 if is_scale else 0.0))
    return model


def feed(config, suffix, lengths, *, seed=0):
    """Returns the inputs and labels, by transformers' names, of a batch in which padding is also attended.

    Args:
        config: a Config.
        suffix: how the class's name ends.
        lengths: the tokens of each text; the first is the longest.
        seed: of the ids.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array(lengths)[:, None]
    count, length = len(lengths), lengths.max()
    mask = (np.arange(length) < lengths).astype(np.int64)
    ids = np.where(mask == 1, rng.integers(4, config.vocab_size, mask.shape), config.pad_token_id)
    if length > 6:
        ids[0, 4] = config.pad_token_id  # a padding token in the text
    has_room = lengths.min() > 6  # for separators in each text
    if (config.family, suffix) in SEPARATED and has_room:
        few = config.max_global_tokens - 8
        is_answer = suffix == "ForQuestionAnswering"
        first = np.minimum(lengths // 2, few) if is_answer else np.maximum(lengths // 2, lengths - few)
        end = (np.arange(count)[:, None], np.concatenate([first, first + 1, lengths - 1], axis=1))
        ids[end] = config.sep_token_id
    elif config.sep_token_id is not None and config.sep_token_id < config.vocab_size:
        ids[:-1, length // 3] = config.sep_token_id
    x = {"input_ids": ids, "attention_mask": mask}
    if config.has_segments:
        x["token_type_ids"] = rng.integers(0, config.type_vocab_size, ids.shape) * mask
    has_default = has_room and suffix not in ("ForMaskedLM", "ForTokenClassification")
    if config.attention == "global_local" and not has_default:
        x["global_attention_mask"] = (np.arange(length) % 9 == seed % 9) * mask
    if suffix == "ForMultipleChoice":
        x = {name: np.stack([array, array[::-1]], axis=1) for name, array in x.items()}
        return x, {"labels": rng.integers(0, 2, count)}
    some = np.where((rng.random(ids.shape) < 0.5) & (mask == 1), rng.integers(0, config.vocab_size, ids.shape), -100)
    some[0, 1] = 1  # at least one
    if suffix == "ForQuestionAnswering":
        starts, ends = rng.integers(0, lengths[:, 0]), rng.integers(0, lengths[:, 0])
        if config.span_masks_question:  # a question's place has a loss of 1e6, against which nothing else shows
            starts, ends = lengths[:, 0] - 1, lengths[:, 0] - 1
        starts[-1] = length + 3  # past the text: no loss
        return x, {"start_positions": starts, "end_positions": ends}
    if suffix in ("ForSequenceClassification", "ForNextSentencePrediction"):
        return x, {"labels": rng.integers(0, 2, count)}
    if suffix == "ForTokenClassification":
        return x, {"labels": np.where(some == -100, -100, some % 3)}
    if suffix == "ForPreTraining" and config.family == "electra":
        return x, {"labels": rng.integers(0, 2, ids.shape)}
    pair = PAIRS.get(config.family, "next_sentence_label")
    more = {pair: rng.integers(0, 2, count)} if suffix == "ForPreTraining" else {}
    return x, {"labels": some, **more}


def check(theirs, family, suffix, lengths, folder, *, seed=0, gradients=True, tolerance=TOLERANCE):
    """Asserts that ours, read of what transformers writes, computes the same, and transformers with what ours writes.

    Args:
        theirs: transformers' model.
        family, suffix: its model_type, and how its class's name ends.
        lengths: the tokens of each text of the batch.
        folder: an empty folder.
        seed: of the batch.
        gradients: whether the loss and gradients are compared too.
        tolerance: of the outputs and the loss, of the largest value.
    """
    import torch

    row = find_family(family)
    theirs.save_pretrained(folder / "theirs")
    head = next(head for head in row.heads if head.suffix == suffix)
    own = {"objectives": OBJECTIVES[suffix]} if suffix in OBJECTIVES else {}
    model = HEADS[head.task].from_pretrained(folder / "theirs", **own)
    new = [name for name in model.load_report.new if not name.startswith("bert/pooler/")]
    assert not new and not model.load_report.unused, (new, model.load_report.unused)
    x, y = feed(model.bert_config, suffix, lengths, seed=seed)
    given = {name: torch.tensor(np.ascontiguousarray(array)) for name, array in {**x, **y}.items()}
    expected = theirs(**given)
    mask = x["attention_mask"].astype(bool)
    logits = [value.detach().numpy() for name, value in expected.items() if name.endswith("logits")]
    for one, two in zip(outputs_of(model, x).values(), logits, strict=True):
        close(one, two, suffix, mask, tolerance=tolerance)
    if gradients:
        expected.loss.backward()
        check_gradients(model, theirs, suffix, x, y, expected.loss.item(), tolerance=tolerance)

    model.save_pretrained(folder / "ours", format="huggingface")
    with said() as lines:
        again, report = type(theirs).from_pretrained(folder / "ours", output_loading_info=True)
    missing = report.pop("missing_keys")
    missing = [name for name in missing if "pooler" not in name or not head.stores_pooler]
    assert not missing and not any(map(len, report.values())), (missing, report)
    assert [line for line in lines if "pooler" not in line] == []
    for one, two in zip(again.eval()(**given).to_tuple()[1 : 1 + len(logits)], logits, strict=True):
        close(one.detach().numpy(), two, "what transformers reads", mask, tolerance=tolerance)
    assert HEADS[head.task].from_pretrained(folder / "ours", **own).bert_config == model.bert_config


def check_gradients(model, theirs, suffix, x, y, expected, *, tolerance):
    """Asserts that the loss and the norm of each weight's gradient are those of transformers."""
    arrays = {f"in/{name}": array for name, array in y.items()}
    if suffix == "ForNextSentencePrediction":
        arrays["in/next_sentence_label"] = arrays["in/labels"]
    wanted = labels(model, arrays, x["attention_mask"].astype(bool))
    loss, norms = gradient_norms(model, with_positions(model, x), *wanted)
    close(loss, expected, "loss", tolerance=tolerance)
    found = {name: p.grad.norm().item() if p.grad is not None else 0.0 for name, p in theirs.named_parameters()}
    arrays = {"grad/names": np.array([*found]), "grad/norms": np.array([*found.values()])}
    theirs_norms, strange = neutral_norms(model.bert_config, arrays, model.TASK)
    assert strange == []
    left_out = {"bert/embeddings/word_embeddings"} if model.bert_config.trains_padding else set()  # as Google's BERT
    names = [each for each in theirs_norms if each[0] in norms and each[0] not in left_out]
    names = [each for each in names if not each[0].endswith("/key/bias")]  # whose gradient is rounding noise
    read = {name for each in theirs_norms for name in each}
    assert {name for name in norms if not name.startswith("bert/pooler/")} <= read
    ours = np.array([np.linalg.norm([norms[name] for name in each]) for each in names])
    wanted = np.array([theirs_norms[each] for each in names])
    worst = int(np.abs(ours - wanted).argmax())
    close(ours, wanted, f"gradients, the worst of {names[worst]}", tolerance=10 * tolerance)


@contextlib.contextmanager
def said():
    """Collects what transformers warns of inside."""
    lines = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
