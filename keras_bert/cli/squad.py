"""SQuAD 1.1, SQuAD 2.0 and KorQuAD 1: `keras-bert answer` under its older name.

    keras-bert squad --train_file=train-v1.1.json --predict_file=dev-v1.1.json --init_checkpoint=model --output_dir=qa
    keras-bert squad --predict_file=dev-v1.1.json --init_checkpoint=qa --output_dir=answers

Flags and defaults are those of keras-bert answer, which are run_squad.py's of google-research/bert.
"""

from keras_bert.cli.finetune import Command

COMMAND = Command.of_task("answer", __doc__)
MAIN, add_arguments, run = COMMAND.MAIN, COMMAND.add_arguments, COMMAND.run
