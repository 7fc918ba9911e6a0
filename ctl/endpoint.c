/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Endpoints: created, changed, paused and removed.
 *
 * A change may take undelivered events from endpoints, so the commands report
 * which endpoints lose how many.
 */

#include <stdio.h>
#include <strings.h>

#include "advice.h"
#include "affected.h"
#include "manage/manage.h"
#include "object.h"
#include "registry/endpoint_members.h"
#include "registry/origin.h"


/* How the text of an option becomes a member of the record.  An empty text
   removes the member. */

static int
ctl_endpoint_member(json_t *object, const es_endpoint_member_t *m,
    const char *text)
{
    int        rc;
    json_t    *value = NULL;
    uint64_t   number;

    if (m->type == ES_MEMBER_BOOL && m->usage == NULL) {
        value = json_true();

    } else if (text[0] == '\0') {
        value = json_null();

    } else if (m->type == ES_MEMBER_BOOL) {
        rc = ctl_yes(m->option, text, &value);
        if (rc != CTL_OK) {
            return rc;
        }

    } else if (m->type == ES_MEMBER_NUMBERS) {
        rc = ctl_numbers(m->option, text, m->min, m->max, &value);
        if (rc != CTL_OK) {
            return rc;
        }

    } else if (m->type == ES_MEMBER_LIST) {
        value = ctl_list(text);

    } else if (m->type == ES_MEMBER_NUMBER) {
        rc = ctl_number(m->option, text, m->min, m->max, &number);
        if (rc != CTL_OK) {
            return rc;
        }

        value = json_integer((json_int_t) number);

    } else if (m->type == ES_MEMBER_OBJECT) {
        value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        if (value == NULL) {
            return ctl_fail(CTL_USAGE, "\"--%s\" is not a JSON object",
                            m->option);
        }

    } else {
        value = json_string(text);
    }

    return json_object_set_new(object, m->name, value) == 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}


/* `name` is NULL where the command has no option --name. */

static json_t *
ctl_endpoint_record(ctl_t *ctl, int *argc, char **argv, const char **name,
    int *rc)
{
    size_t         i;
    json_t        *object;
    const char    *values[ES_ENDPOINT_MEMBERS] = { NULL };
    ctl_option_t   options[ES_ENDPOINT_MEMBERS + 2] = { { NULL, NULL } };
    ctl_option_t  *option = options;

    for (i = 0; i < ES_ENDPOINT_MEMBERS; i++) {
        if (es_endpoint_members[i].option != NULL) {
            option->name = es_endpoint_members[i].option;
            option->value = &values[i];
            option++;
        }
    }

    if (name != NULL) {
        option->name = "name";
        option->value = name;
    }

    *rc = ctl_args(ctl, argc, argv, options);
    if (*rc != CTL_OK) {
        return NULL;
    }

    object = json_object();

    for (i = 0; *rc == CTL_OK && i < ES_ENDPOINT_MEMBERS; i++) {
        if (values[i] != NULL) {
            *rc = ctl_endpoint_member(object, &es_endpoint_members[i],
                                      values[i]);
        }
    }

    if (*rc != CTL_OK) {
        json_decref(object);
        return NULL;
    }

    return object;
}


/* What a valid record may still surprise with. */
typedef struct {
    bool         empty;            /* a change of nothing */
    bool         sending;          /* it decides what is sent, and where */
    const char  *body;             /* NULL: nothing to say */
} ctl_hints_t;


static ctl_hints_t
ctl_endpoint_hints(const json_t *object)
{
    size_t        i;
    const char   *body;
    ctl_hints_t   hints = { 0 };

    static const char *const  sending[] = {
        "url", "feeds", "types", "allow_http", "allow_addresses", "allow_ports"
    };

    for (i = 0; i < sizeof(sending) / sizeof(sending[0]); i++) {
        hints.sending |= json_object_get(object, sending[i]) != NULL;
    }

    hints.empty = json_object_size(object) == 0;
    body = json_string_value(json_object_get(object, "body"));

    hints.body = body == NULL ? NULL
        : strcmp(body, "binary") == 0
        ? "the signature covers the id, the time and the body only: "
          "type, subject, sequence and prevcursor are header fields, which "
          "are not signed"
        : strcmp(body, "data") == 0
        ? "data only has no type, subject, sequence or prevcursor: the "
          "receiver sees no gap, and cannot prove that none is missing"
        : NULL;

    return hints;
}


static int
ctl_endpoint_hint(ctl_t *ctl, int rc, const char *name,
    const ctl_hints_t *hints)
{
    if (rc != CTL_OK) {
        return rc;
    }

    if (hints->empty) {
        ctl_note("no option was given: the record stays as it is, and only a "
                 "stopped endpoint starts again");
    }

    if (hints->body != NULL) {
        ctl_note("%s", hints->body);
    }

    if (hints->sending) {
        ctl_advise_endpoint(ctl, name, false);
    }

    return rc;
}


static bool
ctl_endpoint_name_ok(const char *name)
{
    return strlen(name) == ES_ENDPOINT_NAME_MAX - 1
           && strncmp(name, "ep_", 3) == 0
           && strspn(name + 3, "abcdefghijklmnopqrstuvwxyz234567")
              == ES_ENDPOINT_NAME_MAX - 4;
}


