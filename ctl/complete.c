/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Completion: what a shell may offer for the last word of a command line.
 *
 * The scripts in ctl/completion/ call "eventsyncctl complete WORD ..." and need
 * no list of their own.  So they fit the program that is installed, and know
 * the names in its store.  Each line is a word, a tab, and a text about it.  A
 * line that begins with a colon asks the shell for names of its own: ":files",
 * ":dirs", ":users" or ":groups".
 */

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "catalogue/catalogue.h"
#include "commands.h"
#include "log/feed.h"
#include "registry/object.h"

#define COMPLETE_PAGE  100         /* types of one read */
#define COMPLETE_TEXT  256

typedef struct {
    ctl_t                   *ctl;
    const ctl_command_t     *command;      /* NULL: not known yet */
    const ctl_option_row_t  *option;       /* whose value is the last word */
    char                    *group;        /* first word of a command of two */
    int                      arguments;    /* before the last word */
    const char              *word;         /* the last one */
    size_t                   kept;         /* bytes of it that stay, as of
                                              "--feeds=a," */
} ctl_complete_t;


/* Offers a word if it goes on from the last one. */

static void
ctl_complete_offer(const ctl_complete_t *c, const char *name, const char *end,
    const char *about)
{
    const char  *begun;

    begun = c->word + c->kept;

    if (strncmp(name, begun, strlen(begun)) == 0) {
        (void) printf("%.*s%s%s\t%s\n", (int) c->kept, c->word, name, end,
                      about);
    }
}


/* ---- commands and options ---- */

static void
ctl_complete_commands(const ctl_complete_t *c)
{
    const char           *second;
    const ctl_group_t    *group;
    const ctl_command_t  *command;

    for (group = ctl_groups; group->name != NULL; group++) {
        bool  two = false;

        for (command = group->commands; command->name != NULL; command++) {
            second = strchr(command->name, ' ');

            if (c->group == NULL && second == NULL) {
                ctl_complete_offer(c, command->name, "", command->about);

            } else if (c->group != NULL && second != NULL
                       && strcmp(c->group, group->name) == 0)
            {
                ctl_complete_offer(c, second + 1, "", command->about);
            }

            two |= second != NULL;
        }

        if (c->group == NULL && two) {
            ctl_complete_offer(c, group->name, "", group->about);
        }
    }
}


static void
ctl_complete_options(const ctl_complete_t *c, const ctl_option_row_t *rows)
{
    char  name[COMPLETE_TEXT];

    for ( /* void */ ; rows != NULL && rows->name != NULL; rows++) {
        if (ctl_option_find(c->command, rows->name, strlen(rows->name))
            == rows)
        {
            (void) snprintf(name, sizeof(name), "--%s", rows->name);
            ctl_complete_offer(c, name, rows->value ? "=" : "", rows->about);
        }
    }
}


/* ---- names in the store ---- */

static void
ctl_complete_feeds(const ctl_complete_t *c)
{
    es_txn_t   *txn;
    es_feed_t   feed = { 0 };

    if (es_txn_begin(c->ctl->store, &txn) != ES_OK) {
        return;
    }

    while (es_feed_next(txn, es_str(feed.name), &feed) == ES_OK) {
        ctl_complete_offer(c, feed.name, "", "feed");
    }

    es_txn_end(txn);
}


/* The name of an endpoint or key says little; its partner and URL say more. */

static void
ctl_complete_records(const ctl_complete_t *c, es_kind_t kind)
{
    char         name[64] = "", next[64], about[COMPLETE_TEXT];
    json_t      *record;
    es_buf_t     text = { 0 };
    const char  *partner, *url;

    while (es_registry_next(c->ctl->store, kind, es_str(name), next) == ES_OK) {
        memcpy(name, next, sizeof(name));
        text.len = 0;

        record = es_registry_get(c->ctl->store, kind, es_str(name), &text)
                 == ES_OK ? json_loadb(text.data, text.len, 0, NULL) : NULL;
        partner = json_string_value(json_object_get(record, "partner"));
        url = json_string_value(json_object_get(record, "url"));

        (void) snprintf(about, sizeof(about), "%s%s%s",
                        partner ? partner : es_kind_name(kind),
                        url ? " " : "", url ? url : "");
        ctl_complete_offer(c, name, "", about);
        json_decref(record);
    }

    es_buf_free(&text);
}


