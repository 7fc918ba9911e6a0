#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Rates: per partner and policy, in shared memory, changed at once, kept
# through a reload; and what a client is told.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 2);
$t->store_init->feed('orders');
my $acme = $t->partner_key('acme', feeds => '*', publish => '*');
my $acme2 = $t->partner_key('acme');
my $bolt = $t->partner_key('bolt', feeds => '*', publish => '*');
my $own = $t->partner_key('own', feeds => '*', publish => '*',
    limit_poll => '1r/h,burst=2', limit_publish => '1r/h,burst=3');

$t->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%%;
    eventsync_limit publish rate=1r/h burst=4;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;
            eventsync_limit poll rate=1r/m burst=10;

            location /legacy/ {
                eventsync_ratelimit_headers legacy;
            }

            location /silent/ {
                eventsync_ratelimit_headers off;
            }

            location /free/ {
                eventsync_limit poll off;
                eventsync_limit publish off;
            }

            location /fast/ {
                eventsync_limit poll rate=20r/s;
            }

            location /open/ {
                eventsync_auth off;
                eventsync_limit poll rate=1r/h burst=3;
            }
        }
    }
}
CONF
$t->run_nginx;

sub get {
    my ($place, $key, %headers) = @_;
    return $t->http(GET => "$place/feeds/orders/events", { %headers,
        $key ? (authorization => "Bearer $key") : () });
}

sub post {
    my ($place, $key, $n) = @_;
    return $t->http(POST => "$place/feeds/orders/events",
        { authorization => "Bearer $key",
          'content-type' => 'application/x-ndjson' },
        join "\n", map { $t->event } 1 .. $n);
}

sub json { return Test::Eventsync::json($_[0]{body}) }

