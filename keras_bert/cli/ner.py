"""Named entities from CoNLL-2003's files, or others like them: `keras-bert tag` under its older name.

    keras-bert ner --data_dir=conll2003 --init_checkpoint=model --output_dir=tagger
    keras-bert ner --predict_file=texts.jsonl --init_checkpoint=tagger --output_dir=answers

Flags and defaults are those of keras-bert tag.
"""

from keras_bert.cli.finetune import Command

COMMAND = Command.of_task("tag", __doc__)
MAIN, add_arguments, run = COMMAND.MAIN, COMMAND.add_arguments, COMMAND.run
