#include "object.h"


/* "60r/m" or "60r/m,burst=10" */

static int
ctl_partner_limit(json_t *limits, const char *policy, const char *text)
{
    int          rc;
    size_t       n;
    json_t      *limit;
    uint64_t     burst;
    const char  *option;

    if (text == NULL) {
        return CTL_OK;
    }

    n = strcspn(text, ",");
    limit = json_pack("{s:o}", "rate", json_stringn(text, n));
    (void) json_object_set_new(limits, policy, limit);

    if (text[n] == '\0') {
        return CTL_OK;
    }

    option = text + n + 1;

    if (strncmp(option, "burst=", 6) != 0) {
        return ctl_fail(CTL_USAGE, "\"--limit-%s=%s\" is not RATE[,burst=N]",
                        policy, text);
    }

    rc = ctl_number("burst", option + 6, 1, 1000000000, &burst);
    if (rc == CTL_OK) {
        (void) json_object_set_new(limit, "burst",
                                   json_integer((json_int_t) burst));
    }

    return rc;
}


/* The record that the options describe; NULL with *rc when they are wrong. */

static json_t *
ctl_partner_record(ctl_t *ctl, int *argc, char **argv, bool change, int *rc)
{
    json_t      *object, *limits;
    const char  *feeds = NULL, *publish = NULL, *poll = NULL, *rate = NULL,
                *disabled = NULL, *enabled = NULL;

    const ctl_option_t  options[] = {
        { "feeds", false, &feeds },
        { "publish", false, &publish },
        { "limit-poll", false, &poll },
        { "limit-publish", false, &rate },
        { "disabled", true, &disabled },
        { change ? "enabled" : "disabled", true,
          change ? &enabled : &disabled },
        { NULL, false, NULL }
    };

    *rc = ctl_args(ctl, argc, argv, 1, 1, options);
    if (*rc != CTL_OK) {
        return NULL;
    }

    object = json_object();
    limits = json_object();

    if (feeds != NULL) {
        (void) json_object_set_new(object, "feeds", ctl_list(feeds));
    }

    if (publish != NULL) {
        (void) json_object_set_new(object, "publish", ctl_list(publish));
    }

    if (disabled != NULL || enabled != NULL) {
        (void) json_object_set_new(object, "disabled",
                                   json_boolean(disabled != NULL));
    }

    *rc = ctl_partner_limit(limits, "poll", poll);
    if (*rc == CTL_OK) {
        *rc = ctl_partner_limit(limits, "publish", rate);
    }

    if (json_object_size(limits) > 0) {
        (void) json_object_set(object, "limits", limits);
    }

    json_decref(limits);

    if (*rc != CTL_OK) {
        json_decref(object);
        return NULL;
    }

    return object;
}


int
ctl_partner_create(ctl_t *ctl, int argc, char **argv)
{
    int      rc;
    json_t  *object;

    object = ctl_partner_record(ctl, &argc, argv, false, &rc);

    return object ? ctl_object_create(ctl, ES_KIND_PARTNER, argv[0], object)
                  : rc;
}


int
ctl_partner_change(ctl_t *ctl, int argc, char **argv)
{
    int      rc;
    json_t  *object;

    object = ctl_partner_record(ctl, &argc, argv, true, &rc);

    return object ? ctl_object_change(ctl, ES_KIND_PARTNER, argv[0], object)
                  : rc;
}


int
ctl_partner_list(ctl_t *ctl, int argc, char **argv)
{
    return ctl_object_list(ctl, ES_KIND_PARTNER, argc, argv);
}


int
ctl_partner_show(ctl_t *ctl, int argc, char **argv)
{
    return ctl_object_show(ctl, ES_KIND_PARTNER, argc, argv);
}


int
ctl_partner_remove(ctl_t *ctl, int argc, char **argv)
{
    return ctl_object_remove(ctl, ES_KIND_PARTNER, argc, argv);
}
