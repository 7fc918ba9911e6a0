#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# How the webhooks of a feed keep its promise of freshness: what counts as kept
# and as missed, what excuses an endpoint, and what is kept through a restart.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw(sleep);

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store(workers => 1);
$t->feed('prices')->feed('plain')->feed('brief')->feed('frail');
my $key = $t->partner_key('acme', scopes => 'read');
my $admin = $t->partner_key('ops', scopes => 'admin');
$t->default_conf(location => 'eventsync_status on; eventsync_metrics on;');
$t->run_nginx;

# A slow receiver takes longer than the promise of "brief" and "frail".  It
# refuses the first attempt of each event of the type "refused".
my %refused;
my $recv = $t->receiver(sub {
    my ($r) = @_;
    sleep 0.1 if $r->{path} =~ /slow/;
    return $r->{body} =~ /"type":"refused"/ && !$refused{ $r->{headers}{'webhook-id'} }++
        ? 500 : 200;
});

sub endpoint {
    my ($feed, $path, %more) = @_;
    return $t->endpoint('acme', url => $recv->url($path), feeds => $feed, %more);
}

# The counters of a feed, once they meet the condition.
sub fresh {
    my ($feed, %want) = @_;
    my %is;
    wait_for(sub {
        my $text = $t->http(GET => '/v1/metrics', { authorization => "Bearer $admin" })->{body};
        %is = $text =~ /^eventsync_feed_fresh_total\{feed="$feed",channel="webhook",result="(\w+)"\} (\d+)$/mg;
        return !grep { ($is{$_} // -1) != $want{$_} } keys %want;
    }, 20);
    return \%is;
}

$t->ctl_ok('feed', 'change', 'prices', '--fresh-within=1h');
$t->ctl_ok('feed', 'change', $_, '--fresh-within=20ms') for qw(brief frail);
my $kept = endpoint('prices', '/kept');
my $plain = endpoint('plain', '/plain');
my $slow = endpoint('brief', '/slow', start => 'oldest');
my $fails = endpoint('frail', '/fails/slow', start => 'oldest', schedule => '0,100ms,100ms');
$t->run_dispatcher;

###############################################################################
# kept, missed, and nothing promised

put($t, 'prices', 3);
put($t, 'plain', 2);
put($t, 'brief', 2);
is_deeply(fresh('prices', kept => 3), { kept => 3, missed => 0, excused => 0 },
    'events within the promise');
is_deeply(fresh('brief', missed => 2), { kept => 0, missed => 2, excused => 0 },
    'events after it');
is_deeply(fresh('plain'), {}, 'a feed without a promise has no figures');

sub figures {
    my ($endpoint, $met) = @_;
    my $fresh;
    ok(wait_for(sub {
        my $status = Test::Eventsync::json($t->http(GET => '/v1/status',
            { authorization => "Bearer $key" })->{body});
        ($fresh) = map { $_->{figures}{hour}{fresh} }
            grep { $_->{name} eq $endpoint } @{ $status->{endpoints} };
        return $fresh && $met->($fresh);
    }, 30), 'the dispatcher has written the figures') or diag(explain($fresh));
    return $fresh;
}

my $f = figures($kept, sub { $_[0]{kept} == 3 });
is_deeply([@$f{qw(missed excused share)}], [0, 0, 1], 'the endpoint has them');
cmp_ok($f->{worst}, '<', 3600, 'with the worst');
$f = figures($slow, sub { $_[0]{missed} == 2 });
is_deeply([@$f{qw(kept share)}], [0, 0], 'so has the slow one');
cmp_ok($f->{worst}, '>=', 0.1, 'whose worst is what its receiver took');

###############################################################################
# excuses

# The last one is committed after the refusal, while a second of others is left.
my $before = $recv->count;
put($t, 'frail', { type => 'refused' }, map { {} } 1 .. 12);
ok(wait_for(sub { $recv->count >= $before + 2 }, 20), 'one that failed sends on');
put($t, 'frail', 1);
is_deeply(fresh('frail', excused => 14), { kept => 0, missed => 0, excused => 14 },
    'an endpoint that has failed is excused until it has caught up');
put($t, 'frail', 1);

$t->in_effect($slow, sub { $t->ctl_ok('endpoint', 'pause', $slow) });
put($t, 'brief', 2);
$t->in_effect($slow, sub { $t->ctl_ok('endpoint', 'resume', $slow) });
is_deeply(fresh('brief', excused => 2), { kept => 0, missed => 2, excused => 2 },
    'one that was paused is excused');
is_deeply(fresh('frail', missed => 1), { kept => 0, missed => 1, excused => 14 },
    'one that has caught up is not');

$t->ctl_ok('endpoint', 'replay', $slow, 'brief', '--from=oldest');
is_deeply(fresh('brief', excused => 6), { kept => 0, missed => 2, excused => 6 },
    'and so are events that are sent again');

###############################################################################
# restarts, and a feed that goes

$t->stop_dispatcher;
put($t, 'brief', 1);
sleep 0.1;
$t->run_dispatcher;
is_deeply(fresh('brief', missed => 3), { kept => 0, missed => 3, excused => 6 },
    'events while no dispatcher ran come too late, and the counters go on');
is(fresh('prices', kept => 3)->{kept}, 3, 'those of another feed, too');

$t->ctl_ok('feed', 'change', 'prices', '--fresh-within=0');
ok(wait_for(sub { !%{ fresh('prices') } }), 'a promise that was taken back has no metrics');
sub records {
    my $list = $t->start('records', {}, $t->build . '/helper/records',
        $t->store . '/delivery', 'meta');
    $list->wait(20);
    return grep { /^6672657368/ } split /\n/, $list->stdout;
}

is(scalar records(), 3, 'three feeds have a record');
$t->ctl_ok('feed', 'remove', 'prices');
ok(wait_for(sub { records() == 2 }, 20), 'which goes with the feed');
$t->feed('prices');
$t->ctl_ok('feed', 'change', 'prices', '--fresh-within=1h');
is_deeply(fresh('prices', kept => 0), { kept => 0, missed => 0, excused => 0 },
    'a new feed of the name begins anew');

$t->finish;
done_testing();
