"""The cell that installs keras_bert: colab/install_cell.py has it, and each notebook a copy, its first cell of code.

    python -m tests.notebook_cell

writes the copies anew, after a change there.
"""

import json
from pathlib import Path

COLAB = Path(__file__).resolve().parents[1] / "colab"
CELL = COLAB / "install_cell.py"
METADATA = {"cellView": "form"}  # Colab shows the form, and folds the code


def with_cell(notebook):
    """Returns a notebook, the text of its file, with the cell as CELL has it."""
    content = json.loads(notebook)
    cell = next(cell for cell in content["cells"] if cell["cell_type"] == "code")
    cell["source"] = CELL.read_text(encoding="utf-8").rstrip("\n").splitlines(keepends=True)
    cell["metadata"] = METADATA
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path in COLAB.glob("*.ipynb"):
        path.write_text(with_cell(path.read_text(encoding="utf-8")), encoding="utf-8")
