# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: the memory that a client costs which requests 4 MB
# and reads nothing.

use warnings;
use strict;

our ($rounds, $t, $build, %opt);

# Polls and snapshots, against a file of the same bytes that nginx sends as it
# does by default.
sub unread {
    my $clients = $opt{quick} ? 100 : 1000;
    my ($key) = serve(0, connections => $clients + 200,
        main => 'worker_rlimit_nofile ' . (2 * $clients + 500) . ';',
        listen => 'sndbuf=64k', location => 'eventsync_snapshot on;',
        server => <<'CONF');
        location /static/ { default_type application/json; root %%TESTDIR%%; }
CONF
    $t->{master_key} = $key;
    for my $commit (0 .. 3) {
        $t->publish('bench', map { { subject => 's' . ($commit * 250 + $_),
            data => { x => 'x' x 3900 } } } 1 .. 250)->{status} == 201
            or die "publish failed\n";
    }

    my %path = (polls => '/v1/feeds/bench/events?limit=1000',
        snapshots => '/v1/feeds/bench/snapshot?limit=1000',
        static => '/static/page');
    my $headers = { authorization => "Bearer $key" };
    mkdir $t->testdir . '/static';
    my $page = $t->http(GET => $path{polls}, $headers)->{body};
    length $page > 4_000_000 or die "no page of 4 MB\n";
    $t->write_file('static/page', $page);

    # What is freed stays in the worker's heap, so each side has a worker of
    # its own, and the memory of an idle one is that of a worker after one
    # whole answer.
    my $v = alternate($rounds, map {
        my $path = $path{$_};
        ($_ => sub {
            $t->reload or die "no reload\n";
            $t->http(GET => $path, $headers) for 1, 2;
            my $before = worker_kb();
            my @socks = map { $t->stalled($path, $headers) } 1 .. $clients;
            for my $sock (@socks) {
                sysread $sock, my $line, 12;
                die "answer: $line\n" if $line ne 'HTTP/1.1 200';
            }
            return (worker_kb() - $before) / $clients;
        })
    } keys %path);

    table("KB of a worker for each of $clients clients that read nothing",
        ['polls of 4 MB', $v->{polls}], ['snapshots of 4 MB', $v->{snapshots}],
        ['a file of 4 MB', $v->{static}]);
    verdict('unread (snapshots)', ratio($v->{snapshots}, $v->{static}),
        '<= 1.0');
    verdict('unread (polls)', ratio($v->{polls}, $v->{static}), '<= 1.0');
}

1;
