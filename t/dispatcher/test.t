#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Test events, and failures that an endpoint is tried with.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $broken = $t->testdir . '/broken';
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return 500 if $request->{path} eq '/was' && -e $broken;
    return $request->{path} eq '/refuses' ? 422 : 200;
});

sub endpoint {
    my ($path, %opts) = @_;
    my ($name, $secret) = $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'latest', schedule => '0,10ms,10ms,10ms',
        %opts);
    return wantarray ? ($name, $secret) : $name;
}
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub event { Test::Eventsync::json($_[0]{body}) }
sub simulate {
    my ($name, %opts) = @_;
    $t->ctl_ok(qw(endpoint simulate), $name, map { "--$_=$opts{$_}" }
        sort keys %opts);
}
sub real { grep { $_->{line} !~ /kind=test/ } attempts($t, $_[0]) }
sub ids { map { $_->{headers}{'webhook-id'} } grep {
    $_->{headers}{'webhook-id'} !~ /^test-/ } @_ }

###############################################################################
# test events

my ($name, $secret) = endpoint('/test');
my $refuses = endpoint('/refuses');
my $paused = endpoint('/paused');
my $nowhere = endpoint('/nowhere', feeds => 'future');
my $batch = endpoint('/batch', batch => 5);
$t->ctl_ok(qw(endpoint pause), $paused);

my $out = $t->ctl_ok(qw(endpoint test), $nowhere);
like($out, qr/^test-[a-z2-7]{16}\nwaiting for the dispatcher\n/m,
    'without a dispatcher it waits');
$t->run_dispatcher;
ok(wait_for(sub { came('/nowhere') == 1 }), 'and comes when there is one');

$out = $t->ctl_ok(qw(endpoint test), $name);
like($out, qr/^test-[a-z2-7]{16}\ntaken\nstatus=200 class=ok latency_us=\d+\n$/,
    'a test event is sent and its outcome shown');
my ($id) = $out =~ /^(\S+)/;
my ($request) = came('/test');
my $event = event($request);
is_deeply([@$event{qw(specversion id source type subject data)}],
    ['1.0', $id, '/eventsync', 'eventsync.test', $name, { endpoint => $name }],
    'it is an event');
ok(signature_ok($request, $secret), 'that is signed');
is($request->{headers}{'webhook-id'}, $id, 'with its id');
is($request->{headers}{'eventsync-feed'}, undef, 'of no feed');
is($event->{sequence}, undef, 'and no place in one');
my ($attempt) = attempts($t, $name);
like($attempt->{line}, qr/ request=\d+ attempt=1 status=200 .* kind=test$/,
    'its attempt is on record');

my ($rc, $text) = $t->ctl(qw(endpoint test), $refuses, '--type=order.paid',
    '--data={"total":[1,"x"]}');
isnt($rc, 0, 'a test that fails is a failure');
like($text, qr/^status=422 class=status /m, 'with its status');
$event = event((came('/refuses'))[0]);
is($event->{type}, 'order.paid', 'the type may be chosen');
is_deeply($event->{data}, { total => [1, 'x'] }, 'and the data');
is(scalar(attempts($t, $refuses)), 1, 'it is not tried again');
is(scalar(dead($t, $refuses)) + retries($t, $refuses), 0,
    'and nothing remains of it');
$t->ctl_ok(qw(endpoint test), $paused);
is(scalar came('/paused'), 1, 'a pause does not hold it');
$t->ctl_ok(qw(endpoint test), $batch);
is(ref event((came('/batch'))[0]), 'ARRAY', 'a batch of one where that is due');

for my $bad (["--data={", 'is not JSON'], ['--type=', '/type: '],
    ['--type=' . 'x' x 129, '/type: '],
    ['--data="' . 'x' x 9000 . '"', '/data: '])
{
    my ($rc, undef, $err) = $t->ctl(qw(endpoint test), $name, $bad->[0]);
    isnt($rc, 0, 'refused: ' . substr $bad->[0], 0, 12);
    like($err, qr/\Q$bad->[1]\E/, 'and it says why');
}
$t->ctl_ok(qw(endpoint remove), $_) for $refuses, $paused, $nowhere, $batch;

###############################################################################
# simulated failures: what becomes of the answer

my ($status, $reset, $truncate, $none) = map { scalar endpoint("/$_",
    ordering => 'none') } qw(status reset truncate none);
