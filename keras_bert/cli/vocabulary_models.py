"""Which kinds of vocabularies train_vocab learns, for which families, and which of its flags each kind has."""

WORDPIECE, BPE, UNIGRAM = "wordpiece", "bpe", "unigram"
FAMILIES = {  # the first is the default
    WORDPIECE: ("bert", "distilbert", "electra", "mobilebert"),
    BPE: ("roberta", "longformer", "deberta", "modernbert"),
    UNIGRAM: ("albert", "big_bird", "camembert", "deberta_v2", "kobert", "xlm_roberta"),
}
DEFAULT_SIZES = {WORDPIECE: 30522, BPE: 50265, UNIGRAM: 30000}  # Google's BERT's, RoBERTa's and Google's ALBERT's
MIN_FREQUENCY = 2
_OF_WORDPIECE = ("init_vocab_file", "num_unused", "min_char_frequency", "tokenize_chinese_chars")
NO_MEANING = {
    WORDPIECE: ("character_coverage",),
    BPE: (*_OF_WORDPIECE, "strip_accents", "character_coverage"),
    UNIGRAM: (*_OF_WORDPIECE, "min_frequency"),
}


def settle(args):
    """Checks the flags against --model and puts its defaults in the place of those that were not given.

    Raises:
        UserError: the family is not one of the model's, or a flag has no meaning for it.
    """
    from keras_bert.errors import UserError

    model = args.model
    args.family = FAMILIES[model][0] if args.family is None else args.family.replace("-", "_")
    if args.family not in FAMILIES[model]:
        other = next((name for name, families in FAMILIES.items() if args.family in families), None)
        raise UserError(
            f"--family={args.family.replace('_', '-')} does not go with --model={model}, whose families are "
            f"{', '.join(FAMILIES[model]).replace('_', '-')}; "
            + (f"give --model={other} for it." if other else "name one of these.")
        )
    for name in NO_MEANING[model]:
        if getattr(args, name) is not None:
            raise UserError(f"--{name} has no meaning for --model={model}; leave it out.")
    if model == BPE and args.do_lower_case:
        raise UserError("--do_lower_case has no meaning for --model=bpe, which keeps upper case; leave it out.")
    if args.do_lower_case is None and model == WORDPIECE:
        args.do_lower_case = True
    if args.min_frequency is None:
        args.min_frequency = MIN_FREQUENCY
    if args.vocab_size is None and not args.init_vocab_file:
        args.vocab_size = DEFAULT_SIZES[model]
