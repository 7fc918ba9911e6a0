#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Webhooks that fail: what counts as failure, when it is tried again, what
# ends it.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep time);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();

my ($id) = put($t, 'orders', 1);

# The path says how the receiver answers; the first event fails N times.
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($how, $arg) = $request->{path} =~ m{^/(\w+)(?:/([^/]+))?};

    return { status => 500, body => 'sorry' } if $how eq 'fail'
        && $request->{headers}{'webhook-id'} eq $id
        && $request->{headers}{'eventsync-attempt'} <= $arg;
    return { status => $arg } if $how eq 'status';
    return { status => 302, headers => { Location => '/status/200' } }
        if $how eq 'redirect';
    return { status => 429, headers => { 'Retry-After' => $arg } }
        if $how eq 'later';
    return { reset => 1 } if $how eq 'reset';
    return { hang => 1 } if $how eq 'hang';
    return { raw => "SSH-2.0-nothing\r\n\r\n", close => 1 }
        if $how eq 'garbage';
    return { body => 'x' x 300000 } if $how eq 'big';
    return { status => 500, body => 'x' x 300000 } if $how eq 'bigfail';
    return { headers => { map { ("X-$_" => 'y' x 900) } 1 .. 100 } }
        if $how eq 'headers';
    return { raw => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        . 'x' x 1000, drip => 0.01, close => 1 } if $how eq 'drip';
    return { raw => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx",
        close => 1 } if $how eq 'cut';
    return 200;
});

sub endpoint {
    my ($path, %opts) = @_;
    my $port = delete $opts{port} // $recv->port;
    return scalar $t->endpoint('acme', url => "http://127.0.0.1:$port$path",
        feeds => 'orders', start => 'oldest', schedule => '0', %opts);
}

sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }

$t->run_dispatcher;

###############################################################################
# one attempt each, whatever comes: the class of its failure

my $closed = Test::Eventsync::free_port();
my %class = (
    endpoint('/status/200') => 'ok 200',
    endpoint('/status/204') => 'ok 204',
    endpoint('/status/299') => 'ok 299',
    endpoint('/status/304') => 'redirect 304',
    endpoint('/status/400') => 'status 400',
    endpoint('/status/404') => 'status 404',
    endpoint('/status/500') => 'status 500',
    endpoint('/redirect') => 'redirect 302',
    endpoint('/reset') => 'reset 0',
    endpoint('/garbage') => 'protocol 0',
    endpoint('/headers') => 'protocol 0',
    endpoint('/hang', timeout => '200ms') => 'timeout 0',
    endpoint('/big') => 'ok 200',
    endpoint('/bigfail') => 'status 500',
    endpoint('/cut') => 'ok 200',
    endpoint('/drip', timeout => '1s') => 'ok 200',
    endpoint('/closed', port => $closed) => 'connect 0',
);

