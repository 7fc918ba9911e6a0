/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads standard input in large blocks and returns lines from its buffer.
 */

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reason.h"
#include "input.h"

#define INPUT_READ       65536
#define INPUT_MOMENT_MS  10        /* a larger commit is worth this wait */


/* Reads one block; sets `end` at the end of the input. */

static es_rc_t
ctl_input_fill(ctl_input_t *input)
{
    size_t   block;
    es_rc_t  rc;
    ssize_t  n;

    block = input->block ? input->block : INPUT_READ;

    if (input->start > 0) {
        input->buf.len -= input->start;
        memmove(input->buf.data, input->buf.data + input->start,
                input->buf.len);
        input->start = 0;
    }

    rc = es_buf_reserve(&input->buf, block);
    if (rc != ES_OK) {
        return rc;
    }

    do {
        n = read(input->fd, input->buf.data + input->buf.len, block);
    } while (n == -1 && errno == EINTR);

    if (n == -1) {
        return es_refused(errno, "read", "standard input");
    }

    input->buf.len += (size_t) n;
    input->end = n == 0;

    return ES_OK;
}


/* The next '\n' at or after the offset `from`; NULL: there is none yet. */

static const char *
ctl_input_newline(const ctl_input_t *input, size_t from)
{
    if (from >= input->buf.len) {
        return NULL;
    }

    return memchr(input->buf.data + from, '\n', input->buf.len - from);
}


es_rc_t
ctl_input_line(ctl_input_t *input, es_str_t *line)
{
    size_t       looked;
    es_rc_t      rc;
    const char  *end;

    looked = 0;

    while ((end = ctl_input_newline(input, input->start + looked)) == NULL
           && !input->end)
    {
        looked = input->buf.len - input->start;

        rc = ctl_input_fill(input);
        if (rc != ES_OK) {
            return rc;
        }
    }

    if (end == NULL && input->start == input->buf.len) {
        return ES_NOT_FOUND;
    }

    line->data = input->buf.data + input->start;
    line->len = end ? (size_t) (end - line->data)
                    : input->buf.len - input->start;
    input->start += line->len + (end != NULL);
    input->taken += line->len + (end != NULL);

    return ES_OK;
}


bool
ctl_input_buffered(const ctl_input_t *input)
{
    return ctl_input_newline(input, input->start) != NULL;
}


bool
ctl_input_ready(ctl_input_t *input)
{
    struct pollfd  pfd;

    if (input->end || ctl_input_newline(input, input->start) != NULL) {
        return true;
    }

    pfd.fd = input->fd;
    pfd.events = POLLIN;

    return poll(&pfd, 1, INPUT_MOMENT_MS) != 0;
}


es_rc_t
ctl_input_all(ctl_input_t *input, es_str_t *text)
{
    es_rc_t  rc;

    while (!input->end) {
        rc = ctl_input_fill(input);
        if (rc != ES_OK) {
            return rc;
        }
    }

    text->data = input->buf.data;
    text->len = input->buf.len;

    return ES_OK;
}


uint64_t
ctl_input_size(const ctl_input_t *input)
{
    off_t        at;
    struct stat  st;

    at = lseek(input->fd, 0, SEEK_CUR);

    return fstat(input->fd, &st) == 0 && S_ISREG(st.st_mode) && at >= 0
           && at < st.st_size ? (uint64_t) (st.st_size - at) : 0;
}


void
ctl_input_rewind(ctl_input_t *input)
{
    input->buf.len = 0;
    input->start = 0;
    input->taken = 0;
    input->end = false;
}


void
ctl_input_free(ctl_input_t *input)
{
    es_buf_free(&input->buf);
}
