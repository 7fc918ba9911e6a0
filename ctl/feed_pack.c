/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Packed history of feeds: "feed pack" and "feed unpack", and the option
 * "--pack" of other commands.
 *
 * Each step is one commit.  So a command that is interrupted has done a part of
 * its work, and can be run again.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "log/feed.h"
#include "log/feed_pack.h"
#include "pack/pack.h"
#include "pack/position.h"
#include "progress.h"
#include "store/txn.h"


int
ctl_pack_level(const char *text, unsigned *level)
{
    char      *end;
    unsigned   n;

    if (strcmp(text, "on") == 0) {
        *level = ES_PACK_LEVEL;
        return CTL_OK;
    }

    if (strcmp(text, "off") == 0) {
        *level = ES_PACK_OFF;
        return CTL_OK;
    }

    n = (unsigned) strtoul(text, &end, 10);

    if (text[0] < '1' || text[0] > '9' || *end != '\0' || strlen(text) > 2
        || n > ES_PACK_MAX)
    {
        return ctl_fail(CTL_USAGE, "\"--pack=%s\" is not on, off or a level "
                        "from 1 to %d", text, ES_PACK_MAX);
    }

    *level = n;

    return CTL_OK;
}


static int
ctl_pack_feed(ctl_t *ctl, const char *name, es_feed_t *feed, unsigned *level)
{
    es_rc_t    es;
    es_txn_t  *txn;

    es = es_txn_begin(ctl->store, &txn);

    if (es == ES_OK) {
        es = es_feed_get(txn, es_str(name), feed);

        if (es == ES_OK) {
            es = es_feed_pack_get(txn, feed->number, level);
        }

        es_txn_end(txn);
    }

    return es == ES_OK ? CTL_OK : ctl_feed_failed(name, es);
}


/* Level ES_PACK_OFF unpacks. */

static int
ctl_pack_all(ctl_t *ctl, const es_feed_t *feed, unsigned level,
    es_packed_runs_t *all)
{
    es_rc_t           es;
    uint64_t          end;
    es_packed_runs_t  step;

    end = es_pack_end(feed);
    all->next = feed->oldest - 1;
    ctl_progress_begin(level ? "pack" : "unpack", CTL_EVENTS,
                       end > all->next ? end - all->next : 0);

    do {
        es = level ? es_pack_step(ctl->store, es_str(feed->name), all->next,
                                  ES_PACK_RUNS_MAX, level, &step)
                   : es_unpack_step(ctl->store, es_str(feed->name), all->next,
                                    ES_PACK_RUNS_MAX, &step);

        if (es == ES_OK) {
            all->next = step.next;
            all->runs += step.runs;
            all->before += step.before;
            all->after += step.after;
            all->damaged_at = all->damaged ? all->damaged_at : step.damaged_at;
            all->damaged += step.damaged;
            ctl_progress(all->next + 1 - feed->oldest);
        }

    } while (es == ES_OK && !step.done);

    ctl_progress_end();

    return es == ES_OK ? CTL_OK : ctl_feed_failed(feed->name, es);
}


static int
ctl_pack_run(ctl_t *ctl, const es_feed_t *feed, unsigned level)
{
    int               rc;
    es_packed_runs_t  all = { 0 };

    rc = ctl_pack_all(ctl, feed, level, &all);

    if (rc != CTL_OK) {
        return rc;
    }

    if (!ctl->json) {
        (void) printf("%" PRIu64 " page%s: %" PRIu64 " bytes became %" PRIu64
                      "\n", all.runs, ctl_plural(all.runs), all.before,
                      all.after);
    }

    ctl_result(ctl, json_pack("{s:s, s:I, s:I, s:I}", "name", feed->name,
                              "pages", (json_int_t) all.runs,
                              "bytes_before", (json_int_t) all.before,
                              "bytes_after", (json_int_t) all.after));

    return all.damaged == 0 ? CTL_OK
           : ctl_fail(CTL_FAILED, "%" PRIu64 " page%s cannot be packed, from "
                      "\"%s-%" PRIu64 "\" on: the log is damaged there; run "
                      "\"eventsyncctl verify\"", all.damaged,
                      ctl_plural(all.damaged), feed->epoch, all.damaged_at);
}


int
ctl_feed_pack(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    unsigned     level, given = ES_PACK_OFF;
    uint64_t     n;
    es_feed_t    feed;
    const char  *text = NULL;

    const ctl_option_t  options[] = {
        { "level", &text },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && text != NULL) {
        rc = ctl_number("level", text, 1, ES_PACK_MAX, &n);
        given = (unsigned) n;
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_PUBLISH);
    }

    if (rc == CTL_OK) {
        rc = ctl_pack_feed(ctl, argv[0], &feed, &level);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (given == ES_PACK_OFF) {
        given = level == ES_PACK_OFF ? ES_PACK_LEVEL : level;
    }

    return ctl_pack_run(ctl, &feed, given);
}


int
ctl_feed_unpack(ctl_t *ctl, int argc, char **argv)
{
    int        rc;
    unsigned   level;
    es_feed_t  feed;

    rc = ctl_begin(ctl, &argc, argv, NULL, ES_STORE_PUBLISH);

    if (rc == CTL_OK) {
        rc = ctl_pack_feed(ctl, argv[0], &feed, &level);
    }

    if (rc == CTL_OK && level != ES_PACK_OFF) {
        rc = ctl_fail(CTL_FAILED, "the dispatcher would pack feed \"%s\" "
                      "again: first run \"feed change %s --pack=off\"",
                      argv[0], argv[0]);
    }

    return rc == CTL_OK ? ctl_pack_run(ctl, &feed, ES_PACK_OFF) : rc;
}
