/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Field lists: entries, one a line, then an empty line and an event.  The line
 * "&" begins another list, and "!" the list of what is encrypted.
 *
 * What is shown equals what a slow reference shows, which knows no automaton: it
 * tries every entry at every value.
 */

#include <jansson.h>

#include "base/hash.h"
#include "base/json.h"
#include "event/attribute.h"
#include "event/digest.h"
#include "fields/fields.h"
#include "fuzz.h"

#define LISTS    3
#define ENTRIES  16

static es_str_t          entries[LISTS + 1][ENTRIES];
static es_fields_list_t  lists[LISTS + 1];     /* the last one is encrypted */
static size_t            nallow;

/* The tokens from data down to a value.  Those of items are their indices. */
typedef struct {
    size_t    n;
    es_str_t  tokens[ES_JSON_DEPTH + 1];
} path_t;


/* ---- the reference ---- */


/* Reads one token of an entry.  `out` has room for it. */

static es_str_t
token(es_str_t entry, size_t *pos, char *out)
{
    es_str_t  text = { out, 0 };

    must(entry.data[(*pos)++] == '/');

    for ( ; *pos < entry.len && entry.data[*pos] != '/'; (*pos)++) {
        out[text.len] = entry.data[*pos];

        if (entry.data[*pos] == '~') {
            out[text.len] = entry.data[++*pos] == '0' ? '~' : '/';
        }

        text.len++;
    }

    return text;
}


/* Compares an entry with a path: 0: they part.  Otherwise the entry has as many
   tokens as the path (2), fewer (1), or more (3). */

static int
compare(es_str_t entry, const path_t *path)
{
    char      room[ES_FIELDS_ENTRY];
    size_t    pos, i;
    es_str_t  text;

    if (entry.len > 0 && entry.data[0] != '/') {
        return 0;
    }

    i = 0;

    for (pos = 0; pos < entry.len && i < path->n; i++) {
        text = token(entry, &pos, room);

        if (!es_str_eq(text, es_lit("*"))
            && !es_str_eq(text, path->tokens[i]))
        {
            return 0;
        }
    }

    return pos < entry.len ? 3 : i < path->n ? 1 : 2;
}


/* True if an entry of the list compares in one of these ways. */

static bool
has(const es_fields_list_t *list, const path_t *path, int least, int most)
{
    int     how;
    size_t  i;

    for (i = 0; i < list->n; i++) {
        how = compare(list->entries[i], path);

        if (how >= least && how <= most) {
            return true;
        }
    }

    return false;
}


static void
put(es_buf_t *out, const char *text)
{
    must(es_buf_str(out, es_str(text)) == ES_OK);
}


static void
put_range(es_buf_t *out, const char *from, const char *to)
{
    must(es_buf_append(out, from, (size_t) (to - from)) == ES_OK);
}


/* Replaces a value by what depends on all that the encrypter is told. */

static void
replace(es_buf_t *out, size_t from, es_str_t pointer, bool base64)
{
    uint64_t  hash;

    hash = es_hash_long(pointer.data, pointer.len, base64);
    hash = es_hash_long(out->data + from, out->len - from, hash);
    out->len = from;
    must(es_buf_printf(out, "\"%016llx\"", (unsigned long long) hash)
         == ES_OK);
}


static void
pointer(const path_t *path, es_buf_t *out)
{
    size_t    i, j;
    es_str_t  text;

    for (i = 0; i < path->n; i++) {
        text = path->tokens[i];
        put(out, "/");

        for (j = 0; j < text.len; j++) {
            if (text.data[j] == '~' || text.data[j] == '/') {
                put(out, text.data[j] == '~' ? "~0" : "~1");
            } else {
                put_range(out, text.data + j, text.data + j + 1);
            }
        }
    }
}


static bool show(es_json_t *json, path_t *path, bool inside, bool base64,
    es_buf_t *out);


/* Shows the parts of an object or array.  Returns how many. */

