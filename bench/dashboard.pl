# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: what the status of a partner costs, which a dashboard
# requests all the time.

use warnings;
use strict;

our ($rounds, $seconds, $t, %opt);

# The status of a partner with many endpoints and attempts, against one poll
# page: given again within a second, and read from the store each time, because
# each request comes with another key.
sub dashboard {
    my $endpoints = 100;
    my $events = $opt{quick} ? 100 : 1000;
    my $keys = 500;
    my ($key, $base) = serve($events, location => <<'CONF', server => <<'CONF');
eventsync_status on;
            eventsync_limit manage rate=1000000r/s burst=100000000;
CONF
        location = /hook { return 204; }
CONF
    my $feed = $t->json_get('/v1/feeds/bench', $key) or die "no feed\n";

    $t->ctl_ok('partner', 'change', 'bench', '--quota-keys=1000');
    $t->endpoint('bench', url => "$base/hook", feeds => 'bench',
        start => 'oldest', ordering => 'none') for 1 .. $endpoints;
    $t->run_dispatcher;
    wait_for(sub { attempts_counted($key) == $endpoints * $events }, 300)
        or die "not all was delivered\n";
    $t->stop_dispatcher;

    my @others = map { $t->partner_key('bench', scopes => 'read,manage') }
        1 .. $keys;
    my $many = $t->write_file('keys.lua', 'local keys = {'
        . join(',', map { qq("Bearer $_") } @others) . "}\nlocal i = 0\n"
        . "request = function()\n  i = i % #keys + 1\n"
        . "  return wrk.format(nil, nil, { authorization = keys[i] })\nend\n");
    my @auth = (headers => ["Authorization: Bearer $key"]);

    my $v = alternate($rounds,
        poll => sub { wrk(url => "$base/v1/feeds/bench/events?after="
            . "$feed->{epoch}-0&limit=100", seconds => $seconds, @auth) },
        status => sub { wrk(url => "$base/v1/status", seconds => $seconds,
            @auth) },
        read => sub { wrk(url => "$base/v1/status", seconds => $seconds,
            script => $many) });
    table('requests/s', ['a poll of 100 events', $v->{poll}],
        ["status of $endpoints endpoints, one key", $v->{status}],
        ['the same, each time another key', $v->{read}]);
    printf "  read each time to poll: %.3f (min %.3f, max %.3f)\n",
        @{ ratio($v->{read}, $v->{poll}) };
    verdict('dashboard', ratio($v->{status}, $v->{poll}), '>= 0.2');
}

# Attempts that the status shows.
sub attempts_counted {
    my $status = $t->json_get('/v1/status', $_[0]) or die "no status\n";
    my $n = 0;
    $n += $_->{figures}{day}{attempts} for @{ $status->{endpoints} };
    return $n;
}

1;
