#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl.h"
#include "receiver.h"


receiver_held_t *
receiver_find(receiver_t *receiver, const char *feed)
{
    size_t  i;

    for (i = 0; i < receiver->nheld; i++) {
        if (strcmp(receiver->held[i].feed, feed) == 0) {
            return &receiver->held[i];
        }
    }

    return NULL;
}


static int
receiver_set(receiver_t *receiver, const char *feed, const es_cursor_t *cursor)
{
    receiver_held_t  *held;

    held = receiver_find(receiver, feed);

    if (held == NULL) {
        held = realloc(receiver->held,
                       (receiver->nheld + 1) * sizeof(receiver_held_t));
        if (held == NULL) {
            return ctl_fail(CTL_FAILED, "out of memory");
        }

        receiver->held = held;
        held = &receiver->held[receiver->nheld++];
        memset(held, 0, sizeof(receiver_held_t));
        (void) snprintf(held->feed, sizeof(held->feed), "%s", feed);
    }

    held->cursor = *cursor;

    return CTL_OK;
}


int
receiver_load(receiver_t *receiver)
{
    int          rc, n;
    char         feed[ES_FEED_MAX + 1], text[ES_CURSOR_MAX];
    FILE        *f;
    es_cursor_t  cursor;

    if (receiver->state == NULL) {
        return CTL_OK;
    }

    f = fopen(receiver->state, "re");
    if (f == NULL) {
        return errno == ENOENT ? CTL_OK
                               : ctl_fail(CTL_FAILED, "cannot read \"%s\": %s",
                                          receiver->state, strerror(errno));
    }

    rc = CTL_OK;

    while (rc == CTL_OK && (n = fscanf(f, "%63s %39s", feed, text)) != EOF) {
        if (n != 2 || es_cursor_parse(es_str(text), &cursor) != ES_OK) {
            rc = ctl_fail(CTL_FAILED, "\"%s\" is not a list of feeds and "
                          "cursors", receiver->state);
        } else {
            rc = receiver_set(receiver, feed, &cursor);
        }
    }

    (void) fclose(f);

    return rc;
}


/* A new file in the place of the old one: never half a state. */

static int
receiver_save(const receiver_t *receiver)
{
    int     failed;
    char    path[4096], text[ES_CURSOR_MAX];
    FILE   *f;
    size_t  i;

    (void) snprintf(path, sizeof(path), "%s.new", receiver->state);

    f = fopen(path, "we");
    if (f == NULL) {
        return ctl_fail(CTL_FAILED, "cannot write \"%s\": %s", path,
                        strerror(errno));
    }

    for (i = 0; i < receiver->nheld; i++) {
        (void) es_cursor_print(receiver->held[i].cursor.epoch,
                               receiver->held[i].cursor.sequence, text);
        (void) fprintf(f, "%s %s\n", receiver->held[i].feed, text);
    }

    failed = fflush(f) != 0 || fsync(fileno(f)) != 0;
    failed = fclose(f) != 0 || failed;

    if (failed || rename(path, receiver->state) != 0) {
        return ctl_fail(CTL_FAILED, "cannot write \"%s\": %s", receiver->state,
                        strerror(errno));
    }

    return CTL_OK;
}


int
receiver_hold(receiver_t *receiver, const char *feed,
    const es_cursor_t *cursor)
{
    int  rc;

    rc = receiver_set(receiver, feed, cursor);

    return rc == CTL_OK && receiver->state ? receiver_save(receiver) : rc;
}


static bool
receiver_cursor(const json_t *event, const char *name, es_cursor_t *cursor)
{
    return es_cursor_parse(es_str(json_string_value(json_object_get(event,
                                                                    name))),
                           cursor)
           == ES_OK;
}


static void
receiver_print(const char *how, const json_t *event)
{
    const char  *subject;

    subject = json_string_value(json_object_get(event, "subject"));

    (void) printf("%-9s %s %s %s %s\n", how,
                  json_string_value(json_object_get(event, "feed")),
                  json_string_value(json_object_get(event, "cursor")),
                  json_string_value(json_object_get(event, "type")),
                  subject ? subject : "-");
    (void) fflush(stdout);
}


int
receiver_take(receiver_t *receiver, const json_t *event)
{
    int               rc;
    const char       *feed;
    es_cursor_t       cursor, prev;
    receiver_held_t  *held;

    feed = json_string_value(json_object_get(event, "feed"));

    if (feed == NULL || strlen(feed) > ES_FEED_MAX
        || !receiver_cursor(event, "cursor", &cursor)
        || !receiver_cursor(event, "prevcursor", &prev))
    {
        return ctl_fail(CTL_USAGE, "an event without feed, cursor or "
                        "prevcursor");
    }

    held = receiver_find(receiver, feed);

    if (held != NULL && strcmp(held->cursor.epoch, cursor.epoch) == 0) {

        if (cursor.sequence <= held->cursor.sequence) {
            receiver_print("duplicate", event);
            return CTL_OK;
        }

        if (prev.sequence != held->cursor.sequence && receiver->url != NULL) {
            (void) printf("gap       %s held %llu, the event follows %llu\n",
                          feed, (unsigned long long) held->cursor.sequence,
                          (unsigned long long) prev.sequence);

            rc = receiver_heal(receiver, feed);
            if (rc != CTL_OK) {
                return rc;
            }

            held = receiver_find(receiver, feed);

            return held->cursor.sequence >= cursor.sequence
                   ? CTL_OK
                   : ctl_fail(CTL_FAILED, "feed \"%s\": the poll does not have "
                              "the event yet", feed);
        }
    }

    receiver_print("webhook", event);

    return receiver_hold(receiver, feed, &cursor);
}


void
receiver_free(receiver_t *receiver)
{
    free(receiver->held);
}
