"""SWAG (Zellers et al. 2018) and CODAH: `keras-bert choose` under its older name, with the paper's defaults.

    keras-bert swag --data_dir=swag --init_checkpoint=uncased_L-12_H-768_A-12 --output_dir=chooser
    keras-bert swag --predict_file=questions.jsonl --init_checkpoint=chooser --output_dir=answers

Flags and defaults are those of keras-bert choose.
"""

from keras_bert.cli.finetune import Command

COMMAND = Command.of_task("choose", __doc__)
MAIN, add_arguments, run = COMMAND.MAIN, COMMAND.add_arguments, COMMAND.run