for my $name (sort { $class{$a} cmp $class{$b} } keys %class) {
    my @list;
    wait_for(sub { @list = attempts($t, $name) }, 20);
    my ($url) = $t->ctl_ok('endpoint', 'show', $name) =~ m{:\d+(/\w[^"]*)};
    is(@list ? "$list[0]{class} $list[0]{status}" : 'none', $class{$name},
        "$url is $class{$name}");
}
is(scalar came('/status/200'), 1, 'redirects are not followed');

my @failed = grep { $class{$_} !~ /^ok/ } keys %class;
ok(wait_for(sub { !grep { dead($t, $_) != 1 } @failed }),
    'after the last attempt comes a dead letter');
is(scalar(grep { dead($t, $_) } grep { $class{$_} =~ /^ok/ } keys %class), 0,
    'and none where an attempt has succeeded');
ok(!(grep { retries($t, $_) } keys %class), 'nothing is left to be tried');

put($t, 'orders', 1);
my ($dead_one) = grep { $class{$_} eq 'status 500' } @failed;
ok(wait_for(sub { attempts($t, $dead_one) == 2 }),
    'a dead letter lets the next event pass');

$t->ctl_ok('endpoint', 'remove', $_) for keys %class;

###############################################################################
# the schedule

my $twice = endpoint('/fail/2', schedule => '0,100ms,300ms,1h');
ok(wait_for(sub { came('/fail/2') == 4 }, 20),
    'an event is sent until it is taken, and then the next');
my @came = came('/fail/2');
is_deeply([map { $_->{headers}{'eventsync-attempt'} } @came], [1, 2, 3, 1],
    'attempts are counted');
is_deeply([sequences(@came)], [1, 1, 1, 2], 'in order');
is($came[0]{body}, $came[2]{body}, 'the event is the same');
cmp_ok($came[2]{headers}{'webhook-timestamp'}, '>=',
    $came[0]{headers}{'webhook-timestamp'}, 'the time is the attempt\'s');

wait_for(sub { attempts($t, $twice) == 4 });
my @tries = attempts($t, $twice);
is_deeply([map { "$_->{attempt} $_->{class} $_->{status}" } @tries],
    ['1 status 500', '2 status 500', '3 ok 200', '1 ok 200'],
    'each is on record');
for my $n (1, 2) {
    my $delay = delay_ms($id, $twice, $n + 1, $n == 1 ? 100 : 300);
    cmp_ok($tries[$n]{time_ms} - $tries[$n - 1]{time_ms}, '>=', $delay,
        'attempt ' . ($n + 1) . " waits its $delay ms");
}

my $hours = endpoint('/status/503', schedule => '0,2h');
my ($retry, $attempt);
ok(wait_for(sub { ($retry) = retries($t, $hours) }), 'a retry waits');
($attempt) = attempts($t, $hours);
my $wait = time_ms($retry->{next}) - $attempt->{time_ms}
    - int($attempt->{latency_us} / 1000);
my $delay = delay_ms($id, $hours, 2, 7200_000);
cmp_ok(abs($wait - $delay), '<=', 2000,
    "for exactly the documented $delay ms");
is(scalar came('/status/503'), 1, 'in order means that nothing passes it');

$t->ctl_ok('endpoint', 'change', $hours,
    '--url=' . $recv->url('/status/201'));
ok(wait_for(sub { came('/status/201') == 2 }),
    'a change of the endpoint is reason to try at once');

###############################################################################
# Retry-After

my $later = endpoint('/later/7200', schedule => '0,10ms', ordering => 'none',
    in_flight => 1);
ok(wait_for(sub { ($retry) = retries($t, $later) }), '429 with Retry-After');
($attempt) = attempts($t, $later);
cmp_ok(time_ms($retry->{next}) - $attempt->{time_ms}, '>=', 7200_000,
    'is honoured');
is(scalar came('/later/7200'), 1, 'and nothing else is sent meanwhile');

my $much = endpoint('/later/999999999999', schedule => '0,10ms');
ok(wait_for(sub { ($retry) = retries($t, $much) }), 'a very long one');
($attempt) = attempts($t, $much);
cmp_ok(time_ms($retry->{next}) - $attempt->{time_ms}, '<=',
    86400_000 + 60_000, 'is cut to a day');

my @names = (qw(Sun Mon Tue Wed Thu Fri Sat),
    qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec));
my @at = gmtime(my $then = int(time()) + 3600);
my $date = sprintf '%s, %02d %s %d %02d:%02d:%02d GMT', $names[$at[6]],
    $at[3], $names[7 + $at[4]], 1900 + $at[5], @at[2, 1, 0];
my $dated_recv = $t->receiver(sub {
    { status => 503, headers => { 'Retry-After' => $date } } });
my $dated = endpoint('/', port => $dated_recv->port, schedule => '0,10ms');
ok(wait_for(sub { ($retry) = retries($t, $dated) }), 'a date');
cmp_ok(abs(time_ms($retry->{next}) - $then * 1000), '<=', 2000, 'is, too');

my $soon = endpoint('/later/0', schedule => '0,1h');
ok(wait_for(sub { came('/later/0') >= 2 }),
    'a short one holds for the event, not the schedule');
my @soon = map { $_->{time} } came('/later/0');
cmp_ok($soon[1] - $soon[0], '>=', 0.95, '... but for a second at least');

my $junk = endpoint('/later/soon', schedule => '0,1h');
ok(wait_for(sub { came('/later/soon') >= 2 }),
    'one that is none is passed over');
$t->ctl_ok('endpoint', 'remove', $_) for $soon, $junk;

###############################################################################
# 410

my $gone = endpoint('/status/410', schedule => '0,10ms,10ms');
ok(wait_for(sub {
    grep { $_->{line} =~ /stopped/ } status_lines($t, $gone)
}), '410 stops the endpoint');
put($t, 'orders', 1);
ok(wait_for(sub { came('/status/201') == 3 }), 'while others go on');
is(scalar came('/status/410'), 1, 'nothing more is sent to it');

$t->stop_dispatcher;
$t->run_dispatcher;
put($t, 'orders', 1);
ok(wait_for(sub { came('/status/201') == 4 }), 'after a restart, too');
is(scalar came('/status/410'), 1, 'it stays stopped');

$t->ctl_ok('endpoint', 'change', $gone, '--url=' . $recv->url('/status/202'));
ok(wait_for(sub { came('/status/202') == 4 }), 'a change starts it again');
is_deeply([sequences(came('/status/202'))], [1 .. 4], 'with nothing lost');
is(scalar dead($t, $gone), 0, 'and nothing dead');

is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
