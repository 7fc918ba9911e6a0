/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * When each key was last used: the file `used` of a store.
 *
 * Workers record uses, and those that only serve polls can write neither the
 * registry nor any other environment.  So this is a file of its own, which each
 * process of the store's group may write, as `bell`.  No process decides by it:
 * it is there for operators who look for keys that nobody needs.
 *
 * The file has slots of eight bytes, a number in network order each.  The first
 * is a constant, the second the time since which the file exists, and slot
 * n + 1 the last use of the key with the number n.  Times are ms of the wall
 * clock; 0: no use.  A slot is written at once, without a lock, and never
 * synced: after a power failure a use may be missing.  A file that is lost is
 * made again by the next process that may, and knows no earlier use.
 */

#ifndef ES_USED_KEYS_H
#define ES_USED_KEYS_H

#include "base/base.h"

typedef struct {
    int      fd;
    int64_t  since_ms;         /* no earlier use is known */
} es_used_keys_t;

/*
 * Opens the file of the store at `path`, to write as well or only to read, and
 * makes it if it is missing and `write` is true.  ES_NOT_FOUND: it is missing.
 * ES_IO: it cannot be read, or is damaged.  Others as es_file_open(); all but
 * ES_NOT_FOUND are recorded (reason.h).
 */
es_rc_t es_used_keys_open(const char *path, bool write, es_used_keys_t *used);
void es_used_keys_close(es_used_keys_t *used);

/* Makes the file of the store at `path` if it is missing.  A damaged one is
   left as it is. */
es_rc_t es_used_keys_make(const char *path);

/* Records a use of the key with this number.  A failure is nobody's fault who
   could mend it now, so there is none. */
void es_used_keys_set(const es_used_keys_t *used, uint32_t number,
    int64_t now_ms);

/* Gets the last use; 0: none since `since_ms`. */
es_rc_t es_used_keys_get(const es_used_keys_t *used, uint32_t number,
    int64_t *ms);

#endif /* ES_USED_KEYS_H */
