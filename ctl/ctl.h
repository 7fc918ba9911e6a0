/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Services that every command of eventsyncctl uses: options, the store, output.
 *
 * Each command returns its exit status: 0, 1 when the operation failed or 2
 * when the call was wrong.  On 1 and 2 it has printed one line on stderr; this
 * header calls such a return "CTL_FAILED with a message".
 */

#ifndef CTL_H
#define CTL_H

#include <jansson.h>

#include "base/base.h"
#include "event/filter.h"
#include "inspect/verify.h"
#include "registry/registry.h"
#include "store/txn.h"

#define CTL_OK      0
#define CTL_FAILED  1
#define CTL_USAGE   2

#define CTL_NO_KIND  (-1)

typedef struct ctl_secret   ctl_secret_t;
typedef struct ctl_command  ctl_command_t;     /* commands.h */

typedef struct {
    const char    *store_path;     /* --store or EVENTSYNC_STORE */
    const char    *key_file;       /* --key-file or EVENTSYNC_KEY_FILE */
    bool           json;           /* --json was given */
    bool           quiet;          /* --quiet was given */
    json_t        *result;         /* see ctl_result() */
    const ctl_command_t  *command;     /* that runs */
    es_store_t    *store;
    ctl_secret_t  *secrets;        /* that options have named */
    const char    *input;          /* content of standard input; NULL: none */
} ctl_t;

/* The variable that receives the text of a long option; "" if the option has no
   value. */
typedef struct {
    const char   *name;
    const char  **value;
} ctl_option_t;

/* ---- args.c ---- */

/*
 * Takes the options out of argv and leaves the arguments in place, all of them
 * UTF-8 and as many as the table of commands says.  `options` has the variables
 * of all options that the table gives the command; the last has a NULL name,
 * and NULL stands for none.  Returns CTL_USAGE with a message.
 */
int ctl_args(ctl_t *ctl, int *argc, char **argv, const ctl_option_t *options);

/* Adds the options of a filter to the table, which has room for them.  `texts`
   receives their values, in the order of es_filter_params. */
void ctl_filter_options(ctl_option_t *options,
    const char *texts[ES_FILTER_PARAMS]);

/* Makes a filter of these values, which `scratch` holds.  CTL_USAGE with a
   message. */
int ctl_filter_parse(const char *const texts[ES_FILTER_PARAMS],
    es_filter_t *filter, es_buf_t *scratch);

/* Reads a decimal number from `min` to `max`.  CTL_USAGE with a message. */
int ctl_number(const char *option, const char *text, uint64_t min,
    uint64_t max, uint64_t *value);

/* "a,b" as a JSON array of strings. */
json_t *ctl_list(const char *text);

/* "1,2" as a JSON array of numbers; "yes" or "no" as a boolean.  CTL_USAGE with
   a message. */
int ctl_numbers(const char *option, const char *text, uint64_t min,
    uint64_t max, json_t **list);
int ctl_yes(const char *option, const char *text, json_t **value);

/* ---- secret.c ---- */

/* Tells whether the value of this option is a secret, in every command. */
bool ctl_secret_option(const char *name);

/*
 * Replaces the value "@FILE", "-" or "env:NAME" by the secret that it names,
 * which is valid until ctl_secrets_free().  An empty value stays.  CTL_USAGE
 * with a message: it is the secret itself.  CTL_FAILED with a message: the
 * secret cannot be read, or users other than the file's owner and group can
 * read it.
 */
int ctl_secret_take(ctl_t *ctl, const char *option, const char **value);

/* Wipes the secrets. */
void ctl_secrets_free(ctl_t *ctl);

/* ---- output.c ---- */

/* Says why the command fails, in one line on stderr; its value is `status`.
   This is a macro so that the static analyzer sees the status in the caller. */
#define ctl_fail(status, ...)  (ctl_complain((status), __VA_ARGS__), (status))

/* With --json the line is {"title", "detail", "exit_status"}, the members of a
   problem document (RFC 9457). */
