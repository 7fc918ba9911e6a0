/* SPDX-License-Identifier: BSD-2-Clause */

/* Writes signed receipts, and "audit receipt", which verifies one. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "receipt.h"

#define RECEIPT_MAGIC  "eventsync receipt\n"
#define RECEIPT_MODE   0600
#define RECEIPT_MAX    (64 << 20)


int
ctl_receipt_write(const es_heads_key_t *key, const char *path,
    const json_t *receipt)
{
    char      *line;
    size_t     skip;
    es_rc_t    es;
    es_buf_t   text = { 0 };

    line = json_dumps(receipt, JSON_COMPACT);
    skip = sizeof(RECEIPT_MAGIC) - 1;
    es = line == NULL ? ES_NOMEM
         : es_buf_printf(&text, RECEIPT_MAGIC "%s\n", line);
    free(line);

    if (es == ES_OK) {
        es = es_heads_sign_text(key, (es_str_t) { text.data, text.len },
                                &text);
    }

    if (es == ES_OK) {
        es = es_buf_append(&text, "\n", 1);
    }

    if (es == ES_OK) {
        memmove(text.data, text.data + skip, text.len - skip);
        text.len -= skip;
        es = es_file_replace(path, &text, RECEIPT_MODE);
    }

    es_buf_free(&text);

    return es == ES_OK ? CTL_OK
           : ctl_fail(CTL_FAILED, "no receipt: %s", es_reason(es));
}


static int
ctl_receipt_read(const char *path, es_buf_t *text)
{
    FILE    *file;
    char     piece[8192];
    size_t   n;
    es_rc_t  es;

    file = fopen(path, "re");
    if (file == NULL) {
        return ctl_fail(CTL_FAILED, "cannot open \"%s\": %s", path,
                        strerror(errno));
    }

    es = es_buf_append(text, RECEIPT_MAGIC, sizeof(RECEIPT_MAGIC) - 1);

    while (es == ES_OK && text->len < RECEIPT_MAX
           && (n = fread(piece, 1, sizeof(piece), file)) > 0)
    {
        es = es_buf_append(text, piece, n);
    }

    (void) fclose(file);

    return es == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}


static int
ctl_receipt_check(ctl_t *ctl, const es_heads_key_t *key, const char *path,
    const es_buf_t *text)
{
    int           rc;
    char         *end, *stop;
    json_t       *json;
    es_str_t      said, line;
    es_problem_t  problem;

    stop = text->data + text->len;
    end = text->data + sizeof(RECEIPT_MAGIC) - 1;
    end = memchr(end, '\n', (size_t) (stop - end));

    if (end == NULL || stop[-1] != '\n' || stop == end + 1) {
        return ctl_fail(CTL_FAILED, "\"%s\" is not a receipt", path);
    }

    said = (es_str_t) { text->data, (size_t) (end + 1 - text->data) };
    line = (es_str_t) { end + 1, (size_t) (stop - end - 2) };

    if (es_heads_verify_text(key, said, line, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "receipt \"%s\": %s", path,
                        problem.detail);
    }

    said.data += sizeof(RECEIPT_MAGIC) - 1;
    said.len -= sizeof(RECEIPT_MAGIC) - 1;
    json = json_loadb(said.data, said.len, JSON_REJECT_DUPLICATES, NULL);
    rc = json_is_object(json)
         ? CTL_OK : ctl_fail(CTL_FAILED, "\"%s\" is not a receipt", path);

    if (rc == CTL_OK && !ctl->json) {
        ctl_print(json);
    }

    ctl_result(ctl, json);

    return rc;
}


int
ctl_audit_receipt(ctl_t *ctl, int argc, char **argv)
{
    int              rc;
    es_buf_t         text = { 0 };
    const char      *path = NULL;
    es_problem_t     problem;
    es_heads_key_t  *key = NULL;

    const ctl_option_t  options[] = {
        { "audit-key", &path },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && es_heads_public_load(path, &key, &problem) != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    if (rc == CTL_OK) {
        rc = ctl_receipt_read(argv[0], &text);
    }

    if (rc == CTL_OK) {
        rc = ctl_receipt_check(ctl, key, argv[0], &text);
    }

    es_buf_free(&text);
    es_heads_key_free(key);

    return rc;
}
