# SPDX-License-Identifier: BSD-2-Clause

# Benchmark of bench/run: what the status of a partner costs, which a dashboard
# requests all the time.

use warnings;
use strict;

use Test::Eventsync::Browser;

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

# The page of a partner with many endpoints and attempts, in Chromium: until its
# first paint, and from the sign-in until the endpoints are listed.  Tasks of 50
# ms and more keep it from an answer meanwhile; the page lists, searches and
# turns pages in all of that time.
sub dashboard_page {
    my $endpoints = $opt{quick} ? 250 : 1000;
    my $attempts = 100;
    browser($t->build);
    my ($key, $base) = serve(1, location => <<'CONF');
eventsync_status on;
            eventsync_dashboard on;
            eventsync_endpoints on;
            eventsync_limit manage rate=1000000r/s burst=1000000;
CONF
    $key = $t->partner_key('bench', scopes => 'read,manage');
    system($t->build . '/helper/attempts', $t->store, 'bench', 'bench', $endpoints,
        $attempts) == 0 or die "no attempts\n";

    my %v;
    for my $round (1 .. $rounds) {
        my $figures;
        browse_checks('dashboard_large.js', sub {
            my ($good, $name, $seen) = @_;
            die "$name: failed\n" if !$good;
            $figures = $seen if $name eq 'figures';
        }, base => "$base/v1", key => $key, endpoints => $endpoints,
            attempts => $attempts, figures => 1);
        push @{ $v{$_} }, $figures->{$_} for keys %$figures;
    }
    table('ms', ['first paint', $v{paint}], ['sign-in until the list', $v{list}],
        ['tasks of 50 ms and more, in sum', $v{busy}], ['the longest task', $v{longest}]);
    verdict('dashboard-page', [map { $_ / 1000 } Bench::median(@{ $v{paint} }),
        (sort { $a <=> $b } @{ $v{paint} })[0, -1]], '<= 1');
}

# Many dashboards that are open at once, each of another partner with some
# endpoints, in Chromium, while an event a second is published to the feed that
# they follow: the processor time of the worker, in percent of a core.
sub dashboard_open {
    my $pages = $opt{quick} ? 5 : 50;
    my $time = $opt{quick} ? 5 : 30;
    browser($t->build);
    my (undef, $base) = serve(10, location => <<'CONF', server => <<'CONF');
eventsync_status on;
            eventsync_dashboard on;
            eventsync_endpoints on;
            eventsync_checkpoints on;
CONF
        location = /hook { return 204; }
CONF
    my @keys;
    for my $n (1 .. $pages) {
        push @keys, $t->partner_key("p$n", feeds => 'bench',
            scopes => 'read,manage');
        $t->endpoint("p$n", url => "$base/hook", feeds => 'bench',
            start => 'oldest') for 1 .. 5;
    }
    $t->run_dispatcher;
    my $publishes = $t->background('publishes', sub {
        for (my $n = 0; !$t->told_to_end; $n++) {
            $t->publish('bench', { id => "open-$n" });
            sleep 1;
        }
    });

    my %v;
    for my $round (1 .. $rounds) {
        my ($before, $began);
        browse_checks('dashboard_open.js', sub {
            my ($good, $name, $seen) = @_;
            die "$name: failed\n" if !$good;
            if ($name eq 'all are open') {
                ($before, $began) = (worker_cpu(), time);
            } else {
                push @{ $v{share} }, 100 * (worker_cpu() - $before)
                    / (time() - $began);
                push @{ $v{asked} }, $seen / $time;
            }
        }, base => "$base/v1", keys => \@keys, seconds => $time);
    }
    $t->tell_to_end;
    $publishes->wait(10);
    table('', ["requests of $pages pages, a second", $v{asked}]);
    verdict('dashboard-open', [Bench::median(@{ $v{share} }),
        (sort { $a <=> $b } @{ $v{share} })[0, -1]], '<= 3',
        'percent of a core');
}

# Attempts that the status shows.
sub attempts_counted {
    my $status = $t->json_get('/v1/status', $_[0]) or die "no status\n";
    my $n = 0;
    $n += $_->{figures}{day}{attempts} for @{ $status->{endpoints} };
    return $n;
}

1;