int
ctl_endpoint_create(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    char          name[ES_ENDPOINT_NAME_MAX];
    char          secret[ES_SECRET_TEXT_MAX] = "";
    json_t       *object;
    const char   *given = NULL;
    ctl_hints_t   hints;

    object = ctl_endpoint_record(ctl, &argc, argv, &given, &rc);
    if (object == NULL) {
        return rc;
    }

    if (given != NULL && !ctl_endpoint_name_ok(given)) {
        json_decref(object);
        return ctl_fail(CTL_USAGE, "\"--name=%s\" is not an endpoint's name: "
                        "ep_ and 16 of a-z and 2-7", given);
    }

    if (given != NULL) {
        memcpy(name, given, sizeof(name));
    }

    if ((given == NULL && es_endpoint_name(name) != ES_OK)
        || es_secret_create(secret) != ES_OK)
    {
        json_decref(object);
        return ctl_fail(CTL_FAILED, "cannot get random bytes");
    }

    (void) json_object_set_new(object, "partner", json_string(argv[0]));

    if (json_object_get(object, "secrets") == NULL) {
        (void) json_object_set_new(object, "secrets", ctl_list(secret));
    } else {
        secret[0] = '\0';
    }

    hints = ctl_endpoint_hints(object);

    rc = ctl_object_create(ctl, ES_KIND_ENDPOINT, name, object);
    if (rc == CTL_OK && ctl->json && secret[0] != '\0') {
        (void) json_object_set_new(ctl->result, "secret",
                                   json_string(secret));

    } else if (rc == CTL_OK && !ctl->json) {
        (void) printf("%s%s%s\n", name, secret[0] ? " " : "", secret);
    }

    explicit_bzero(secret, sizeof(secret));

    return ctl_endpoint_hint(ctl, rc, name, &hints);
}


/* An origin that the change shows the endpoint's client certificate to, or
   trusts by its CA file; NULL: none.  The change itself reports a record that
   cannot be read. */

static const char *
ctl_endpoint_pinned(ctl_t *ctl, const char *name, const json_t *change,
    char origin[ES_ORIGIN_MAX])
{
    json_t      *stored = NULL;
    es_buf_t     buf = { 0 };
    const char  *pointer;

    if (es_registry_get(ctl->store, ES_KIND_ENDPOINT, es_str(name), &buf)
        == ES_OK)
    {
        stored = json_loadb(buf.data, buf.len, 0, NULL);
    }

    pointer = es_origin_pinned(stored, change, origin);
    json_decref(stored);
    es_buf_free(&buf);

    return pointer != NULL ? origin : NULL;
}


/* Changes the record, and says so if TLS files are used for a new origin. */

static int
ctl_endpoint_apply(ctl_t *ctl, const char *name, json_t *object)
{
    int          rc;
    char         buf[ES_ORIGIN_MAX];
    const char  *origin;

    rc = ctl_open(ctl, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        json_decref(object);
        return rc;
    }

    origin = ctl_endpoint_pinned(ctl, name, object, buf);
    rc = ctl_object_change(ctl, ES_KIND_ENDPOINT, name, object);

    if (rc == CTL_OK && origin != NULL) {
        ctl_note("endpoint %s now uses its TLS files and exceptions "
                 "for %s", name,
                 origin);
    }

    return rc;
}


int
ctl_endpoint_change(ctl_t *ctl, int argc, char **argv)
{
    int              rc;
    bool             feeds, filter;
    json_t          *object;
    ctl_hints_t      hints;
    ctl_affected_t   affected;

    object = ctl_endpoint_record(ctl, &argc, argv, NULL, &rc);
    if (object == NULL) {
        return rc;
    }

    hints = ctl_endpoint_hints(object);
    feeds = json_object_get(object, "feeds") != NULL;
    filter = json_object_get(object, "types") != NULL
             || json_object_get(object, "subject") != NULL;

    if (!feeds && !filter) {
        rc = ctl_endpoint_apply(ctl, argv[0], object);

        return ctl_endpoint_hint(ctl, rc, argv[0], &hints);
    }

    rc = ctl_affected_begin(ctl, ES_STORE_ADMIN, NULL, UINT64_MAX, &affected);
    if (rc != CTL_OK) {
        json_decref(object);
        return rc;
    }

    rc = ctl_endpoint_apply(ctl, argv[0], object);

    if (rc == CTL_OK) {
        ctl_affected_left(ctl, &affected);
    }

    if (rc == CTL_OK && filter) {
        ctl_affected_filtered(&affected, argv[0]);
    }

    ctl_affected_end(&affected);

    return ctl_endpoint_hint(ctl, rc, argv[0], &hints);
}


int
ctl_endpoint_pause(ctl_t *ctl, int argc, char **argv)
{
    int  rc;

    rc = ctl_begin(ctl, &argc, argv, NULL, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    (void) ctl_advise_flag(ctl, ES_KIND_ENDPOINT, argv[0], "paused", true,
                           "paused");

    return ctl_object_change(ctl, ES_KIND_ENDPOINT, argv[0],
                             json_pack("{s:b}", "paused", true));
}


int
ctl_endpoint_resume(ctl_t *ctl, int argc, char **argv)
{
    int   rc;
    bool  paused;

    rc = ctl_begin(ctl, &argc, argv, NULL, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    paused = !ctl_advise_flag(ctl, ES_KIND_ENDPOINT, argv[0], "paused", false,
                              NULL);

    rc = ctl_object_change(ctl, ES_KIND_ENDPOINT, argv[0],
                           json_pack("{s:b}", "paused", false));

    if (rc == CTL_OK) {
        ctl_advise_endpoint(ctl, argv[0], !paused);
    }

    return rc;
}


int
ctl_endpoint_remove(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    ctl_affected_t  affected;

    rc = ctl_args(ctl, &argc, argv, NULL);

    if (rc == CTL_OK) {
        rc = ctl_affected_begin(ctl, ES_STORE_ADMIN, NULL, UINT64_MAX,
                                &affected);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_object_remove(ctl, argc, argv);

    if (rc == CTL_OK) {
        ctl_affected_left(ctl, &affected);
    }

    ctl_affected_end(&affected);

    return rc;
}
