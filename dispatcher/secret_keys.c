/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The encryption keys of the endpoints' secrets, read from --key-file.
 */

#include "base/base.h"
#include "keys/keyring.h"
#include "registry/registry.h"

#include "dispatcher.h"
#include "log.h"
#include "secret_keys.h"


/* Reads the key file, if one is configured, and gives its keys to the store. */

static es_rc_t
esd_secret_keys_read(esd_dispatcher_t *d, es_problem_t *problem)
{
    es_rc_t        rc;
    es_keyring_t  *ring = NULL;

    if (d->options.key_file != NULL) {
        rc = es_keyring_load(d->options.key_file, &ring, problem);
        if (rc != ES_OK) {
            return rc;
        }
    }

    rc = es_registry_keys(d->store, ring, problem);
    if (rc != ES_OK) {
        es_keyring_free(ring);
    }

    return rc;
}


es_rc_t
esd_secret_keys_open(esd_dispatcher_t *d)
{
    es_rc_t       rc;
    es_problem_t  problem;

    rc = esd_secret_keys_read(d, &problem);

    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "%s", problem.detail);

    } else if (d->options.key_file == NULL) {
        esd_log_line(ESD_LOG_WARN, "no --key-file: the endpoints' secrets are "
                     "stored in plain text");
    }

    return rc;
}


static bool
esd_secret_keys_missing(const es_registry_t *registry)
{
    size_t                i, n;
    const es_endpoint_t  *endpoints;

    endpoints = es_registry_endpoints(registry, &n);

    for (i = 0; i < n; i++) {
        if (endpoints[i].locked == ES_NOT_FOUND) {
            return true;
        }
    }

    return false;
}


/* A key may have been added to the file together with a secret.  The file is
   then read again, once for each loaded registry. */

es_rc_t
esd_secret_keys_load(esd_dispatcher_t *d, es_registry_t **registry)
{
    es_rc_t       rc;
    es_problem_t  problem;

    rc = es_registry_load(d->store, registry);

    if (rc != ES_OK || !esd_secret_keys_missing(*registry)) {
        return rc;
    }

    if (esd_secret_keys_read(d, &problem) != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "%s", problem.detail);
        return ES_OK;
    }

    es_registry_free(*registry);
    *registry = NULL;

    return es_registry_load(d->store, registry);
}