static void
ctl_complete_types(const ctl_complete_t *c)
{
    char         after[ES_TYPE_NAME_MAX + 1] = "";
    size_t       i;
    json_t      *page, *type;
    es_buf_t     out = { 0 };
    const char  *next;

    do {
        out.len = 0;
        page = es_catalogue_list(c->ctl->store, es_null_str, es_str(after),
                                 COMPLETE_PAGE, NULL, &out) == ES_OK
               ? json_loadb(out.data, out.len, 0, NULL) : NULL;

        json_array_foreach(json_object_get(page, "types"), i, type) {
            ctl_complete_offer(c, json_string_value(json_object_get(type,
                                                                    "type")),
                               "", "type");
        }

        next = json_string_value(json_object_get(page, "next"));

        if (next != NULL
            && es_catalogue_after(es_null_str, es_str(next), after) != ES_OK)
        {
            next = NULL;
        }

        json_decref(page);

    } while (next != NULL);

    es_buf_free(&out);
}


/* Names of what stands in help in capitals.  Without a readable store there are
   none. */

static void
ctl_complete_names(const ctl_complete_t *c, es_str_t what)
{
    static const struct {
        es_str_t   what;
        es_kind_t  kind;
    } kinds[] = {
        { es_lit("PARTNER"), ES_KIND_PARTNER },
        { es_lit("ENDPOINT"), ES_KIND_ENDPOINT },
        { es_lit("KEY"), ES_KIND_KEY },
        { es_lit("FLAG"), ES_KIND_FLAG }
    };

    size_t  i;

    if (ctl_open(c->ctl, 0) != CTL_OK) {
        return;
    }

    if (es_str_eq(what, es_lit("FEED"))) {
        ctl_complete_feeds(c);
    }

    if (es_str_eq(what, es_lit("TYPE"))) {
        ctl_complete_types(c);
    }

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (es_str_eq(what, kinds[i].what)) {
            ctl_complete_records(c, kinds[i].kind);
        }
    }
}


/* ---- values ---- */

/* One alternative of a value as help shows it: "off", "FEED", "@FILE". */

static void
ctl_complete_alternative(const ctl_complete_t *c, es_str_t what)
{
    size_t  i;
    char    word[COMPLETE_TEXT];

    static const struct {
        es_str_t     what;
        const char  *line;
    } places[] = {
        { es_lit("FILE"), ":files" }, { es_lit("@FILE"), ":files" },
        { es_lit("PATH"), ":files" }, { es_lit("DIR"), ":dirs" },
        { es_lit("NEWDIR"), ":dirs" }, { es_lit("BACKUP"), ":dirs" },
        { es_lit("USER"), ":users" }, { es_lit("GROUP"), ":groups" }
    };

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (es_str_eq(what, places[i].what)) {
            (void) puts(places[i].line);
            return;
        }
    }

    if (what.len > 0 && isupper((unsigned char) what.data[0])) {
        ctl_complete_names(c, what);
        return;
    }

    (void) snprintf(word, sizeof(word), "%.*s", (int) what.len, what.data);
    ctl_complete_offer(c, word, "", "");
}


static void
ctl_complete_alternatives(const ctl_complete_t *c, es_str_t all)
{
    size_t       len;
    const char  *bar;

    while (all.len > 0) {
        bar = memchr(all.data, '|', all.len);
        len = bar != NULL ? (size_t) (bar - all.data) : all.len;

        ctl_complete_alternative(c, (es_str_t) { all.data, len });

        len += bar != NULL;
        all.data += len;
        all.len -= len;
    }
}


/* "A,B-*" are feeds and "A,B.*" types, of which the last item is completed.
   An example such as "10s" is no alternative. */

