/* Raw strings in, answers out, from an exported SavedModel and without Python: what TensorFlow Serving does, in C.

     answer [--ops LIBRARY]... [--input NAME]... SAVED_MODEL [TEXT...]

   SAVED_MODEL is the directory that `keras-bert export` wrote. The texts are the arguments or, without any, the lines
   of standard input. All of them go through the model as one batch; each is answered by one line of JSON:

     {"label": "good", "labels": ["bad", "good"], "probabilities": [0.0180416293, 0.981958389]}

   --ops      a library of operations that the model uses, once for each. Raw text needs one or two of
              tensorflow-text's, by the tokenizer: docs/serving.md has a table. A model of ids needs none.
   --input    where a model takes several strings, their names in the order in which the texts come:
              `--input text --input pair` reads text, pair, text, pair, ...

   Exit status: 0, or 2 with a sentence on standard error, where TensorFlow's own notices go too; there are fewer with
   TF_CPP_MIN_LOG_LEVEL=2 in the environment. Build and run, with the libraries of the pip packages:

     site=$(python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')
     cc -std=c11 -O2 -isystem $site/tensorflow/include answer.c -o answer -Wl,-rpath,$site/tensorflow \
         $site/tensorflow/libtensorflow_cc.so.2 $site/tensorflow/libtensorflow_framework.so.2
     ops=$site/tensorflow_text/python/ops
     ./answer --ops $ops/_fast_wordpiece_tokenizer.so --ops $ops/_normalize_ops.so serving/sentiment/1 'A fine film.'

   Sources: tensorflow/c/{c_api,tf_tensor,tf_tstring}.h; tensorflow/core/protobuf/meta_graph.proto for the signature;
   the protocol buffer encoding guide. */

#define _POSIX_C_SOURCE 200809L /* getline, open_memstream */

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

#define SIGNATURE "serving_default"

/* Prints one sentence and ends the program. */
_Noreturn static void fail(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("answer: ", stderr);
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
    exit(2);
}

/* Ends the program, with TensorFlow's own words, if it could not do what it was asked. */
static void check(const TF_Status *status, const char *what)
{
    if (TF_GetCode(status) != TF_OK) fail("%s: %s", what, TF_Message(status));
}

/* The same, of a graph that may need an operation nobody has loaded: one in a branch is missed where it runs. */
static void check_graph(const TF_Status *status, const char *what)
{
    int unknown = strstr(TF_Message(status), "Op type not registered") != NULL;
    check(status, unknown ? "the model has an operation that is in no library given by --ops" : what);
}

/* Gives memory, until the program ends, for so many items of a size, and a byte for the NUL behind a string. */
static void *grown(void *old, size_t count, size_t size)
{
    void *memory = realloc(old, count * size + 1);
    if (memory == NULL) fail("not enough memory for %zu items", count);
    return memory;
}

/* ---- Step 1: the texts. Any bytes: UTF-8 or not, with NUL where they come from standard input. ---- */

typedef struct { const char *data; size_t size; } Bytes;
typedef struct { Bytes *items; size_t count; } Texts;

static void append(Texts *texts, const char *data, size_t size)
{
    texts->items = grown(texts->items, texts->count + 1, sizeof(Bytes));
    texts->items[texts->count++] = (Bytes){data, size};
}

/* A line ends at LF, or where the input ends; an empty one is an empty text. */
static Texts read_lines(FILE *stream)
{
    Texts texts = {NULL, 0};
    for (;;) {
        char *line = NULL; /* a new one each time: the text stays where it was read */
        size_t room = 0;
        ssize_t size = getline(&line, &room, stream);
        if (size < 0) break;
        append(&texts, line, size - (line[size - 1] == '\n'));
    }
    if (ferror(stream)) fail("cannot read standard input: %s", strerror(errno));
    return texts;
}

/* ---- Step 2: the signature. A protocol buffer message is a row of fields; we need messages and strings in it. ---- */

typedef struct { int number; Bytes value; } Field; /* the value of a message or string; numbers are passed over */

static uint64_t read_varint(Bytes *message)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && message->size > 0; shift += 7) {
        unsigned char byte = *message->data++;
        message->size--;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) return value;
    }
    fail("the SavedModel's signatures cannot be read; export it again");
}

