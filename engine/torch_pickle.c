// SPDX-License-Identifier: Apache-2.0
// torch_pickle.c: data.pkl: the few operations of Python's pickle that a dictionary of tensors needs.
//
// A value is 16 bytes; what it refers to lies in arrays that only grow, one item an operation at most, so that a file
// cannot ask for more memory than a small multiple of its own size, whatever it says.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/torch.h"

#define MAX_PICKLE_BYTES (256u << 20)
#define MAX_NAME 1024u

enum kind {
    NOTHING, // None, floats, lists: what may be there and is not looked at
    NUMBER,
    TEXT,
    TUPLE,
    DICT,
    GLOBAL,
    STORAGE,
    TENSOR,
};

struct value {
    uint32_t kind, count; // count: bytes of a text, items of a tuple
    union {
        int64_t number;
        const char *text;
        size_t at; // first item of a tuple; number of a dict, global, storage or tensor
    };
};

struct storage {
    enum sy_st_dtype dtype;
    const uint8_t *data;
    uint64_t elements;
};

struct tensor {
    size_t storage;
    uint64_t offset, elements;
    uint32_t ndim;
    bool contiguous;
    uint64_t shape[SY_ST_MAX_DIMS];
};

struct entry {
    size_t dict;
    struct value key, value;
};

struct list {
    void *items;
    size_t count, room;
};

struct machine {
    struct sy_ctx *ctx;
    const char *file;
    struct sy_torch *torch;
    const uint8_t *at, *end;
    struct list stack, marks, memo, items, storages, tensors, entries;
    size_t dicts;
    bool done;
};