void ctl_complain(int status, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Both say something on stderr that is no failure, and with --json {"note"}.
 * The document of ctl_result() has all of these texts as `notes`, too.  A note
 * says that the command does less than its user may think, or what else must be
 * done; --quiet leaves it out.
 */
void ctl_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void ctl_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints a line of text on stdout; with --json it is said like a warning. */
void ctl_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The end of a noun after a number: "" or "s". */
const char *ctl_plural(uint64_t n);

/* Prints a line about something that has happened: a word, and what `fmt` says
   (NULL: no more), or with --json the word and the members.  Releases the
   members. */
void ctl_happened(const char *what, json_t *members, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* How all messages are printed.  It is called before the first of them. */
void ctl_output_set(bool json, bool quiet);

/* Keeps the document that the command prints with --json, and releases `object`
   without it.  A second call replaces the first.  A command whose row says
   `stream` prints its lines itself. */
void ctl_result(ctl_t *ctl, json_t *object);

/* {"name", "removed": true} */
void ctl_result_removed(ctl_t *ctl, const char *name);

/* Prints the document with its notes.  A command that succeeded and printed
   none has an empty one. */
void ctl_output_end(ctl_t *ctl, int rc);

/* The text to append to a message: how an operator raises the quota that is the
   problem, or "".  It is valid until the next call. */
const char *ctl_quota_hint(const es_problem_t *problem);

/* Replaces control characters of a text that others chose, and bytes that are
   not UTF-8, by '?'.  Returns the text. */
char *ctl_printable(char *text);

/* Prints a value as one line on stdout.  The caller keeps the reference. */
void ctl_print(const json_t *json);

/* The same for JSON as it is stored. */
void ctl_print_text(es_str_t text);

/* Prints `object` after a first member `name`.  False: out of memory. */
bool ctl_print_named(const char *name, const char *value, json_t *object);

/* ---- open.c ---- */

/* Opens the store unless it is open already.  CTL_FAILED or CTL_USAGE with a
   message. */
int ctl_open(ctl_t *ctl, unsigned flags);

/* Calls ctl_args() and then ctl_open(). */
int ctl_begin(ctl_t *ctl, int *argc, char **argv, const ctl_option_t *options,
    unsigned flags);

/* The same for a command that lists or shows and has no options of its own. */
int ctl_begin_list(ctl_t *ctl, int *argc, char **argv);

/* Verifies the store, which is open with ES_STORE_PUBLISH, shows the progress,
   and prints each fault.  CTL_FAILED with a message. */
int ctl_verify_store(ctl_t *ctl, es_verify_t *totals);

/* Counts the feeds of the store and the events that they keep. */
void ctl_feeds_count(ctl_t *ctl, uint64_t *feeds, uint64_t *events);

/* Reports on stderr the events that this process has deleted, and a clock that
   the store does not trust.  With `all`, reports every deletion that is left,
   because no later call follows. */
void ctl_report(ctl_t *ctl, bool all);

/* ---- the commands, a file for each subject ---- */

int ctl_init(ctl_t *ctl, int argc, char **argv);
int ctl_verify(ctl_t *ctl, int argc, char **argv);
int ctl_store_rights(ctl_t *ctl, int argc, char **argv);
int ctl_store_rekey(ctl_t *ctl, int argc, char **argv);
int ctl_store_mark(ctl_t *ctl, int argc, char **argv);
int ctl_backup(ctl_t *ctl, int argc, char **argv);
int ctl_compact(ctl_t *ctl, int argc, char **argv);
int ctl_restore(ctl_t *ctl, int argc, char **argv);

int ctl_erase(ctl_t *ctl, int argc, char **argv);
int ctl_erasures(ctl_t *ctl, int argc, char **argv);

/* Work on the records of the command's kind. */
int ctl_object_list(ctl_t *ctl, int argc, char **argv);
int ctl_object_show(ctl_t *ctl, int argc, char **argv);
int ctl_object_remove(ctl_t *ctl, int argc, char **argv);

int ctl_feed_create(ctl_t *ctl, int argc, char **argv);
int ctl_feed_list(ctl_t *ctl, int argc, char **argv);
int ctl_feed_show(ctl_t *ctl, int argc, char **argv);
int ctl_feed_publishers(ctl_t *ctl, int argc, char **argv);
int ctl_feed_change(ctl_t *ctl, int argc, char **argv);
int ctl_feed_remove(ctl_t *ctl, int argc, char **argv);
int ctl_feed_begin_epoch(ctl_t *ctl, int argc, char **argv);
int ctl_feed_reset(ctl_t *ctl, int argc, char **argv);
int ctl_feed_trim(ctl_t *ctl, int argc, char **argv);
int ctl_feed_retime(ctl_t *ctl, int argc, char **argv);
int ctl_feed_hold(ctl_t *ctl, int argc, char **argv);
int ctl_feed_release(ctl_t *ctl, int argc, char **argv);

/* The failure of an operation on a feed: a message, and the exit status. */
int ctl_feed_failed(const char *name, es_rc_t rc);

/* ---- feed_pack.c ---- */

int ctl_feed_pack(ctl_t *ctl, int argc, char **argv);
int ctl_feed_unpack(ctl_t *ctl, int argc, char **argv);

/* Reads the value of "--pack", see log/feed_pack.h.  CTL_USAGE with a
   message. */
int ctl_pack_level(const char *text, unsigned *level);

int ctl_type_register(ctl_t *ctl, int argc, char **argv);
int ctl_type_change(ctl_t *ctl, int argc, char **argv);
int ctl_type_list(ctl_t *ctl, int argc, char **argv);
int ctl_type_show(ctl_t *ctl, int argc, char **argv);
int ctl_type_deprecate(ctl_t *ctl, int argc, char **argv);
int ctl_type_export(ctl_t *ctl, int argc, char **argv);
int ctl_type_promote(ctl_t *ctl, int argc, char **argv);

int ctl_partner_create(ctl_t *ctl, int argc, char **argv);
int ctl_partner_change(ctl_t *ctl, int argc, char **argv);
int ctl_flag_set(ctl_t *ctl, int argc, char **argv);
int ctl_partner_data_use(ctl_t *ctl, int argc, char **argv);

int ctl_key_create(ctl_t *ctl, int argc, char **argv);
int ctl_key_list(ctl_t *ctl, int argc, char **argv);
int ctl_key_change(ctl_t *ctl, int argc, char **argv);
int ctl_key_revoke(ctl_t *ctl, int argc, char **argv);

int ctl_dashboard_link(ctl_t *ctl, int argc, char **argv);
int ctl_dashboard_links(ctl_t *ctl, int argc, char **argv);
int ctl_dashboard_revoke(ctl_t *ctl, int argc, char **argv);

int ctl_endpoint_create(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_change(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_remove(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_rotate(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_keys(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_pause(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_resume(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_status(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_attempts(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_dead(ctl_t *ctl, int argc, char **argv);

/* Prints the state of a request to the dispatcher. */
void ctl_request_state(ctl_t *ctl, uint64_t id, const char *state);

int ctl_endpoint_replay(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_resend(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_redrive(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_skip(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_cancel(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_discard(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_test(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_verify(ctl_t *ctl, int argc, char **argv);
int ctl_endpoint_simulate(ctl_t *ctl, int argc, char **argv);
int ctl_explain(ctl_t *ctl, int argc, char **argv);
int ctl_doctor(ctl_t *ctl, int argc, char **argv);
int ctl_probe(ctl_t *ctl, int argc, char **argv);
int ctl_drill(ctl_t *ctl, int argc, char **argv);

int ctl_fields_preview(ctl_t *ctl, int argc, char **argv);

int ctl_checkpoint_list(ctl_t *ctl, int argc, char **argv);
int ctl_checkpoint_show(ctl_t *ctl, int argc, char **argv);
int ctl_checkpoint_set(ctl_t *ctl, int argc, char **argv);
int ctl_checkpoint_remove(ctl_t *ctl, int argc, char **argv);

int ctl_audit_list(ctl_t *ctl, int argc, char **argv);
int ctl_audit_export(ctl_t *ctl, int argc, char **argv);
int ctl_audit_verify(ctl_t *ctl, int argc, char **argv);
int ctl_audit_prune(ctl_t *ctl, int argc, char **argv);
int ctl_audit_receipt(ctl_t *ctl, int argc, char **argv);
int ctl_offboard(ctl_t *ctl, int argc, char **argv);

int ctl_publish(ctl_t *ctl, int argc, char **argv);
int ctl_export(ctl_t *ctl, int argc, char **argv);
int ctl_import(ctl_t *ctl, int argc, char **argv);
int ctl_mirror(ctl_t *ctl, int argc, char **argv);
int ctl_tail(ctl_t *ctl, int argc, char **argv);
int ctl_listen(ctl_t *ctl, int argc, char **argv);
int ctl_verify_integration(ctl_t *ctl, int argc, char **argv);
int ctl_verify_poller(ctl_t *ctl, int argc, char **argv);
int ctl_lab(ctl_t *ctl, int argc, char **argv);

#endif /* CTL_H */