static Bytes take(Bytes *message, uint64_t size)
{
    if (size > message->size) fail("the SavedModel's signatures end too early; export it again");
    Bytes taken = {message->data, size};
    message->data += size;
    message->size -= size;
    return taken;
}

/* Takes the next field off a message. Returns 0 at its end. */
static int next_field(Bytes *message, Field *field)
{
    if (message->size == 0) return 0;
    uint64_t key = read_varint(message);
    *field = (Field){(int)(key >> 3), {"", 0}};
    switch (key & 7) { /* the wire type */
    case 0: read_varint(message); break;
    case 1: take(message, 8); break;
    case 2: field->value = take(message, read_varint(message)); break;
    case 5: take(message, 4); break;
    default: fail("the SavedModel's signatures have an unknown wire type; export it again");
    }
    return 1;
}

/* Returns a message's first field of that number, or an empty one. */
static Bytes field_of(Bytes message, int number)
{
    Field field;
    while (next_field(&message, &field))
        if (field.number == number) return field.value;
    return (Bytes){"", 0};
}

static char *copied(Bytes bytes)
{
    char *text = grown(NULL, bytes.size, 1);
    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    return text;
}

/* MetaGraphDef.signature_def = 5 is map<string, SignatureDef>; a map's entries have the key as 1 and the value as 2. */
static Bytes find_signature(Bytes meta_graph)
{
    Field field;
    while (next_field(&meta_graph, &field))
        if (field.number == 5 && strcmp(copied(field_of(field.value, 1)), SIGNATURE) == 0)
            return field_of(field.value, 2);
    fail("the SavedModel has no signature %s; write it with keras-bert export", SIGNATURE);
}

typedef struct { char *name; TF_Output place; } Slot; /* a name such as "text", and an operation with its output */
typedef struct { Slot *items; int count; } Slots;

static int by_name(const void *first, const void *second)
{
    return strcmp(((const Slot *)first)->name, ((const Slot *)second)->name);
}

/* SignatureDef.inputs = 1 and .outputs = 2 are map<string, TensorInfo>; TensorInfo.name = 1 is "operation:number". */
static Slots read_slots(Bytes signature, int number, TF_Graph *graph)
{
    Slots slots = {NULL, 0};
    Field field;
    while (next_field(&signature, &field)) {
        if (field.number != number) continue;
        Slot slot = {copied(field_of(field.value, 1)), {NULL, 0}};
        char *tensor = copied(field_of(field_of(field.value, 2), 1));
        char *colon = strrchr(tensor, ':');
        if (colon != NULL) {
            *colon = '\0';
            slot.place = (TF_Output){TF_GraphOperationByName(graph, tensor), atoi(colon + 1)};
        }
        if (slot.place.oper == NULL) fail("the signature's %s is %s, which the graph lacks", slot.name, tensor);
        slots.items = grown(slots.items, slots.count + 1, sizeof(Slot));
        slots.items[slots.count++] = slot;
    }
    qsort(slots.items, slots.count, sizeof(Slot), by_name); /* a map has no order of its own */
    return slots;
}

static const char *names_of(Slots slots)
{
    char *names;
    size_t size;
    FILE *memory = open_memstream(&names, &size);
    for (int i = 0; i < slots.count; i++) fprintf(memory, "%s%s", i ? ", " : "", slots.items[i].name);
    fclose(memory);
    return names;
}

/* Makes sure that each input takes one string a text, and puts them in the order that --input asks for. */
static void order_inputs(Slots inputs, char *const *wanted, int count, TF_Graph *graph, TF_Status *status)
{
    const char *names = names_of(inputs);
    for (int i = 0; i < inputs.count; i++) {
        TF_Output place = inputs.items[i].place;
        if (TF_OperationOutputType(place) != TF_STRING || TF_GraphGetTensorNumDims(graph, place, status) != 1)
            fail("the model takes %s; this program gives one string for each of a batch and nothing else", names);
    }
    if (count != inputs.count && (count > 0 || inputs.count > 1))
        fail("the model takes %s; name each by --input, in the order in which the texts come", names);
    for (int i = 0; i < count; i++) {
        int found = i;
        while (found < count && strcmp(inputs.items[found].name, wanted[i]) != 0) found++;
        if (found == count) fail("--input %s is none, or one too many, of what the model takes: %s", wanted[i], names);
        Slot other = inputs.items[i];
        inputs.items[i] = inputs.items[found];
        inputs.items[found] = other;
    }
}

