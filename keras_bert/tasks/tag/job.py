"""Words and tags -> fine-tuned tagger: named entities, or any other tag a word, from CoNLL-style files.

    keras-bert tag --data_dir=conll2003 --init_checkpoint=model --output_dir=tagger
    keras-bert tag --predict_file=texts.jsonl --init_checkpoint=tagger --output_dir=answers

A line has a word and its columns, the tag last; a blank line ends a sentence. Tags are BIO, IOB1, IOBES or BILOU, which
is found out. Figures are seqeval's; long sentences are read in windows, and every word gets a tag. --num_runs trains
several seeds and saves the best; quote their mean.
"""

from typing import ClassVar

from keras_bert.tasks.flag import Flag
from keras_bert.tasks.job import Job, asking_command
from keras_bert.tasks.split_files import file_flags

EVAL, TEST, TAGS, ENTITIES = "eval_predictions.txt", "test_predictions.txt", "predictions.txt", "predictions.jsonl"
SCHEMES = ("BIO", "IOB1", "IOBES", "BILOU", "none")


class Tagging(Job):
    """A run of `keras-bert tag`. Its texts are Sentences, those of "predict" perhaps a list of str."""

    word = "tag"
    flags = (
        *file_flags(
            "CoNLL-style file",
            "CoNLL-style file, whose tags are not needed, or raw texts (.jsonl or .csv) to find entities in",
        ),
        Flag(
            "scheme",
            f"how the files write tags: {', '.join(SCHEMES[:-1])}, or none for single words (default: found out)",
            choices=SCHEMES,
        ),
        Flag("strict", "count what breaks the scheme's rules as no entity", kind=bool, default=False),
        Flag("token_column", "column of the word, from 0", kind=int, default=0),
        Flag("tag_column", "column of the tag; -1 is the last one", kind=int, default=-1),
        Flag("text_column", "column of raw texts in a table", default="text", rare=True),
        Flag(
            "by_character",
            "tag the characters of raw texts (default: if the training files have spaces among their words)",
            kind=bool,
            rare=True,
            reading=True,
        ),
    )
    doing: ClassVar = {"predict": "tag --predict_file"}
    figures = ("f1", "precision", "recall", "accuracy", "loss")
    outputs = (EVAL, TEST, TAGS, ENTITIES)

    @property
    def metric(self):
        """F1, or accuracy where the tags mark no entities."""
        from keras_bert.tasks.tag.tagging import main_metric

        return main_metric(self.data.names)

    def read(self, checkpoint):
        from keras_bert.tasks.tag.files import read_files

        names = ("token_column", "tag_column", "text_column", "scheme", "eval_share", "seed")
        self.data = read_files(
            **self.files,
            names=None if checkpoint is None else checkpoint.task["labels"],
            **{name: getattr(self.args, name) for name in names},
        )
        return {
            "train": self.data.train,
            "eval": self.data.evaluation,
            "test": self.data.test,
            "predict": self.data.prediction,
        }

    def describe(self):
        from keras_bert.tasks.tag.files import describe

        for part, what in (("train", "training"), ("eval", "held out"), ("test", "test")):
            if part in self.parts:
                yield f"{what}: {describe(self.parts[part])}"
        if "predict" in self.parts:
            unit = "texts" if isinstance(self.parts["predict"], list) else "sentences"
            yield f"to tag: {len(self.parts['predict']):,} {unit}"
        yield f"tags: {len(self.data.names)}: {', '.join(self.data.names)}"

    def texts(self, part):
        return [" ".join(words) for words in self.parts[part].words]

    def head(self, encoder):
        from keras_bert.models import TokenClassifier

        return TokenClassifier(encoder, len(self.data.names), labels=list(self.data.names))

    def train(self, make_model, options, **watching):
        from keras_bert.tasks.tag.tagging import train

        training, held_out = self.parts["train"], self.parts["eval"]
        best = train(
            make_model,
            self.tokenizer,
            training,
            held_out,
            options,
            names=self.data.names,
            max_seq_length=self.args.max_seq_length,
            eval_batch_size=self.args.eval_batch_size,
            strict=self.args.strict,
            **watching,
        )
        best.results |= {"labels": list(self.data.names)}
        best.results |= {"train_sentences": len(training), "eval_sentences": len(held_out)}
        return best

    def ask(self, model, part, batch_size):
        from keras_bert.tasks.tag.tagging import predict_tags, tag

        sentences, options = self.parts[part], {**self.sizes(batch_size), "progress": self.progress}
        if isinstance(sentences, list):
            return tag(model, self.tokenizer, sentences, by_character=self._by_character(), **options)
        joined = (self._by_character() or None) if part == "predict" else None
        return predict_tags(model, self.tokenizer, sentences, joined=joined, **options)[0]

    def measure(self, model, part, answers):
        from keras_bert.tasks.tag.files import scheme_of
        from keras_bert.tasks.tag.metrics import tagging_metrics

        if part == "predict":
            return {}
        scheme = scheme_of(model.labels)
        return tagging_metrics(self.parts[part].tags, answers, scheme=scheme, strict=self.args.strict)

    def write(self, model, part, answers, folder):
        from keras_bert.tasks.tag.files import write_entities, write_tags

        sentences = self.parts[part]
        if isinstance(sentences, list):
            write_entities(folder / ENTITIES, sentences, answers)
            return [folder / ENTITIES]
        name = {"eval": EVAL, "test": TEST, "predict": TAGS}[part]
        scheme = None
        if part == "predict":
            scheme = self.parts["train"].scheme if self.trains else self.args.scheme
        write_tags(folder / name, sentences, answers, scheme=scheme)
        return [folder / name]

    def reading(self):
        return {"by_character": self._by_character()}

    def _by_character(self):
        """Returns whether raw texts are tagged by their characters: as the flag, the files or the saved model say."""
        return self.data.by_character if self.args.by_character is None else self.args.by_character

    def report(self, results):
        from keras_bert.tasks.tag.metrics import type_table

        for line, figures in self.measured(results):
            yield line
            yield from (f"  {line}" for line in type_table(figures["by_type"]))

    def next_step(self, saved):
        return asking_command("tag", "texts.jsonl", saved)


JOB = Tagging
