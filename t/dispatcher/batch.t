#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What a request carries: events without their data, and several at once.

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(bulk big slow);
my $broken = $t->testdir . '/broken';
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return 200 if !-e $broken;
    return $request->{body} =~ /"poison"/ ? 400 : 200;
});

sub endpoint {
    my ($path, %opts) = @_;
    my ($name, $secret) = $t->endpoint('acme', url => $recv->url($path),
        feeds => 'bulk', start => 'oldest', %opts);
    return wantarray ? ($name, $secret) : $name;
}
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub events { map { my $e = Test::Eventsync::json($_->{body});
    ref $e eq 'ARRAY' ? @$e : $e } @_ }
sub ids { map { $_->{id} } events(@_) }

###############################################################################
# thin

my ($thin, $secret) = endpoint('/thin', body => 'thin');
my $thin_some = endpoint('/some', body => 'thin', types => 'b');
my @ids = put($t, 'bulk', { type => 'a' }, { type => 'b', subject => 's' },
    { type => 'a' }, { type => 'b' });
$t->run_dispatcher;
ok(wait_for(sub { came('/thin') == 4 && came('/some') == 2 }),
    'thin events come');
my @whole = map { Test::Eventsync::json($_) } stored($t, 'bulk');
for my $e (@whole) {
    ok(exists $e->{data}, 'an event has data');
    delete $e->{data};
}
is_deeply([events(came('/thin'))], \@whole, 'thin ones have all but that');
is(scalar(grep { !signature_ok($_, $secret) } came('/thin')), 0,
    'what is signed is what is sent');
is((came('/thin'))[0]{headers}{'content-type'},
    'application/json', 'and is one event');
my @some = events(came('/some'));
is($some[1]{prevcursor}, $some[0]{cursor}, 'with a filter prevcursor is right');
ok(!exists $some[1]{data}, 'and they are thin too');
$t->ctl_ok('endpoint', 'remove', $_) for $thin, $thin_some;

###############################################################################
# batches

is($t->stop_dispatcher, 0, 'stop');
push @ids, put($t, 'bulk', 21);
my ($batch, $key) = endpoint('/batch', batch => 10);
my $none = endpoint('/none', batch => 4, ordering => 'none', body => 'thin');
my $some = endpoint('/types', batch => 10, types => 'b');
my $one = endpoint('/one', batch => 1);
$t->run_dispatcher;
ok(wait_for(sub { ids(came('/batch')) >= 25 && ids(came('/none')) >= 25
    && came('/one') == 25 && came('/types') == 1 }), 'all comes in batches');
is_deeply([ids(came('/batch'))], \@ids, 'in order and once');
is_deeply([map { scalar events($_) } came('/batch')], [10, 10, 5],
    'as many as it says, and the rest');
is_deeply([sort(ids(came('/none')))], [sort @ids], 'once without an order');
is(scalar(grep { events($_) > 4 } came('/none')), 0, 'none has more than it says');
my ($first, undef, $last) = came('/batch');
is($first->{headers}{'content-type'}, 'application/json',
    'the type of a batch');
is(scalar(grep { !signature_ok($_, $key) } came('/batch')), 0,
    'it is signed as a whole');
is($first->{headers}{'webhook-id'},
    'batch-' . substr(sha256_hex(join '', map { "$_\0" } @ids[0 .. 9]), 0, 32),
    'its id is made of those of its events');
