/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Options whose value is a secret.
 *
 * All users of a computer can read the command lines of its processes, and a
 * shell keeps them in its history.  So such an option takes the place of the
 * secret: a file, standard input or an environment variable.  The secret itself
 * is refused.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/private.h"
#include "ctl.h"

#define CTL_SECRET_MAX   65536
#define CTL_SECRET_MODE  0640

struct ctl_secret {
    ctl_secret_t  *next;
    char           text[CTL_SECRET_MAX + 1];
};

static const char *const  ctl_secret_names[] = {
    "secret", "headers", "oauth", "key"
};


bool
ctl_secret_option(const char *name)
{
    size_t  i;

    for (i = 0; i < sizeof(ctl_secret_names) / sizeof(char *); i++) {
        if (strcmp(ctl_secret_names[i], name) == 0) {
            return true;
        }
    }

    return false;
}


/* Reads to the end of `fd`.  Reading one byte more than the limit shows that
   the secret is too long. */

static int
ctl_secret_read(int fd, const char *option, const char *place, char *text)
{
    size_t   len;
    ssize_t  n;

    len = 0;

    do {
        n = read(fd, text + len, CTL_SECRET_MAX + 1 - len);

        if (n > 0) {
            len += (size_t) n;
        }

    } while ((n > 0 && len <= CTL_SECRET_MAX) || (n == -1 && errno == EINTR));

    if (n == -1) {
        return ctl_fail(CTL_FAILED, "\"--%s\": cannot read %s: %s", option,
                        place, strerror(errno));
    }

    if (len > CTL_SECRET_MAX || memchr(text, '\0', len) != NULL) {
        text[0] = '\0';
        return ctl_fail(CTL_FAILED, "\"--%s\": %s has more than %d bytes or a "
                        "NUL byte", option, place, CTL_SECRET_MAX);
    }

    /* an editor or echo adds the end of the last line */

    if (len > 0 && text[len - 1] == '\n') {
        len -= len > 1 && text[len - 2] == '\r' ? 2 : 1;
    }

    text[len] = '\0';

    return len > 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "\"--%s\": %s is empty", option,
                               place);
}


/* A pipe is allowed for the shell's "@<(command)". */

static int
ctl_secret_file(const char *option, const char *path, char *text)
{
    int          fd, rc;
    struct stat  st;

    fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd == -1 || fstat(fd, &st) == -1) {
        rc = ctl_fail(CTL_FAILED, "\"--%s\": cannot open \"%s\": %s", option,
                      path, strerror(errno));

    } else if (!(S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode))
               || (st.st_mode & 07777 & ~CTL_SECRET_MODE))
    {
        rc = ctl_fail(CTL_FAILED, "\"--%s\": \"%s\" must be a file of mode "
                      "0600 or 0640, not %04o", option, path,
                      (unsigned) st.st_mode & 07777);

    } else {
        rc = ctl_secret_read(fd, option, path, text);
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return rc;
}


static int
ctl_secret_stdin(ctl_t *ctl, const char *option, char *text)
{
    if (ctl->input != NULL) {
        return ctl_fail(CTL_USAGE, "\"--%s=-\": standard input has %s already",
                        option, ctl->input);
    }

    ctl->input = "another secret";

    return ctl_secret_read(STDIN_FILENO, option, "standard input", text);
}


static int
ctl_secret_variable(const char *option, const char *name, const char **value)
{
    const char  *text;

    text = getenv(name);

    if (text == NULL || text[0] == '\0') {
        return ctl_fail(CTL_FAILED, "\"--%s\": the environment variable "
                        "\"%s\" is not set or empty", option, name);
    }

    *value = text;

    return CTL_OK;
}


int
ctl_secret_take(ctl_t *ctl, const char *option, const char **value)
{
    const char    *place;
    ctl_secret_t  *secret;

    place = *value;

    if (place[0] == '\0') {
        return CTL_OK;                     /* removes the member */
    }

    if (place[0] != '@' && strcmp(place, "-") != 0
        && strncmp(place, "env:", 4) != 0)
    {
        *value = NULL;
        return ctl_fail(CTL_USAGE, "\"--%s\" must be @FILE, - for standard "
                        "input or env:NAME for an environment variable, "
                        "because other users can read a command line", option);
    }

    if (!es_process_private()) {
        return ctl_fail(CTL_FAILED, "cannot switch core dumps off");
    }

    if (place[0] == 'e') {
        return ctl_secret_variable(option, place + 4, value);
    }

    secret = calloc(1, sizeof(ctl_secret_t));
    if (secret == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    secret->next = ctl->secrets;
    ctl->secrets = secret;
    *value = secret->text;

    return place[0] == '@' ? ctl_secret_file(option, place + 1, secret->text)
                           : ctl_secret_stdin(ctl, option, secret->text);
}


void
ctl_secrets_free(ctl_t *ctl)
{
    ctl_secret_t  *secret;

    while ((secret = ctl->secrets) != NULL) {
        ctl->secrets = secret->next;
        explicit_bzero(secret, sizeof(ctl_secret_t));
        free(secret);
    }
}
