#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Readers of streams that others have written, from npm: what they miss when a
# stream ends, what their handlers are given, and what they do when they are
# refused.  t/module/sse_position.t and t/module/sse_reconnect.t have the same on the wire.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new;
my $modules = $t->build . '/readers/node_modules';
my ($node) = (`node --version 2>/dev/null` // '') =~ /^v(\d+)/;

my @packages = grep { -d "$modules/$_" }
    qw(eventsource eventsource5 event-source-polyfill);
plan skip_all => 'needs node and its packages: make test installs them'
    if !$node || !@packages;

$t->store_init;
$t->feed("quiet-$_")->feed("some-$_")->feed("gone-$_") for @packages;
my $key = $t->master_key;

$t->write_file_expand('nginx.conf', <<'CONF');
events { }
http {
    eventsync_store %%STORE%%;
    eventsync_sse on;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / {
            location /v1/ { }

            eventsync_poll on;
            eventsync_publish on;
            eventsync_sse_max_time 500ms;

            location /rate/ { eventsync_limit poll rate=2r/h burst=2; }
        }
    }
}
CONF
$t->run_nginx;

sub client {
    my ($package, $path, $as) = @_;
    return $t->start($package, {}, 'node', 't/node/reader.js',
        "$modules/$package", 'http://127.0.0.1:' . $t->port(0) . $path, $as // $key);
}

sub said {
    my ($client) = @_;
    return map { decode_json($_) } grep { /^\[.*\]$/ } split /\n/, $client->stdout;
}

sub messages {
    my ($client) = @_;
    return join ' ', map { $_->[0] eq 'message' ? $_->[1] : () } said($client);
}

# It has come back so often.
sub opened { return scalar grep { $_->[0] eq 'open' } said($_[0]) }

# All of them at once, as each waits for a second or two before it comes back.
if ($node < 22 && grep { $_ eq 'eventsource5' } @packages) {
    note('eventsource5 needs a newer node');
    @packages = grep { $_ ne 'eventsource5' } @packages;
}
my $life = '/v1/feeds';

# Nothing is there when they come, and what is published while they are away.
my %client = map { $_ => client($_, "$life/quiet-$_/events?from=latest") }
    @packages;
for my $package (@packages) {
    my $client = $client{$package};
    ok(wait_for(sub { grep { $_->[0] eq 'position' } said($client) }, 20),
        "$package: a stream of a quiet feed") or diag($client->stderr);
    is(messages($client), '', "$package: whose position is no message");
}
for my $n (1, 2) {
    for my $package (@packages) {
        my $client = $client{$package};
        ok(wait_for(sub { (said($client))[-1][0] eq 'error' }, 20),
            "$package: it ends");
        $t->publish("quiet-$package", { id => "gap$n" });
    }
    for my $package (@packages) {
        ok(wait_for(sub { messages($client{$package}) =~ /gap$n/ }, 20),
            "$package: what came meanwhile is not missed");
    }
}
for my $package (@packages) {
    is(messages($client{$package}), 'gap1 gap2', "$package: each of them once");
    $client{$package}->stop;
}

# A filter passes all but the first by, and they end after these.
%client = map { $_ => client($_, "$life/some-$_/events?types=x&from=oldest") }
    @packages;
my %last;
for my $package (@packages) {
    my $feed = "some-$package";
    ok(wait_for(sub { opened($client{$package}) }, 20),
        "$package: with a filter");
    $t->publish($feed, { id => 'x1', type => 'x' }, map { { id => "y$_",
        type => 'y' } } 1 .. 3);
    $last{$package} = $t->poll($feed, from => 'latest')->{latest};
}
for my $package (@packages) {
    my $told = sub { scalar grep { $_->[0] eq 'position'
        && $_->[1] eq $last{$package} } said($client{$package}) };
    ok(wait_for(sub { $told->() >= 1 }, 20),
        "$package: it learns how far it is");
    ok(wait_for(sub { $told->() >= 2 }, 20),
        "$package: and comes back from there");
    $t->publish("some-$package", { id => 'x2', type => 'x' });
    ok(wait_for(sub { messages($client{$package}) =~ /x2/ }, 20),
        "$package: to go on");
    is(messages($client{$package}), 'x1 x2', "$package: with what it asked for");
    $client{$package}->stop;
}

# While they are away somebody uses their partner's quota up.
my %own = map { $packages[$_] => $t->partner_key("p$_", feeds => '*') }
    0 .. $#packages;
%client = map { $_ => client($_, "/rate/feeds/some-$_/events?from=latest",
    $own{$_}) } @packages;
for my $package (@packages) {
    ok(wait_for(sub { opened($client{$package}) }, 20),
        "$package: with a quota of two");
    is($t->http(GET => "/rate/feeds/some-$package/events",
        { authorization => "Bearer $own{$package}" })->{status}, 200,
        "$package: that is used up");
}
refused($_, 429) for @packages;

# Their position goes away.
%client = map { $_ => client($_, "$life/gone-$_/events") } @packages;
for my $package (@packages) {
    ok(wait_for(sub { opened($client{$package}) }, 20), "$package: another");
    $t->ctl_ok('feed', 'reset', "gone-$package");
}
refused($_, 410) for @packages;

done_testing();

###############################################################################

sub refused {
    my ($package, $status) = @_;
    my $client = $client{$package};
    ok(wait_for(sub { grep { $_->[0] eq 'end' && $_->[1] == $status }
        said($client) }, 20), "$package: is told $status");
    ok(wait_for(sub { (said($client))[-1][0] eq 'error' }, 20),
        "$package: and that the stream is at its end");
    is(scalar(grep { $_->[0] eq 'error' && $_->[1] == 2 } said($client)), 0,
        "$package: which does not end it");
    $client->stop;
}
