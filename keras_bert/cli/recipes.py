"""What quickstart does for each family: its tokenizer, its sentence task, and its configuration of two layers."""

import dataclasses

# BERT-tiny (2 layers, H 128) as it trained well in minutes; docs/results.md has what was tried.
SHAPE = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 512,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,  # each record is seen about once: there is nothing to over-fit yet
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.05,  # 0.02 * sqrt(768 / 128): the same spread of activations as at base size
}
POSITIONS = 128


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a family is pre-trained from raw text.

    Attributes:
        model: the kind of vocabulary, `train_vocab --model`.
        sentence_task: of the records, as RoBERTa's authors and ALBERT's have it.
        fields: what its configuration says besides SHAPE.
        config: the name of the configuration file.
    """

    model: str
    sentence_task: str
    fields: dict
    config: str = "config.json"

    def config_fields(self, *, vocab_size, pad_token_id):
        """Returns the fields of the configuration file for a vocabulary."""
        positions = POSITIONS + (pad_token_id + 1 if self.fields.get("model_type") in COUNTED else 0)
        fields = {"max_position_embeddings": positions, **self.fields, "vocab_size": vocab_size}
        return {**SHAPE, **fields, **({} if self.config == "bert_config.json" else {"pad_token_id": pad_token_id})}


COUNTED = ("roberta", "xlm-roberta")  # their positions are counted from pad_token_id + 1 on
RECIPES = {
    "bert": Recipe("wordpiece", "nsp", {"type_vocab_size": 2}, "bert_config.json"),
    "roberta": Recipe("bpe", "none", {"model_type": "roberta", "type_vocab_size": 1}),
    "xlm-roberta": Recipe("unigram", "none", {"model_type": "xlm-roberta", "type_vocab_size": 1}),
    "albert": Recipe(
        "unigram", "sop", {"model_type": "albert", "type_vocab_size": 2, "embedding_size": 128, "num_hidden_groups": 1}
    ),
}
