#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A partner with a thousand endpoints and a hundred thousand attempts: what the
# page holds, and what its requests read.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Browser;

my $t = Test::Eventsync->new;
browser($t->build);
my ($endpoints, $attempts) = (1000, 100);

$t->store_init;
$t->feed('orders');
my $key = $t->partner_key('acme', feeds => '*', scopes => 'read,manage');
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_ratelimit_headers draft;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ {
            eventsync_dashboard on;
            eventsync_status on;
            eventsync_endpoints on;
            eventsync_poll on;
            eventsync_limit manage rate=1r/h burst=100000;
        }
    }
}
CONF
$t->run_nginx;
$t->publish('orders', {});

system($t->build . '/helper/attempts', $t->store, 'acme', 'orders', $endpoints, $attempts) == 0
    or die "no attempts\n";

# What a request has read, by what the limit has charged for it: one, and one
# more for each hundred records.
my $left;
sub cost {
    my ($path) = @_;
    my $r = $t->http(GET => "/v1/$path", { authorization => "Bearer $key" });
    is($r->{status}, 200, $path =~ s/ep_\w+/ENDPOINT/r);
    my ($now) = $r->{headers}{ratelimit} =~ /"manage";r=(\d+)/ or die "no limit\n";
    my $cost = ($left // $now) - $now;
    $left = $now;
    return ($cost, Test::Eventsync::json($r->{body}));
}

# The limit is charged for what the answer before has read, so each is asked for
# twice.
my (undef, $status) = cost('status');
is(scalar @{ $status->{endpoints} }, $endpoints, 'the endpoints');
my $counted = 0;
$counted += $_->{figures}{day}{attempts} for @{ $status->{endpoints} };
is($counted, $endpoints * $attempts, 'and their attempts');
my ($one) = map { $_->{name} } @{ $status->{endpoints} };
my ($read) = cost("endpoints/$one/status");
cmp_ok($read, '<=', 3 * $endpoints / 100 + 2, 'the status reads some records of each endpoint');
for my $path ('status', 'attempts?limit=50', 'dead-letters?limit=50') {
    cost("endpoints/$one/$path");
    ($read) = cost("endpoints/$one");
    cmp_ok($read, '<=', 2, 'and others read no more than they give');
}

browse('dashboard_large.js', base => 'http://127.0.0.1:' . $t->port(0) . '/v1',
    key => $key, endpoints => $endpoints, attempts => $attempts);

$t->finish;
done_testing();
