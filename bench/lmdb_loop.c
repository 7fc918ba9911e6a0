/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * lmdb_loop measures how fast LMDB alone can write, as the upper bound of
 * publishing: values of one size under dense 8-byte keys, with a synchronous
 * commit for each batch.
 *
 *   lmdb_loop --dir D [--batch 1] [--size 300] [--seconds 5]
 *
 * A batch of one uses a plain put; larger ones append (MDB_APPEND).
 */

#include "bench.h"

#include <lmdb.h>
#include <endian.h>
#include <sys/stat.h>

static void
check(int rc, const char *what)
{
    if (rc != 0) {
        bench_die("%s: %s", what, mdb_strerror(rc));
    }
}

int
main(int argc, char **argv)
{
    long         batch, size, seconds, i;
    char        *data;
    MDB_env     *env;
    MDB_dbi      dbi;
    MDB_txn     *txn;
    MDB_val      key, value;
    uint64_t     n, be, began, end, now;
    const char  *dir;

    dir = bench_arg(argc, argv, "--dir", NULL);
    batch = bench_arg_n(argc, argv, "--batch", "1");
    size = bench_arg_n(argc, argv, "--size", "300");
    seconds = bench_arg_n(argc, argv, "--seconds", "5");

    data = bench_alloc(1, (size_t) size + 1);
    memset(data, 'x', (size_t) size);

    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        bench_die("%s: %s", dir, strerror(errno));
    }
    check(mdb_env_create(&env), "mdb_env_create");
    check(mdb_env_set_mapsize(env, (size_t) 64 << 30), "mdb_env_set_mapsize");
    check(mdb_env_open(env, dir, 0, 0600), "mdb_env_open");
    check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
    check(mdb_dbi_open(txn, NULL, 0, &dbi), "mdb_dbi_open");
    check(mdb_txn_commit(txn), "mdb_txn_commit");

    n = 0;
    key.mv_data = &be;
    key.mv_size = sizeof(be);
    value.mv_data = data;
    value.mv_size = (size_t) size;

    began = bench_now_ns();
    end = began + (uint64_t) seconds * 1000000000;
    do {
        check(mdb_txn_begin(env, NULL, 0, &txn), "mdb_txn_begin");
        for (i = 0; i < batch; i++) {
            be = htobe64(++n);
            check(mdb_put(txn, dbi, &key, &value, batch > 1 ? MDB_APPEND : 0),
                  "mdb_put");
        }
        check(mdb_txn_commit(txn), "mdb_txn_commit");
        now = bench_now_ns();
    } while (now < end);

    printf("{\"events\":%llu,\"seconds\":%.3f,\"rate\":%.1f}\n",
           (unsigned long long) n, (double) (now - began) / 1e9,
           (double) n * 1e9 / (double) (now - began));

    mdb_env_close(env);
    free(data);
    return 0;
}