static size_t
parts(es_json_t *json, path_t *path, bool inside, es_buf_t *out)
{
    bool              object, first;
    char              index[16], *decoded;
    size_t            n, mark;
    unsigned          i;
    const char       *lead;
    es_json_value_t   name;

    object = *json->pos == '{';
    n = 0;
    must(es_json_enter(json, *json->pos) == ES_OK);
    put(out, object ? "{" : "[");

    for (i = 0, first = true; ; i++, first = false) {
        if ((object ? es_json_key(json, first, &name)
                    : es_json_element(json, first)) != ES_OK)
        {
            break;
        }

        lead = object ? name.text.data : json->pos;
        decoded = object ? malloc(name.text.len) : index;
        must(decoded != NULL);
        path->tokens[path->n].data = decoded;
        path->tokens[path->n++].len = object
            ? (size_t) (es_json_decode(&name, decoded) - decoded)
            : (size_t) snprintf(index, sizeof(index), "%u", i);

        mark = out->len;
        put(out, n > 0 ? "," : "");
        put_range(out, lead, json->pos);

        if (show(json, path, inside, false, out)) {
            n++;
        } else {
            out->len = mark;
        }

        path->n--;

        if (object) {
            free(decoded);
        }
    }

    put(out, object ? "}" : "]");

    return n;
}


/* Shows the value at the position.  `inside`: of one that is encrypted. */

static bool
show(es_json_t *json, path_t *path, bool inside, bool base64, es_buf_t *out)
{
    bool              whole, shown, sealed;
    size_t            i, from;
    es_buf_t          place = { NULL, 0, 0 };
    es_json_value_t   value;

    from = out->len;
    whole = shown = true;

    for (i = 0; i < nallow; i++) {
        whole = whole && has(&lists[i], path, 1, 2);
        shown = shown && has(&lists[i], path, 1, 3);
    }

    sealed = !inside && has(&lists[LISTS], path, 2, 2);
    inside = inside || sealed;

    if (shown && (*json->pos == '{' || *json->pos == '[')
        && (!whole || (!inside && has(&lists[LISTS], path, 3, 3))))
    {
        shown = parts(json, path, inside, out) > 0 || whole;

    } else {
        must(es_json_value(json, &value) == ES_OK);
        put_range(out, value.text.data, json->pos);
        shown = shown && whole;
    }

    if (shown && sealed) {
        pointer(path, &place);
        replace(out, from, (es_str_t) { place.data, place.len }, base64);
        es_buf_free(&place);
    }

    return shown;
}


static bool
attribute(es_str_t name, bool erased)
{
    size_t  i, j;
    bool    named;

    if (es_attr_find(name) != ES_ATTR_EXTENSION || es_attr_reserved(name)) {
        return true;
    }

    if (erased) {
        return es_str_eq(name, es_lit("erased"));
    }

    for (i = 0; i < nallow; i++) {
        named = false;
        for (j = 0; j < lists[i].n; j++) {
            named = named || (name.len > 0
                              && es_str_eq(lists[i].entries[j], name));
        }
        if (!named) {
            return false;
        }
    }

    return true;
}


/* Shows an event that is valid JSON. */

static void
reference(es_str_t text, es_buf_t *out)
{
    bool              first, base64, any, shown;
    size_t            mark;
    path_t            path = { .n = 0 };
    es_str_t          attr;
    es_json_t         json;
    es_json_value_t   name, value;

    es_json_init(&json, text.data, text.len);
    must(es_json_enter(&json, '{') == ES_OK);
    put(out, "{");
    any = false;

    for (first = true; ; first = false) {
        if (es_json_key(&json, first, &name) != ES_OK) {
            break;
        }

        mark = out->len;
        put(out, any ? "," : "");
        attr.data = name.text.data + 1;
        attr.len = name.text.len - 2;
        base64 = es_str_eq(attr, es_lit("data_base64"));

        if (base64 && has(&lists[LISTS], &path, 2, 2)) {
            put(out, "\"data\":");
        } else {
            put_range(out, name.text.data, json.pos);
        }

        if (base64 || es_str_eq(attr, es_lit("data"))) {
            shown = show(&json, &path, false, base64, out);

        } else {
            must(es_json_value(&json, &value) == ES_OK);
            put_range(out, value.text.data, json.pos);
            shown = attribute(attr, es_digest_erased(text.data, text.len));
        }

        if (!shown) {
            out->len = mark;
        }

        any = any || shown;
    }

    put(out, "}");
}


