#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Work that is refused is paid for: a unit before the body is read, the rest
# when the events are counted.  What a quota or the server refuses costs
# nothing.

use warnings;
use strict;

use IO::Compress::Gzip qw(gzip);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed('read')->feed('checked', schema => 'enforce');
$t->ctl_ok({ stdin => '{"properties":{"n":{"type":"integer"}}}' },
    'type', 'register', 't', '1.0.0');

my $preload = $t->build . '/fault.so';
$t->allow_errors(qr/cannot be reopened after a failed commit/);

$t->write_file_expand('nginx.conf', <<'CONF');
env ES_FAULT;
events { }

http {
    eventsync_store %%STORE%%;
    eventsync_limit publish rate=1r/d burst=5;
    eventsync_limit poll rate=1r/d burst=5;
    eventsync_limit manage rate=1r/d burst=4;
    log_format limit '$eventsync_limit_status';
    access_log %%TESTDIR%%/limit.log limit;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;
            eventsync_checkpoints on;
            eventsync_endpoints on;
            eventsync_backfill on;
            eventsync_max_event 4k;
            client_max_body_size 16k;

            location /dry/ {
                eventsync_limit_dry_run on;
            }

            location /open/ {
                eventsync_auth off;
                eventsync_limit address rate=1r/d burst=3;
            }
        }
    }
}
CONF

$t->run_nginx(-e $preload ? (env => { LD_PRELOAD => $preload,
    ES_FAULT => $t->testdir . '/fault' }) : ());

my $partners = 0;
my $json = 'application/cloudevents+json';
my $lines = 'application/x-ndjson';

# A partner of its own for each case, with a full meter.
sub fresh {
    return $t->partner_key('p' . ++$partners, feeds => '*', publish => $_[0] // '*',
        scopes => 'read,publish,ack,manage');
}

sub post {
    my ($key, $body, %opts) = @_;
    my $feed = $opts{feed} // 'orders';
    return $t->http(POST => ($opts{place} // '/v1') . "/feeds/$feed/events", {
        $opts{place} && $opts{place} eq '/open' ? ()
            : (authorization => "Bearer $key"),
        'content-type' => $opts{type} // $json, %{ $opts{headers} // {} },
    }, $body);
}

sub batch {
    my ($key, $events, %opts) = @_;
    return post($key, join("\n", @$events), type => $lines, %opts);
}

