/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Endpoints: created, changed, paused and removed.
 *
 * A change may take undelivered events from endpoints, so the commands report
 * which endpoints lose how many.
 */

#include <stdio.h>
#include <strings.h>

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
    bool         plain;
    const char  *body;             /* NULL: nothing to say */
} ctl_hints_t;


static ctl_hints_t
ctl_endpoint_hints(const json_t *object)
{
    const char   *url, *body;
    ctl_hints_t   hints;

    url = json_string_value(json_object_get(object, "url"));
    body = json_string_value(json_object_get(object, "body"));

    hints.plain = url != NULL && strncasecmp(url, "http://", 7) == 0;

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


/* The dispatcher may refuse to send to the URL.  Its options are not known
   here. */

static void
ctl_endpoint_hint(int rc, const ctl_hints_t *hints)
{
    if (rc == CTL_OK && hints->plain) {
        ctl_note("http:// requires --allow-http of the dispatcher "
                 "and --allow-http=yes of the endpoint or its partner; "
                 "an address that is not public requires "
                 "--allow-address and --allow-addresses");
    }

    if (rc == CTL_OK && hints->body != NULL) {
        ctl_note("%s", hints->body);
    }
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

    ctl_endpoint_hint(rc, &hints);

    return rc;
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
        ctl_endpoint_hint(rc, &hints);
        return rc;
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
    ctl_endpoint_hint(rc, &hints);

    return rc;
}


static int
ctl_endpoint_paused(ctl_t *ctl, int argc, char **argv, bool paused)
{
    int  rc;

    rc = ctl_args(ctl, &argc, argv, NULL);

    return rc == CTL_OK
           ? ctl_object_change(ctl, ES_KIND_ENDPOINT, argv[0],
                               json_pack("{s:b}", "paused", paused))
           : rc;
}


int
ctl_endpoint_pause(ctl_t *ctl, int argc, char **argv)
{
    return ctl_endpoint_paused(ctl, argc, argv, true);
}


int
ctl_endpoint_resume(ctl_t *ctl, int argc, char **argv)
{
    return ctl_endpoint_paused(ctl, argc, argv, false);
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