sub header { return $_[0]{headers}{ $_[1] } // '' }

###############################################################################
# poll

my $answer = get('/v1', $acme);
is($answer->{status}, 200, 'the first');
is(header($answer, 'ratelimit-policy'), '"poll";q=10;w=600', 'policy');
like(header($answer, 'ratelimit'), qr/^"poll";r=9;t=(?:59|60)$/, 'limit');

my $etag = header($answer, 'etag');
for (1 .. 20) {
    $answer = get('/v1', $acme, 'if-none-match' => $etag);
    last if $answer->{status} != 304;
}
is($answer->{status}, 304, 'unchanged is free');
is(header($answer, 'ratelimit'), '', 'and says nothing of limits');
like(header(get('/v1', $acme2), 'ratelimit'), qr/^"poll";r=8;/,
    'another key of the partner has the same quota');
is($t->http(GET => '/v1/feeds/orders/events?foo=1',
    { authorization => "Bearer $acme" })->{status}, 400, 'an error is free');

my @calls = map { $t->http_start(GET => '/v1/feeds/orders/events',
    { authorization => "Bearer $acme" }) } 1 .. 20;
is(scalar(grep { $t->http_end($_)->{status} == 200 } @calls), 8,
    'exact among workers, all at once');

$answer = get('/v1', $acme);
is($answer->{status}, 429, 'over it');
is(header($answer, 'content-type'), 'application/problem+json', 'a problem');
is(header($answer, 'cache-control'), 'no-store', 'not to be stored');
my $doc = json($answer);
is($doc->{type},
    'https://iana.org/assignments/http-problem-types#quota-exceeded', 'type');
is($doc->{status}, 429, 'status');
is_deeply($doc->{'violated-policies'}, ['poll'], 'policy that was violated');
my ($seconds) = header($answer, 'ratelimit') =~ /^"poll";r=0;t=(\d+)$/;
ok($seconds && $seconds > 50 && $seconds <= 60, 'when there will be one');
my %retry = map { header(get('/v1', $acme), 'retry-after') => 1 } 1 .. 30;
ok(!(grep { $_ < $seconds - 2 || $_ > $seconds + 10 } keys %retry),
    'retry-after is not before it, nor much later');
cmp_ok(keys %retry, '>', 1, 'and not the same for all');

is(get('/v1', $bolt)->{status}, 200, 'another partner is not concerned');
is(get('/legacy', $acme)->{status}, 429, 'another location is no way round');
is(post('/v1', $acme, 1)->{status}, 201, 'another policy is not concerned');

is(get('/v1', $acme, 'if-none-match' => header(get('/free', $acme), 'etag'))
    ->{status}, 304, 'over the limit, unchanged is still answered');

###############################################################################
# headers

$answer = get('/legacy', $bolt);
is(join(' ', map { header($answer, "x-ratelimit-$_") } qw(limit remaining)),
    '10 8', 'legacy headers');
like(header($answer, 'x-ratelimit-reset'), qr/^1?[0-9]{2}$/, 'legacy reset');
is(header($answer, 'ratelimit'), '', 'legacy: not the others');

$answer = get('/silent', $bolt);
is(header($answer, $_), '', "off: no $_")
    for qw(ratelimit ratelimit-policy x-ratelimit-limit);
$answer = get('/silent', $acme);
is($answer->{status}, 429, 'off: limits all the same');
ok(header($answer, 'retry-after'), 'off: retry-after all the same');

$answer = get('/free', $acme);
is($answer->{status}, 200, 'no limit here');
is(header($answer, 'ratelimit'), '', 'no limit, no headers');

###############################################################################
# publish

$answer = post('/v1', $bolt, 3);
is($answer->{status}, 201, 'publish: inherited limit');
like(header($answer, 'ratelimit'), qr/^"publish";r=1;/, 'charged by event');
is(header($answer, 'ratelimit-policy'), '"publish";q=4;w=14400', 'its policy');
$answer = post('/v1', $bolt, 2);
is($answer->{status}, 429, 'publish: over it');
is_deeply(json($answer)->{'violated-policies'}, ['publish'], 'says which');
is(post('/v1', $bolt, 1)->{status}, 201, 'what was refused was not charged');

my $many = $t->partner_key('many', publish => '*');
$answer = post('/v1', $many, 5);
is($answer->{status}, 413, 'more than can ever come at once');
is(json($answer)->{maximum}, 4, 'says how many can');
is(post('/free', $bolt, 50)->{status}, 201, 'no limit here');

###############################################################################
# of the partner's own

is_deeply([ map { get('/v1', $own)->{status} } 1 .. 3 ], [ 200, 200, 429 ],
    "the partner's own limit goes before");
is(get('/free', $own)->{status}, 429, 'even where there is none');
is(header(get('/v1', $own), 'ratelimit-policy'), '"poll";q=2;w=7200',
    'and is told');
is(post('/v1', $own, 4)->{status}, 413, 'its own burst to publish');

$t->ctl_ok('partner', 'change', 'own', '--limit-poll=1r/h,burst=1000');
is(get('/v1', $own)->{status}, 200, 'changed at once');
$t->ctl_ok('partner', 'change', 'own', '--limit-poll=1r/h,burst=2');
is(get('/v1', $own)->{status}, 429, 'and back');

# What was owed at a slower rate is no debt of the new one.
my $raised = $t->partner_key('raised', feeds => '*', 'limit_poll' => '1r/d');
is(get('/v1', $raised)->{status}, 200, 'one a day');
is(get('/v1', $raised)->{status}, 429, 'and no more');
$t->ctl_ok('partner', 'change', 'raised', '--limit-poll=2r/s,burst=2');
my $refused = get('/v1', $raised);
is($refused->{status}, 429, 'a faster rate begins with an empty bucket');
sleep 2;
is(get('/v1', $raised)->{status}, 200, 'and admits when it said so');

###############################################################################
# time

my $fast = $t->partner_key('fast', feeds => '*');
my $began = time;
my $n = 0;
while (time - $began < 1) {
    $n++ if get('/fast', $fast)->{status} == 200;
}
cmp_ok($n, '>=', 2, 'a rate is earned');
cmp_ok($n, '<=', 2 + 20 * (time - $began), 'and not passed');
ok(wait_for(sub { join(' ', map { get('/fast', $fast)->{status} } 1, 2)
    eq '200 429' }), 'without burst, one by one');

###############################################################################
# without authentication

is_deeply([ map { get('/open')->{status} } 1 .. 4 ], [ 200, 200, 200, 429 ],
    'without authentication all share one meter');

###############################################################################
# reload

is(get('/v1', $acme)->{status}, 429, 'before reload');
ok($t->reload, 'reload');
is(get('/v1', $acme)->{status}, 429, 'the meter lives on');
is(get('/open')->{status}, 429, 'and the shared one');
like($t->read_file('error.log'),
    qr/\[info\].* eventsync limits partner "acme" by "poll"/, 'log says so');
$t->stop_nginx;

###############################################################################
# a zone that has no room

# The smallest zone: 8 pages, of which slab takes its own.  In memory, because
# each partner costs an fsync.
my $zoned = do {
    local $ENV{TMPDIR} = -w '/dev/shm' ? '/dev/shm' : $ENV{TMPDIR};
    Test::Eventsync->new;
};
$zoned->store_init->feed('orders');
my $first = $zoned->partner_key('first', feeds => '*');

my $ctl = $zoned->build . '/eventsyncctl --store=' . $zoned->store;
my @many = map {
    my $name = $_;
    $zoned->background("partners-$name", sub {
        exit(system("for i in \$(seq 450); do $ctl partner create $name\$i"
            . ' >/dev/null || exit 1; done') ? 1 : 0);
    });
} 'p', 'q';
is($_->wait(300), 0, 'hundreds of partners') for @many;
my $last = $zoned->partner_key('last', feeds => '*');

$zoned->write_file_expand('nginx.conf', <<'CONF');
events { }

http {
    eventsync_store %%STORE%% zone_size=64k;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_limit poll rate=1r/h burst=2;

            location /free/ {
                eventsync_limit poll off;
            }
        }
    }
}
CONF
$zoned->run_nginx;

sub zoned {
    my ($place, $key) = @_;
    return $zoned->http(GET => "$place/feeds/orders/events",
        { authorization => "Bearer $key" });
}

is_deeply([ map { zoned('', $first)->{status} } 1 .. 3 ], [ 200, 200, 429 ],
    'the smallest zone has room for a first partner');
$answer = zoned('', $last);
is($answer->{status}, 503, 'but not for the last of hundreds');
ok(header($answer, 'retry-after'), 'retry-after');
is(zoned('/free', $last)->{status}, 200, 'who is not limited needs no room');
like($zoned->read_file('error.log'),
    qr/\[error\].* has no room for partner "last" with number 902: /,
    'the operator is told');

done_testing();
