#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# What a receiver says by headers, and secrets that change under way.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $recv = $t->receiver(sub {
    my ($request) = @_;
    my ($status, $word) = $request->{path} =~ m{^/(\d+)/([\w ]+)}
        or return 200;
    return { status => $status, headers => { 'Webhook-Delivery' => $word } };
});
sub endpoint {
    my ($path, %opts) = @_;
    my @made = $t->endpoint('acme', url => $recv->url($path),
        feeds => 'orders', start => 'oldest', schedule => '0,10ms,1h', %opts);
    return wantarray ? @made : $made[0];
}
sub came { my ($path) = @_; grep { $_->{path} eq $path } $recv->requests }
sub stopped { $t->ctl_ok('endpoint', 'status', $_[0]) =~ /stopped: (.*)/;
    return $1 }

put($t, 'orders', 3);
my $disable = endpoint('/500/disable');
my $taken = endpoint('/200/Disable');
my $abort = endpoint('/500/abort');
my $fine = endpoint('/200/abort');
my $other = endpoint('/500/pause');
$t->run_dispatcher;

ok(wait_for(sub { stopped($disable) && stopped($taken) }),
    'webhook-delivery: disable stops the endpoint');
is(stopped($disable), 'webhook-delivery: disable', 'and is the reason');
is(scalar came('/500/disable'), 1, 'nothing more is sent');
is(scalar came('/200/Disable'), 1, 'also with 200');
is(scalar retries($t, $disable), 1, 'what was not taken waits');
is(scalar retries($t, $taken), 0, 'what was taken does not');

ok(wait_for(sub { dead($t, $abort) == 3 }), 'abort makes a dead letter');
is(scalar came('/500/abort'), 3, 'at once');
ok(wait_for(sub { came('/200/abort') == 3 }), 'and is nothing with 200');
is(scalar dead($t, $fine), 0, 'which is a success');
ok(wait_for(sub { retries($t, $other) == 1 && came('/500/pause') == 2 }),
    'another word means nothing');

###############################################################################
# rotation

my ($name, $first) = endpoint('/rotate');
ok(wait_for(sub { came('/rotate') == 3 }), 'an endpoint');
ok(!grep({ !signature_ok($_, $first) } came('/rotate')), 'signed');

chomp(my $second = $t->ctl_ok('endpoint', 'rotate', $name, '--overlap=1h'));
like($second, qr/^whsec_/, 'a new secret');
put($t, 'orders', 1);
ok(wait_for(sub { came('/rotate') == 4 }), 'the next');
my ($request) = reverse came('/rotate');
ok(signature_ok($request, $_), 'both sign') for $first, $second;

chomp(my $third = $t->ctl_ok('endpoint', 'rotate', $name, '--overlap=2s'));
put($t, 'orders', 1);
ok(wait_for(sub { came('/rotate') == 5 }), 'the next');
($request) = reverse came('/rotate');
ok(signature_ok($request, $third), 'the newest signs');
sleep 3;
put($t, 'orders', 1);
ok(wait_for(sub { came('/rotate') == 6 }), 'after the overlap');
($request) = reverse came('/rotate');
ok(signature_ok($request, $third), 'the newest signs');
ok(!signature_ok($request, $_), 'those before it no more')
    for $first, $second;

# Those that have expired make room.
for (1 .. 3) {
    $t->ctl_ok('endpoint', 'rotate', $name);
}
my ($status, undef, $err) = $t->ctl('endpoint', 'rotate', $name);
like($err, qr/^eventsyncctl: 4 secrets of "$name" are still in use/,
    'at most four at once');
is($t->ctl_ok('endpoint', 'rotate', $name, '--overlap=0',
    '--secret=whsec_' . 'A' x 43 . '='), '', 'with a secret of its own');
my $record = Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $name));
is_deeply($record->{secrets}, ['whsec_' . 'A' x 43 . '='],
    'and without an overlap');

for (['"--overlap=x" is not a duration', $name, '--overlap=x'],
    ['"--overlap=31d" is not a duration', $name, '--overlap=31d'],
    ['a secret must be "whsec_"', $name, '--secret=x'],
    ['no endpoint "ep_x"', 'ep_x'])
{
    my ($error, @args) = @$_;
    ($status, undef, $err) = $t->ctl('endpoint', 'rotate', @args);
    ok($status != 0 && $err =~ /\Q$error\E/, "refused: @args") or diag($err);
}
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
