/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The options of "key create" that name a client certificate.
 */

#ifndef CTL_KEY_CERTIFICATE_H
#define CTL_KEY_CERTIFICATE_H

#include <jansson.h>

#include "ctl.h"
#include "keys/apikey.h"

/* The options as they were given, NULL when they were not. */
typedef struct {
    const char  *file;             /* PEM */
    const char  *fingerprint;
    const char  *issuer;
    const char  *subject;
    const char  *uri;
} ctl_certificate_args_t;

bool ctl_certificate_given(const ctl_certificate_args_t *a);

/* Makes the id and digest of the key.  Complains and returns the exit status
   of a failure. */
int ctl_certificate_read(const ctl_certificate_args_t *a, es_apikey_t *key);

/* The member `certificate` of a key with this digest in hexadecimal. */
json_t *ctl_certificate_member(const ctl_certificate_args_t *a,
    const char *digest);

#endif /* CTL_KEY_CERTIFICATE_H */
