/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes test events, which belong to no feed.  dispatcher/test_event.c sends
 * them.
 */

#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/random.h"
#include "event/attribute.h"
#include "event/filter.h"
#include "manage/manage.h"
#include "registry/control_request.h"


static es_rc_t
es_test_type(const char *type, es_problem_t *problem)
{
    size_t  len;

    len = type ? strlen(type) : 1;

    return len > 0 && len <= ES_ATTR_MAX / 8
           ? ES_OK
           : es_problem_set(problem, ES_INVALID, -1, "/type", "\"type\" must "
                            "be a string of 1 to %d bytes", ES_ATTR_MAX / 8);
}


es_rc_t
es_control_request_test(es_control_request_t *request, const char *endpoint,
    const char *type,
    json_t *data, char id[ES_TEST_ID_MAX], es_problem_t *problem)
{
    char     time[ES_TIME_LEN + 1];
    json_t  *event;
    es_rc_t  rc;
    size_t   len;

    memcpy(id, "test-", sizeof("test-"));
    id[ES_TEST_ID_MAX - 1] = '\0';

    rc = es_test_type(type, problem);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_random_base32(id + 5, 16);
    if (rc != ES_OK) {
        return es_problem_set(problem, rc, -1, NULL, "no random bytes");
    }

    id[5 + 16] = '\0';
    es_time_print(es_clock_ms(), time);
    time[ES_TIME_LEN] = '\0';

    event = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}",
                      "specversion", "1.0", "id", id, "source", "/eventsync",
                      "type", type ? type : "eventsync.test",
                      "subject", endpoint, "time", time,
                      "datacontenttype", "application/json", "data",
                      data ? json_incref(data)
                           : json_pack("{s:s}", "endpoint", endpoint));
    if (event == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    len = json_dumpb(event, request->event, ES_CONTROL_EVENT_MAX,
                     JSON_COMPACT);
    json_decref(event);

    if (len == 0 || len > ES_CONTROL_EVENT_MAX) {
        return es_problem_set(problem, ES_INVALID, -1, "/data", "\"data\" "
                              "makes an event of %zu bytes; a test event may "
                              "have at most %d",
                              len, ES_CONTROL_EVENT_MAX);
    }

    request->kind = ES_CONTROL_TEST;
    request->event_len = len;
    request->event[len] = '\0';

    return ES_OK;
}