sub left {
    my ($answer, $policy) = @_;
    $policy //= 'publish';
    my ($left) = ($answer->{headers}{ratelimit} // '') =~ /"$policy";r=(\d+)/;
    return "$answer->{status} " . ($left // 'none');
}

sub json { return Test::Eventsync::json($_[0]{body}) }

sub ok_event { return $t->event(@_) }

###############################################################################
# what a single event is refused for

{
    my $key = $t->partner_key('twice', publish => '*');
    post($key, ok_event(id => 'twice', type => 'a'));
}

sub gz { my ($text) = @_; gzip(\$text => \my $out); return $out }

my @refused = (
    [ 'not JSON', 400, '{' ],
    [ 'no event', 400, '', type => $lines ],
    [ 'not a CloudEvent', 400, '{"specversion":"1.0"}' ],
    [ 'a body that is cut off', 400, substr(gz('x' x 100), 0, 20),
        headers => { 'content-encoding' => 'gzip' } ],
    [ 'another digest', 400, ok_event(), headers => { 'content-digest'
        => 'sha-256=:' . 'A' x 43 . '=:' } ],
    [ 'a conflict', 409, ok_event(id => 'twice', type => 'b') ],
    [ 'an event too large', 413, ok_event(data => 'x' x 5000) ],
    [ 'a body too large once it is decoded', 413,
        gz(ok_event(data => 'x' x 20000)),
        headers => { 'content-encoding' => 'gzip' } ],
    [ 'a chunked body too large for nginx', 413,
        sprintf("%x\r\n%s\r\n0\r\n\r\n", 17000, 'x' x 17000),
        headers => { 'transfer-encoding' => 'chunked' } ],
    [ 'no such feed', 404, ok_event(), feed => 'nothing' ],
    [ 'another schema', 422, ok_event(type => 't', data => { n => 'x' }),
        feed => 'checked' ],
);

for my $case (@refused) {
    my ($name, $status, $body, %opts) = @$case;
    my $key = fresh();
    my $nginx = $name =~ /nginx/;

    is_deeply([ map { left(post($key, $body, %opts)) } 1 .. 5 ],
        [ map { "$status " . ($nginx ? 'none' : $_) } reverse 0 .. 4 ],
        "$name: each is charged, and the answer says so");
    is(left(post($key, $body, %opts)), '429 0', "$name: then refused unread");
    is(left(post($key, ok_event())), '429 0', "$name: as what is right");
}

###############################################################################
# what is refused before it is read, or by nginx

for my $case (
    [ 'media type', 415, ok_event(), type => 'text/plain' ],
    [ 'coding', 415, ok_event(), headers => { 'content-encoding' => 'lzma' } ],
    [ 'a field of the body', 400, ok_event(), headers => {
        'content-range' => 'bytes 0-1/2' } ],
    [ 'a feed that the key may not publish to', 403, ok_event(), feed => 'read' ],
    [ 'a length too large for nginx', 413, 'x' x 17000 ],
) {
    my ($name, $status, $body, %opts) = @$case;
    my $key = fresh('orders');
    is(left(post($key, $body, %opts)), "$status none", "$name: is free") for 1, 2;
    is(left(post($key, ok_event())), '201 4', "$name: nothing was charged");
}

###############################################################################
# many events

my $key = fresh();
is(left(batch($key, [ ok_event(), '{', ok_event() ])), '400 4',
    'an event that cannot be read: one unit for what was read');
is(left(batch($key, [ ok_event(), ok_event(id => 'twice', type => 'b') ])),
    '409 2', 'a conflict: all events');
is(left(batch($key, [ map { ok_event(type => 't', data => { n => $_ }) } 1, 'x' ],
    feed => 'checked')), '422 0', 'another schema: all events');

$key = fresh();
is(left(batch($key, [ map { ok_event() } 1 .. 3 ])), '201 2', 'three at once');
my $answer = batch($key, [ map { ok_event() } 1 .. 3 ]);
is(left($answer), '429 2', 'over the quota: the unit is returned');
is_deeply(json($answer)->{'violated-policies'}, ['publish'], 'it says why');
is(left(batch($key, [ map { ok_event(type => 't', data => { n => 'x' }) } 1 .. 3 ],
    feed => 'checked')), '429 2',
    'over the quota: events are not validated before they are charged');
is(left(batch($key, [ map { ok_event(type => 't', data => { n => $_ }) } 1 .. 2 ],
    feed => 'checked')), '201 0', 'those that fit are');

$key = fresh();
$answer = batch($key, [ map { ok_event() } 1 .. 6 ]);
is(left($answer), '413 4', 'more than ever fit: one unit for what was read');
is(json($answer)->{maximum}, 5, 'with the maximum');
like(json($answer)->{detail}, qr/^6 events /, 'and how many there are');

###############################################################################
# a dry run

$key = fresh();
is(left(batch($key, [ map { ok_event() } 1 .. 3 ])), '201 2', 'dry: three');
is(batch($key, [ map { ok_event() } 1 .. 3 ], place => '/dry')->{status}, 201,
    'dry: more than is left');
is(left(batch($key, [ map { ok_event() } 1 .. 2 ])), '201 0',
    'dry: charged nothing, as if refused');
is(batch($key, [ map { ok_event() } 1 .. 3 ], place => '/dry')->{status}, 201,
    'dry: without anything left');
ok(wait_for(sub { $t->read_file('limit.log')
    =~ /PASSED\nREJECTED_DRY_RUN\nPASSED\nREJECTED_DRY_RUN\n\z/ }), 'dry: logged');

###############################################################################
# without authentication

is(left(batch('', [ map { ok_event() } 1 .. 3 ], place => '/open'), 'address'),
    '201 2', 'open: a request counts once for its address');
is(left(post('', '{', place => '/open'), 'address'), '400 1',
    'open: also a refused one');
is(left(batch('', [ map { ok_event() } 1 .. 5 ], place => '/open'), 'address'),
    '429 1', 'open: the address gets its unit back as well');

###############################################################################
# other writes, and reads that need work first

sub ask {
    my ($key, $method, $path, $body, %headers) = @_;
    return $t->http($method, "/v1/$path", { authorization => "Bearer $key",
        defined $body ? ('content-type' => 'application/json') : (),
        %headers }, $body);
}

$key = fresh();
is(left(ask($key, PUT => 'feeds/orders/checkpoints/one', '{'), 'poll'), '400 4',
    'a checkpoint that is not JSON is charged');
is(left(ask($key, POST => 'endpoints', '{"url":1}'), 'manage'), '400 3',
    'an endpoint with a wrong member is charged');
$answer = ask($key, POST => 'endpoints',
    '{"url":"https://example.com/","feeds":["orders"]}');
is(left($answer), '201 none', 'an endpoint');
is(left($answer, 'manage'), '201 2', 'is charged');
my ($path) = $answer->{headers}{location} =~ m{^/v1/(.*)};
$answer = ask($key, GET => $path);
is(left($answer, 'manage'), '200 1', 'an endpoint that is shown is charged');
my %match = ('if-none-match' => $answer->{headers}{etag});
is(ask($key, GET => $path, undef, %match)->{status}, 304, 'unchanged is free')
    for 1 .. 3;
is(left(ask($key, GET => "$path-x"), 'manage'), '404 0', 'one that is not there is charged');
is(left(ask($key, GET => $path, undef, %match), 'manage'), '429 0',
    'over the quota: nothing is looked up, whatever is known');

###############################################################################
# what the server refuses

SKIP: {
    skip 'needs fault.so', 10 unless -e $preload;

    my $key = fresh();
    my $break = sub {
        $t->write_file('fault.new', $_[0] ? "meta /log/ meta /checkpoints/\n" : '');
        rename $t->testdir . '/fault.new', $t->testdir . '/fault' or die;
    };

    $break->(1);
    is(left(batch($key, [ map { ok_event() } 1 .. 3 ])), '503 5',
        'the disk fails: nothing is charged');
    is(left(ask($key, PUT => 'feeds/orders/checkpoints/one',
        '{"cursor":"' . cursor() . '"}'), 'poll'), '503 5',
        'nor for a checkpoint');
    $break->(0);
    ok(wait_for(sub { post($t->master_key, ok_event())->{status} == 201 }, 20),
        'the disk is well');
    is(left(post($key, ok_event())), '201 4', 'it was not');
}

sub cursor {
    return $t->poll('orders', from => 'oldest', limit => 1)->{next};
}

done_testing();
