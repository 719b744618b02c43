"""What sentence-transformers writes beside a model: how sentence vectors, or a cross-encoder's scores, are made.

Both layouts are read: that of 6.x (`pooling_mode`, the length in tokenizer_config.json, prompts), and the older one
(six booleans, the length in sentence_bert_config.json). Source: sentence-transformers 6.2, base/model.py,
base/modules/transformer.py, sentence_transformer/modules/pooling.py and cross_encoder/model.py.
"""

from pathlib import Path

from keras_bert.errors import UserError
from keras_bert.files import read_json
from keras_bert.text.tokenizer import Tokenizer
from keras_bert.text.wordpiece.files import CONFIG_NAME, MODULES, transformer_folder

SETTINGS, TRANSFORMER = "config_sentence_transformers.json", "sentence_bert_config.json"
NAME = "sentence_vectors"  # in task.json
DEFAULT_PROMPTS = {"query": "", "document": ""}  # those that every model has
# The booleans of the older layout, in the order in which their vectors are concatenated.
OLDER = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Fields that change no number, and the values that the others must have if they say anything.
PLAIN = {
    "Transformer": {
        "transformer_task": "feature-extraction",
        "module_output_name": "token_embeddings",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
    },
    "Normalize": {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"},
}
READ = {"Transformer": {"max_seq_length", "do_lower_case", "unpad_inputs"}, "Normalize": set()}
ACTIVATIONS = {"Sigmoid": True, "Identity": False}  # of a cross-encoder: whether a score is a probability


def add_settings(task, folder, config):
    """Returns what task.json says, with what sentence-transformers' files say of a directory, if there are any.

    What asks for more than can be done here is kept as a sentence, under "refused": the weights can be loaded all the
    same, and whoever makes vectors raises it.

    Args:
        task: the contents of task.json, or {}.
        folder: the directory of modules.json.
        config: the model's Config.

    Returns:
        `task` with "sentence_vectors": {"pooling": list of names, "normalize", "max_seq_length", "prompts",
        "default_prompt_name", "include_prompt"} or {"refused": a sentence}; of a cross-encoder with "pair", "reading"
        and "multi_label" as well.

    Raises:
        UserError: a cross-encoder whose scores are made in another way than here.
    """
    folder, kind = Path(folder), None
    if not (folder / MODULES).is_file():
        return _older_cross_encoder(task, folder, config)
    try:
        settings = _read(folder / SETTINGS)
        kind = settings.get("model_type", "SentenceTransformer")
        vectors = _vectors(folder, config, settings, kind)
    except UserError as error:
        vectors = {"refused": str(error)}
    task = {**task, NAME: vectors}
    return _cross_encoder(task, folder, config, settings, folder / SETTINGS) if kind == "CrossEncoder" else task


def _vectors(folder, config, settings, kind):
    if kind != "SentenceTransformer":
        raise UserError(f"{folder / SETTINGS}: the model is a {kind}, which makes no sentence vectors of one text.")
    modules = _modules(folder)
    kinds = [name for name, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        unknown = next((name for name in kinds if name not in ("Transformer", "Pooling", "Normalize")), None)
        what = f"a module {unknown}, which is not done here" if unknown else f"the modules {', '.join(kinds)}"
        raise UserError(
            f"{folder / MODULES} asks for {what}; expected a Transformer, a Pooling and at most a Normalize."
        )
    places = [place for _, place in modules]
    _check_plain("Transformer", places[0] / TRANSFORMER)
    for place in places[2:]:
        _check_plain("Normalize", place / "config.json")
    if settings.get("truncate_dim") is not None:
        raise UserError(
            f"{folder / SETTINGS} asks for vectors cut to truncate_dim={settings['truncate_dim']!r:.80}; that is not "
            "done here."
        )
    pooling, include_prompt = _pooling(places[1] / "config.json")
    prompts, default = _prompts(folder / SETTINGS, settings)
    return {
        "pooling": pooling,
        "normalize": kinds[2:] == ["Normalize"],
        "max_seq_length": _length(places[0], config),
        "prompts": prompts,
        "default_prompt_name": default,
        "include_prompt": include_prompt,
    }


def _modules(folder):
    """Returns (class, folder) of each module that modules.json names; the class of others' code with its whole path."""
    path = folder / MODULES
    try:
        modules = read_json(path, what="The model's modules", expected=list)
        modules = [(module["type"], folder / module["path"]) for module in modules]
        return [(kind.rpartition(".")[2] if _is_own(kind) else kind, place) for kind, place in modules]
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path} is not a list of modules with type and path; save the model again.") from error


def _is_own(kind):
    return kind.partition(".")[0] == "sentence_transformers"


def _check_plain(kind, path):
    """Raises a UserError if a module's file asks for more than the module does by default."""
    for name, value in _read(path).items():
        expected = PLAIN[kind].get(name)
        if name in READ[kind] or value in (None, False, [], {}, expected):
            continue
        wanted = "only the default is done here" if expected is None else f"only {expected!r} is done here"
        raise UserError(f"{path} asks for {name}={value!r}; {wanted}.")
    lowers = kind == "Transformer" and _read(path).get("do_lower_case")
    if lowers and not Tokenizer.from_pretrained(path.parent).do_lower_case:
        raise UserError(f"{path} asks for do_lower_case with a cased vocabulary; that is not done here.")


def _pooling(path):
    """Returns the poolings' names, whether known here or not, and whether a prompt's tokens are pooled."""
    fields = read_json(path, what="The pooling's settings")
    chosen = fields.get("pooling_mode")
    if chosen is None:
        chosen = [name for name in fields if name.startswith("pooling_mode_") and fields[name] is True]
        chosen = sorted(chosen, key=[*OLDER, *chosen].index)
        chosen = [OLDER.get(name, name) for name in chosen] or ["mean"]
    chosen = [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(chosen, list) or not chosen or not all(isinstance(name, str) for name in chosen):
        raise UserError(f"{path}: pooling_mode must be a name or a list of names. Received: {chosen!r}.")
    include = fields.get("include_prompt", True)
    if type(include) is not bool:
        raise UserError(f"{path}: include_prompt must be true or false. Received: {include!r}.")
    return chosen, include


def _prompts(path, settings):
    """Returns {name: prompt} and the name of the default one, or None."""
    prompts = settings.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(prompt, str | None) for prompt in prompts.values()):
        raise UserError(f"{path}: prompts must be an object from names to texts. Received: {prompts!r:.80}.")
    prompts = DEFAULT_PROMPTS | {name: prompt or "" for name, prompt in prompts.items()}
    default = settings.get("default_prompt_name")
    if default is not None and (not isinstance(default, str) or default not in prompts):
        raise UserError(f"{path}: default_prompt_name is {default!r}, and the prompts are {', '.join(prompts)}.")
    return prompts, default


def _length(folder, config):
    """Returns the tokens to which a text is cut: sentence_bert_config.json goes before tokenizer_config.json."""
    length = _checked_length(folder / TRANSFORMER, "max_seq_length")
    if length is None:
        length = _checked_length(folder / CONFIG_NAME, "model_max_length")
    most = config.max_length
    return most if length is None else min(length, most)


def _checked_length(path, name):
    length = _read(path).get(name)
    if isinstance(length, float) and length >= 1e9:  # transformers' 1e30, for no limit
        return None
    if length is not None and (type(length) is not int or length < 3):
        raise UserError(f"{path}: {name} must be a whole number of at least 3. Received: {length!r}.")
    return length


def _older_cross_encoder(task, folder, config):
    """Returns the task of a directory without modules.json, which before 6.x a cross-encoder was too."""
    fields = _read(folder / "config.json") if task.get("num_classes") else {}
    noted = fields.get("sentence_transformers")
    function = noted.get("activation_fn") if isinstance(noted, dict) else None
    function = function or fields.get("sbert_ce_default_activation_function")
    if not function:
        return task
    return _cross_encoder(task, folder, config, {"activation_fn": function}, folder / "config.json")


def _cross_encoder(task, folder, config, settings, path):
    """Returns the task of a cross-encoder, which is a Classifier of pairs. `path` is the file of the settings."""
    count = task.get("num_classes")
    prompts, default = _prompts(path, settings)
    if prompts.get(default):
        raise UserError(f"{path}: a cross-encoder's default prompt ({default}) is not done here; set it to null.")
    function = settings.get("activation_fn") or ("torch.nn.Sigmoid" if count == 1 else "torch.nn.Identity")
    name = str(function).rpartition(".")[2]
    if name not in ACTIVATIONS:
        known = " and ".join(ACTIVATIONS)
        raise UserError(f"{path}: activation_fn is {function!r:.80}; {known} are done here.")
    task = {**task, "pair": True, "reading": {"max_seq_length": _length(transformer_folder(folder), config)}}
    return {**task, "multi_label": True} if ACTIVATIONS[name] else task


def _read(path):
    return read_json(path, what="The model's settings") if path.is_file() else {}
