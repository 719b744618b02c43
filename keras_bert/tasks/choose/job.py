"""Questions with several answers -> fine-tuned model that chooses: SWAG's csv, CODAH's tsv, or JSONL of one's own.

    keras-bert choose --data_dir=swag --init_checkpoint=uncased_L-12_H-768_A-12 --output_dir=chooser
    keras-bert choose --predict_file=questions.jsonl --init_checkpoint=chooser --output_dir=answers

.csv has SWAG's columns (sent1, sent2, ending0 ... ending3, label), .tsv CODAH's seven without a header, .jsonl an
object a line: {"context": "He sat down.", "choices": ["He ate.", "He flew."], "label": 0}. A --data_dir of folders
with a train.* each, as CODAH's cv_split, is cross-validated: a model a fold, and their mean. Defaults are the paper's.
"""

from typing import ClassVar

from keras_bert.tasks.flag import Flag
from keras_bert.tasks.job import Job, asking_command
from keras_bert.tasks.split_files import file_flags

NAMES = {"eval": "eval_predictions.tsv", "test": "test_predictions.tsv", "predict": "predictions.tsv"}
COLUMNS = {
    "context": "column of the context (default: context)",
    "start": "column of what each choice begins with, as SWAG's sent2 (default: none)",
    "choices": "column of the choices (default: choices)",
    "label": "column of the label (default: label)",
}
LABELS = {"train_file": True, "eval_file": True, "test_file": None, "predict_file": False}  # whether they are needed


class Choosing(Job):
    """A run of `keras-bert choose`. Its texts are Questions."""

    word = "choose"
    flags = (
        *file_flags(
            "file of questions (.csv, .tsv or .jsonl)", "file of questions to answer, whose labels are not needed"
        ),
        *(Flag(f"{name}_column", f".jsonl: {what}", rare=True) for name, what in COLUMNS.items()),
    )
    training: ClassVar = {"learning_rate": 2e-5, "train_batch_size": 16}  # Devlin et al. 2018, section 4.4
    outputs = tuple(NAMES.values())
    pair = True

    def read(self, checkpoint):
        from keras_bert.tasks.choose.files import read_choices, split_choices

        columns = {name: getattr(self.args, f"{name}_column") for name in COLUMNS}
        columns = {name: column for name, column in columns.items() if column is not None}
        found = {
            name.removesuffix("_file"): read_choices(path, labels=LABELS[name], **columns)
            for name, path in self.files.items()
            if path is not None
        }
        if "train" in found and "eval" not in found:
            both = split_choices(found["train"], share=self.args.eval_share, seed=self.args.seed)
            found["train"], found["eval"] = both
        return found

    def describe(self):
        for line, questions in zip(super().describe(), self.parts.values(), strict=True):
            labels = "" if questions.labels is not None else ", no labels"
            yield f"{line} questions of {questions.num_choices} choices{labels}"

    def texts(self, part):
        questions = self.parts[part]
        each = zip(questions.contexts, questions.starts, questions.choices, strict=True)
        return [(context, start, *choices) for context, start, choices in each]

    def head(self, encoder):
        from keras_bert.models import MultipleChoice

        return MultipleChoice(encoder)

    def train(self, make_model, options, **watching):
        from keras_bert.tasks.choose.choices import train

        training, held_out = self.parts["train"], self.parts["eval"]
        sizes = {"max_seq_length": self.args.max_seq_length, "eval_batch_size": self.args.eval_batch_size}
        best = train(make_model, self.tokenizer, training, held_out, options, **sizes, **watching)
        best.results |= {"train_examples": len(training), "eval_examples": len(held_out)}
        return best

    def ask(self, model, part, batch_size):
        from keras_bert.tasks.choose.choices import choice_logits

        options = {**self.sizes(batch_size), "progress": self.progress}
        return choice_logits(model, self.tokenizer, self.parts[part], **options)

    def measure(self, model, part, answers):
        from keras_bert.tasks.choose.choices import choice_metrics

        labels = self.parts[part].labels
        return {} if labels is None else choice_metrics(labels, answers)

    def write(self, model, part, answers, folder):
        from keras_bert.tasks.choose.files import write_answers

        path = folder / NAMES[part]
        write_answers(path, self.parts[part], answers)
        return [path]

    def next_step(self, saved):
        return asking_command("choose", "questions.jsonl", saved)


JOB = Choosing
