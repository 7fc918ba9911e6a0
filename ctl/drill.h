/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "drill": faults on a staging store, and how long partners need to be whole
 * again.
 *
 * A drill makes a feed, two partners, keys and an endpoint of its own.  It
 * publishes without a pause.  One partner receives webhooks and polls what it
 * lacks, the other one only polls.  The drill causes one fault after the
 * other, applies the remedy of the runbooks, and waits until both partners have
 * every event that was acknowledged.
 *
 * drill.c has the command and its report, drill_faults.c the faults,
 * drill_partner.c the publisher and the partners, drill_hook.c the receiver,
 * and drill_command.c the records, which it makes by commands.
 */

#ifndef CTL_DRILL_H
#define CTL_DRILL_H

#include <pthread.h>
#include <stdatomic.h>

#include "hook.h"
#include "http.h"
#include "keys/signature.h"

#define DRILL_EVENTS_MAX  200000
#define DRILL_TEXT        512
#define DRILL_PARTNERS    2
#define DRILL_KEYS        8

/* What the receiver does with a webhook. */
typedef enum {
    CTL_DRILL_TAKE = 0,
    CTL_DRILL_DROP,                /* it answers 204 and forgets the event */
    CTL_DRILL_DELAY,
    CTL_DRILL_REORDER,             /* every other one is taken later */
    CTL_DRILL_REFUSE
} ctl_drill_mode_t;

typedef struct ctl_drill  ctl_drill_t;

/* `name` is also the partner's in the store, with the drill's id. */
typedef struct {
    ctl_drill_t   *drill;
    const char    *name;
    char           record[ES_FEED_MAX + 16];
    ctl_http_t     http;
    char           key[DRILL_TEXT];
    pthread_t      thread;

    /* the drill's lock protects what follows */
    char           cursor[ES_CURSOR_MAX];      /* of its polls; "": none yet */
    uint8_t       *has;            /* by sequence */
    uint64_t       whole;          /* it has all events up to this one */
    uint64_t       told;           /* how many a 410 said it has lost */
    bool           away;           /* it asks for nothing */
    bool           edge_fails;     /* an edge before the server answers 503 */
    bool           new_key;        /* `key` is not that of `http` */
} ctl_drill_partner_t;

struct ctl_drill {
    ctl_t               *ctl;
    const char          *url;
    const char          *address;
    uint16_t             port;
    unsigned             rate;         /* events a second */
    uint32_t             for_ms;       /* how long a fault lasts */
    uint32_t             within_ms;    /* how long recovery may take */
    const char          *stop_dispatcher;
    const char          *start_dispatcher;
    char                 feed[ES_FEED_MAX + 1];
    char                 endpoint[ES_FEED_MAX + 1];
    char                 publisher[ES_FEED_MAX + 1];   /* the partner */
    char                 secret[DRILL_TEXT];
    char                 keys[DRILL_KEYS][16];     /* ids that it made */
    unsigned             nkeys;
    ctl_http_t           http;         /* the publisher's */
    es_signer_t         *signer;
    ctl_hook_t           hook;
    pthread_t            thread;       /* publishes */
    bool                 publishing;   /* the threads run */
    bool                 polling[DRILL_PARTNERS];
    pthread_mutex_t      lock;
    atomic_bool          stop;
    atomic_int           mode;         /* of the receiver */
    atomic_ulong         published;    /* acknowledged; the last sequence */
    atomic_ulong         not_taken;    /* publishes that got no 201 */
    atomic_ulong         webhooks;     /* that the receiver has taken */
    unsigned long        webhooks_then;    /* when the last fault was mended */
    ctl_drill_partner_t  partners[DRILL_PARTNERS];
};

#define ctl_drill_push(d)  (&(d)->partners[0])
#define ctl_drill_pull(d)  (&(d)->partners[1])

/* ---- drill_command.c ---- */

/* Runs this program with these arguments, of which there are at least two, and
   prints none of its output.  `*out` is what it prints with --json, the
   caller's to release, or NULL.  CTL_FAILED with a message that has the
   command's. */
#define ctl_drill_run(out, ...)                                               \
    ctl_drill_run_args(out, (const char *const []) { __VA_ARGS__, NULL })
int ctl_drill_run_args(json_t **out, const char *const *args);

/* Runs a command of the operator by the shell.  CTL_FAILED with a message. */
int ctl_drill_shell(const char *command);

/* Makes the records and keys.  CTL_FAILED with a message; ctl_drill_remove()
   then removes what was made. */
int ctl_drill_make(ctl_drill_t *d);
void ctl_drill_remove(ctl_drill_t *d);

/* Makes another key of the partner.  `old` receives the id of the former. */
int ctl_drill_rekey(ctl_drill_partner_t *p, char *old, size_t size);

/* ---- drill_partner.c ---- */

/* Starts the publisher and the partners, and ends them.  CTL_FAILED with a
   message. */
int ctl_drill_begin(ctl_drill_t *d);
void ctl_drill_end(ctl_drill_t *d);

/* The partner has an event of this sequence. */
void ctl_drill_take(ctl_drill_partner_t *p, uint64_t sequence);

/* How many acknowledged events the partner lacks. */
uint64_t ctl_drill_lacks(ctl_drill_partner_t *p);

/* ---- drill_hook.c ---- */

/* Starts the receiver of the partner "push".  CTL_FAILED with a message. */
int ctl_drill_hook(ctl_drill_t *d);

/* ---- drill_faults.c ---- */

typedef struct ctl_drill_fault  ctl_drill_fault_t;

struct ctl_drill_fault {
    const char  *name;
    const char  *about;
    const char  *remedy;

    /* NULL, or why the fault cannot be caused here. */
    const char *(*skip)(ctl_drill_t *d);
    int         (*cause)(ctl_drill_t *d);
    int         (*mend)(ctl_drill_t *d);

    /* NULL, or false as long as more than the partners must recover. */
    bool        (*mended)(ctl_drill_t *d);
};

/* The last one has a NULL name. */
extern const ctl_drill_fault_t  ctl_drill_faults[];

#endif /* CTL_DRILL_H */