static void
ctl_complete_value(ctl_complete_t *c, const char *value)
{
    const char  *comma;

    comma = strrchr(c->word + c->kept, ',');

    if (comma != NULL) {
        c->kept = (size_t) (comma + 1 - c->word);
    }

    if (strcmp(value, "A,B-*") == 0 || strcmp(value, "A") == 0
        || strcmp(value, "A,B") == 0)
    {
        ctl_complete_names(c, es_lit("FEED"));
        return;
    }

    if (strcmp(value, "A,B.*") == 0) {
        ctl_complete_names(c, es_lit("TYPE"));
        return;
    }

    if (strchr(value, '|') == NULL && strpbrk(value, "0123456789") != NULL) {
        return;
    }

    ctl_complete_alternatives(c, es_str(value));
}


static void
ctl_complete_argument(ctl_complete_t *c)
{
    int          i;
    size_t       len;
    const char  *p;

    p = c->command->arguments;

    for (i = 0; p != NULL && *p != '\0'; i++) {
        p += *p == '[';
        len = strcspn(p, " ]");

        if (i == c->arguments) {
            ctl_complete_alternatives(c, (es_str_t) { p, len });
            return;
        }

        p += len;
        p += strspn(p, "] ");
    }
}


/* ---- the words before ---- */

/* Takes an option, and tells whether the next word is its value. */

static bool
ctl_complete_option(ctl_complete_t *c, const char *word)
{
    size_t  len;

    len = strcspn(word + 2, "=");
    c->option = ctl_option_find(c->command, word + 2, len);

    if (c->option != NULL && strcmp(c->option->name, "store") == 0
        && word[2 + len] == '=')
    {
        c->ctl->store_path = word + 3 + len;
    }

    return c->option != NULL && c->option->value != NULL
           && word[2 + len] == '\0';
}


/* Reads the words before the last one. */

static void
ctl_complete_read(ctl_complete_t *c, int argc, char **argv)
{
    int    i, words;
    char  *two[2];

    for (i = 0; i + 1 < argc; i++) {

        if (strncmp(argv[i], "--", 2) == 0) {
            if (ctl_complete_option(c, argv[i]) && i + 2 < argc) {
                c->ctl->store_path = strcmp(c->option->name, "store") == 0
                                     ? argv[i + 1] : c->ctl->store_path;
                c->option = NULL;
                i++;
            }

            continue;
        }

        c->option = NULL;

        if (c->command != NULL) {
            c->arguments++;
            continue;
        }

        two[0] = c->group != NULL ? c->group : argv[i];
        two[1] = argv[i];
        c->command = ctl_command_find(c->group != NULL ? 2 : 1, two, &words);

        if (c->command == NULL) {
            c->group = argv[i];
        }
    }

    /* an option before the last word is complete unless that is its value */

    if (c->option != NULL
        && (c->option->value == NULL || strchr(argv[argc - 2], '=') != NULL))
    {
        c->option = NULL;
    }
}


int
ctl_complete(ctl_t *ctl, int argc, char **argv)
{
    const char      *value;
    ctl_complete_t   c = { .ctl = ctl, .word = argc > 0 ? argv[argc - 1] : "" };

    /* a store that cannot be read is no message in the middle of a line */

    if (freopen("/dev/null", "w", stderr) == NULL) {
        return CTL_FAILED;
    }

    ctl_complete_read(&c, argc, argv);

    value = strncmp(c.word, "--", 2) == 0 ? strchr(c.word, '=') : NULL;

    if (value != NULL) {
        c.kept = (size_t) (value + 1 - c.word);
        (void) ctl_complete_option(&c, c.word);
    }

    if (c.option != NULL && c.option->value != NULL) {
        ctl_complete_value(&c, c.option->value);

    } else if (c.word[0] == '-' && value == NULL) {
        ctl_complete_options(&c, c.command ? c.command->options : NULL);
        ctl_complete_options(&c, ctl_common_options);

    } else if (c.command != NULL && value == NULL) {
        ctl_complete_argument(&c);

    } else if (value == NULL) {
        ctl_complete_commands(&c);
    }

    es_store_close(ctl->store);

    return CTL_OK;
}
