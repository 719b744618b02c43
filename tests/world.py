"""A folder with what the pages' examples name: texts, records, checkpoints of all formats, tables, all of them tiny."""

import json
import shutil

import numpy as np

from keras_bert.cli.main import main
from tests.cli.conftest import make_documents

KOREAN = {
    "nouns": "학교 바다 부엌 정원 기차 도서관 시장 병원".split(),
    "particles": "에서 는 을 에 가 도 와".split(),
    "verbs": "기다렸다 보았다 지나갔다 웃었다 떠났다 앉았다".split(),
}
RARE = "nephritis carcinoma hepatocyte stenosis fibrosis ischaemia lymphoma aneurysm".split()


def make_world(folder):
    """Fills a folder. Returns the names that the Python examples take for given: texts, and their labels."""
    documents = make_documents(40)
    sentences = [line for document in documents for line in document]
    _write_texts(folder, documents)
    _write_tables(folder, sentences)
    write_tasks(folder, sentences)
    vocab = folder / "vocab.txt"
    _run("train_vocab", input_file=folder / "corpus", vocab_file=vocab, vocab_size=160)
    sizes = {"max_seq_length": 32, "max_predictions_per_seq": 5, "dupe_factor": 1}
    made = {"input_file": folder / "corpus", "vocab_file": vocab, **sizes}
    _run("create_pretraining_data", **made, output_file=folder / "records" / "wiki.tfrecord")
    _run("create_pretraining_data", "--dynamic", **made, output_file=folder / "unmasked.tfrecord")
    _write_models(folder, vocab)
    return {"texts": sentences[:8], "labels": [0, 1] * 4}


def _run(command, *flags, **options):
    assert main([command, *flags, *(f"--{name}={value}" for name, value in options.items())]) == 0


def _write_texts(folder, documents):
    half = len(documents) // 2
    for name, part in (("corpus/a.txt", documents[:half]), ("corpus/b.txt", documents[half:])):
        _write(folder / name, "\n\n".join("\n".join(document) for document in part))
    _write(folder / "sample_text.txt", "\n\n".join("\n".join(document) for document in documents))
    rng = np.random.default_rng(0)
    medical = [[f"The {word} of case {n} was a {rng.choice(RARE)}." for n in range(4)] for word in RARE * 6]
    _write(folder / "medical" / "m.txt", "\n\n".join("\n".join(lines) for lines in medical))
    korean = []
    for _ in range(24):
        places = rng.choice(KOREAN["nouns"], 10), rng.choice(KOREAN["particles"], 10), rng.choice(KOREAN["verbs"], 10)
        lines = (f"{noun}{particle} {verb} {n}." for n, (noun, particle, verb) in enumerate(zip(*places, strict=True)))
        korean.append("\n".join(lines))
    _write(folder / "korean" / "ko.txt", "\n\n".join(korean))


def _write_tables(folder, sentences):
    _write(folder / "sentences.txt", "\n".join(sentences[:12]))
    rows = [f"{text}\t{'good' if n % 2 else 'bad'}" for n, text in enumerate(sentences[:24])]
    _write(folder / "train.tsv", "\n".join(["text\tlabel", *rows]))
    _write(folder / "new.tsv", "\n".join(["text", *sentences[24:30]]))
    _write(folder / "test.tsv", "\n".join(["text\tlabel", *rows[:6]]))


def write_tasks(folder, sentences):
    """Writes MRPC's, SQuAD's, CoNLL's and SWAG's files under the names that the pages give them."""
    rows = [f"{n % 2}\t{n}\t{n}\t{text}\t{text}" for n, text in enumerate(sentences[:8])]
    for split in ("train", "dev"):
        _write(folder / f"glue/MRPC/{split}.tsv", "\n".join(["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String", *rows]))
    context = " ".join(sentences[:3])
    answers = [{"text": context.split()[3], "answer_start": context.index(context.split()[3])}]
    paragraph = {"context": context, "qas": [{"id": "1", "question": "Who came?", "answers": answers}]}
    for split in ("train", "dev"):
        articles = {"version": "1.1", "data": [{"title": "An article", "paragraphs": [paragraph]}]}
        _write(folder / f"{split}-v1.1.json", json.dumps(articles))
    words = "\n\n".join(f"Ann I-PER\nsaw O\n{place} I-LOC\n. O" for place in ("Rome", "Oslo", "Lima", "Bern"))
    for split in ("train", "dev", "test"):
        _write(folder / f"conll2003/{split}.txt", words)
    header = "video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3,label"
    swag = [f"v,{n},He sat. He,He sat.,He,gold,ate.,flew.,sang.,slept.,{n % 4}" for n in range(8)]
    for split in ("train", "val"):
        _write(folder / f"swag/{split}.csv", "\n".join([header, *swag]))


def _write_models(folder, vocab):
    import keras_bert as kb

    tokenizer = kb.Tokenizer(vocab)
    config = kb.BertConfig.from_name("L-1_H-64", vocab_size=tokenizer.vocab_size)
    model = kb.BertPretrainer(kb.BertEncoder(config))
    model.save_pretrained(folder / "model", tokenizer=tokenizer)
    model.save_pretrained(folder / "uncased_L-12_H-768_A-12", tokenizer=tokenizer, format="google")
    model.save_pretrained(folder / "bert-base-uncased", tokenizer=tokenizer, format="huggingface")
    sizes = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    roberta = kb.Config.from_name("roberta-base", vocab_size=tokenizer.vocab_size, pad_token_id=0, **sizes)
    kb.Pretrainer(kb.Encoder(roberta)).save_pretrained(folder / "roberta-base", tokenizer=tokenizer)
    shutil.copytree(folder / "model", folder / "weights_alone", ignore=shutil.ignore_patterns("*.txt", "tok*"))
    classifier = kb.BertClassifier(kb.BertEncoder(config), num_classes=2, labels=["bad", "good"])
    classifier.save_pretrained(folder / "classifier", tokenizer=tokenizer)
    classifier.save(folder / "classifier.keras")


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
