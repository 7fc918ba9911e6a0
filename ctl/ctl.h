/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the commands of eventsyncctl share: options, the store, output.
 *
 * Every command returns its exit status: 0, 1 when the operation failed or 2
 * when it was called wrongly; in both cases one line has gone to stderr.
 */

#ifndef CTL_H
#define CTL_H

#include <jansson.h>

#include "base/base.h"
#include "inspect/verify.h"
#include "registry/registry.h"
#include "store/txn.h"

#define CTL_OK      0
#define CTL_FAILED  1
#define CTL_USAGE   2

typedef struct {
    const char  *store_path;       /* --store or EVENTSYNC_STORE */
    const char  *key_file;         /* --key-file or EVENTSYNC_KEY_FILE */
    es_store_t  *store;
} ctl_t;

/* One long option.  `value` receives its text; for a flag it is "". */
typedef struct {
    const char   *name;
    bool          flag;
    const char  **value;
} ctl_option_t;

typedef struct {
    const char  *name;             /* "feed create" */
    int        (*run)(ctl_t *ctl, int argc, char **argv);
    const char  *usage;            /* arguments and options */
    const char  *about;
} ctl_command_t;

/* ---- args.c ---- */

/*
 * Takes the options out of argv and leaves `min` to `max` arguments in place,
 * all of them UTF-8; the end of `options` has a NULL name.  CTL_USAGE with a
 * line said.
 */
int ctl_args(ctl_t *ctl, int *argc, char **argv, int min, int max,
    const ctl_option_t *options);

/* Prints "eventsyncctl: ..." to stderr and is `status`.  (A macro, so that who
   reads a caller alone, as the analyzer does, sees which status.) */
#define ctl_fail(status, ...)  (ctl_complain(__VA_ARGS__), (status))

void ctl_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Whole decimal number from `min` to `max`, or a line said. */
int ctl_number(const char *option, const char *text, uint64_t min,
    uint64_t max, uint64_t *value);

/* "a,b" as a JSON array of strings. */
json_t *ctl_list(const char *text);

/* ---- open.c ---- */

/* Opens the store, unless it is open.  CTL_OK, or CTL_FAILED with a line said. */
int ctl_open(ctl_t *ctl, unsigned flags);

/* Proves the store, which is open with ES_STORE_PUBLISH, and prints each fault.
   CTL_OK, or CTL_FAILED with a line said. */
int ctl_prove(ctl_t *ctl, es_verify_t *totals);

/* Says on stderr which events this process has deleted, and what is wrong with
   its clock.  `all`: no later call will. */
void ctl_tell(ctl_t *ctl, bool all);

/* ---- the commands, a file for each subject ---- */

int ctl_init(ctl_t *ctl, int argc, char **argv);
int ctl_verify(ctl_t *ctl, int argc, char **argv);
int ctl_store_rekey(ctl_t *ctl, int argc, char **argv);
int ctl_backup(ctl_t *ctl, int argc, char **argv);
int ctl_restore(ctl_t *ctl, int argc, char **argv);

int ctl_feed_create(ctl_t *ctl, int argc, char **argv);
int ctl_feed_list(ctl_t *ctl, int argc, char **argv);
int ctl_feed_show(ctl_t *ctl, int argc, char **argv);
int ctl_feed_change(ctl_t *ctl, int argc, char **argv);
int ctl_feed_remove(ctl_t *ctl, int argc, char **argv);
int ctl_feed_reset(ctl_t *ctl, int argc, char **argv);
int ctl_feed_trim(ctl_t *ctl, int argc, char **argv);
int ctl_feed_retime(ctl_t *ctl, int argc, char **argv);

int ctl_type_register(ctl_t *ctl, int argc, char **argv);
int ctl_type_list(ctl_t *ctl, int argc, char **argv);
int ctl_type_show(ctl_t *ctl, int argc, char **argv);
int ctl_type_deprecate(ctl_t *ctl, int argc, char **argv);

int ctl_partner_create(ctl_t *ctl, int argc, char **argv);
int ctl_partner_list(ctl_t *ctl, int argc, char **argv);
int ctl_partner_show(ctl_t *ctl, int argc, char **argv);
int ctl_partner_change(ctl_t *ctl, int argc, char **argv);
int ctl_partner_remove(ctl_t *ctl, int argc, char **argv);

int ctl_key_create(ctl_t *ctl, int argc, char **argv);
int ctl_key_list(ctl_t *ctl, int argc, char **argv);
int ctl_key_revoke(ctl_t *ctl, int argc, char **argv);
int ctl_key_remove(ctl_t *ctl, int argc, char **argv);

int ctl_endpoint_create(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_list(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_show(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_change(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_remove(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_rotate(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_keys(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_pause(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_resume(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_status(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_attempts(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_dead(ctl_t *ctl, int argc, char **argv);

int ctl_endpoint_replay(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_resend(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_redrive(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_skip(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_cancel(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_discard(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_test(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_simulate(ctl_t *ctl, int argc, char **argv);

int ctl_checkpoint_list(ctl_t *ctl, int argc, char **argv);
int ctl_checkpoint_show(ctl_t *ctl, int argc, char **argv);
int ctl_checkpoint_set(ctl_t *ctl, int argc, char **argv);
int ctl_checkpoint_remove(ctl_t *ctl, int argc, char **argv);

int ctl_publish(ctl_t *ctl, int argc, char **argv);
int ctl_tail(ctl_t *ctl, int argc, char **argv);
int ctl_listen(ctl_t *ctl, int argc, char **argv);
int ctl_verify_integration(ctl_t *ctl, int argc, char **argv);

#endif /* CTL_H */
