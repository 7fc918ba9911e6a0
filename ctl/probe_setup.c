/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The setup of the probe: its feed, partner, key and endpoint, and the file of
 * mode 0600 that a run reads.
 *
 * Feed and partner have one name.  The key may read, publish and acknowledge
 * only there.  Only the endpoint's own record allows http:// and the address of
 * the receiver, so the partner opens nothing.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checkpoint/checkpoint.h"
#include "delivery/delivery.h"
#include "keys/keyfile.h"
#include "log/feed.h"
#include "manage/manage.h"
#include "object.h"
#include "probe.h"
#include "registry/control_request.h"
#include "store/staging.h"

#define PROBE_RETAIN_COUNT  100000
#define PROBE_RETAIN_MS     (3600 * 1000)
#define PROBE_FILE_MAX      4096

/* What was made, so that a failure can remove it. */
typedef struct {
    ctl_t              *ctl;
    ctl_probe_state_t  *state;
    bool                feed;
    bool                partner;
    bool                endpoint;
    char                key[ES_KEYID_LEN + 1];     /* id; "": none */
} ctl_probe_made_t;


/* ---- the records ---- */

/* Takes the object. */

static int
ctl_probe_create(ctl_t *ctl, es_kind_t kind, const char *name, json_t *object)
{
    char          *text;
    es_rc_t        rc;
    es_problem_t   problem = { 0 };

    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);

    rc = text != NULL ? es_registry_create(ctl->store, kind, es_str(name), text,
                                           &problem) : ES_NOMEM;
    free(text);

    if (rc == ES_EXISTS) {
        return ctl_fail(CTL_FAILED, "\"%s\" exists already: remove it by "
                        "\"probe --cleanup\", or name another feed with --feed",
                        name);
    }

    return rc == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "\"%s\": %s%s", name,
                                  problem.detail[0] ? problem.detail
                                                    : es_reason(rc),
                                  ctl_quota_hint(&problem));
}


static int
ctl_probe_make_feed(ctl_probe_made_t *made)
{
    es_rc_t             rc;
    es_feed_t           feed;
    es_feed_options_t   options = {
        .retain_count = PROBE_RETAIN_COUNT, .retain_ms = PROBE_RETAIN_MS
    };

    rc = es_feed_create(made->ctl->store, es_str(made->state->feed), &options,
                        &feed);
    made->feed = rc == ES_OK;

    return rc == ES_OK ? CTL_OK
           : rc == ES_EXISTS
           ? ctl_fail(CTL_FAILED, "feed \"%s\" exists already: remove it by "
                      "\"probe --cleanup\", or name another with --feed",
                      made->state->feed)
           : ctl_fail(CTL_FAILED, "feed \"%s\": %s", made->state->feed,
                      es_reason(rc));
}


/* The partner's limits are above what a run needs, whatever the location's
   default is. */

static int
ctl_probe_make_partner(ctl_probe_made_t *made)
{
    int          rc;
    const char  *name;

    name = made->state->feed;
    rc = ctl_probe_create(made->ctl, ES_KIND_PARTNER, name,
                          json_pack("{s:[s], s:[s], s:{s:{s:s, s:i}, s:{s:s, "
                                    "s:i}, s:{s:i}}}", "feeds", name,
                                    "publish", name, "limits", "poll", "rate",
                                    "1000r/s", "burst", 2000, "publish", "rate",
                                    "20000r/s", "burst", 20000, "waits",
                                    "max", 10));
    made->partner = rc == CTL_OK;

    return rc;
}


static int
ctl_probe_make_key(ctl_probe_made_t *made)
{
    int          i, rc;
    char         text[ES_APIKEY_LEN + 1], digest[2 * ES_DIGEST_LEN + 1];
    es_apikey_t  key;

    if (es_apikey_create(es_staging(made->ctl->store_path), text, &key) != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot get random bytes");
    }

    for (i = 0; i < ES_DIGEST_LEN; i++) {
        (void) snprintf(digest + 2 * i, 3, "%02x", key.digest[i]);
    }

    rc = ctl_probe_create(made->ctl, ES_KIND_KEY, key.id,
                          json_pack("{s:s, s:s, s:[s, s, s], s:[s]}",
                                    "partner", made->state->feed, "digest",
                                    digest, "scopes", "read", "publish", "ack",
                                    "consumers", CTL_PROBE_CONSUMER));

    if (rc == CTL_OK) {
        memcpy(made->key, key.id, sizeof(made->key));
        memcpy(made->state->key, text, sizeof(text));
    }

    explicit_bzero(text, sizeof(text));

    return rc;
}


/* An operator makes the endpoint and stands for its receiver, which runs only
   now and then and so cannot be asked. */

