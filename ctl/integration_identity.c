/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The certificates of "verify-integration": whom it trusts, and what it
 * presents.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "integration.h"


/* libcurl itself would only say that no connection was made. */

static int
ctl_integration_file(ctl_integration_t *in, CURLoption option,
    const char *path)
{
    if (access(path, R_OK) != 0) {
        return ctl_fail(CTL_FAILED, "cannot open \"%s\": %s", path,
                        strerror(errno));
    }

    return curl_easy_setopt(in->http.curl, option, path) == CURLE_OK
           ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}


static int
ctl_integration_named(ctl_integration_t *in, CURLoption option, es_str_t name)
{
    char  path[PATH_MAX];

    if (name.len == 0) {
        return CTL_OK;
    }

    if (snprintf(path, sizeof(path), "%s/%s", in->tls_dir, name.data)
        >= (int) sizeof(path))
    {
        return ctl_fail(CTL_USAGE, "\"--tls-dir\" is too long");
    }

    return ctl_integration_file(in, option, path);
}


int
ctl_integration_identity(ctl_integration_t *in)
{
    int                   rc;
    const es_endpoint_t  *of;

    of = in->endpoint;
    rc = CTL_OK;

    /* otherwise libcurl would trust the system's directory as well */

    if (in->ca_file != NULL || (of != NULL && of->ca_file.len > 0)) {
        (void) curl_easy_setopt(in->http.curl, CURLOPT_CAPATH, NULL);
    }

    if (in->ca_file != NULL) {
        rc = ctl_integration_file(in, CURLOPT_CAINFO, in->ca_file);
    }

    if (of == NULL) {
        return rc;
    }

    if (rc == CTL_OK) {
        rc = ctl_integration_named(in, CURLOPT_CAINFO, of->ca_file);
    }

    if (rc == CTL_OK) {
        rc = ctl_integration_named(in, CURLOPT_SSLCERT, of->client_cert);
    }

    if (rc == CTL_OK) {
        rc = ctl_integration_named(in, CURLOPT_SSLKEY,
                                   of->client_key.len > 0 ? of->client_key
                                                          : of->client_cert);
    }

    return rc;
}
