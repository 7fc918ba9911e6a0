/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the user may have meant by an unknown command or option: the nearest
 * name of the table.
 */

#include <stdio.h>
#include <stdlib.h>

#include "commands.h"

#define SUGGEST_LEN  64            /* longer words are not compared */

typedef struct {
    const char  *name;
    size_t       distance;         /* at most so many changes count as near */
} ctl_nearest_t;

/* Words of other programs. */
static const char  *const  ctl_synonyms[][2] = {
    { "add", "create" }, { "new", "create" }, { "delete", "remove" },
    { "del", "remove" }, { "rm", "remove" }, { "ls", "list" },
    { "get", "show" }, { "info", "show" }, { "describe", "show" },
    { "update", "change" }, { "edit", "change" }, { "set", "change" },
    { "modify", "change" }, { "start", "resume" }, { "stop", "pause" },
    { "retry", "redrive" }, { "dead-letters", "dead" },
    { "consume", "tail" }, { "read", "tail" }, { "produce", "publish" },
    { "check", "verify" }
};


/*
 * How many letters must be inserted, removed, replaced or swapped with their
 * neighbour to make `b` of `a` (the optimal string alignment distance).
 */

static size_t
ctl_distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t  i, j, best, row[3][SUGGEST_LEN + 1];

    if (n > SUGGEST_LEN || m > SUGGEST_LEN) {
        return SIZE_MAX;
    }

    for (j = 0; j <= m; j++) {
        row[0][j] = j;
    }

    for (i = 1; i <= n; i++) {
        size_t  *now = row[i % 3], *last = row[(i - 1) % 3];
        size_t  *before = row[(i + 1) % 3];

        now[0] = i;

        for (j = 1; j <= m; j++) {
            best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;

            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]
                && before[j - 2] + 1 < best)
            {
                best = before[j - 2] + 1;
            }

            now[j] = best;
        }
    }

    return row[n % 3][m];
}


/* A short word has few changes, or it would be near to everything. */

static ctl_nearest_t
ctl_nearest(size_t len)
{
    ctl_nearest_t  nearest = { NULL, (len + 1) / 3 + 1 };

    return nearest;
}


static void
ctl_nearer(ctl_nearest_t *nearest, const char *text, size_t len,
    const char *name, const char *answer)
{
    size_t  distance;

    distance = ctl_distance(text, len, name, strlen(name));

    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->name = answer;
    }
}


static const char *
ctl_synonym(const char *word)
{
    size_t  i;

    for (i = 0; i < sizeof(ctl_synonyms) / sizeof(ctl_synonyms[0]); i++) {
        if (strcmp(ctl_synonyms[i][0], word) == 0) {
            return ctl_synonyms[i][1];
        }
    }

    return word;
}


/* Compares the words in the order "first second" with all commands, and a
   command of one word with the first alone. */

static void
ctl_suggest_words(ctl_nearest_t *nearest, const char *first,
    const char *second)
{
    char                  text[2 * SUGGEST_LEN + 2];
    size_t                len;
    const ctl_group_t    *group;
    const ctl_command_t  *command;

    len = (size_t) snprintf(text, sizeof(text), "%.*s %.*s", SUGGEST_LEN,
                            first, SUGGEST_LEN, second);

    for (group = ctl_groups; group->name != NULL; group++) {
        for (command = group->commands; command->name != NULL; command++) {
            if (strchr(command->name, ' ') != NULL) {
                ctl_nearer(nearest, text, len, command->name, command->name);
            }
        }
    }
}


static void
ctl_suggest_word(ctl_nearest_t *nearest, const char *word)
{
    const ctl_group_t    *group;
    const ctl_command_t  *command;

    for (group = ctl_groups; group->name != NULL; group++) {
        ctl_nearer(nearest, word, strlen(word), group->name, group->name);

        for (command = group->commands; command->name != NULL; command++) {
            if (strchr(command->name, ' ') == NULL) {
                ctl_nearer(nearest, word, strlen(word), command->name,
                           command->name);
            }
        }
    }
}


const char *
ctl_suggest_command(int argc, char **argv, char out[CTL_SUGGESTION_MAX])
{
    size_t         len;
    const char    *first, *second;
    ctl_nearest_t  one, two;

    out[0] = '\0';

    if (argc == 0 || argv[0][0] == '-') {
        return out;
    }

    first = ctl_synonym(argv[0]);
    second = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;

    one = ctl_nearest(strlen(first));
    two = ctl_nearest(0);

    ctl_suggest_word(&one, first);

    if (second != NULL) {
        len = strlen(second)
              + (ctl_group_find(argv[0]) ? 0 : 1 + strlen(argv[0]));
        two = ctl_nearest(len);

        ctl_suggest_words(&two, argv[0], ctl_synonym(second));
        ctl_suggest_words(&two, second, first);
    }

    if (two.name != NULL && (one.name == NULL
                             || ctl_group_find(one.name) != NULL
                             || two.distance <= one.distance))
    {
        one = two;
    }

    /* A group as it is written is no correction. */

    if (one.name != NULL && strcmp(one.name, argv[0]) != 0) {
        (void) snprintf(out, CTL_SUGGESTION_MAX, "; did you mean \"%s\"?",
                        one.name);
    }

    return out;
}


static void
ctl_suggest_rows(ctl_nearest_t *nearest, const ctl_option_row_t *rows,
    const char *name, size_t len)
{
    for ( /* void */ ; rows != NULL && rows->name != NULL; rows++) {
        ctl_nearer(nearest, name, len, rows->name, rows->name);

        /* the beginning of a name */

        if (len > 2 && strncmp(rows->name, name, len) == 0) {
            nearest->name = rows->name;
            nearest->distance = 0;
        }
    }
}


const char *
ctl_suggest_option(const ctl_command_t *command, const char *name, size_t len,
    char out[CTL_SUGGESTION_MAX])
{
    ctl_nearest_t  nearest;

    out[0] = '\0';
    nearest = ctl_nearest(len);

    ctl_suggest_rows(&nearest, command->options, name, len);
    ctl_suggest_rows(&nearest, ctl_common_options, name, len);

    if (nearest.name != NULL
        && ctl_option_find(command, nearest.name, strlen(nearest.name)))
    {
        (void) snprintf(out, CTL_SUGGESTION_MAX, "; did you mean \"--%s\"?",
                        nearest.name);
    }

    return out;
}
