#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# An endpoint whose next event retention will soon take: its partner is told.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_, retain_count => 10) for qw(short retried);
$t->feed('ops', retain_count => 100);
$t->feed('tight', retain_count => 2);
$t->ctl_ok('partner', 'change', 'acme', '--operations=ops');
$t->partner('own', feeds => '*', operations => 'tight');

my $recv = $t->receiver(sub {
    my ($request) = @_;
    return $request->{path} eq '/retry'
        && $request->{headers}{'eventsync-attempt'} == 1
        && $request->{body} =~ /"sequence":"0*1"/ ? 500 : 200;
});
sub endpoint {
    my ($partner, $path, %opts) = @_;
    return scalar $t->endpoint($partner, url => $recv->url("/$path"),
        start => 'oldest', schedule => '0,1h', %opts);
}
sub came { my ($path) = @_; grep { $_->{path} eq "/$path" } $recv->requests }
sub told {
    my ($endpoint, $feed) = @_;
    return grep { ($_->{subject} // '') eq $endpoint
        && $_->{type} eq 'retention.near' }
        map { Test::Eventsync::json($_) } stored($t, $feed // 'ops');
}

my $name = endpoint('acme', 'paused', feeds => 'short');
my $retry = endpoint('acme', 'retry', feeds => 'retried', ordering => 'none');
my $own = endpoint('own', 'own', feeds => 'tight,orders');
$t->run_dispatcher;
put($t, 'short', 1);
ok(wait_for(sub { came('paused') == 1 }), 'an endpoint');
$t->ctl_ok('endpoint', 'pause', $name);
put($t, 'short', 8);

# The retry of the first of these is what makes their lane late.
put($t, 'retried', 9);
ok(wait_for(sub { told($retry) }, 20), 'a retry that retention will take');
my ($event) = told($retry);
my ($cursor) = map { Test::Eventsync::json($_)->{prevcursor} }
    stored($t, 'retried');
is_deeply($event->{data}, { endpoint => $retry, feed => 'retried',
    cursor => $cursor, behind => 9 }, 'is told, with what is delivered');
is(scalar told($name), 0, 'with a fifth left nothing is told');

put($t, 'short', 1);
ok(wait_for(sub { told($name) }, 20), 'with a tenth left it is, of a pause');
($event) = told($name);
is($event->{data}{behind}, 9, 'with how much is behind');
is($event->{data}{feed}, 'short', 'and where');
ok(!exists $event->{data}{expires}, 'and not when, as it is not by age');

is($t->stop_dispatcher, 0, 'stop');
$t->run_dispatcher;
put($t, 'orders', 1);
ok(wait_for(sub { came('own') >= 1 }), 'after a restart');
$t->ctl_ok('endpoint', 'resume', $name);
ok(wait_for(sub { came('paused') == 10 }), 'it catches up');
is(scalar told($name), 1, 'it was told once');

# Without a look in between, what follows is the same lag; there is one each
# second.
ok(wait_for(sub {
    $t->ctl_ok('endpoint', 'pause', $name);
    put($t, 'short', 10);
    my $again = wait_for(sub { told($name) > 1 }, 3);
    $t->ctl_ok('endpoint', 'resume', $name) if !$again;
    wait_for(sub { $t->ctl_ok('endpoint', 'status', $name) =~ /behind=0/ }, 5)
        && sleep 2 if !$again;
    return $again;
}, 90), 'after it has caught up, the next is told again');

###############################################################################
# by age, and the feed of these events itself

$t->feed('aged', retain_age => '15s');
my $aged = endpoint('acme', 'aged', feeds => 'aged');
$t->ctl_ok('endpoint', 'pause', $aged);
put($t, 'aged', 1);
$t->ctl_ok('endpoint', 'pause', $own);
put($t, 'tight', 2);
ok(wait_for(sub { told($aged) }, 60), 'an event that becomes too old');
($event) = told($aged);
like($event->{data}{expires}, qr/^\d{4}-\S+Z$/, 'is told with its end');
is(scalar told($own, 'tight'), 0, 'nothing is told of the feed it is told on');
is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');

done_testing();