simulate($status, failure => 'status', status => 500);
simulate($reset, failure => 'reset');
simulate($truncate, failure => 'truncate');
my @ids = put($t, 'orders', 2);
for my $case ([$status, 'status', 500], [$reset, 'reset', 0],
    [$truncate, 'reset', 0])
{
    my ($endpoint, $class, $code) = @$case;
    ok(wait_for(sub { dead($t, $endpoint) == 2 }), "$class: dead letters");
    is_deeply([grep { $_->{class} ne $class || $_->{status} != $code
        || $_->{line} !~ / simulated$/ } real($endpoint)], [],
        'every attempt is marked');
    is(scalar real($endpoint), 8, 'and there are as many as always');
}
is(scalar(ids(came('/status'))), 8, 'the receiver sees each of them');
is(scalar(ids(came('/reset'))), 8, 'also when the connection is cut');
is(scalar(ids(came('/truncate'))), 0, 'and of half of a body no request');
ok(wait_for(sub { ids(came('/none')) == 2 }), 'others are not touched');
$t->ctl_ok(qw(endpoint remove), $_) for $reset, $truncate;

simulate($status, failure => 'none');
$t->ctl_ok(qw(endpoint redrive), $status);
ok(wait_for(sub { !dead($t, $status) && !retries($t, $status) }),
    'when it is over all is delivered');
unlike($t->ctl_ok(qw(endpoint show), $status), qr/simulate/, 'and it is gone');
is((real($status))[-1]{line} =~ /simulated/, '', 'attempts are real again');
$t->ctl_ok(qw(endpoint remove), $status);

###############################################################################
# when it ends by itself, and a share of the attempts

my $short = endpoint('/short', schedule => '0,' . join(',', ('300ms') x 20));
simulate($short, failure => 'status', for => '1s');
put($t, 'orders', 1);
ok(wait_for(sub { grep { $_->{class} eq 'ok' } real($short) }),
    'it ends when its time has passed');
like((real($short))[0]{line}, qr/status=503 .* simulated/, '503 by default');
$t->ctl_ok(qw(endpoint remove), $short);

my $some = endpoint('/some', ordering => 'none', schedule => '0');
simulate($some, failure => 'status', percent => 30);
my @many = put($t, 'orders', 60);
ok(wait_for(sub { real($some) == 60 }), 'a share of the attempts');
my @fated = grep { delay_ms($_, $some, 1, 1_000_000) < 800_000 + 0.3 * 400_000 }
    @many;
is(scalar(dead($t, $some)), scalar @fated, 'fails as its draw says');
$t->ctl_ok(qw(endpoint remove), $some);

###############################################################################
# what becomes of the events

my $fifo = endpoint('/drop');
my $filtered = endpoint('/filtered', types => 'wanted');
simulate($_, failure => 'drop', percent => 40) for $fifo, $filtered;
@many = put_types($t, 'orders', ('wanted') x 20);
for my $case ([$fifo, '/drop'], [$filtered, '/filtered']) {
    my ($endpoint, $path) = @$case;
    ok(wait_for(sub { real($endpoint) == 20 }), "$path: events are dropped");
    my %dropped = map { $_->{sequence} + 0 => 1 }
        grep { $_->{class} eq 'simulated' } real($endpoint);
    my @came = map { event($_) } grep { $_->{headers}{'webhook-id'} !~ /^test/ }
        came($path);
    is(@came + keys %dropped, 20, 'each is sent or dropped');
    my @gaps = grep { my $e = $_; my ($prev) = $e->{prevcursor} =~ /-(\d+)$/;
        $dropped{$prev} } @came;
    ok(scalar @gaps, 'and prevcursor tells that there was one');
    is(scalar(dead($t, $endpoint)), 0, 'there are no dead letters');
    $t->ctl_ok(qw(endpoint remove), $endpoint);
}

my $twice = endpoint('/twice');
simulate($twice, failure => 'duplicate');
@many = put($t, 'orders', 5);
ok(wait_for(sub { ids(came('/twice')) == 10 }), 'duplicates');
is_deeply([ids(came('/twice'))], [map { ($_, $_) } @many], 'of each event one');
ok(wait_for(sub { !retries($t, $twice) }), 'and then no more');
$t->ctl_ok(qw(endpoint remove), $twice);

