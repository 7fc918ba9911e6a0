#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# An endpoint that loses a feed and gets it back goes on where it was, by
# whatever way it was lost; and what it can never be sent is counted in the log,
# by the command, in an operational event and in metrics.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
$t->feed($_) for qw(invoices prices ops theirs);
$t->ctl_ok('partner', 'change', 'acme', '--operations=ops',
    '--feeds=orders,invoices,prices');

my $broken = $t->testdir . '/broken';
my $recv = $t->receiver(sub {
    my ($request) = @_;
    return -e $broken && $request->{body} =~ /"type":"bad"/ ? 500 : 200;
});

my ($lib) = glob '/usr/lib/*/faketime/libfaketimeMT.so.1';

grant();
lists();
retries_stay();
both_while_down();
filters();
partner_disabled();
endpoint_removed();
reset_and_removed();
trimmed();
overtaken_while_away();
given_up();
refused();

done_testing();

###############################################################################

sub endpoint {
    my ($path, %opts) = @_;
    return scalar $t->endpoint('acme', url => $recv->url("/$path"),
        feeds => 'orders,invoices', start => 'oldest', %opts);
}
sub came {
    my ($path, $feed) = @_;
    return sequences(grep { $_->{path} eq "/$path"
        && $_->{headers}{'eventsync-feed'} eq ($feed // 'invoices') }
        $recv->requests);
}
sub lane {
    my ($name, $feed) = @_;
    my ($lane) = grep { $_->{cursor} && $_->{feed} eq ($feed // 'invoices') }
        status_lines($t, $name);
    return $lane // { line => ' away' };
}
sub idle {
    my ($name, $feed) = @_;
    return wait_for(sub { lane($name, $feed)->{line}
        =~ /pending=0 behind=0\b/ }, 20);
}
sub away { my ($name) = @_;
    return wait_for(sub { lane($name)->{line} =~ / away, kept/ }) }
sub back { my ($name) = @_;
    return wait_for(sub { lane($name)->{line} !~ / away/ }) }
sub last_of { my ($feed) = @_; my $n = () = stored($t, $feed); return $n }
sub said { my ($what) = @_;
    return wait_for(sub { $t->{dispatcher}->stderr =~ $what }) }

# Operational events of a type about an endpoint, their data.
sub told {
    my ($type, $name) = @_;
    return map { $_->{data} } grep { $_->{type} eq $type
        && $_->{subject} eq $name }
        map { decode_json($_) } stored($t, 'ops');
}

# A command that is not in effect before it is; what it said on standard error.
sub command {
    my ($rc, undef, $err) = $t->ctl(@_);
    is($rc, 0, "@_[0, 1]") or diag($err);
    return $err;
}
sub grants { return command('partner', 'change', 'acme', "--feeds=$_[0]") }

sub grant {
    my $name = endpoint('grant');
    put($t, $_, 2) for 'orders', 'invoices';
    $t->run_dispatcher;
    ok(idle($name) && idle($name, 'orders'), 'an endpoint of two feeds');

    $t->ctl_ok('endpoint', 'pause', $name);
    put($t, 'invoices', 10);
    is(grants('orders'), "eventsyncctl: endpoint $name no longer receives "
        . 'feed "invoices": its position, with 10 undelivered events, is '
        . "kept for 30 days\n", 'says who is affected, and by how much');
    ok(away($name), 'status says that the place is kept');
    like($t->{dispatcher}->stderr, qr/warn: endpoint $name .*"invoices", \w+-2 with 10 undelivered/,
        'the log says it');
    ok(wait_for(sub { told('feed.away', $name) == 1 }),
        'an operational event, too');
    my ($data) = told('feed.away', $name);
    is_deeply([@{$data}{qw(feed behind)}], ['invoices', 10], 'with the count');
    like($data->{until}, qr/^\d{4}-/, 'and until when');
    is(lane($name, 'orders')->{line} =~ / away/, '', 'the other feed stays');

    grants('orders,invoices,prices');
    ok(back($name), 'the grant is given again');
    $t->ctl_ok('endpoint', 'resume', $name);
    ok(wait_for(sub { came('grant') == 12 }), 'all of them come')
        or diag(join ' ', came('grant'));
    is_deeply([came('grant')], [1 .. 12], 'once, in order');
    is_deeply([told('events.lost', $name)], [], 'nothing is lost');
    unlike($t->{dispatcher}->stderr, qr/ without delivery|overtaken/,
        'and the log does not say so');
    $t->ctl_ok('endpoint', 'remove', $name);
}

# The endpoint's own list, in traffic, with events published meanwhile.
sub lists {
    my $name = endpoint('lists', start => 'latest');
    put($t, 'invoices', 1);
    ok(idle($name), 'an endpoint');
    my $from = last_of('invoices');
    my $err = command('endpoint', 'change', $name, '--feeds=orders');
    like($err, qr/endpoint $name no longer receives feed "invoices"/,
        'which takes a feed from its list');
    ok(away($name), 'keeps its place');
    put($t, 'invoices', 3);
    put($t, 'orders', 1);
    ok(wait_for(sub { came('lists', 'orders') }), 'the others go on');
    command('endpoint', 'change', $name, '--feeds=orders,invoices');
    ok(wait_for(sub { (came('lists'))[-1] == $from + 3 }),
        'and goes on when it is given back');
    is_deeply([grep { $_ > $from } came('lists')], [$from + 1 .. $from + 3],
        'with what came meanwhile');
    ok(said(qr/endpoint $name receives feed "invoices" again/),
        'the log says so');
    $t->ctl_ok('endpoint', 'remove', $name);
}

# Retries keep their counts, over restarts as well; the endpoint's room for
# retries is not taken by those that are away.
sub retries_stay {
    my $name = endpoint('retry', start => 'latest', ordering => 'none',
        schedule => '0,1h,1h');
    ok(wait_for(sub { lane($name)->{cursor} }), 'an endpoint');
    $t->write_file('broken', '');
    my $from = last_of('invoices');
    put_types($t, 'invoices', 'bad', 'good', 'bad');
    ok(wait_for(sub { retries($t, $name) == 2 }), 'two events wait');
    my @before = map { $_->{line} } retries($t, $name);
    grants('orders,prices');
    ok(away($name), 'the grant is taken away');
    is_deeply([map { $_->{line} } retries($t, $name)], \@before,
        'the retries stay');
    $t->stop_dispatcher('KILL');
    $t->run_dispatcher;
    ok(said(qr/eventsync-dispatcher/) && away($name), 'over a kill -9');
    is($t->stop_dispatcher, 0, 'and a stop');
    $t->run_dispatcher;
    grants('orders,invoices,prices');
    ok(back($name), 'it is given back');
    is_deeply([map { $_->{line} } retries($t, $name)], \@before,
        'the retries are as they were');
    unlink $broken;
    $t->ctl_ok('endpoint', 'resume', $name);
    ok(wait_for(sub { !retries($t, $name) }), 'and are made');
    is((sort { $a <=> $b } came('retry'))[-1], $from + 3, 'each');
    $t->ctl_ok('endpoint', 'remove', $name);
}

# Every order of changes while no dispatcher runs.
sub both_while_down {
    my $name = endpoint('down', start => 'latest');
    put($t, 'invoices', 1);
    ok(idle($name), 'an endpoint');
    my $from = last_of('invoices');

    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    grants('orders,prices');
    put($t, 'invoices', 2);
    grants('orders,invoices,prices');
    $t->run_dispatcher;
    ok(wait_for(sub { (came('down'))[-1] == $from + 2 }),
        'taken and given back while it is down');

    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    put($t, 'invoices', 2);
    grants('orders,prices');
    $t->run_dispatcher;
    ok(away($name), 'taken while it is down');
    ok(said(qr/ warn: endpoint $name .*"invoices".* 2 undelivered/),
        'the next start says so');
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    grants('orders,invoices,prices');
    $t->run_dispatcher;
    ok(wait_for(sub { (came('down'))[-1] == $from + 4 }),
        'and given back while it is down');
    is_deeply([grep { $_ > $from } came('down')], [$from + 1 .. $from + 4],
        'nothing is left out or sent twice');
    ok(back($name), 'it is not away any more');
    $t->ctl_ok('endpoint', 'remove', $name);
}

sub filters {
    my $name = endpoint('filter', start => 'latest', types => 'a,b',
        feeds => 'invoices');
    ok(wait_for(sub { lane($name)->{cursor} }), 'an endpoint with a filter');
    $t->ctl_ok('endpoint', 'pause', $name);
    my $from = last_of('invoices');
    put_types($t, 'invoices', qw(a b a));
    like(command('endpoint', 'change', $name, '--types=b', '--paused'),
        qr/endpoint $name: 3 events of feed "invoices" are undelivered;/,
        'a filter that becomes narrower says what waits');
    ok(said(qr/endpoint $name: its record changed/), 'it is in effect');
    $t->ctl_ok('endpoint', 'change', $name, '--types=a,b', '--paused');
    $t->ctl_ok('endpoint', 'resume', $name);
    ok(wait_for(sub { came('filter') == 3 }),
        'and wider again while it is paused loses nothing');
    $t->ctl_ok('endpoint', 'remove', $name);
}

sub partner_disabled {
    my $name = endpoint('disabled', start => 'latest');
    put($t, 'invoices', 1);
    ok(idle($name), 'an endpoint');
    my $from = last_of('invoices');
    command('partner', 'change', 'acme', '--disabled');
    put($t, 'invoices', 2);
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    $t->run_dispatcher;
    ok(said(qr/eventsync-dispatcher/), 'and starts');
    command('partner', 'change', 'acme', '--enabled');
    ok(wait_for(sub { (came('disabled'))[-1] == $from + 2 }),
        'a partner that was disabled goes on where it was');
    $t->ctl_ok('endpoint', 'remove', $name);
}

sub endpoint_removed {
    my $name = endpoint('again', start => 'latest', ordering => 'none',
        schedule => '0');
    ok(wait_for(sub { lane($name)->{cursor} }), 'an endpoint');
    my $from = last_of('invoices');
    $t->write_file('broken', '');
    put_types($t, 'invoices', 'bad', 'good');
    ok(wait_for(sub { dead($t, $name) == 1 }), 'with a dead letter');
    unlink $broken;
    $t->ctl_ok('endpoint', 'pause', $name);
    put($t, 'invoices', 2);
    like(command('endpoint', 'remove', $name),
        qr/$name no longer receives feed "invoices": .* with 2 undelivered/,
        'its removal says what waits');
    ok(said(qr/ warn: endpoint $name was removed: .* 2 undelivered/),
        'so does the log');
    ok(wait_for(sub { told('feed.away', $name) == 2 }),
        'and an operational event for each feed');
    put($t, 'invoices', 1);

    $t->partner('other', feeds => 'invoices', operations => 'theirs');
    my ($rc, $out) = $t->ctl('endpoint', 'create', 'other', "--name=$name",
        '--url=' . $recv->url('/other'), '--feeds=invoices', '--start=latest');
    is($rc, 0, 'another partner takes the name');
    ok(wait_for(sub { $t->ctl_ok('endpoint', 'status', $name) =~ /behind=0\b/ }),
        'and begins');
    is($t->ctl_ok('endpoint', 'dead', $name), '', 'with nothing of the other');
    $t->ctl_ok('endpoint', 'remove', $name);
    $t->ctl_ok('partner', 'remove', 'other');
    is(scalar came('other'), 0, 'and is sent nothing of it');

    my $mine = endpoint('mine', start => 'latest');
    ok(wait_for(sub { lane($mine) }), 'another endpoint');
    put($t, 'invoices', 1);
    ok(idle($mine), 'which is sent an event');
    $t->ctl_ok('endpoint', 'remove', $mine);
    ok(said(qr/endpoint $mine was removed/), 'and removed');
    $from = last_of('invoices');
    put($t, 'invoices', 2);
    my $made = endpoint('mine', name => $mine);
    is($made, $mine, 'is made again under its name');
    ok(wait_for(sub { (came('mine'))[-1] == $from + 2 }),
        'and goes on where it was');
    is_deeply([came('mine')], [$from .. $from + 2],
        'whatever its new "start" says');
    $t->ctl_ok('endpoint', 'remove', $mine);
}

# A reset and a removal say how many are lost in one line each; also of what
# was done while no dispatcher ran.
sub reset_and_removed {
    my $name = endpoint('reset', feeds => 'prices', schedule => '0,1h');
    put($t, 'prices', 2);
    ok(idle($name, 'prices'), 'an endpoint');

    my $lost = 0;
    for (['reset', 'reset'], ['remove', 'removed']) {
        my ($verb, $reason) = @$_;
        for my $down (0, 1) {
            my $case = "feed $verb" . ($down ? ' while it is down' : '');
            $t->ctl_ok('endpoint', 'pause', $name);
            put($t, 'prices', 250);
            my ($epoch) = lane($name, 'prices')->{cursor} =~ /^(\w+)-/;
            my ($first) = lane($name, 'prices')->{cursor} =~ /-(\d+)$/;
            is($t->stop_dispatcher, 0, 'the dispatcher stops') if $down;
            my $err = command('feed', $verb, 'prices');
            like($err, qr/endpoint $name: 250 events of feed "prices" .* lost/,
                "$case: the command counts");
            $t->feed('prices') if $verb eq 'remove';
            $t->run_dispatcher if $down;
            my ($from, $to) = map { "$epoch-" . ($first + $_) } 1, 250;
            ok(said(qr/"prices" was $reason: 250 events, $from to $to,.* $name$/m),
                "$case: one line of the log has all of them");
            my $lines = () = $t->{dispatcher}->stderr
                =~ / warn: .*(?:was (?:reset|removed)|overtaken)/g;
            is($lines, $down ? 1 : $lines, "$case: and no other");
            unlike($t->{dispatcher}->stderr, qr/overtaken| 0 events/,
                "$case: none says 0") if $down;
            ok(wait_for(sub { my @told = told('events.lost', $name);
                @told == $lost + 1 && $told[-1]{count} == 250
                    && $told[-1]{reason} eq $reason
                    && $told[-1]{feed} eq 'prices'
                    && $told[-1]{from} eq $from && $told[-1]{to} eq $to }),
                "$case: an operational event") or diag(encode_json(
                    [told('events.lost', $name)]));
            $lost++;
            put($t, 'prices', 2);
            my $had = came('reset', 'prices');
            $t->ctl_ok('endpoint', 'resume', $name);
            ok(wait_for(sub { came('reset', 'prices') == $had + 2 }),
                "$case: what comes after it is sent");
            ok(idle($name, 'prices'), "$case: all of it");
        }
    }
    $t->ctl_ok('endpoint', 'remove', $name);
}

sub trimmed {
    my $name = endpoint('trim', feeds => 'prices', start => 'latest');
    put($t, 'prices', 1);
    ok(idle($name, 'prices'), 'an endpoint');
    $t->ctl_ok('endpoint', 'pause', $name);
    my ($epoch, $at) = lane($name, 'prices')->{cursor} =~ /^(\w+)-(\d+)$/;
    put($t, 'prices', 5);
    like(command('feed', 'trim', 'prices', "--before=$epoch-@{[$at + 4]}"),
        qr/endpoint $name: 3 events of feed "prices" .* are lost/,
        'a trim counts what it takes from an endpoint');
    ok(said(qr/feed "prices" has overtaken endpoint $name: 3 events/),
        'so does the log');
    ok(wait_for(sub { my ($told) = told('events.lost', $name);
        $told && $told->{count} == 3 && $told->{reason} eq 'retention' }),
        'and an operational event');
    $t->ctl_ok('endpoint', 'remove', $name);
}

sub overtaken_while_away {
    my $name = endpoint('late', feeds => 'invoices', start => 'latest');
    put($t, 'invoices', 1);
    ok(idle($name), 'an endpoint');
    grants('orders,prices');
    ok(away($name), 'is away');
    my ($epoch, $at) = lane($name)->{cursor} =~ /^(\w+)-(\d+)$/;
    put($t, 'invoices', 6);
    $t->ctl_ok('feed', 'trim', 'invoices', "--before=$epoch-@{[$at + 5]}");
    grants('orders,invoices,prices');
    ok(wait_for(sub { came('late') == 3 }), 'comes back');
    is_deeply([came('late')], [$at, $at + 5, $at + 6],
        'and is sent what retention has kept');
    ok(wait_for(sub { my ($told) = told('events.lost', $name);
        $told && $told->{count} == 4 }), 'how many are lost is told');

    grants('orders,prices');
    ok(away($name), 'is away again');
    put($t, 'invoices', 3);
    like(command('feed', 'reset', 'invoices'),
        qr/endpoint $name: 3 events .* lost/, 'while the feed is reset');
    put($t, 'invoices', 1);
    grants('orders,invoices,prices');
    ok(said(qr/feed "invoices" was reset: 3 events, .* $name$/m),
        'what it lost by that is told when it comes back');
    ok(wait_for(sub { came('late') == 4 }), 'and it goes on');

    grants('orders,prices');
    ok(away($name), 'is away again');
    put($t, 'invoices', 2);
    command('feed', 'remove', 'invoices');
    ok(said(qr/feed "invoices" was removed: 2 events, .* $name$/m),
        'a feed that is removed while it is away');
    $t->feed('invoices');
    grants('orders,invoices,prices');
    $t->ctl_ok('endpoint', 'remove', $name);
}

# After thirty days a place is given up.
sub given_up {
  SKIP: {
    skip 'needs faketime, and no sanitizer', 8 if !$lib || $t->sanitized;

    my $name = endpoint('month', feeds => 'prices', start => 'latest');
    put($t, 'prices', 1);
    ok(idle($name, 'prices'), 'an endpoint');
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    put($t, 'prices', 2);
    grants('orders,invoices');
    $t->run_dispatcher({ env => { LD_PRELOAD => $lib, FAKETIME => '-31d',
        FAKETIME_DONT_FAKE_MONOTONIC => 1 } });
    ok(said(qr/endpoint $name .* is kept for 30 days/), 'is away');
    is($t->stop_dispatcher, 0, 'the dispatcher stops');
    $t->run_dispatcher;
    ok(said(qr/warn: endpoint $name has not received .* with 2 undelivered/),
        'the place is given up after thirty days');
    ok(wait_for(sub { my ($told) = told('events.lost', $name);
        $told && $told->{count} == 2 && $told->{reason} eq 'away' }),
        'an operational event says how many events that costs');
    ok(wait_for(sub { !grep { $_->{cursor} } status_lines($t, $name) }),
        'nothing is kept of it');
    grants('orders,invoices,prices');
    $t->ctl_ok('endpoint', 'remove', $name);
  }
    $t->default_conf(location => 'eventsync_endpoints on;');
    $t->run_nginx;
    my ($lost) = $t->http(GET => '/ops/metrics')->{body}
        =~ /^eventsync_delivery_lost_events_total (\d+)$/m;
    my $sum = 0;
    $sum += decode_json($_)->{data}{count}
        for grep { /"events\.lost"/ } map { stored($t, $_) } qw(ops theirs);
    ok($sum > 1000, 'events were lost in all');
    is($lost, $sum, 'a metric counts them');
    partners_view();
    is($t->stop_dispatcher, 0, 'the dispatcher stops cleanly');
    ok($t->verify, 'the store is sound');
}

# The partner is told that the place is kept, and not what is published.
sub partners_view {
    my $name = endpoint('view');
    $t->{partners}{acme}++;
    my $key = $t->partner_key('acme', scopes => 'read,manage');
    ok(idle($name, 'orders'), 'an endpoint');
    command('endpoint', 'change', $name, '--feeds=orders');
    ok(away($name), 'one feed is away');
    put($t, 'invoices', 1);
    my ($kept) = grep { $_->{kind} eq 'away' } @{ $t->json_get(
        "/v1/endpoints/$name/status", $key)->{deliveries} };
    is(join(' ', sort keys %$kept), 'away_since feed kept_until kind',
        'the partner sees that its place is kept');
    my ($operator) = grep { $_->{away_since} } map { decode_json($_) }
        split /\n/, $t->ctl_ok('endpoint', 'status', $name, '--json');
    is($operator->{behind}, 1, 'and the operator how far it is behind');
    like($t->http(GET => '/ops/metrics')->{body},
        qr/^eventsync_delivery_places_kept [1-9]/m, 'a metric counts places');
    $t->ctl_ok('endpoint', 'remove', $name);
}

sub refused {
    for ('x', 'ep_', 'ep_AAAAAAAAAAAAAAAA', 'ep_aaaaaaaaaaaaaaaaa') {
        my ($rc, undef, $err) = $t->ctl('endpoint', 'create', 'acme',
            "--name=$_", '--url=' . $recv->url, '--feeds=orders');
        ok($rc == 2 && $err =~ /"--name=$_" is not an endpoint's name/,
            "no name: $_");
    }
    my $name = endpoint('twice');
    my ($rc, undef, $err) = $t->ctl('endpoint', 'create', 'acme',
        "--name=$name", '--url=' . $recv->url, '--feeds=orders');
    ok($rc == 1 && $err =~ /already exists/, 'a name that is taken');
}