/* ---- Step 3: strings to tensors, and the run. ---- */

/* Makes a string tensor (rows,) of every `step`-th text. It only points at the texts, which must outlive it. */
static TF_Tensor *string_tensor(Texts texts, size_t first, size_t step)
{
    int64_t rows = texts.count / step;
    TF_Tensor *tensor = TF_AllocateTensor(TF_STRING, &rows, 1, rows * sizeof(TF_TString));
    TF_TString *strings = TF_TensorData(tensor);
    for (int64_t row = 0; row < rows; row++) {
        Bytes text = texts.items[row * step + first];
        TF_StringInit(&strings[row]);
        TF_StringAssignView(&strings[row], text.data, text.size);
    }
    return tensor;
}

/* Runs the signature. Returns one tensor for each output. */
static TF_Tensor **run(TF_Session *session, Slots inputs, Slots outputs, Texts texts, TF_Status *status)
{
    TF_Output *from = grown(NULL, inputs.count, sizeof(TF_Output)), *to = grown(NULL, outputs.count, sizeof(TF_Output));
    TF_Tensor **given = grown(NULL, inputs.count, sizeof(TF_Tensor *));
    TF_Tensor **answers = grown(NULL, outputs.count, sizeof(TF_Tensor *));
    for (int i = 0; i < inputs.count; i++) {
        from[i] = inputs.items[i].place;
        given[i] = string_tensor(texts, i, inputs.count);
    }
    for (int i = 0; i < outputs.count; i++) to[i] = outputs.items[i].place;
    TF_SessionRun(session, NULL, from, given, inputs.count, to, answers, outputs.count, NULL, 0, NULL, status);
    check_graph(status, "the model refused the texts");
    for (int i = 0; i < inputs.count; i++) TF_DeleteTensor(given[i]);
    return answers;
}

/* ---- Step 4: tensors to JSON. ---- */

/* Returns how many bytes the UTF-8 character at the beginning has, or 0 if it is none. */
static size_t character_size(const unsigned char *text, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* less would have fitted in fewer bytes */
    if (*text < 0x80) return 1;
    size_t own = *text >> 5 == 6 ? 2 : *text >> 4 == 14 ? 3 : *text >> 3 == 30 ? 4 : 0;
    if (own == 0 || own > size) return 0;
    uint32_t code = *text & (0x7F >> own);
    for (size_t i = 1; i < own; i++) {
        if (text[i] >> 6 != 2) return 0;
        code = code << 6 | (text[i] & 0x3F);
    }
    int is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    return code < least[own] || code > 0x10FFFF || is_surrogate ? 0 : own;
}

/* JSON is UTF-8; each byte that is not becomes U+FFFD. */
static void print_string(const char *data, size_t size)
{
    const unsigned char *text = (const unsigned char *)data;
    putchar('"');
    while (size > 0) {
        size_t own = character_size(text, size), step = own ? own : 1;
        if (own == 0) fputs("\\ufffd", stdout);
        else if (*text < 0x20) printf("\\u%04x", *text);
        else {
            if (*text == '"' || *text == '\\') putchar('\\');
            fwrite(text, 1, step, stdout);
        }
        text += step;
        size -= step;
    }
    putchar('"');
}

static void print_value(const TF_Tensor *tensor, int64_t place)
{
    const void *data = TF_TensorData(tensor);
    const TF_TString *strings = data;
    const float *floats = data;
    switch (TF_TensorType(tensor)) {
    case TF_STRING: print_string(TF_StringGetDataPointer(&strings[place]), TF_StringGetSize(&strings[place])); break;
    case TF_INT32: printf("%" PRId32, ((const int32_t *)data)[place]); break;
    case TF_INT64: printf("%" PRId64, ((const int64_t *)data)[place]); break;
    case TF_FLOAT:
        if (isfinite(floats[place])) printf("%.9g", floats[place]); /* 9 digits give the very float back */
        else fputs("null", stdout);                                 /* JSON has no NaN */
        break;
    default: fail("the model answers with type %d, which this program does not print", (int)TF_TensorType(tensor));
    }
}