for my $ordering (qw(fifo none)) {
    my $swap = endpoint("/swap$ordering", ordering => $ordering,
        $ordering eq 'none' ? (in_flight => 1) : ());
    simulate($swap, failure => 'reorder');
    $t->ctl_ok(qw(endpoint pause), $swap);
    @many = put($t, 'orders', 5);
    $t->ctl_ok(qw(endpoint resume), $swap);
    ok(wait_for(sub { ids(came("/swap$ordering")) == 5 && !retries($t, $swap) }),
        "$ordering: events that are reordered");
    my @order = ids(came("/swap$ordering"));
    is_deeply([sort @order], [sort @many], 'come once');
    isnt("@order", "@many", 'and in another order');
    is_deeply([@order[0, 1]], [@many[1, 0]], 'the second before the first');
    $t->ctl_ok(qw(endpoint remove), $swap);
}

my $was = endpoint('/was', schedule => '0' . ',300ms' x 31);
simulate($was, failure => 'reorder');
my ($back) = put($t, 'orders', 1);
ok(wait_for(sub { ids(came('/was')) == 1 }), 'one that none has passed');
simulate($was, failure => 'none');
$t->write_file('broken', '');
my @after = put($t, 'orders', 1);
ok(wait_for(sub { ids(came('/was')) > 1 }), 'one that fails later');
push @after, put($t, 'orders', 8);
unlink $broken;
ok(wait_for(sub { (ids(came('/was')))[-1] eq $after[-1] }), 'is tried again');
my $prev = '';
is_deeply([grep { $_ ne $prev && ($prev = $_) } ids(came('/was'))],
    [$back, @after], 'and passed by nothing');
$t->ctl_ok(qw(endpoint remove), $was);

my $late = endpoint('/late');
simulate($late, failure => 'delay', delay => '700ms');
my ($delayed) = put($t, 'orders', 1);
my ($stored) = map { Test::Eventsync::json($_) } (stored($t, 'orders'))[-1];
ok(wait_for(sub { ids(came('/late')) == 1 }), 'a delay');
my ($took) = map { $_->{time_ms} - time_ms($stored->{time}) } real($late);
cmp_ok($took, '>=', 700, 'of so long');
is((real($late))[0]{attempt}, 1, 'is no attempt');

###############################################################################
# TLS

my $dir = $t->testdir;
certificate($t);
$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    access_log %%TESTDIR%%/tls.log;
    server {
        listen 127.0.0.1:%%PORT_0%% ssl;
        ssl_certificate %%TESTDIR%%/cert.pem;
        ssl_certificate_key %%TESTDIR%%/key.pem;
        location / { return 204; }
    }
}
CONF
$t->run_nginx;
is($t->stop_dispatcher, 0, 'stop');
$t->run_dispatcher("--ca-file=$dir/cert.pem");
my $tls = $t->endpoint('acme', url => 'https://127.0.0.1:' . $t->port(0) . '/',
    feeds => 'orders', start => 'latest', schedule => '0,100ms');
$t->ctl_ok(qw(endpoint test), $tls);
simulate($tls, failure => 'tls');
put($t, 'orders', 1);
ok(wait_for(sub { dead($t, $tls) == 1 }), 'TLS that fails');
is_deeply([map { "$_->{class} $_->{status}" } real($tls)],
    ['tls 0', 'tls 0'], 'fails the attempts');
simulate($tls, failure => 'none');
$t->ctl_ok(qw(endpoint redrive), $tls);
ok(wait_for(sub { !dead($t, $tls) }), 'and afterwards it works');

###############################################################################

for my $bad (['--failure=x', '/failure: '],
    ['--failure=status --status=200', '/status: '],
    ['--failure=status --status=600', '/status: '],
    ['--failure=drop --percent=0', '/percent: '],
    ['--failure=drop --percent=101', '/percent: '],
    ['--failure=delay --delay=2h', '/delay: '],
    ['--failure=drop --for=2d', '/for: '],
    ['--failure=drop --for=10ms', '/for: '], ['--status=500', 'is needed'])
{
    my ($rc, undef, $err) = $t->ctl(qw(endpoint simulate), $late,
        split / /, $bad->[0]);
    isnt($rc, 0, "$bad->[0] is refused");
    like($err, qr/\Q$bad->[1]\E/, 'and it says why');
}

is($t->stop_dispatcher, 0, 'stop');
ok($t->verify, 'verify');
done_testing();
