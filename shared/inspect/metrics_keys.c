/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of API keys that expire.
 */

#include <stdlib.h>

#include "base/assert.h"
#include "base/base.h"
#include "inspect/metrics_keys.h"
#include "registry/member.h"
#include "registry/registry.h"

#define ES_KEY_SCOPES  5

/* When a partner's last key of each scope expires; 0: it has none. */
typedef struct {
    int64_t  ms[ES_KEY_SCOPES];
} es_last_keys_t;


static void
es_last_key(es_last_keys_t *last, const es_key_t *key)
{
    int64_t   ms;
    unsigned  i;

    ms = key->expires_ms != 0 ? key->expires_ms : INT64_MAX;

    for (i = 0; i < ES_KEY_SCOPES; i++) {
        if ((key->scopes & es_scope_words[i].value) && ms > last->ms[i]) {
            last->ms[i] = ms;
        }
    }
}


es_rc_t
es_metrics_keys(const es_registry_t *registry, es_exposition_t *e)
{
    size_t               i, npartners, nkeys;
    int64_t              ms, first_ms;
    unsigned             scope;
    es_label_t           label;
    const es_key_t      *keys;
    es_last_keys_t      *last;
    const es_partner_t  *partners;

    partners = es_registry_partners(registry, &npartners);
    keys = es_registry_all_keys(registry, &nkeys);

    last = calloc(npartners + 1, sizeof(es_last_keys_t));
    if (last == NULL) {
        return ES_NOMEM;
    }

    for (i = 0; i < nkeys; i++) {
        if (!keys[i].linked && keys[i].revoked_ms == 0
            && !keys[i].partner->disabled)
        {
            es_last_key(&last[keys[i].partner - partners], &keys[i]);
        }
    }

    es_metric_family(e, "eventsync_keys_expiry_timestamp_seconds", "gauge",
                     "When the first partner is left without a key of the "
                     "scope.");
    label.name = "scope";

    ES_ASSERT(es_scope_words[ES_KEY_SCOPES].word == NULL);

    for (scope = 0; scope < ES_KEY_SCOPES; scope++) {
        first_ms = INT64_MAX;

        for (i = 0; i < npartners; i++) {
            ms = last[i].ms[scope];
            first_ms = ms != 0 && ms < first_ms ? ms : first_ms;
        }

        if (first_ms != INT64_MAX) {
            label.value = es_str(es_scope_words[scope].word);
            es_metric_ms(e, "", &label, 1, (uint64_t) first_ms);
        }
    }

    free(last);

    return ES_OK;
}
