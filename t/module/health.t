#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Health: a worker that runs is healthy, whatever becomes of its store; it is
# ready when the store can be read and the dispatcher lives.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders');
my $key = $t->master_key;

# A store that has gone since, and one whose registry cannot be read.
mkdir $t->testdir . '/gone';
$t->write_file('gone/format', $t->read_file($t->store . '/format'));
{
    local $t->{store} = $t->testdir . '/damaged';
    local $t->{partners} = {};
    $t->ctl_ok('init');
    $t->partner_key('acme');
    my $text = $t->read_file('damaged/registry/data.mdb');
    $text =~ s/\{"/["/g;
    $t->write_file('damaged/registry/data.mdb', $text);
}

$t->default_conf(server => <<'CONF', http => <<'HTTP');
        location /ops/ {
            eventsync_health on;
            eventsync_limit poll rate=1r/d burst=1;
            eventsync_limit address rate=1r/d burst=1;
        }
        location /soon/ {
            eventsync_health on;
            eventsync_ready_dispatcher 5s;
        }
        location /alone/ {
            eventsync_health on;
            eventsync_ready_dispatcher off;
        }
        location = /healthz { eventsync_health on; }
CONF
    server {
        listen 127.0.0.1:%%PORT_1%%;
        eventsync_store %%TESTDIR%%/gone;
        location /ops/ { eventsync_health on; }
        location /alone/ { eventsync_health on; eventsync_ready_dispatcher off; }
    }
    server {
        listen 127.0.0.1:%%PORT_2%%;
        eventsync_store %%TESTDIR%%/damaged;
        location /ops/ { eventsync_health on; }
    }
HTTP
$t->run_nginx;

sub get {
    my ($path, $port) = @_;
    return $t->http(GET => $path, {}, undef, port => $t->port($port // 0));
}

# Status and what the checks say.
sub ready {
    my $answer = get(@_);
    my $json = Test::Eventsync::json($answer->{body});
    return join ' ', $answer->{status}, $json->{status},
        map { "$_=$json->{checks}{$_}" } sort keys %{ $json->{checks} };
}

###############################################################################
# what it looks like

my $answer = get('/ops/healthz');
is("$answer->{status} $answer->{body}", '200 {"status":"ok"}', 'healthy');
is($answer->{headers}{'content-type'}, 'application/json', 'type');
is($answer->{headers}{'cache-control'}, 'no-store', 'not to be stored');
is(get('/healthz')->{status}, 200, 'in a location of its own');
is(get('/v1/healthz')->{status}, 404, 'where it is on');

$answer = get('/ops/readyz');
is($answer->{body}, '{"status":"unavailable","checks":{"store":"ok",'
    . '"dispatcher":"never"}}', 'a dispatcher has never run');
is($answer->{status}, 503, 'not ready');
is($answer->{headers}{'content-type'}, 'application/json', 'type');
is($answer->{headers}{'cache-control'}, 'no-store', 'not to be stored');
is(ready('/alone/readyz'), '200 ok store=ok', 'unless nobody asks for it');

for my $path (qw(/ops/healthz /ops/readyz)) {
    is(get("$path?x=1")->{status}, 400, "$path: unknown parameter");
    $answer = $t->http(POST => $path, {}, 'x');
    is("$answer->{status} $answer->{headers}{allow}",
        '405 GET, HEAD, OPTIONS', "$path: method");
    my ($head, $get) = map { $t->http($_ => $path) } qw(HEAD GET);
    is("$head->{status} $head->{headers}{'content-length'}",
        "$get->{status} " . length $get->{body}, "$path: head");
}

###############################################################################
# the dispatcher

my $dispatcher = $t->run_dispatcher;
ok(wait_for(sub { ready('/soon/readyz') eq
    '200 ok dispatcher=ok store=ok' }), 'a dispatcher runs');
is_deeply([ map { get('/ops/readyz')->{status} } 1 .. 5 ],
    [ (200) x 5 ], 'free of charge');

$dispatcher->kill('STOP');
ok(wait_for(sub { ready('/soon/readyz') eq
    '503 unavailable dispatcher=late store=ok' }, 30),
    'one that hangs is late');
is(ready('/ops/readyz'), '200 ok dispatcher=ok store=ok',
    'but not for who has more patience');
is(get('/soon/healthz')->{status}, 200, 'and nginx is healthy');
$dispatcher->kill('CONT');
ok(wait_for(sub { get('/soon/readyz')->{status} == 200 }),
    'it comes back by itself');

$t->stop_dispatcher('KILL');
is(get('/ops/readyz')->{status}, 200, 'one that was killed is not missed yet');
ok(wait_for(sub { ready('/soon/readyz') eq
    '503 unavailable dispatcher=late store=ok' }, 30), 'but soon');

SKIP: {
    my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';
    skip 'needs faketime', 1 unless $lib;
    skip 'not under a sanitizer', 1 if $t->sanitized;

    $t->run_dispatcher({ env => { LD_PRELOAD => $lib, FAKETIME => '+1h',
        FAKETIME_DONT_FAKE_MONOTONIC => 1 } });
    ok(wait_for(sub { ready('/ops/readyz') =~ /^200 .*dispatcher=ok/ }, 20),
        'one whose clock is wrong is not late');
    $t->stop_dispatcher;
}

###############################################################################
# the store

is(get('/ops/healthz', 1)->{status}, 200, 'healthy without a store');
is(ready('/ops/readyz', 1), '503 unavailable dispatcher=unknown store=closed',
    'but not ready');
is(ready('/alone/readyz', 1), '503 unavailable store=closed',
    'whoever asks');
is(get('/ops/healthz', 2)->{status}, 200, 'healthy with a damaged registry');
is(ready('/ops/readyz', 2), '503 unavailable dispatcher=never store=failed',
    'but not ready');
is(get('/alone/readyz')->{status}, 200, 'which is nothing to other stores');

ok($t->reload, 'a reload');
is(get('/ops/healthz')->{status}, 200, 'healthy after it');

done_testing();