static int
ctl_probe_accept(ctl_probe_made_t *made)
{
    int                    n;
    es_rc_t                rc;
    uint64_t               last;
    es_buf_t               buf = { 0 };
    json_t                *record;
    es_problem_t           problem = { 0 };
    es_control_request_t   request = { .kind = ES_CONTROL_VERIFY,
                                       .sequence = 1, .max = UINT64_MAX,
                                       .name = es_str(made->state->endpoint) };

    rc = es_registry_get(made->ctl->store, ES_KIND_ENDPOINT,
                         es_str(made->state->endpoint), &buf);

    if (rc == ES_OK) {
        record = json_loadb(buf.data, buf.len, 0, NULL);
        request.endpoint = (uint32_t)
                           json_integer_value(json_object_get(record,
                                                              "number"));
        json_decref(record);
        rc = es_delivery_control_taken(made->ctl->store, &last);
    }

    es_buf_free(&buf);

    if (rc == ES_OK) {
        n = snprintf(request.event, sizeof(request.event), "uid %u",
                     (unsigned) getuid());
        request.event_len = (size_t) n;
        rc = es_control_request_add(made->ctl->store, &request, last,
                                    &problem);
    }

    return rc == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "cannot store the request: %s",
                                  problem.detail[0] ? problem.detail
                                                    : es_reason(rc));
}


static int
ctl_probe_make_endpoint(ctl_probe_made_t *made)
{
    int                 rc;
    char                name[ES_ENDPOINT_NAME_MAX], url[128];
    ctl_probe_state_t  *state;

    state = made->state;

    if (es_endpoint_name(name) != ES_OK
        || es_secret_create(state->secret) != ES_OK)
    {
        return ctl_fail(CTL_FAILED, "cannot get random bytes");
    }

    (void) snprintf(url, sizeof(url), "http://%s:%u/", state->address,
                    state->port);

    rc = ctl_probe_create(made->ctl, ES_KIND_ENDPOINT, name,
                          json_pack("{s:s, s:s, s:[s], s:[s], s:s, s:b, s:[s],"
                                    " s:[s], s:s, s:s}",
                                    "partner", state->feed, "url", url,
                                    "feeds", state->feed,
                                    "secrets", state->secret,
                                    "ack", CTL_PROBE_CONSUMER,
                                    "allow_http", true,
                                    "allow_addresses", state->address,
                                    "schedule", "0",
                                    "disable_after", "0",
                                    "timeout", "10s"));

    if (rc == CTL_OK) {
        made->endpoint = true;
        memcpy(state->endpoint, name, sizeof(name));
        rc = ctl_probe_accept(made);
    }

    return rc;
}


/* ---- the file ---- */

static int
ctl_probe_save(const ctl_probe_state_t *state, const char *path)
{
    int      fd;
    char    *text;
    json_t  *object;
    size_t   len;
    ssize_t  n;

    object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i}",
                       "url", state->url, "feed", state->feed,
                       "key", state->key, "endpoint", state->endpoint,
                       "secret", state->secret, "address", state->address,
                       "port", (int) state->port);
    text = json_dumps(object, JSON_INDENT(2));
    json_decref(object);

    if (text == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd == -1) {
        free(text);
        return ctl_fail(CTL_FAILED, "cannot make \"%s\": %s", path,
                        strerror(errno));
    }

    len = strlen(text);
    n = write(fd, text, len);
    explicit_bzero(text, len);
    free(text);

    if (n != (ssize_t) len || fsync(fd) != 0) {
        (void) close(fd);
        (void) unlink(path);
        return ctl_fail(CTL_FAILED, "cannot write \"%s\": %s", path,
                        strerror(errno));
    }

    (void) close(fd);

    return CTL_OK;
}


/* False: the member is not there, or too long. */

static bool
ctl_probe_member(const json_t *object, const char *name, char *out,
    size_t size)
{
    const char  *value;

    value = json_string_value(json_object_get(object, name));

    if (value == NULL || strlen(value) >= size) {
        return false;
    }

    memcpy(out, value, strlen(value) + 1);

    return true;
}


int
ctl_probe_load(const char *path, ctl_probe_state_t *state)
{
    bool           ok;
    char           text[PROBE_FILE_MAX];
    size_t         len;
    json_t        *object;
    es_problem_t   problem = { 0 };

    if (es_key_file_read("file of --state", path, text, sizeof(text), &len,
                         &problem) != ES_OK)
    {
        explicit_bzero(text, sizeof(text));
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    object = json_loadb(text, len, 0, NULL);
    explicit_bzero(text, sizeof(text));

    ok = ctl_probe_member(object, "url", state->url, sizeof(state->url))
         && ctl_probe_member(object, "feed", state->feed, sizeof(state->feed))
         && ctl_probe_member(object, "key", state->key, sizeof(state->key))
         && ctl_probe_member(object, "endpoint", state->endpoint,
                             sizeof(state->endpoint))
         && ctl_probe_member(object, "secret", state->secret,
                             sizeof(state->secret))
         && ctl_probe_member(object, "address", state->address,
                             sizeof(state->address));
    state->port = (uint16_t) json_integer_value(json_object_get(object,
                                                                "port"));
    json_decref(object);

    return ok && state->port != 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "\"%s\" is not a file of \"probe "
                               "--setup\"", path);
}