/* Prints what a tensor holds from `place` on, a list for each dimension from `dimension` on. Returns the next place. */
static int64_t print_values(const TF_Tensor *tensor, int dimension, int64_t place)
{
    if (dimension == TF_NumDims(tensor)) {
        print_value(tensor, place);
        return place + 1;
    }
    putchar('[');
    for (int64_t i = 0; i < TF_Dim(tensor, dimension); i++) {
        if (i > 0) fputs(", ", stdout);
        place = print_values(tensor, dimension + 1, place);
    }
    putchar(']');
    return place;
}

/* Prints a line for each row of the batch: every output's part of it, by name. */
static void print_rows(Slots outputs, TF_Tensor *const *answers, int64_t rows)
{
    for (int i = 0; i < outputs.count; i++)
        if (TF_NumDims(answers[i]) < 1 || TF_Dim(answers[i], 0) != rows)
            fail("the model's output %s has no row for each text", outputs.items[i].name);
    for (int64_t row = 0; row < rows; row++) {
        for (int i = 0; i < outputs.count; i++) {
            fputs(i ? ", " : "{", stdout);
            print_string(outputs.items[i].name, strlen(outputs.items[i].name));
            fputs(": ", stdout);
            print_values(answers[i], 1, row * (TF_TensorElementCount(answers[i]) / rows));
        }
        puts("}");
    }
    if (fflush(stdout) != 0 || ferror(stdout)) fail("cannot write the answers: %s", strerror(errno));
}

/* ---- All steps in order. ---- */

/* Loads the model that stands in `folder`; `meta_graph` gets its description, signatures included. */
static TF_Session *load(const char *folder, TF_Graph *graph, TF_Buffer *meta_graph, TF_Status *status)
{
    char *path = grown(NULL, strlen(folder) + sizeof("/saved_model.pb"), 1);
    sprintf(path, "%s/saved_model.pb", folder);
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail("%s: %s; give the directory that keras-bert export wrote", path, strerror(errno));
    fclose(file);
    const char *const tags[] = {"serve"};
    TF_SessionOptions *options = TF_NewSessionOptions();
    TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, folder, tags, 1, graph, meta_graph, status);
    check_graph(status, folder);
    TF_DeleteSessionOptions(options);
    return session;
}

int main(int count, char **words)
{
    TF_Status *status = TF_NewStatus();
    char **wanted = grown(NULL, count, sizeof(char *));
    int num_wanted = 0, at = 1;
    for (; at + 1 < count && strncmp(words[at], "--", 2) == 0; at += 2) {
        if (strcmp(words[at], "--ops") == 0) {
            TF_LoadLibrary(words[at + 1], status); /* must be known before a graph that uses it is read */
            check(status, "cannot load the operations");
        } else if (strcmp(words[at], "--input") == 0) wanted[num_wanted++] = words[at + 1];
        else fail("unknown option %s; there are --ops LIBRARY and --input NAME", words[at]);
    }
    if (at >= count || strncmp(words[at], "--", 2) == 0)
        fail("usage: answer [--ops LIBRARY]... [--input NAME]... SAVED_MODEL [TEXT...]");

    TF_Graph *graph = TF_NewGraph();
    TF_Buffer *meta_graph = TF_NewBuffer();
    TF_Session *session = load(words[at], graph, meta_graph, status);
    Bytes signature = find_signature((Bytes){meta_graph->data, meta_graph->length});
    Slots inputs = read_slots(signature, 1, graph), outputs = read_slots(signature, 2, graph);
    order_inputs(inputs, wanted, num_wanted, graph, status);

    Texts texts = {NULL, 0};
    if (++at == count) texts = read_lines(stdin);
    for (; at < count; at++) append(&texts, words[at], strlen(words[at]));
    if (texts.count % inputs.count != 0)
        fail("%zu texts were given, but the model takes %d at a time", texts.count, inputs.count);
    TF_Tensor **answers = run(session, inputs, outputs, texts, status);
    print_rows(outputs, answers, texts.count / inputs.count);

    for (int i = 0; i < outputs.count; i++) TF_DeleteTensor(answers[i]);
    TF_CloseSession(session, status);
    TF_DeleteSession(session, status);
    TF_DeleteGraph(graph);
    TF_DeleteBuffer(meta_graph);
    TF_DeleteStatus(status);
    return 0;
}
