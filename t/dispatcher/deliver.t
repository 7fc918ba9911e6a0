#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Webhooks: what is sent, signed with what, to whom, from where on.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(200);
my ($name, $secret) = $t->endpoint('acme', url => $recv->url('/a?b=c'),
    feeds => 'orders', start => 'oldest');

my $trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
put($t, 'orders', { traceparent => $trace, tracestate => ' a=1, b="2" ',
        data => \'{"n":1.50,"b":"\u00e9"}' },
    { traceparent => 'not one' }, { subject => 'order/7' });
$t->run_dispatcher;

###############################################################################
# one delivery

my @got = $recv->wait_for(3);
is(scalar @got, 3, 'every event is sent');
my $first = $got[0];
my $h = $first->{headers};

is("$first->{method} $first->{path}", 'POST /a?b=c', 'by POST to the URL');
is($first->{body}, (stored($t, 'orders'))[0], 'the body is the stored event');
is($h->{'content-type'}, 'application/json', 'as JSON');
like($h->{'user-agent'}, qr{^eventsync/\d+\.\d+}, 'by eventsync');
is($h->{'webhook-id'}, Test::Eventsync::json($first->{body})->{id},
    'webhook-id is the event\'s id');
ok(abs($h->{'webhook-timestamp'} - time()) < 60, 'with the present time');
ok(signature_ok($_, $secret), 'signed') for @got;
is($h->{'eventsync-attempt'}, 1, 'the attempt is said');
is($h->{'eventsync-feed'}, 'orders', 'and the feed');
my ($id, $span) = $trace =~ /^(00-\w+-)(\w+)-01$/;
like($h->{traceparent}, qr/^\Q$id\E(?!$span)\w{16}-01$/,
    'the trace goes on with a span of the attempt');
is($h->{tracestate}, 'a=1,b="2"', 'with its state');
ok(!exists $got[1]{headers}{traceparent}, 'unless it is none');
ok(!exists $h->{expect}, 'nothing is expected before the body');
is_deeply([header_list($got[1])], [sort qw(accept content-length content-type
    eventsync-attempt eventsync-feed host user-agent webhook-id
    webhook-signature webhook-timestamp)], 'no other header is sent');
is($got[0]{conn}, $got[2]{conn}, 'the connection is kept');

ok(wait_for(sub { attempts($t, $name) == 3 }), 'every attempt is on record');
my ($attempt) = attempts($t, $name);
is("$attempt->{sequence} $attempt->{attempt} $attempt->{status} "
    . $attempt->{class}, '1 1 200 ok', 'as it was');

###############################################################################
# the registry changes

my ($second, $other) = $t->endpoint('acme', url => $recv->url('/second'),
    feeds => 'orders');
put($t, 'orders', 2);
my @after = $recv->wait_for(7);
is_deeply([sort(map { "$_->{path} " . (sequences($_))[0] } @after[3 .. 6])],
    ['/a?b=c 4', '/a?b=c 5', '/second 4', '/second 5'],
    'a new endpoint is sent what comes after its creation');
ok(signature_ok((grep { $_->{path} eq '/second' } @after)[0], $other),
    'signed with its own secret');

my $more = 'whsec_' . 'QUJD' x 11;
$t->ctl_ok('endpoint', 'change', $name, "--secret=$secret,$more");
$t->ctl_ok('endpoint', 'pause', $second);
ok(wait_for(sub {
    my $n = $recv->count;
    put($t, 'orders', 1);
    my @new = $recv->wait_for($n + 1) or return;
    return signature_ok($new[-1], $more) && signature_ok($new[-1], $secret);
}), 'every secret of an endpoint signs');

my $second_had = grep { $_->{path} eq '/second' } $recv->requests;
$t->ctl_ok('endpoint', 'resume', $second);
my $last = () = stored($t, 'orders');
ok(wait_for(sub {
    my ($latest) = reverse grep { $_->{path} eq '/second' } $recv->requests;
    return (sequences($latest))[0] == $last;
}), 'a paused endpoint has lost nothing when it is resumed');
is_deeply([sequences(grep { $_->{path} eq '/second' } $recv->requests)],
    [4 .. $last], 'and was sent everything once, in order');

