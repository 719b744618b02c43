"""What `keras-bert predict` is given: a table, texts or objects, as rows of what the model is asked."""

import dataclasses
import json
import sys
from pathlib import Path

from keras_bert.cli.json_lines import Field, describe_fields, is_object, read_object
from keras_bert.cli.streams import Source, read_texts


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What is given.

    Attributes:
        source: where it comes from.
        form: "table", or "text" or "json" for what a line is.
        fields: {key of a row: Field}.
        columns: of a table, the arguments of `read_inputs`: the columns' names, and what a label is.
        assumed: whether nobody said which form it has.
    """

    source: Source
    form: str
    fields: dict[str, Field]
    columns: dict
    assumed: bool

    def __str__(self):
        return f"{self.source}, {self._describe()}"

    def rows(self):
        """Yields (place, row) of each text, a dict with the keys of `fields`, and None where the texts pause.

        Raises:
            UserError: what `Source.given`, `read_object` and `read_inputs` raise.
        """
        if self.form == "table":
            examples = self._read_table()
            columns = {"id": examples.ids, "text": examples.texts, "pair": examples.pairs}
            columns = {key: column for key, column in columns.items() if column is not None}
            for number, row in enumerate(zip(*columns.values(), strict=True), 1):
                yield f"{self.source}, row {number}", dict(zip(columns, row, strict=True))
            return
        given = self.source.given(self._describe(), skip_blank=self.form == "json")
        if self.form == "text" and self.assumed:
            given = _told_of_objects(given, self.fields)
        rows = read_texts(given, self._read, typed=self.source.is_typed)
        yield from _told_of_repeated(rows) if self.source.files and "id" in self.fields else rows

    def examples(self):
        """Returns all rows as Examples, for a classifier.

        Raises:
            UserError: what `rows` raises, or no row.
        """
        from keras_bert.errors import UserError
        from keras_bert.tasks.classify.examples import Examples

        if self.form == "table" or (self.form == "text" and self.source.files and self.assumed):
            return self._read_table()
        rows = [each[1] for each in self.rows() if each is not None]
        if not rows:
            raise UserError(f"{self.source}: nothing to answer; {self._describe()} was expected.")
        names = {"texts": "text", "pairs": "pair", "ids": "id"}
        return Examples(**{name: [row[key] for row in rows] for name, key in names.items() if key in rows[0]})

    def _read_table(self):
        from keras_bert.tasks.classify.examples import read_inputs

        [path] = self.source.files
        return read_inputs(path, **self.columns)

    def _read(self, text, place):
        """Returns the row of a line."""
        if self.form == "text":
            return {"text": text}
        row = read_object(text, place, self.fields)
        if not isinstance(row.get("id", ""), str):
            row["id"] = json.dumps(row["id"])  # as in tables
        return row

    def _describe(self):
        """Returns in words what there is."""
        known = {"table": "a table", "text": "a text a line"}
        return known.get(self.form) or f"{describe_fields(self.fields)} a line"


def _told_of_repeated(rows):
    """Yields rows with ids. At the first id that an earlier row has it is said what becomes of both."""
    seen = set()
    for each in rows:
        if each is not None and seen is not None:
            if each[1]["id"] in seen:
                print(
                    f"note: {each[0]} has the id of an earlier one, {each[1]['id']!r}; each is answered, in order",
                    file=sys.stderr,
                    flush=True,
                )
                seen = None
            else:
                seen.add(each[1]["id"])
        yield each


def inputs_of(source, args, task, saved, reading):
    """Returns the Inputs of a model.

    Args:
        source: the Source.
        args: the flags.
        task: the Task.
        saved: what has the `model`.
        reading: how it reads texts.

    Raises:
        UserError: a form of the input that does not fit the model.
    """
    from keras_bert.errors import UserError

    fields = _fields(args, task, saved, reading)
    form = _form(args, task, fields)
    if args.label_column and form != "table":
        remedy = "give a .tsv, .csv or .jsonl by --input_file, and no --input_format"
        raise UserError(f"--label_column: {source} is not read as a table, which alone has columns; {remedy}.")
    pair_column = reading.get("pair_column") if args.pair_column or form == "table" else None
    columns = {"text_column": reading.get("text_column"), "pair_column": pair_column, "id_column": args.id_column}
    if args.label_column:
        kind = saved.model.kind
        classes = () if kind == "regression" else saved.model.labels
        columns |= {"label_column": args.label_column, "kind": kind, "classes": classes}
        columns["label_separator"] = reading["label_separator"]
    return Inputs(source, form, fields, columns, assumed=args.input_format is None)


def _fields(args, task, saved, reading):
    """Returns {key: Field} of what the model is asked; the names are the flags', else the training's or the keys."""
    fields = {key: Field((key,), kind) for key, kind in task.fields.items()}
    if "pair" in fields and not (saved.model.pair or reading["pair_column"]):
        del fields["pair"]
    for key in fields:
        if getattr(args, f"{key}_column", None):
            fields[key] = Field((getattr(args, f"{key}_column"),))
        elif reading.get(f"{key}_column"):
            fields[key] = Field(tuple(dict.fromkeys((reading[f"{key}_column"], key))))
    return {"id": Field((args.id_column,), "a string or a number"), **fields} if args.id_column else fields


def _form(args, task, fields):
    """Returns what the input is; see `Inputs`."""
    from keras_bert.errors import UserError
    from keras_bert.tasks.table import is_table

    if args.input_format is None and args.input_file:
        if is_table(args.input_file) and task.columns is not None:
            return "table"
        if args.output_file and task.columns is not None:
            return "text"
        if is_table(args.input_file) and ".jsonl" not in Path(args.input_file).suffixes:
            raise UserError(
                f"--input_file: {args.input_file} is a table, and these are for classifiers; give a .jsonl."
            )
    needs_object = list(fields) != ["text"]
    is_jsonl = args.input_file and is_table(args.input_file)
    form = args.input_format or ("json" if needs_object or is_jsonl else "text")
    if form == "text" and needs_object:
        raise UserError(
            f"--input_format=text: {args.model_dir} is asked by more than a text here; give objects such as "
            f"{describe_fields(fields)}."
        )
    return form


def _told_of_objects(given, fields):
    """Yields what is given. If the first text is an object with the fields, it is said that a text is made of it."""
    first = True
    for each in given:
        if first and each is not None:
            first = False
            if is_object(each[1], fields):
                note = "is an object, and is read as a text as it stands; --input_format=json reads what it holds"
                print(f"note: {each[0]} {note}", file=sys.stderr, flush=True)
        yield each
