#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# --verify-endpoints: an endpoint is sent nothing but checks until it agrees.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(quiet ops);
$t->partner('other', feeds => '*');
$t->partner('told', feeds => '*', operations => 'ops');
my $sender = '--webhook-origin=events.example';
my $address = 0;

# Each receiver is a host of its own, because a host waits after a failure.
sub receiver { $t->receiver($_[0], addr => '127.0.1.' . ++$address) }

sub allows {
    my ($allowed, $status) = @_;
    return sub { $_[0]{method} eq 'OPTIONS'
        ? { status => $status // 204,
            headers => { 'WebHook-Allowed-Origin' => $allowed } } : 200 };
}

# Repeats a challenge, as the member that it is asked for.
sub repeats {
    my ($member, $options) = @_;
    return sub {
        my ($request) = @_;
        return $options // 405 if $request->{method} eq 'OPTIONS';
        my $event = JSON::PP->new->decode($request->{body});
        $event = $event->[0] if ref $event eq 'ARRAY';
        return 200 if $event->{type} ne 'eventsync.challenge';
        return { body => JSON::PP->new->encode({ note => 1,
            $member => $event->{data}{challenge} }) };
    };
}

sub endpoint {
    my ($recv, %opts) = @_;
    return scalar $t->endpoint(delete $opts{partner} // 'acme',
        url => ref $recv ? $recv->url : $recv, feeds => 'orders',
        start => 'oldest', timeout => '2s', connect_timeout => '2s', %opts);
}
sub state { $t->ctl_ok(qw(endpoint status), $_[0]) =~ /state=(\w+)/ && $1 }
sub seen { my ($name) = @_;
    return JSON::PP->new->decode($t->ctl_ok(qw(endpoint show), $name))
        ->{verification} // {} }
sub methods { join ' ', map { $_->{method} } $_[0]->requests }
sub agreed { my ($name) = @_;
    return wait_for(sub { (seen($name)->{verified} // 0) == 1 }, 15) }
sub failed { my ($name, $n) = @_;
    return wait_for(sub { (seen($name)->{checks} // 0) >= ($n // 1) }, 15) }
sub checks { grep { ($_->{kind} // '') eq 'check' } attempts($t, $_[0]) }

put($t, 'orders', 3);

###############################################################################
# off, which is the default

my $plain = receiver(200);
my $early = endpoint($plain);
$t->run_dispatcher;
ok($plain->wait_for(3), 'by default an endpoint is sent its events');
is(methods($plain), 'POST POST POST', '... and no check');
is_deeply(seen($early), {}, '... and nobody agrees to anything');
is($t->stop_dispatcher, 0, 'stop');

###############################################################################
# all: the handshake

put($t, 'orders', 1);
$t->run_dispatcher('--verify-endpoints=all', $sender);
ok(failed($early), 'turned on later, it holds for existing endpoints');
is($plain->count, 3 + 2, '... which are sent a check');
is(methods($plain), 'POST POST POST OPTIONS POST', '... of two requests');
is(state($early), 'unverified', '... and are unverified');
like($t->ctl_ok(qw(endpoint status), $early), qr/behind=1\b/,
    '... and keep their place');
like($t->ctl_ok(qw(endpoint list)), qr/^$early .* unverified$/m,
    '... in the list, too');

my $own = receiver(allows('Events.Example'));
my $agrees = endpoint($own, rate => '120r/m', headers =>
    '{"x-key":"hush"}');
ok($own->wait_for(5), 'an endpoint that agrees is sent its events');
my ($hello, $first) = $own->requests;
is($hello->{method}, 'OPTIONS', 'after a handshake');
is($hello->{path}, '/hook', '... at its URL');
is($hello->{headers}{'webhook-request-origin'}, 'events.example',
    '... of this sender');
is($hello->{headers}{'webhook-request-rate'}, 120,
    '... with the rate of its record');
is($hello->{headers}{'x-key'}, undef, '... without its own header fields');
is($hello->{body}, '', '... and without a body');
is($first->{headers}{'webhook-request-origin'}, 'events.example',
    'which later requests name');
is($first->{headers}{'x-key'}, 'hush', '... with its own header fields');
is_deeply([@{ seen($agrees) }{qw(verified method checks origin)}],
    [JSON::PP::true, 'handshake', 1, "http://127.0.1.2:@{[$own->port]}"],
    'the agreement is on record');
ok(wait_for(sub { state($agrees) eq 'active' }, 20), '... and it is active');
my ($check) = checks($agrees);
is("$check->{class} $check->{status}", 'ok 204', 'so is the attempt');

my $all = receiver(allows('*'));
endpoint($all);
ok($all->wait_for(5), 'to all senders is an agreement, too');
is(($all->requests)[0]{headers}{'webhook-request-rate'}, undef,
    'without a rate none is asked for');

my $theirs = receiver(allows('others.example'));
my $refuses = endpoint($theirs);
ok(failed($refuses), 'to another sender is none');
is(methods($theirs), 'OPTIONS', '... and no challenge follows');
like(seen($refuses)->{reason}, qr/neither allows this sender/,
    '... with the reason');

###############################################################################
# the challenge

my $repeat = receiver(repeats('challenge'));
my ($proves, $secret) = $t->endpoint('acme', url => $repeat->url,
    feeds => 'orders', start => 'oldest', headers =>
    '{"x-key":"hush"}');
ok($repeat->wait_for(6), 'one that repeats a challenge is sent its events');
my (undef, $challenge, $event) = $repeat->requests;
like($challenge->{headers}{'webhook-id'}, qr/^check-\Q$proves\E-[a-z2-7]{16}$/,
    'the challenge has an id');
ok(signature_ok($challenge, $secret), '... and a signature');
is($challenge->{headers}{'x-key'}, undef, '... and not its header fields');
my $sent = JSON::PP->new->decode($challenge->{body});
is_deeply([@$sent{qw(specversion type source subject)}],
    ['1.0', 'eventsync.challenge', '/eventsync', $proves], '... as an event');
is($event->{headers}{'webhook-request-origin'}, undef,
    'events do not name a sender that was not asked for');
is(seen($proves)->{method}, 'challenge', 'the method is on record');

my $batch = receiver(repeats('challenge'));
endpoint($batch, batch => 10);
ok($batch->wait_for(3), 'one with batches gets it in a batch');
like(($batch->requests)[1]{body}, qr/^\[\{/, '... of one');

for my $case (['another member', repeats('answer')],
    ['what was sent', sub { $_[0]{method} eq 'OPTIONS' ? 405
        : { body => $_[0]{body} } }],
    ['no JSON', sub { $_[0]{method} eq 'OPTIONS' ? 200
        : { body => 'challenge' } }],
    ['another challenge', sub { { body => '{"challenge":"aaaa"}' } }])
{
    my $recv = receiver($case->[1]);
    my $name = endpoint($recv);
    ok(failed($name), "$case->[0] is no agreement");
    is(methods($recv), 'OPTIONS POST', '... and nothing else is sent');
    is(seen($name)->{class}, 'unverified', '... class unverified');
    like(seen($name)->{reason}, qr/200, but neither .* repeats the challenge$/,
        '... with the reason');
}

###############################################################################
# reasons

my $moved = receiver({ status => 307, headers => { Location =>
    $own->url('/stolen') } });
my $lost = receiver(404);
my $hung = receiver({ hang => 1 });
my $cut = receiver({ reset => 1 });
my $busy = receiver({ status => 429, headers => { 'Retry-After' => 900 } });
my $down = receiver(200);
$down->stop;
for my $case ([$moved, 'redirect', 307, qr/307, and redirects are not foll/],
    [$lost, 'status', 404, qr/answers 404$/],
    [$hung, 'timeout', 0, qr/^no answer in time$/],
    [$cut, 'reset', 0, qr/closed without an answer/],
    [$busy, 'status', 429, qr/answers 429$/],
    [$down, 'connect', 0, qr/accepts no connection/],
    ['http://10.0.0.1:8080/', 'address', 0, qr/port is not allowed/],
    ['http://nowhere.invalid:8080/', 'dns', 0, qr/name was not found/])
{
    my ($recv, $class, $status, $reason) = @$case;
    my $name = endpoint($recv);
    ok(failed($name), "a check fails: $class $status");
    my $v = seen($name);
    is("$v->{class} $v->{status}", "$class $status", '... by its class');
    like($v->{reason}, $reason, '... with the reason');
    is(state($name), 'unverified', '... and it is unverified');
}
is(methods($moved), 'OPTIONS', 'no challenge follows a redirect');
is((grep { $_->{path} eq '/stolen' } $own->requests), 0, 'nor is it followed');
is(methods($busy), 'OPTIONS', 'nor does one follow a throttle');
my $waits = (grep { ($_->{reason} // '') =~ /429/ }
    map { seen($_) } $t->ctl_ok(qw(endpoint list)) =~ /^(ep_\w+)/mg)[0];
cmp_ok((time_ms($waits->{next}) - time_ms($waits->{time})) / 1000, '>=', 899,
    'Retry-After is honoured');
like($t->{dispatcher}->stderr, qr/is\ unverified:\ the\ receiver\ answers\ 404;
    \ the\ next\ check\ is\ at\ \d{4}-/x, 'the log says why, and when again');

###############################################################################
# an operator

my ($rc, $out, $err) = $t->ctl(qw(endpoint test), $refuses);
is($rc, 1, 'a test event is refused');
is($err, "eventsyncctl: the endpoint is unverified: it has not agreed to be "
    . "sent events\n", '... in one line');
ok(wait_for(sub { grep { $_->{class} eq 'unverified' && $_->{line} =~ /request=/
    } attempts($t, $refuses) }), '... and recorded');
is($t->ctl_ok(qw(endpoint replay), $refuses, 'orders', '--from=oldest'),
    "taken\n", 'a replay is taken');
like(methods($theirs), qr/^OPTIONS(?: OPTIONS)*$/, '... and waits');
my $asked = $theirs->count;

is($t->ctl_ok(qw(endpoint verify), $refuses), "taken\n", 'a check now');
ok(wait_for(sub { $theirs->count > $asked }, 20), '... is made at once');
like(methods($theirs), qr/^OPTIONS(?: OPTIONS)+$/, '... on request');
for my $n (3 .. 8) {
    $t->ctl_ok(qw(endpoint verify), $refuses);
    failed($refuses, $n);
}
is(seen($refuses)->{next}, undef, 'after eight checks none follows');
like($t->{dispatcher}->stderr, qr/no check follows until its record changes$/m,
    '... says the log');
$t->ctl_ok(qw(endpoint change), $refuses, '--in-flight=3');
ok(wait_for(sub { defined seen($refuses)->{next} }),
    'a change of the record begins anew');
is($t->ctl_ok(qw(endpoint verify), $refuses, '--accept'), "taken\n",
    'an operator takes it as agreed');
ok($theirs->wait_for(8 + 4), '... and it is sent its events');
is(seen($refuses)->{method}, 'operator', '... on record');
like($t->{dispatcher}->stderr,
    qr/warn: endpoint $refuses counts as verified, by uid $</,
    '... and in the log');
($rc, $out, $err) = $t->ctl(qw(endpoint verify), $refuses);
is($rc, 1, 'one that has agreed is not checked');
is($err, "eventsyncctl: the endpoint is not unverified\n", '... it says');

###############################################################################
# origins

my $n = $own->count;
$t->in_effect($agrees, sub { $t->ctl_ok(qw(endpoint change), $agrees,
    '--url=' . $own->url('/new'), '--headers=') });
put($t, 'orders', 1);
ok($own->wait_for($n + 1), 'another path of the origin needs no check');
is(($own->requests)[$n]{method}, 'POST', '... and has none');

my $next = receiver(repeats('challenge'));
$t->ctl_ok(qw(endpoint change), $agrees, '--url=' . $next->url);
put($t, 'orders', 1);
ok($next->wait_for(3), 'another origin');
is(methods($next), 'OPTIONS POST POST', '... is checked before it is sent any');

$n = $next->count;
my $same = endpoint($next->url('/same'), feeds => 'quiet');
ok(agreed($same), 'another endpoint of the partner shares the agreement');
is($next->count, $n, '... without a check');
my $foreign = endpoint($next->url('/foreign'), feeds => 'quiet',
    partner => 'other');
ok(agreed($foreign), 'one of another partner');
is($next->count, $n + 2, '... does not');

###############################################################################
# few checks for a host

my $victim = receiver(404);
my @many = map { endpoint($victim->url("/$_"), feeds => 'quiet',
    partner => $_ % 2 ? 'acme' : 'other') } 1 .. 6;
ok(wait_for(sub { 6 == grep { state($_) eq 'unverified' } @many }),
    'six endpoints of a host');
ok(wait_for(sub { $victim->count >= 4 }, 15), 'are checked one by one');
my @times = map { $_->{time} } grep { $_->{method} eq 'OPTIONS' }
    $victim->requests;
cmp_ok($times[1] - $times[0], '>', 9, '... some seconds apart');
$t->ctl_ok(qw(endpoint remove), $_) for @many;
my $again = endpoint($victim->url('/again'), feeds => 'quiet');
ok(wait_for(sub { state($again) eq 'unverified' }), 'one that is made again');
is(scalar(grep { $_->{path} eq '/again' } $victim->requests), 0,
    '... waits as long');

# A change begins the checks anew, and not one for each change.
my $slow = receiver({ delay => 1, status => 404 });
my $changed = endpoint($slow, feeds => 'quiet', timeout => '5s');
ok($slow->wait_for(1), 'a check that takes long');
$t->in_effect($changed, sub { $t->ctl_ok(qw(endpoint change), $changed,
    "--in-flight=$_") }) for 2 .. 6;
ok(wait_for(sub { checks($changed) }), '... during which the record changes');
is($slow->count, 1, '... is the only one of the host');
$t->ctl_ok(qw(endpoint remove), $changed);
my $gone = receiver({ hang => 1 });
for my $n (1 .. 3) {
    my $name = endpoint($gone->url("/$n"), feeds => 'quiet', timeout => '20s');
    $n == 1 ? ok($gone->wait_for(1), 'a check that has no answer')
        : ok(wait_for(sub { state($name) eq 'unverified' }), '... another');
    $t->ctl_ok(qw(endpoint remove), $name);
    ok(wait_for(sub { $t->{dispatcher}->stderr =~ /$name was removed/ }),
        '... ends with the endpoint');
}
is($gone->count, 1, '... and no other follows at once');

###############################################################################
# operational events

my $late = receiver(sub { -e $t->testdir . '/willing' ? repeats('challenge')
    ->($_[0]) : 500 });
my $told = endpoint($late, partner => 'told');
ok(wait_for(sub { stored($t, 'ops') >= 1 }, 15), 'the partner is told');
my ($notice) = map { JSON::PP->new->decode($_) } stored($t, 'ops');
is($notice->{type}, 'endpoint.unverified', '... that it has not agreed');
is_deeply([@{ $notice->{data} }{qw(endpoint checks reason)}],
    [$told, 1, 'the receiver answers 500'], '... and why');
ok($notice->{data}{next}, '... and when it is checked again');
$t->write_file('willing', '');
ok($late->wait_for(4, 30), 'the next check comes by itself');
ok(wait_for(sub { stored($t, 'ops') == 2 }, 15), 'the partner is told');
is(JSON::PP->new->decode((stored($t, 'ops'))[1])->{type}, 'endpoint.verified',
    '... that it agrees');

###############################################################################
# a restart

is($t->stop_dispatcher, 0, 'stop');
my ($before, $count) = (seen($early), $plain->count);
put($t, 'orders', 1);
$n = $repeat->count;
$t->run_dispatcher('--verify-endpoints=all', $sender);
ok($repeat->wait_for($n + 1), 'one that has agreed');
is(($repeat->requests)[$n]{method}, 'POST', '... need not again');
is(state($early), 'unverified', 'one that has not is unverified still');
cmp_ok(seen($early)->{checks}, '>=', $before->{checks}, '... where it was');
is($t->stop_dispatcher, 0, 'stop');

$n = $own->count;
my $back = endpoint($own, feeds => 'orders');
$t->run_dispatcher('--verify-endpoints=all', '--webhook-origin=new.example');
ok(failed($back), 'another name of the sender');
is(scalar(grep { $_->{method} eq 'OPTIONS' } $own->requests), 2,
    '... needs another handshake');
is($t->stop_dispatcher, 0, 'stop');

$n = $plain->count;
$t->run_dispatcher;
ok($plain->wait_for($n + 3), 'turned off, all are sent their events');
ok(wait_for(sub { state($early) eq 'active' }, 20),
    '... and none is unverified');
is_deeply(seen($early), {}, '... nor on record');
is($t->stop_dispatcher, 0, 'stop');

ok($t->verify, 'verify');
done_testing();