// What may be named. `dtype` of storages alone.
enum global { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER, FIRST_STORAGE };
static const struct {
    const char *module, *name;
    enum sy_st_dtype dtype;
} globals[] = {
    [ORDERED_DICT] = {"collections", "OrderedDict", SY_ST_DTYPES},
    [REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor_v2", SY_ST_DTYPES},
    [REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter", SY_ST_DTYPES},
    [FIRST_STORAGE] = {"torch", "FloatStorage", SY_ST_F32},
    {"torch", "HalfStorage", SY_ST_F16},
    {"torch", "BFloat16Storage", SY_ST_BF16},
    {"torch", "DoubleStorage", SY_ST_F64},
    {"torch", "LongStorage", SY_ST_I64},
    {"torch", "IntStorage", SY_ST_I32},
    {"torch", "ShortStorage", SY_ST_I16},
    {"torch", "CharStorage", SY_ST_I8},
    {"torch", "ByteStorage", SY_ST_U8},
    {"torch", "BoolStorage", SY_ST_BOOL},
};

static enum sy_status wrong(const struct machine *m, const char *what)
{
    return sy_fail(m->ctx, SY_FORMAT, "%s: its data.pkl %s: not a state_dict of torch.save()", m->file, what);
}

/// Adds an item of `size` bytes.
static enum sy_status push_item(const struct machine *m, struct list *l, const void *item, size_t size)
{
    if (l->count == l->room) {
        const size_t room = 2 * l->room + 64;
        void *bigger = realloc(l->items, room * size);
        if (bigger == NULL)
            return sy_fail(m->ctx, SY_NOMEM, "%s: out of memory for its data.pkl", m->file);
        l->items = bigger;
        l->room = room;
    }
    memcpy((char *)l->items + l->count++ * size, item, size);
    return SY_OK;
}

static enum sy_status push(struct machine *m, struct value v) { return push_item(m, &m->stack, &v, sizeof v); }

static enum sy_status push_number(struct machine *m, int64_t number)
{
    return push(m, (struct value){.kind = NUMBER, .number = number});
}

static struct value *stack_of(const struct machine *m) { return m->stack.items; }

/// Values above the last mark, or all of them: nothing below a mark can be taken away.
static size_t loose(const struct machine *m)
{
    const size_t *marks = m->marks.items;
    return m->stack.count - (m->marks.count > 0 ? marks[m->marks.count - 1] : 0);
}

static enum sy_status pop(struct machine *m, struct value *out)
{
    if (loose(m) == 0)
        return wrong(m, "takes from an empty stack");
    *out = stack_of(m)[--m->stack.count];
    return SY_OK;
}

/// Forgets the last mark; `*from` is where it was.
static enum sy_status pop_mark(struct machine *m, size_t *from)
{
    if (m->marks.count == 0)
        return wrong(m, "lacks a mark");
    *from = ((size_t *)m->marks.items)[--m->marks.count];
    return SY_OK;
}

/// Makes one tuple of the values from `from` on.
static enum sy_status make_tuple(struct machine *m, size_t from)
{
    const size_t count = m->stack.count - from;
    struct value v = {.kind = TUPLE, .count = (uint32_t)count, .at = m->items.count};
    for (size_t i = from; i < m->stack.count; ++i)
        SY_TRY(push_item(m, &m->items, &stack_of(m)[i], sizeof v));
    m->stack.count = from;
    return push(m, v);
}

static enum sy_status make_dict(struct machine *m) { return push(m, (struct value){.kind = DICT, .at = m->dicts++}); }

/// Pairs from `from` on go into the dict below them.
static enum sy_status set_items(struct machine *m, size_t from)
{
    const struct value *s = stack_of(m);
    if (from == 0 || s[from - 1].kind != DICT || (m->stack.count - from) % 2 != 0)
        return wrong(m, "fills something that is no dictionary");
    for (size_t i = from; i < m->stack.count; i += 2) {
        const struct entry e = {s[from - 1].at, s[i], s[i + 1]};
        SY_TRY(push_item(m, &m->entries, &e, sizeof e));
    }
    m->stack.count = from;
    return SY_OK;
}

static enum sy_status push_global(struct machine *m, const char *module, size_t module_bytes, const char *name,
                                  size_t name_bytes)
{
    for (size_t i = 0; i < SY_COUNT(globals); ++i)
        if (strlen(globals[i].module) == module_bytes && memcmp(globals[i].module, module, module_bytes) == 0 &&
            strlen(globals[i].name) == name_bytes && memcmp(globals[i].name, name, name_bytes) == 0)
            return push(m, (struct value){.kind = GLOBAL, .at = i});
    char text[2][64];
    const char *const from[2] = {module, name};
    const size_t bytes[2] = {module_bytes, name_bytes};
    for (int k = 0; k < 2; ++k) { // as far as it can be printed
        size_t n = 0;
        for (; n < bytes[k] && n + 1 < sizeof text[k] && from[k][n] > ' ' && from[k][n] <= '~'; ++n)
            text[k][n] = from[k][n];
        text[k][n] = '\0';
    }
    return sy_fail(
        m->ctx, SY_FORMAT,
        "%s: its data.pkl names %s.%s, which is no tensor: it is not read any further, because such files can "
        "run programs",
        m->file, text[0], text[1]);
}

// ---- tensors --------------------------------------------------------------------------------------------------------

static const struct value *item(const struct machine *m, const struct value *tuple, uint32_t i)
{
    return (const struct value *)m->items.items + tuple->at + i;
}

/// ('storage', torch.FloatStorage, key, device, elements)
static enum sy_status load_storage(struct machine *m)
{
    struct value id = {0};
    SY_TRY(pop(m, &id));
    if (id.kind != TUPLE || id.count != 5)
        return wrong(m, "has a storage without a description");
    const struct value *tag = item(m, &id, 0), *type = item(m, &id, 1), *key = item(m, &id, 2), *n = item(m, &id, 4);
    if (tag->kind != TEXT || tag->count != 7 || memcmp(tag->text, "storage", 7) != 0 || type->kind != GLOBAL ||
        type->at < FIRST_STORAGE || key->kind != TEXT || key->count > 32 || n->kind != NUMBER || n->number < 0)
        return wrong(m, "has a storage without a description");
    char name[48];
    const int length = snprintf(name, sizeof name, "data/%.*s", (int)key->count, key->text);
    const struct sy_torch_record *r = sy_torch_record(m->torch, name, (size_t)length);
    if (r == NULL)
        return wrong(m, "names a storage that the archive does not have");
    const struct storage s = {globals[type->at].dtype, r->data, (uint64_t)n->number};
    const size_t size = sy_st_dtype_bytes(s.dtype);
    if (s.elements > r->bytes / size || s.elements * size != r->bytes)
        return sy_fail(m->ctx, SY_FORMAT,
                       "%s: its record %s has %llu bytes, but should have %llu elements of %zu bytes", m->file, name,
                       (unsigned long long)r->bytes, (unsigned long long)s.elements, size);
    SY_TRY(push_item(m, &m->storages, &s, sizeof s));
    return push(m, (struct value){.kind = STORAGE, .at = m->storages.count - 1});
}

/// (storage, offset, size, stride, requires_grad, hooks)
static enum sy_status rebuild_tensor(struct machine *m, const struct value *args)
{
    if (args->count < 4 || item(m, args, 0)->kind != STORAGE || item(m, args, 1)->kind != NUMBER ||
        item(m, args, 2)->kind != TUPLE || item(m, args, 3)->kind != TUPLE)
        return wrong(m, "has a tensor without a description");
    const struct value *size = item(m, args, 2), *stride = item(m, args, 3);
    const int64_t offset = item(m, args, 1)->number;
    struct tensor t = {.storage = item(m, args, 0)->at, .ndim = size->count, .elements = 1, .contiguous = true};
    const struct storage *s = (const struct storage *)m->storages.items + t.storage;
    if (size->count > SY_ST_MAX_DIMS || stride->count != size->count || offset < 0)
        return wrong(m, "has a tensor with an impossible shape");
    for (uint32_t i = t.ndim; i-- > 0;) {
        const struct value *n = item(m, size, i), *step = item(m, stride, i);
        if (n->kind != NUMBER || n->number < 0 || step->kind != NUMBER)
            return wrong(m, "has a tensor with an impossible shape");
        t.contiguous = t.contiguous && (n->number <= 1 || step->number == (int64_t)t.elements);
        t.shape[i] = (uint64_t)n->number;
        if (__builtin_mul_overflow(t.elements, t.shape[i], &t.elements))
            return wrong(m, "has a tensor with an impossible shape");
    }
    t.offset = (uint64_t)offset;
    if (t.offset > s->elements || t.elements > s->elements - t.offset)
        return wrong(m, "has a tensor that is larger than its storage");
    SY_TRY(push_item(m, &m->tensors, &t, sizeof t));
    return push(m, (struct value){.kind = TENSOR, .at = m->tensors.count - 1});
}

/// Calls a global: only these three can be.
static enum sy_status reduce(struct machine *m)
{
    struct value args = {0}, f = {0};
    SY_TRY(pop(m, &args));
    SY_TRY(pop(m, &f));
    if (f.kind != GLOBAL || args.kind != TUPLE)
        return wrong(m, "calls something that cannot be called");
    switch (f.at) {
    case ORDERED_DICT:
        if (args.count != 0)
            return wrong(m, "makes a dictionary out of something");
        return make_dict(m);
    case REBUILD_TENSOR: return rebuild_tensor(m, &args);
    case REBUILD_PARAMETER:
        if (args.count == 0 || item(m, &args, 0)->kind != TENSOR)
            return wrong(m, "has a parameter that is no tensor");
        return push(m, *item(m, &args, 0));
    default: return wrong(m, "calls something that cannot be called");
    }
}

// ---- operations -----------------------------------------------------------------------------------------------------

/// The next `bytes` bytes of the program.
static enum sy_status take(struct machine *m, uint64_t bytes, const uint8_t **out)
{
    if (bytes > (uint64_t)(m->end - m->at))
        return wrong(m, "breaks off");
    *out = m->at;
    m->at += bytes;
    return SY_OK;
}

/// An unsigned number of `bytes` bytes.
static enum sy_status take_number(struct machine *m, uint32_t bytes, uint64_t *out)
{
    const uint8_t *p = NULL;
    SY_TRY(take(m, bytes, &p));
    *out = 0;
    memcpy(out, p, bytes);
    return SY_OK;
}

static enum sy_status text(struct machine *m, uint32_t length_bytes)
{
    uint64_t n = 0;
    const uint8_t *p = NULL;
    SY_TRY(take_number(m, length_bytes, &n));
    SY_TRY(take(m, n, &p));
    return push(m, (struct value){.kind = TEXT, .count = (uint32_t)n, .text = (const char *)p});
}

static enum sy_status long_number(struct machine *m)
{
    uint64_t n = 0, bits = 0;
    const uint8_t *p = NULL;
    SY_TRY(take_number(m, 1, &n));
    if (n > 8)
        return wrong(m, "has a number of more than 64 bits");
    SY_TRY(take(m, n, &p));
    memcpy(&bits, p, n);
    if (n > 0 && n < 8 && (p[n - 1] & 128) != 0)
        bits |= ~0ull << (8 * n);
    return push_number(m, (int64_t)bits);
}

/// "c": two lines.
static enum sy_status global_lines(struct machine *m)
{
    const uint8_t *first = memchr(m->at, '\n', (size_t)(m->end - m->at));
    const uint8_t *second = first != NULL ? memchr(first + 1, '\n', (size_t)(m->end - first - 1)) : NULL;
    if (second == NULL)
        return wrong(m, "breaks off");
    const char *module = (const char *)m->at, *name = (const char *)first + 1;
    m->at = second + 1;
    return push_global(m, module, (size_t)((const char *)first - module), name, (size_t)((const char *)second - name));
}

static enum sy_status global_from_stack(struct machine *m)
{
    struct value name = {0}, module = {0};
    SY_TRY(pop(m, &name));
    SY_TRY(pop(m, &module));
    if (name.kind != TEXT || module.kind != TEXT)
        return wrong(m, "names something without a name");
    return push_global(m, module.text, module.count, name.text, name.count);
}

static enum sy_status remember(struct machine *m, uint64_t at)
{
    if (loose(m) == 0 || at > m->memo.count) // picklers count them one by one
        return wrong(m, "remembers something in an odd place");
    const struct value v = stack_of(m)[m->stack.count - 1];
    if (at < m->memo.count) {
        ((struct value *)m->memo.items)[at] = v;
        return SY_OK;
    }
    return push_item(m, &m->memo, &v, sizeof v);
}

static enum sy_status recall(struct machine *m, uint64_t at)
{
    if (at >= m->memo.count)
        return wrong(m, "recalls something that was never there");
    return push(m, ((const struct value *)m->memo.items)[at]);
}

static enum sy_status tuple_of(struct machine *m, size_t count)
{
    if (loose(m) < count)
        return wrong(m, "takes from an empty stack");
    return make_tuple(m, m->stack.count - count);
}

/// A dictionary's attributes (_metadata of a state_dict), which nobody asks for.
static enum sy_status build(struct machine *m)
{
    struct value state = {0};
    SY_TRY(pop(m, &state));
    if (loose(m) == 0 || stack_of(m)[m->stack.count - 1].kind != DICT)
        return wrong(m, "gives attributes to something that is no dictionary");
    return SY_OK;
}

static enum sy_status step(struct machine *m)
{
    uint64_t n = 0;
    size_t from = 0;
    const uint8_t *p = NULL;
    SY_TRY(take(m, 1, &p));
    switch (*p) {
    case 0x80: // PROTO
        SY_TRY(take_number(m, 1, &n));
        return n >= 2 && n <= 5 ? SY_OK : wrong(m, "is of an unknown protocol");
    case 0x95: return take(m, 8, &p); // FRAME
    case '}': return make_dict(m);
    case ']':
    case 'N': return push(m, (struct value){.kind = NOTHING});
    case 'G': // BINFLOAT
        SY_TRY(take(m, 8, &p));
        return push(m, (struct value){.kind = NOTHING});
    case ')': return make_tuple(m, m->stack.count);
    case '(': return push_item(m, &m->marks, &m->stack.count, sizeof m->stack.count);
    case 't': SY_TRY(pop_mark(m, &from)); return make_tuple(m, from);
    case 0x85: return tuple_of(m, 1);
    case 0x86: return tuple_of(m, 2);
    case 0x87: return tuple_of(m, 3);
    case 0x88: return push_number(m, 1);
    case 0x89: return push_number(m, 0);
    case 'K': SY_TRY(take_number(m, 1, &n)); return push_number(m, (int64_t)n);
    case 'M': SY_TRY(take_number(m, 2, &n)); return push_number(m, (int64_t)n);
    case 'J': SY_TRY(take_number(m, 4, &n)); return push_number(m, (int32_t)n);
    case 0x8a: return long_number(m);
    case 0x8c: return text(m, 1);
    case 'X': return text(m, 4);
    case 'c': return global_lines(m);
    case 0x93: return global_from_stack(m);
    case 'q': SY_TRY(take_number(m, 1, &n)); return remember(m, n);
    case 'r': SY_TRY(take_number(m, 4, &n)); return remember(m, n);
    case 0x94: return remember(m, m->memo.count);
    case 'h': SY_TRY(take_number(m, 1, &n)); return recall(m, n);
    case 'j': SY_TRY(take_number(m, 4, &n)); return recall(m, n);
    case 'Q': return load_storage(m);
    case 'R': return reduce(m);
    case 's':
        if (loose(m) < 2)
            return wrong(m, "takes from an empty stack");
        return set_items(m, m->stack.count - 2);
    case 'u': SY_TRY(pop_mark(m, &from)); return set_items(m, from);
    case 'b': return build(m);
    case '.': m->done = true; return SY_OK;
    default:
        return sy_fail(
            m->ctx, SY_FORMAT,
            "%s: its data.pkl has the operation 0x%02x, which no dictionary of tensors needs: it is not read "
            "any further",
            m->file, *p);
    }
}

// ---- the result -----------------------------------------------------------------------------------------------------

static enum sy_status check_name(const struct machine *m, const struct value *key)
{
    if (key->kind != TEXT || key->count == 0 || key->count > MAX_NAME)
        return wrong(m, "has a tensor without a name");
    for (uint32_t i = 0; i < key->count; ++i)
        if (key->text[i] <= ' ' || key->text[i] > '~')
            return wrong(m, "has a tensor whose name is not plain");
    return SY_OK;
}

static enum sy_status collect(struct machine *m)
{
    const struct value *root = stack_of(m);
    const struct entry *e = m->entries.items;
    size_t names = 0;
    if (!m->done || m->stack.count != 1 || root->kind != DICT)
        return wrong(m, "does not end in a dictionary");
    for (size_t i = 0; i < m->entries.count; ++i)
        if (e[i].dict == root->at) {
            SY_TRY(check_name(m, &e[i].key));
            if (e[i].value.kind != TENSOR)
                return sy_fail(m->ctx, SY_FORMAT, "%s: %.*s is no tensor: a state_dict holds nothing else", m->file,
                               (int)(e[i].key.count < 200 ? e[i].key.count : 200), e[i].key.text);
            names += e[i].key.count + 1;
            ++m->torch->count;
        }
    m->torch->views = calloc(m->torch->count + 1, sizeof *m->torch->views);
    char *name = m->torch->names = malloc(names + 1);
    if (m->torch->views == NULL || name == NULL)
        return sy_fail(m->ctx, SY_NOMEM, "%s: out of memory for a list of %zu tensors", m->file, m->torch->count);
    struct sy_tensor_view *view = m->torch->views;
    for (size_t i = 0; i < m->entries.count; ++i) {
        if (e[i].dict != root->at)
            continue;
        const struct tensor *t = (const struct tensor *)m->tensors.items + e[i].value.at;
        const struct storage *s = (const struct storage *)m->storages.items + t->storage;
        const size_t size = sy_st_dtype_bytes(s->dtype);
        memcpy(name, e[i].key.text, e[i].key.count);
        name[e[i].key.count] = '\0';
        if (!t->contiguous)
            return sy_fail(m->ctx, SY_UNSUPPORTED, "%s: tensor %.200s is not contiguous: save it so", m->file, name);
        *view = (struct sy_tensor_view){.name = name, .dtype = s->dtype, .ndim = t->ndim, .elements = t->elements};
        memcpy(view->shape, t->shape, sizeof view->shape);
        view->bytes = t->elements * size;
        view->data = s->data + t->offset * size;
        name += e[i].key.count + 1;
        ++view;
    }
    return SY_OK;
}

enum sy_status sy_torch_unpickle(struct sy_ctx *ctx, const struct sy_torch_record *pickle, const char *file,
                                 struct sy_torch *torch)
{
    struct machine m = {
        .ctx = ctx, .file = file, .torch = torch, .at = pickle->data, .end = pickle->data + pickle->bytes};
    enum sy_status status = pickle->bytes <= MAX_PICKLE_BYTES ? SY_OK : wrong(&m, "has more than 256 MiB");
    while (status == SY_OK && !m.done)
        status = step(&m);
    if (status == SY_OK)
        status = collect(&m);
    struct list *const lists[] = {&m.stack, &m.marks, &m.memo, &m.items, &m.storages, &m.tensors, &m.entries};
    for (size_t i = 0; i < SY_COUNT(lists); ++i)
        free(lists[i]->items);
    return status;
}
