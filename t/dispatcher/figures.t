#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The status of an endpoint has the figures of its attempts by minute, hour and
# day, by command and over HTTP; they go on after a restart.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 1);
$t->{partners}{acme} = 1;
my %keys = (
    whole  => $t->partner_key('acme', scopes => 'read,manage'),
    all    => $t->partner_key('acme', scopes => 'read,manage', key_feeds => '*'),
    narrow => $t->partner_key('acme', scopes => 'read,manage', key_feeds => 'orders'),
);
$t->default_conf(location => 'eventsync_endpoints on;');
$t->run_nginx;

my $recv = $t->receiver(sub { $_[0]{body} =~ /"type":"bad"/ ? 404 : 200 });
my $name = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    start => 'oldest', schedule => '0,1s');
my $quiet = $t->endpoint('acme', url => $recv->url, feeds => 'orders',
    types => 'none');

sub figures {
    my ($key, $endpoint) = @_;
    my $r = $t->http(GET => '/v1/endpoints/' . ($endpoint // $name) . '/status',
        { authorization => "Bearer $keys{$key}" });
    return Test::Eventsync::json($r->{body})->{figures};
}
sub lines { grep { /last \w+:/ }
    split /\n/, $t->ctl_ok('endpoint', 'status', @_) }

###############################################################################
# counted

put($t, 'orders', { type => 'good' }, { type => 'bad' }, { type => 'good' });
$t->run_dispatcher;
ok(wait_for(sub { dead($t, $name) == 1 && attempts($t, $name) == 4 }, 20),
    'two events are delivered, one is dead after two attempts');
ok(wait_for(sub { (figures('whole')->{day}{attempts} // 0) == 4 }, 20),
    'the figures follow');

my $day = figures('whole')->{day};
is_deeply([@{$day}{qw(ok success dead)}], [2, 0.5, 1], 'success and dead letters');
is_deeply([@{$day}{qw(classes answers tries)}],
    [{ ok => 2, status => 2 }, { '2xx' => 2, '4xx' => 2 }, [3, 1, 0, 0, 0, 0]],
    'by class, by answer and by the number of the attempt');
my $sum = 0;
$sum += $_->[1] for @{ $day->{latency}{histogram} };
is($sum, 4, 'the histogram has each');
cmp_ok($day->{latency}{mean}, '>', 0, 'they took time');
is_deeply($day->{latency}{histogram}[-1], [undef, 0], 'its last bound is none');
is($day->{cells}[-1]{attempts}, 4, 'in one hour') if @{ $day->{cells} } == 1;
is(figures('whole')->{hour}{attempts}, 4, 'the hour has them, too');

like((lines($name))[-1], qr/^$name last day: attempts=4 ok=2 success=50\.0% dead=1 latency=\d+ms$/, 'the command prints a line');
my ($json) = grep { $_->{kind} eq 'figures' } map { Test::Eventsync::json($_) }
    split /\n/, $t->ctl_ok('endpoint', 'status', $name, '--json');
is_deeply($json->{day}, figures('whole')->{day}, 'and JSON');

###############################################################################
# not counted, not shown

is_deeply([lines($quiet)], [], 'an endpoint without attempts has no line');
is_deeply([@{ figures('whole', $quiet)->{day} }{qw(attempts success cells)}],
    [0, undef, []], 'and no figures');
is(figures('all')->{day}{attempts}, 4, 'a key that is narrowed to * gets them');
is(figures('narrow'), undef, 'one that is narrowed to feeds does not');

$t->ctl_ok('endpoint', 'test', $name);
put($t, 'orders', { type => 'good' });
ok(wait_for(sub { attempts($t, $name) == 6 }, 20), 'a test and an event');

###############################################################################
# they go on

is($t->stop_dispatcher, 0, 'the dispatcher ends');
is(figures('whole')->{day}{attempts}, 5, 'at its end all is written, the test is not');
put($t, 'orders', { type => 'good' });
$t->run_dispatcher;
ok(wait_for(sub { figures('whole')->{day}{attempts} == 6 }, 20),
    'the next run goes on');

$t->finish;
done_testing();