/* ---- setup and cleanup ---- */

static void
ctl_probe_undo(const ctl_probe_made_t *made)
{
    es_store_t  *store;

    store = made->ctl->store;

    if (made->endpoint) {
        (void) es_registry_remove(store, ES_KIND_ENDPOINT,
                                  es_str(made->state->endpoint), NULL);
    }

    if (made->key[0] != '\0') {
        (void) es_registry_remove(store, ES_KIND_KEY, es_str(made->key), NULL);
    }

    if (made->partner) {
        (void) es_registry_remove(store, ES_KIND_PARTNER,
                                  es_str(made->state->feed), NULL);
    }

    if (made->feed) {
        (void) es_feed_remove(store, es_str(made->state->feed));
    }
}


int
ctl_probe_setup(ctl_t *ctl, ctl_probe_state_t *state, const char *path)
{
    int               rc;
    ctl_probe_made_t  made = { .ctl = ctl, .state = state };

    if (access(path, F_OK) == 0) {
        return ctl_fail(CTL_FAILED, "\"%s\" exists already: remove it by "
                        "\"probe --cleanup\"", path);
    }

    rc = ctl_open(ctl, ES_STORE_PUBLISH | ES_STORE_ADMIN
                  | ES_STORE_DELIVERY_READ);

    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_probe_make_feed(&made);

    if (rc == CTL_OK) {
        rc = ctl_probe_make_partner(&made);
    }

    if (rc == CTL_OK) {
        rc = ctl_probe_make_key(&made);
    }

    if (rc == CTL_OK) {
        rc = ctl_probe_make_endpoint(&made);
    }

    if (rc == CTL_OK) {
        rc = ctl_probe_save(state, path);
    }

    if (rc != CTL_OK) {
        ctl_probe_undo(&made);
    }

    return rc;
}


/* True: the record is one that a setup has made, and no partner's. */

static bool
ctl_probe_own(ctl_t *ctl, const char *name)
{
    bool      own;
    json_t   *record, *feeds, *publish;
    es_buf_t  buf = { 0 };

    if (es_registry_get(ctl->store, ES_KIND_PARTNER, es_str(name), &buf)
        != ES_OK)
    {
        return false;
    }

    record = json_loadb(buf.data, buf.len, 0, NULL);
    es_buf_free(&buf);

    feeds = json_pack("[s]", name);
    publish = json_object_get(record, "publish");
    own = json_equal(json_object_get(record, "feeds"), feeds)
          && json_equal(publish, feeds);
    json_decref(feeds);
    json_decref(record);

    return own;
}


static es_rc_t
ctl_probe_name_add(void *ctx, es_str_t name, es_str_t text)
{
    json_t  *names = ctx;

    (void) text;

    return json_array_append_new(names, json_stringn(name.data, name.len)) == 0
           ? ES_OK : ES_NOMEM;
}


/* Removes all records of a kind that the partner has. */

static es_rc_t
ctl_probe_remove_all(ctl_t *ctl, es_kind_t kind, const char *partner)
{
    size_t       i, n;
    es_rc_t      rc;
    json_t      *names, *name;

    names = json_array();
    rc = es_registry_each_of(ctl->store, kind, es_str(partner), es_null_str,
                             ctl_probe_name_add, names);
    rc = rc == ES_NOT_FOUND ? ES_OK : rc;
    n = json_array_size(names);

    for (i = 0; rc == ES_OK && i < n; i++) {
        name = json_array_get(names, i);
        rc = es_registry_remove(ctl->store, kind,
                                es_str(json_string_value(name)), NULL);
    }

    json_decref(names);

    return rc;
}


int
ctl_probe_cleanup(ctl_t *ctl, const char *feed, const char *path)
{
    int      rc;
    es_rc_t  es;

    rc = ctl_open(ctl, ES_STORE_PUBLISH | ES_STORE_ADMIN
                  | ES_STORE_CHECKPOINT);
    if (rc != CTL_OK) {
        return rc;
    }

    if (!ctl_probe_own(ctl, feed)) {
        return ctl_fail(CTL_FAILED, "there is no partner \"%s\" that \"probe "
                        "--setup\" has made", feed);
    }

    es = ctl_probe_remove_all(ctl, ES_KIND_ENDPOINT, feed);

    if (es == ES_OK) {
        es = ctl_probe_remove_all(ctl, ES_KIND_KEY, feed);
    }

    if (es == ES_OK) {
        es = es_feed_remove(ctl->store, es_str(feed));
        es = es == ES_NOT_FOUND ? ES_OK : es;
    }

    if (es == ES_OK) {
        es = es_registry_remove(ctl->store, ES_KIND_PARTNER, es_str(feed),
                                NULL);
    }

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot remove the records of \"%s\": %s",
                        feed, es_reason(es));
    }

    (void) es_checkpoint_prune(ctl->store);

    return path == NULL || unlink(path) == 0 || errno == ENOENT
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot remove \"%s\": %s", path,
                               strerror(errno));
}
