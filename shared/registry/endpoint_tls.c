/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks the names of the files for an endpoint's TLS connections: client
 * certificate, its key, and trusted CAs.
 *
 * A record has only names of files.  The dispatcher's operator sets their
 * directory, and no name can lead out of it.
 */

#include "base/ascii.h"
#include "registry/endpoint_members.h"
#include "registry/member.h"
#include "registry/registry.h"

#define ES_FILE_NAME_MAX  128


static bool
es_file_name_ok(es_str_t name)
{
    char    c;
    size_t  i;

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if (!es_is_alnum(c) && c != '_' && c != '-' && (c != '.' || i == 0)) {
            return false;
        }
    }

    return name.len > 0 && name.len <= ES_FILE_NAME_MAX;
}


static es_rc_t
es_file_check(es_record_t *r, const char *pointer, es_str_t name)
{
    return name.data == NULL || es_file_name_ok(name)
           ? ES_OK
           : es_fault(r, pointer, "must be a file name of letters, digits, "
                      "'-', '_' and '.', not beginning with '.'");
}


es_rc_t
es_client_cert_check(es_record_t *r, es_endpoint_t *out)
{
    return es_file_check(r, "/client_cert", out->client_cert);
}


es_rc_t
es_client_key_check(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t  rc;

    rc = es_file_check(r, "/client_key", out->client_key);

    return rc == ES_OK && out->client_key.len > 0 && out->client_cert.len == 0
           ? es_fault(r, "/client_key", "requires \"client_cert\"")
           : rc;
}


es_rc_t
es_ca_file_check(es_record_t *r, es_endpoint_t *out)
{
    return es_file_check(r, "/ca_file", out->ca_file);
}