$t->ctl_ok('endpoint', 'remove', $second);
$t->ctl_ok('partner', 'change', 'acme', '--disabled');
my $before = $recv->count;
put($t, 'orders', 1);
# It is taken up when the dispatcher sees the next change.
$t->ctl_ok('partner', 'change', 'acme', '--enabled');
ok($recv->wait_for($before + 1), 'nothing is lost by a disabled partner');

###############################################################################
# feeds and filters

my $all = $t->endpoint('acme', url => $recv->url('/all'),
    feeds => 'new-*', types => 'order.*');
sub all_got { grep { $_->{path} eq '/all' } $recv->requests }

$t->feed('new-one');
put_types($t, 'new-one', qw(x order.a x x order.b order.c));
ok(wait_for(sub { all_got() == 3 }), 'a new feed is sent from its beginning');
my @bodies = map { Test::Eventsync::json($_->{body}) } all_got();
is_deeply([map { $_->{type} } @bodies], [qw(order.a order.b order.c)],
    'only the types that were asked for');
my @cursors = map { $_->{cursor} } @bodies;
(my $beginning = $cursors[0]) =~ s/-\d+$/-0/;
is_deeply([map { $_->{prevcursor} } @bodies],
    [$beginning, @cursors[0, 1]], 'each says which was sent before');

my @texts = stored($t, 'new-one');
(my $expected = $texts[4]) =~ s/("prevcursor":")[^"]*/$1$cursors[0]/;
is((all_got())[1]{body}, $expected, 'the rest is as stored');

# More than are read without the index of types.
put_types($t, 'new-one', (qw(order orders.a order-a)) x 70, 'order.d');
ok(wait_for(sub { all_got() == 4 }), 'a type that only begins alike is another');
$t->ctl_ok('endpoint', 'pause', $all);
put_types($t, 'new-one', (qw(order orders.a order-a)) x 70, 'order.e');
$t->ctl_ok('endpoint', 'resume', $all);
ok(wait_for(sub { all_got() == 5 }), 'also to an endpoint that was behind');
is(Test::Eventsync::json((all_got())[-1]{body})->{type}, 'order.e',
    'and is sent what it asked for');

$t->ctl_ok('feed', 'create', 'old-one');
put($t, 'old-one', 3);
sleep 2;                        # it looks at the log each second at least
$t->ctl_ok('endpoint', 'change', $all, '--feeds=new-*,old-*', '--types=*');
ok(wait_for(sub {
    put($t, 'old-one', 1);
    return (all_got()) > 5;
}), 'a feed that is added to an endpoint is sent');
cmp_ok((sequences((all_got())[5]))[0], '>', 3,
    'but not what was there before');

###############################################################################
# the poll's bytes, and an independent verifier

SKIP: {
    my $verifier = $t->build . '/node_modules/standardwebhooks';
    skip 'no standardwebhooks', 1 unless -d $verifier;

    $t->write_file('verify.js', <<"JS");
const { Webhook } = require(process.argv[2]);
const lines = require('fs').readFileSync(process.argv[3], 'utf8')
    .trim().split('\\n').map(JSON.parse);
const hook = new Webhook('$secret');
let n = 0;
for (const line of lines) {
    if (line.path === '/a?b=c') {
        hook.verify(Buffer.from(line.body, 'utf8').toString(), line.headers);
        n++;
    }
}
console.log(n);
JS
    my $node = $t->start('node', {}, 'node', $t->testdir . '/verify.js',
        $verifier, $recv->{log});
    $node->wait(30);
    cmp_ok($node->stdout || 0, '>=', 5,
        'standardwebhooks verifies them all') or diag($node->stderr);
}

is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
