/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Prints the table of an endpoint's members, one a line, tabs between: name,
 * type, access, required, least and greatest number, default, option, its
 * value in usage text.  "-" where there is none.  The tests of the
 * documentation compare it with what the pages and openapi.json say.
 */

#include <stdio.h>

#include "registry/endpoint_members.h"

static const char  *const  types[] = {
    [ES_MEMBER_TEXT] = "text",
    [ES_MEMBER_DURATION] = "duration",
    [ES_MEMBER_NUMBER] = "number",
    [ES_MEMBER_BOOL] = "bool",
    [ES_MEMBER_LIST] = "list",
    [ES_MEMBER_NUMBERS] = "list",
    [ES_MEMBER_OBJECT] = "object"
};

static const char  *const  access[] = {
    [ES_MEMBER_PUBLIC] = "public",
    [ES_MEMBER_OPERATOR] = "operator",
    [ES_MEMBER_OWNER] = "owner"
};


int
main(void)
{
    size_t                       i;
    const es_endpoint_member_t  *m;

    for (i = 0; i < ES_ENDPOINT_MEMBERS; i++) {
        m = &es_endpoint_members[i];

        (void) printf("%s\t%s\t%s\t%d\t%u\t%u\t%s\t%s\t%s\n", m->name,
                      types[m->type], access[m->access], m->required, m->min,
                      m->max, m->preset, m->option ? m->option : "-",
                      m->usage ? m->usage : "-");
    }

    return 0;
}
