#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "manage.h"
#include "values.h"


int
ctl_endpoint_rotate(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    char          made[ES_SECRET_TEXT_MAX] = "";
    es_rc_t       es;
    uint32_t      overlap_ms = ES_OVERLAP_MS;
    const char   *overlap = NULL, *secret = NULL;
    es_problem_t  problem = { 0 };

    const ctl_option_t  options[] = {
        { "overlap", false, &overlap },
        { "secret", false, &secret },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 1, 1, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (overlap != NULL
        && (es_duration_parse(es_str(overlap), &overlap_ms) != ES_OK
            || overlap_ms > ES_OVERLAP_MAX_MS))
    {
        return ctl_fail(CTL_USAGE, "\"--overlap=%s\" is not a time of at most "
                        "30d", overlap);
    }

    if (secret != NULL && strlen(secret) >= sizeof(made)) {
        return ctl_fail(CTL_USAGE, "\"--secret\" is too long");
    }

    if (secret != NULL) {
        memcpy(made, secret, strlen(secret) + 1);
    }

    rc = ctl_open(ctl, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_endpoint_rotate(ctl->store, es_str(argv[0]), made, overlap_ms,
                            &problem);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail[0] ? problem.detail
                                                            : es_strerror(es));
    }

    if (secret == NULL) {
        (void) printf("%s\n", made);
    }

    return CTL_OK;
}