/* ---- the target ---- */


static es_rc_t
seal(void *ctx, es_str_t key, const es_fields_place_t *place, es_buf_t *out,
    size_t from)
{
    must(ctx == NULL && key.len == 0);
    must(from < out->len);
    replace(out, from, place->pointer, place->base64);

    return ES_OK;
}


/* Takes the lists off the input.  False: an entry is none, or they are too
   many. */

static bool
take(es_str_t *input)
{
    size_t       list;
    es_str_t     line;
    const char  *end;

    memset(lists, 0, sizeof(lists));
    nallow = 0;
    list = 0;

    for ( ;; ) {
        end = input->len ? memchr(input->data, '\n', input->len) : NULL;
        if (end == NULL) {
            return false;
        }

        line.data = input->data;
        line.len = (size_t) (end - line.data);
        input->data = end + 1;
        input->len -= line.len + 1;

        if (line.len == 0) {
            break;
        }

        if (es_str_eq(line, es_lit("!"))) {
            list = LISTS;

        } else if (es_str_eq(line, es_lit("&"))) {
            if (nallow == LISTS) {
                return false;
            }
            list = nallow++;

        } else {
            nallow += list == 0 && nallow == 0;
            line.len -= line.data[0] == '"';         /* `"` is the empty one */
            if (es_fields_entry(line) != NULL || lists[list].n == ENTRIES) {
                return false;
            }
            entries[list][lists[list].n++] = line;
        }
    }

    for (list = 0; list <= LISTS; list++) {
        lists[list].entries = entries[list];
    }

    return true;
}


static void
is_json(const es_buf_t *out)
{
    json_t           *parsed;
    es_json_t         json;
    json_error_t      error;
    es_json_value_t   value;

    es_json_init(&json, out->data, out->len);
    must(es_json_value(&json, &value) == ES_OK && es_json_end(&json) == ES_OK);

    parsed = json_loadb(out->data, out->len, JSON_ALLOW_NUL, &error);
    must(parsed != NULL
         || json_error_code(&error) == json_error_numeric_overflow
         || json_error_code(&error) == json_error_null_byte_in_key);
    json_decref(parsed);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool                 valid;
    es_rc_t              rc;
    es_str_t             input = { (const char *) data, size };
    es_buf_t             out = { NULL, 0, 0 }, wanted = { NULL, 0, 0 };
    es_json_t            json;
    es_pool_t            pool = { 0 };
    es_json_value_t      value;
    es_fields_seal_t     sealer = { .fn = seal };
    const es_fields_t   *fields;
    es_fields_source_t   source = { .allow = lists };

    if (!take(&input)) {
        return 0;
    }

    source.nallow = nallow;
    source.encrypt = lists[LISTS];
    rc = es_fields_compile(&source, &pool, &fields);

    if (rc != ES_OK) {
        must(rc == ES_TOO_LARGE);
        es_pool_free(&pool);
        return 0;
    }

    es_json_init(&json, input.data, input.len);
    valid = input.len > 0 && es_json_value(&json, &value) == ES_OK
            && value.type == ES_JSON_OBJECT && es_json_end(&json) == ES_OK;
    rc = es_fields_event(fields, &sealer, input, &out);
    must(rc == ES_OK || (rc == ES_CORRUPT && !valid && out.len == 0));

    if (valid) {
        reference(input, &wanted);
        must(es_str_eq((es_str_t) { out.data, out.len },
                       (es_str_t) { wanted.data, wanted.len }));
        is_json(&out);
    }

    es_buf_free(&out);
    es_buf_free(&wanted);
    es_pool_free(&pool);

    return 0;
}
