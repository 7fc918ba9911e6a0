/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Stops one thread of a process until standard input ends, like one that hangs:
 *
 *     freeze PID THREAD
 *
 * THREAD is the name of the thread.  It prints a line when the thread stands.
 * The other threads go on.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>


static pid_t
freeze_thread(const char *pid, const char *name)
{
    DIR            *dir;
    char            path[300], comm[32];
    FILE           *f;
    pid_t           found;
    struct dirent  *entry;

    (void) snprintf(path, sizeof(path), "/proc/%s/task", pid);

    dir = opendir(path);
    if (dir == NULL) {
        return 0;
    }

    found = 0;

    while (found == 0 && (entry = readdir(dir)) != NULL) {
        (void) snprintf(path, sizeof(path), "/proc/%.20s/task/%.20s/comm", pid,
                        entry->d_name);

        f = fopen(path, "re");
        if (f == NULL) {
            continue;
        }

        if (fgets(comm, sizeof(comm), f) != NULL) {
            comm[strcspn(comm, "\n")] = '\0';

            if (strcmp(comm, name) == 0) {
                found = (pid_t) strtol(entry->d_name, NULL, 10);
            }
        }

        (void) fclose(f);
    }

    (void) closedir(dir);

    return found;
}


int
main(int argc, char **argv)
{
    int    status;
    char   byte;
    pid_t  thread;

    if (argc != 3) {
        fprintf(stderr, "usage: freeze PID THREAD\n");
        return 2;
    }

    thread = freeze_thread(argv[1], argv[2]);

    if (thread == 0
        || ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0
        || ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) != 0
        || waitpid(thread, &status, __WALL) != thread)
    {
        perror("freeze");
        return 1;
    }

    printf("frozen\n");
    fflush(stdout);

    while (read(STDIN_FILENO, &byte, 1) > 0) { /* void */ }

    (void) ptrace(PTRACE_DETACH, thread, NULL, NULL);

    return 0;
}