is($first->{headers}{'eventsync-attempt'}, 1, 'the attempt');
like((came('/one'))[0]{body}, qr/^\{/, 'a batch of one is none');
is_deeply([map { "$_->{sequence}/$_->{attempt}/$_->{class}" }
    attempts($t, $batch)], [map { "$_/1/ok" } 1 .. 25],
    'each event has its attempt on record');
my ($two) = map { [events($_)] } came('/types');
is($two->[1]{prevcursor}, $two->[0]{cursor},
    'with a filter prevcursor is right within a batch');
put($t, 'bulk', { id => 'lonely' });
ok(wait_for(sub { came('/batch') == 4 }), 'one alone');
is((came('/batch'))[3]{headers}{'webhook-id'}, 'lonely', 'has its own id');
like((came('/batch'))[3]{body}, qr/^\[\{.*\}\]$/, 'in a batch all the same');
$t->ctl_ok('endpoint', 'remove', $_) for $none, $some;
for ([$batch, 4, '/batch', 'application/cloudevents-batch+json'],
    [$one, 26, '/one', 'application/cloudevents+json'])
{
    my ($name, $before, $path, $type) = @$_;
    $t->ctl_ok('endpoint', 'change', $name,
        '--content-type=application/cloudevents+json');
    put($t, 'bulk', 1);
    ok(wait_for(sub { came($path) > $before }), 'one more event');
    is((came($path))[-1]{headers}{'content-type'}, $type,
        "... with the type that the record asks for: $type");
    $t->ctl_ok('endpoint', 'remove', $name);
}

###############################################################################
# a batch without an answer is repeated whole, under its own id

for my $ordering (qw(fifo none)) {
    for my $how ({ reset => 1 }, 429) {
        my $lost = $t->receiver(sub { $_[0]{n} <= 2 ? $how : 200 });
        my $name = $t->endpoint('acme', url => $lost->url, feeds => 'bulk',
            start => 'latest', ordering => $ordering, batch => 5,
            batch_wait => '1s', schedule => '0,10ms,10ms,10ms');
        ok(wait_for(sub { grep { ($_->{behind} // '') eq '0' }
            status_lines($t, $name) }), "an endpoint with $ordering");
        my @put = put($t, 'bulk', 5);
        ok($lost->wait_for(2), ref $how ? 'a batch whose answer is lost, twice'
            : 'a batch for a receiver that is busy');
        is($t->stop_dispatcher, 0, 'a stop in between');
        $t->run_dispatcher;
        ok($lost->wait_for(3), '... is sent again');
        my @sent = $lost->requests;
        is_deeply([map { [ids($_)] } @sent], [([@put]) x 3], '... whole');
        is(scalar(keys %{{ map { $_->{headers}{'webhook-id'} => 1 } @sent }}),
            1, '... under the same id');
        is($sent[2]{headers}{'eventsync-attempt'}, ref $how ? 3 : 1,
            '... as its attempt of that number');
        ok(wait_for(sub { !retries($t, $name) }), '... and is delivered');
        $t->ctl_ok('endpoint', 'remove', $name);
    }
}

{
    my $hung = $t->receiver(sub { $_[0]{n} == 1 ? { hang => 1 } : 200 });
    my $name = $t->endpoint('acme', url => $hung->url, feeds => 'bulk',
        start => 'latest', batch => 5, batch_wait => '1s');
    ok(wait_for(sub { grep { ($_->{behind} // '') eq '0' }
        status_lines($t, $name) }), 'an endpoint');
    my @put = put($t, 'bulk', 5);
    ok($hung->wait_for(1), 'a batch is in flight');
    $t->stop_dispatcher('KILL');
    put($t, 'bulk', 2);
    $t->run_dispatcher;
    ok($hung->wait_for(3), 'after a kill all is sent');
    my @sent = $hung->requests;
    is_deeply([ids($sent[1])], \@put, '... and that batch whole');
    is($sent[1]{headers}{'webhook-id'}, $sent[0]{headers}{'webhook-id'},
        '... under the same id');
    $t->ctl_ok('endpoint', 'remove', $name);
}

{
    my $never = $t->receiver(sub {
        $_[0]{body} =~ /"poison"/ ? { reset => 1 } : 200 });
    my $name = $t->endpoint('acme', url => $never->url, feeds => 'bulk',
        start => 'latest', batch => 3, batch_wait => '1s', ordering => 'none',
        schedule => '0,10ms,10ms');
    ok(wait_for(sub { grep { ($_->{behind} // '') eq '0' }
        status_lines($t, $name) }), 'an endpoint');
    my @put = put($t, 'bulk', {}, { data => 'poison' }, {});
    ok(wait_for(sub { dead($t, $name) == 1 }),
        'an event that the receiver never answers is a dead letter');
    ok(wait_for(sub { attempts($t, $name) == 3 * 3 }), '... after three attempts');
    my %of;
    push @{ $of{ $_->{headers}{'eventsync-attempt'} } }, scalar events($_)
        for $never->requests;
    is_deeply([map { my $n = $_; [grep { $_ != ($n < 3 ? 3 : 1) } @{ $of{$n} }] }
        1 .. 3], [[], [], []], '... two of the batch, and one of each event');
    is_deeply([sort(map { ids($_) } grep { $_->{body} !~ /"poison"/ }
        $never->requests)], [sort @put[0, 2]], '... and the others come');
    $t->ctl_ok('endpoint', 'remove', $name);
}

###############################################################################
# a batch that is refused for its size is halved

for my $ordering (qw(fifo none)) {
    my $small = $t->receiver(sub {
        my ($request) = @_;
        return length $request->{body} > 20_000 ? 413 : 200;
    });
    my $name = $t->endpoint('acme', url => $small->url, feeds => 'bulk',
        start => 'latest', batch => 8, batch_wait => '1s',
        ordering => $ordering, schedule => '0');
    ok(wait_for(sub { grep { ($_->{behind} // '') eq '0' }
        status_lines($t, $name) }), "an endpoint with $ordering");
    my @put = put($t, 'bulk', map { { data => 'x' x 4000 } } 1 .. 8);
    ok($small->wait_for(3), 'a batch of 32 KB, where 20 KB are allowed');
    is_deeply([map { [ids($_)] } $small->requests],
        [[@put], [@put[0 .. 3]], [@put[4 .. 7]]], '... is sent in halves')
        if $ordering eq 'fifo';
    push @put, put($t, 'bulk', map { { data => 'x' x 4000 } } 1 .. 8);
    ok(wait_for(sub { ids(grep { length $_->{body} <= 20_000 }
        $small->requests) == 16 }), '... and so is all that comes');
    is(scalar(grep { length $_->{body} > 20_000 } $small->requests), 1,
        '... without another refusal');
    is(dead($t, $name), 0, '... though the schedule has one attempt');
    $t->ctl_ok('endpoint', 'remove', $name);
}

{
    my $abort = $t->receiver({ status => 413,
        headers => { 'Webhook-Delivery' => 'abort' } });
    my $name = $t->endpoint('acme', url => $abort->url, feeds => 'bulk',
        start => 'latest', batch => 4, batch_wait => '1s', schedule => '0,1h');
    ok(wait_for(sub { grep { ($_->{behind} // '') eq '0' }
        status_lines($t, $name) }), 'an endpoint');
    put($t, 'bulk', 4);
    ok(wait_for(sub { dead($t, $name) == 4 }),
        'a batch that is refused for good becomes dead letters');
    is(scalar $abort->requests, 1, '... at once, and in no halves');
    $t->ctl_ok('endpoint', 'remove', $name);
}

###############################################################################
# what fails in a batch is tried again alone

$t->write_file('broken', '');
my $poisoned = endpoint('/poisoned', batch => 5, ordering => 'none',
    schedule => '0,10ms,20ms', start => 'latest');
my $fifo = endpoint('/fifo', batch => 5, schedule => '0,10ms,20ms',
    start => 'latest');
ok(wait_for(sub { 2 == grep { ($_->{behind} // '') eq '0' }
    map { status_lines($t, $_) } $poisoned, $fifo }), 'two endpoints');
my @more = put($t, 'bulk', {}, {}, { data => 'poison' }, {}, {});
ok(wait_for(sub { dead($t, $poisoned) == 1 && dead($t, $fifo) == 1 }),
    'the one that fails is a dead letter');
ok(wait_for(sub { !retries($t, $poisoned) && !retries($t, $fifo) }),
    'nothing else waits');
for my $path ('/poisoned', '/fifo') {
    my @bad = grep { $_->{body} =~ /"poison"/ } came($path);
    is(scalar(grep { events($_) > 1 } grep { $_->{headers}{'eventsync-attempt'} > 1 }
        came($path)), 0, "$path: retries are alone");
    my %taken = map { $_ => 1 } ids(grep { $_->{body} !~ /"poison"/ }
        came($path));
    is_deeply([sort keys %taken], [sort @more[0, 1, 3, 4]],
        'and the others are delivered');
}
unlink $broken;
$t->ctl_ok('endpoint', 'remove', $_) for $poisoned, $fifo;

###############################################################################
# how large, and how long it may fill

my $big = endpoint('/big', feeds => 'big', batch => 100);
is($t->stop_dispatcher, 0, 'stop');
put($t, 'big', map { { data => 'x' x 200_000 } } 1 .. 7);
my $slow = endpoint('/slow', feeds => 'slow', batch => 3, batch_wait => '1s');
put($t, 'slow', 2);
$t->run_dispatcher;
ok(wait_for(sub { events(came('/big')) == 7 }), 'large events');
is(scalar(grep { length $_->{body} > 1024 * 1024 } came('/big')), 0,
    'are in batches of at most 1 MB');
cmp_ok(scalar(came('/big')), '>', 1, 'so more than one');
ok(wait_for(sub { came('/slow') == 1 }), 'a batch that may fill');
my ($wait) = map { $_->{time_ms} } attempts($t, $slow);
my ($at) = map { time_ms($_->{time}) } events(came('/slow'));
cmp_ok($wait, '>=', $at + 1000, 'is sent when its time has come');
is(scalar events(came('/slow')), 2, 'with what there is');
$t->ctl_ok('endpoint', 'change', $slow, '--batch-wait=1m');
put($t, 'slow', 2);
put($t, 'slow', 1);
ok(wait_for(sub { came('/slow') == 2 }), 'a full one');
is(scalar events((came('/slow'))[1]), 3, 'does not wait');

# A replay in the middle of what was a batch.
my ($cursor) = map { $_->{cursor} } (events(came('/slow')))[1];
$t->ctl_ok('endpoint', 'change', $slow, '--batch-wait=');
$t->ctl_ok('endpoint', 'replay', $slow, 'slow', "--after=$cursor");
ok(wait_for(sub { came('/slow') == 3 }), 'a replay');
is_deeply([ids((came('/slow'))[2])], [ids((came('/slow'))[1])],
    'comes as a batch');

###############################################################################
# no more in flight than can be on record

$t->feed('flood');
my $slowly = $t->receiver(sub {
    my ($request) = @_;
    return $request->{n} == 1 ? 500 : { delay => 1 };
});
my $flood = $t->endpoint('acme', url => $slowly->url, feeds => 'flood',
    start => 'oldest', batch => 100, ordering => 'none', in_flight => 32,
    schedule => '0' . ',10ms' x 5);
$t->ctl_ok('endpoint', 'pause', $flood);
put($t, 'flood', 1100);
$t->ctl_ok('endpoint', 'resume', $flood);
ok($slowly->wait_for(8), 'batches beside events that failed before');
my %open = map { $_->{headers}{'webhook-id'} => scalar events($_) }
    grep { $_->{headers}{'eventsync-attempt'} == 1 && $_->{n} > 1 }
    ($slowly->requests)[0 .. 19];
cmp_ok(eval { my $n = 0; $n += $_ for values %open; $n }, '<=', 256,
    'are not more than there is room for');
ok(wait_for(sub { attempts($t, $flood) >= 1200 }, 60), 'all are delivered');
my %fine = map { $_->{sequence} => 1 } grep { $_->{class} eq 'ok' }
    attempts($t, $flood);
is(scalar keys %fine, 1100, 'each of them');
unlike($t->{dispatcher}->stderr, qr/cannot record/, 'and recorded');
$t->ctl_ok('endpoint', 'remove', $flood);

is($t->stop_dispatcher, 0, 'stop');
ok($t->verify, 'verify');

###############################################################################

for my $bad (['--batch=0', 'from 1 to 100'], ['--batch=101', 'from 1 to 100'],
    ['--body=x', '/body: '], ['--batch-wait=61s', '/batch_wait: '],
    ['--ordering=key', '/batch: '], ['--batch=', '/batch_wait: '])
{
    $t->ctl_ok('endpoint', 'change', $slow, '--batch-wait=1s');
    my ($rc, undef, $err) = $t->ctl('endpoint', 'change', $slow, $bad->[0]);
    isnt($rc, 0, "$bad->[0] is refused");
    like($err, qr/\Q$bad->[1]\E/, 'and it says why');
}

done_testing();
