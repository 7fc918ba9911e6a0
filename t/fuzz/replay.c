/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Runs a fuzz target on each file of the given directories, for compilers
 * without libFuzzer, and prints the number of files.
 */

#include <dirent.h>

#include "fuzz.h"


/* The bytes are in a block of just their size, so that a sanitizer sees a
   read beyond them. */
static void
replay(const char *dir, const char *name)
{
    char     path[4096];
    long     size;
    FILE    *file;
    uint8_t  *data;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);

    file = fopen(path, "rb");
    must(file != NULL && fseek(file, 0, SEEK_END) == 0);
    size = ftell(file);
    must(size >= 0);
    rewind(file);

    data = malloc(size > 0 ? (size_t) size : 1);
    must(data != NULL
         && fread(data, 1, (size_t) size, file) == (size_t) size);
    (void) fclose(file);

    (void) LLVMFuzzerTestOneInput(data, (size_t) size);
    free(data);
}


int
main(int argc, char **argv)
{
    int             i;
    DIR            *dir;
    unsigned        n;
    struct dirent  *entry;

    n = 0;

    for (i = 1; i < argc; i++) {
        dir = opendir(argv[i]);
        must(dir != NULL);

        while ((entry = readdir(dir)) != NULL) {
            if (entry->d_name[0] != '.') {
                replay(argv[i], entry->d_name);
                n++;
            }
        }

        (void) closedir(dir);
    }

    printf("%u inputs\n", n);

    return 0;
}
